"""Training of learned cameras."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save

from learned_camera.scores import Scores, score
from learned_camera.views import Posed
from render3d.atomic import atomic_write, write_json
from render3d.renderers import LearnedProjection
from render3d.renderers.volumetric.warps import Warp

WARPS: tuple[Warp, ...] = ("frustum", "affine", "none")
_POINTS = 12  # of a curve
_SOLIDS_OF_CURVES = 24  # enough to see the way; the scores at the end are those of all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What all networks have in common.

    Attributes:
        updates: Steps of Adam.
        batch: Images a step.
        learning_rate: At the start; it falls to zero along half a cosine.
        features: As in `LearnedProjection`.
        planes: As in `LearnedProjection`.
        training_solids: Solids to learn from.
        views: Images of each of them.
        test_solids: Solids to test on, of another split; each is seen from two cameras in each zone.
    """

    updates: int = 600
    batch: int = 8
    learning_rate: float = 1e-2
    features: int = 8
    planes: int = 24
    training_solids: int = 800
    views: int = 4
    test_solids: int = 100


class Trained(NamedTuple):
    """A network after training; scores are by zone."""

    network: LearnedProjection
    history: list[tuple[int, dict[str, Scores]]]  # after how many updates, on some of the test solids
    scores: dict[str, Scores]
    seconds: float


def new_network(settings: Settings, warp: Warp) -> LearnedProjection:
    """With parameters from torch's generator."""
    return LearnedProjection(outputs=("alpha", "depth"), features=settings.features, planes=settings.planes, warp=warp)


def train(
    settings: Settings,
    warp: Warp,
    seed: int,
    training: Posed,
    tests: Mapping[str, Posed],
    progress: Callable[[int], None] = lambda update: None,
) -> Trained:
    """Train one network; ``seed`` decides its first parameters and the order of the data."""
    torch.manual_seed(seed)
    network = new_network(settings, warp)
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)
    solids, views = training.alpha.shape[:2]
    some = {zone: posed.first(_SOLIDS_OF_CURVES) for zone, posed in tests.items()}
    began, history = time.monotonic(), []
    for update in range(1, settings.updates + 1):
        chosen = torch.randint(solids, (settings.batch,)), torch.randint(views, (settings.batch,))
        optimiser.zero_grad()
        _loss(network, training.pick(*chosen)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if update % max(1, settings.updates // _POINTS) == 0:
            history.append((update, {zone: score(network, posed) for zone, posed in some.items()}))
        progress(update)
    scores = {zone: score(network, posed) for zone, posed in tests.items()}
    return Trained(network, history, scores, time.monotonic() - began)


def _loss(network: LearnedProjection, posed: Posed) -> torch.Tensor:
    """Cross entropy of the silhouette, and a tenth of the squared error of depth where the solid is.

    A tenth brings both to one size: silhouettes are soon known to hundredths of a nat, depths to tenths of a unit.
    """
    found = network(posed.volumes, posed.cameras, ("alpha", "depth"))
    silhouette = torch.nn.functional.binary_cross_entropy(found.alpha, posed.alpha)
    covered = posed.alpha > 0.5
    depth = (found.depth / found.alpha.clamp(min=1e-3) - posed.depth)[covered]
    loss: torch.Tensor = silhouette + 0.1 * depth.square().sum() / covered.sum().clamp(min=1)
    return loss


def save_trained(trained: Trained, path: Path) -> None:
    """To ``path`` with the suffixes ``.safetensors`` and, written last, ``.json``."""
    with atomic_write(path.with_suffix(".safetensors")) as stream:
        stream.write(save(trained.network.state_dict()))
    text = {
        "seconds": round(trained.seconds, 1),
        "scores": _plain(trained.scores),
        "history": [{"update": update} | _plain(scores) for update, scores in trained.history],
    }
    write_json(path.with_suffix(".json"), text)


def load_trained(settings: Settings, warp: Warp, path: Path) -> Trained:
    """What `save_trained` wrote."""
    text = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    network = new_network(settings, warp)
    network.load_state_dict(load_file(path.with_suffix(".safetensors")))
    history = [(point.pop("update"), _scores(point)) for point in text["history"]]
    return Trained(network, history, _scores(text["scores"]), text["seconds"])


def _plain(scores: Mapping[str, Scores]) -> dict[str, Any]:
    return {zone: values._asdict() for zone, values in scores.items()}


def _scores(plain: Mapping[str, Any]) -> dict[str, Scores]:
    return {zone: Scores(**values) for zone, values in plain.items()}
