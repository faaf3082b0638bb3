"""Draws docs/images/proposition.svg: what proposition A.1 bounds, and what it does not; all by exact sums.

python docs/figures/proposition.py

It needs matplotlib, which the package does not.
"""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from render3d.models.study.proposition import Completion, DiscreteModel, completion, rare_observation, sticky_chain

TARGET = Path(__file__).resolve().parent.parent / "images" / "proposition.svg"
INK, SEED = "#222222", 1
BOUND = {"linestyle": "--", "color": "#888888"}

Curves = dict[str, list[float]]


def random_laws(generator: np.random.Generator, *shape: int) -> Tensor:
    """Laws along the last dimension, some of them sharp."""
    return torch.from_numpy(generator.dirichlet(np.full(shape[-1], 0.5), size=shape[:-1]))


def of_quality(shares: np.ndarray) -> Curves:
    """A random model, and recognition from the exact posterior (0) to the law of another model (1)."""
    generator = np.random.default_rng(SEED)
    parts = random_laws(generator, 4, 6), random_laws(generator, 4, 6)
    model = DiscreteModel.factorised(torch.full((4,), 0.25), *parts)
    wrong = random_laws(generator, 6, 6, 4)
    found = [completion(model, torch.lerp(model.posterior, wrong, share)) for share in shares.tolist()]
    return {
        "ε of (6)": [one.epsilon for one in found],
        "left side of (7), at the worst x_o": [float(one.fixed_point_error.max()) for one in found],
        "where the chain settles, mean over x_o": [float(one.observed @ one.stationary_error) for one in found],
        "left side of (7), mean over x_o": [one.mean_fixed_point_error for one in found],
    }


def of_rarity(rarities: np.ndarray) -> Curves:
    """One x_o at which recognition is wrong, by its probability."""
    found = [completion(*rare_observation(rarity)) for rarity in rarities.tolist()]
    return {
        "ε / p(x_o)": [float(one.fixed_point_bound[1]) for one in found],
        "left side of (7), at the worst x_o": [float(one.fixed_point_error[1]) for one in found],
        "ε of (6)": [one.epsilon for one in found],
        "left side of (7), mean over x_o": [one.mean_fixed_point_error for one in found],
    }


def of_noise(noises: np.ndarray) -> Curves:
    """The same small error of recognition, by how often the chain forgets."""
    found: list[Completion] = [completion(*sticky_chain(noise)) for noise in noises.tolist()]
    return {
        "where the chain settles, mean over x_o": [float(one.stationary_error) for one in found],
        "ε of (6)": [one.epsilon for one in found],
        "left side of (7), mean over x_o": [one.mean_fixed_point_error for one in found],
    }


COLORS = {
    "left side of (7), mean over x_o": "#2456a6",
    "left side of (7), at the worst x_o": "#c0392b",
    "where the chain settles, mean over x_o": "#1e8449",
}


def panel(axes: Axes, title: str, label: str, x: np.ndarray, curves: Curves) -> None:
    """Curves over ``x``; what is no error but a bound is dashed."""
    for name, values in curves.items():
        style = (
            {"color": COLORS[name]} if name in COLORS else BOUND if name == "ε of (6)" else BOUND | {"linestyle": ":"}
        )
        axes.plot(x, values, label=name, linewidth=1.8, **style)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label)
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)


def figure() -> Figure:
    """Three panels."""
    drawn = Figure(figsize=(10.5, 4.3), layout="constrained")
    quality, rarity, noise = drawn.subplots(1, 3)
    shares, decades = np.linspace(0, 1, 41), np.logspace(-3, -0.31, 60)
    panel(quality, "a random model", "wrong share of q(z | x)", shares, of_quality(shares))
    panel(rarity, "q wrong at one x_o", "p(x_o)", decades, of_rarity(decades))
    noises = np.logspace(-5, -1, 60)
    panel(noise, "q hardly wrong, z seldom changes", "noise of p(x | z)", noises, of_noise(noises))
    for axes in (rarity, noise):
        axes.set_xscale("log")
        axes.set_yscale("log")
    quality.set_ylabel("L1 norm")
    labelled = {
        label: line
        for axes in (quality, rarity, noise)
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    drawn.legend(labelled.values(), labelled.keys(), loc="outside upper center", ncols=3, frameon=False)
    return drawn


if __name__ == "__main__":
    matplotlib.rcParams.update(
        {"svg.hashsalt": "proposition", "svg.fonttype": "none", "text.color": INK, "font.size": 10}
    )
    figure().savefig(TARGET, metadata={"Date": None})
