"""One training for every renderer."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save

from one_image.networks import ShapeFromImage
from one_image.objects import VIEWS, Objects
from render3d import differentiable
from render3d.atomic import atomic_write, write_json
from render3d.estimators import Pixels, default_gradient, local_credit
from render3d.metrics import silhouette_iou
from render3d.renderers import Renderer

_POINTS = 15  # of a curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What all trainings have in common.

    Attributes:
        updates: Steps of Adam.
        batch: Solids a step.
        views: Silhouettes of each that are compared, drawn anew in each step.
        learning_rate: At the start; it falls to zero along half a cosine.
        image_size: Pixels along each side.
        training: Solids to learn from.
        test: Solids to test on, of another split.
        gradient: own, edges, or local_credit; by default the best that a renderer allows. One of its own it keeps.
        noise: Pixels by which local_credit moves vertices. The usual one pixel is large beside edges of three pixels.
        seed: Of first parameters, order and noise.
    """

    updates: int = 600
    batch: int = 16
    views: int = 2
    learning_rate: float = 1e-3
    image_size: int = 32
    training: int = 600
    test: int = 60
    gradient: str | None = None
    noise: float = 0.5
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network after training.

    Attributes:
        network: Itself.
        curve: After how many updates and seconds (tests left out), which IoU on test solids, in views that the network
            does not see.
        facts: About the renderer, for the report.
    """

    network: ShapeFromImage
    curve: list[tuple[int, float, float]]
    facts: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write ``network.safetensors`` and, last, ``trained.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "network.safetensors") as stream:
            stream.write(save(self.network.state_dict()))
        write_json(folder / "trained.json", {"curve": self.curve, "facts": self.facts})

    @classmethod
    def load(cls, folder: Path, renderer: Renderer, settings: Settings) -> Self:
        """What `save` wrote."""
        found: dict[str, Any] = json.loads((folder / "trained.json").read_text(encoding="utf-8"))
        network = ShapeFromImage(renderer, settings.image_size)
        network.load_state_dict(load_file(folder / "network.safetensors"))
        return cls(network, [(int(n), s, iou) for n, s, iou in found["curve"]], found["facts"])


def train(
    renderer: Renderer,
    settings: Settings,
    training: Objects,
    test: Objects,
    facts: dict[str, str],
    progress: Callable[[int], None] = lambda update: None,
) -> Trained:
    """Learn shapes from single images through ``renderer``, whatever that is."""
    torch.manual_seed(settings.seed)
    name = settings.gradient or default_gradient(renderer)
    estimator = local_credit(samples=4, scale=Pixels(settings.noise))
    renderer = differentiable(renderer, estimator if name == "local_credit" else name)
    network = ShapeFromImage(renderer, settings.image_size).to(training.alpha.device)
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)
    seconds, curve = 0.0, [(0, 0.0, score(network, renderer, test))]
    for update in range(1, settings.updates + 1):
        began = time.perf_counter()
        solids = torch.randint(len(training), (settings.batch,))
        views = torch.randint(VIEWS, (settings.batch, settings.views))
        scene = network(training.seen[solids])
        rendered = renderer(scene, training.cameras[views], ("alpha",))
        loss = (rendered.alpha - training.alpha[solids[:, None], views]).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        seconds += time.perf_counter() - began
        if update % max(1, settings.updates // _POINTS) == 0 or update == settings.updates:
            curve.append((update, seconds, score(network, renderer, test)))
        progress(update)
    return Trained(network, curve, facts)


@torch.no_grad()
def score(network: ShapeFromImage, renderer: Renderer, objects: Objects) -> float:
    """Mean IoU of the silhouettes that the network does not see; drawn by ``renderer``, without noise."""
    found = renderer(network(objects.seen), objects.cameras[1:], ("alpha",)).alpha
    return float(silhouette_iou(found, objects.alpha[:, 1:]).mean())
