"""What fits have in common, whatever they fit: updates, records, saves, and how good a scene is."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from render3d.errors import CapabilityError
from render3d.fitting.checkpoint import FitRecord, checkpoint_in, load, run_folder, save
from render3d.fitting.optimiser import Adam
from render3d.fitting.settings import LoopSettings
from render3d.metrics import silhouette_iou
from render3d.renderers import renderers_of_scene
from render3d.renderers.base import Renderer
from render3d.runs.readiness import check_ready
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

Progress = Callable[[FitRecord], None]

_SECONDS_BETWEEN_SAVES = 5.0


class Measured:
    """What the last of the ``records`` of a fit says, which is always one that was measured."""

    records: tuple[FitRecord, ...]

    @property
    def training_iou(self) -> float | None:
        """Mean silhouette intersection over union on the views that were fitted."""
        return self.records[-1].training_iou

    @property
    def held_out_iou(self) -> float | None:
        """The same on the views that were held out, if there were any."""
        return self.records[-1].held_out_iou


class FitProblem(Protocol):
    """What is fitted, and how: all that stays the same from update to update."""

    views: ViewSet
    held_out: ViewSet | None
    renderer: Renderer

    @property
    def settings(self) -> LoopSettings:
        """Number of updates, and when to measure."""
        ...

    @property
    def identity(self) -> Mapping[str, str]:
        """What must be the same for the fit to go on."""
        ...

    def start(self, count: int = 0) -> Adam:
        """The state before any update, but with parameters of the shape that they have after ``count`` updates."""
        ...

    def step(self, state: Adam) -> tuple[Adam, float]:
        """The state after one update, and the loss before it."""
        ...

    def scene(self, parameters: Tensor) -> Mesh | Volume:
        """What the parameters of a state describe, where ``views`` see it."""
        ...


def run(task: FitProblem, folder: Path | None, progress: Progress | None) -> tuple[Adam, Sequence[FitRecord]]:
    """Make all updates that are left, saved on the way to a folder, if there is one.

    Raises:
        FitError: The folder holds another fit or a damaged checkpoint, or cannot be written to.
        KeyboardInterrupt: Passed on, after saving.
    """
    file = None
    if folder is not None:
        config = run_folder(folder)
        if not config.is_begun:
            check_ready(task.renderer, task.scene(task.start().parameters), task.views.cameras)
        config.begin(dataclasses.asdict(task.settings), task.identity, task.renderer)
        file = checkpoint_in(folder)
    state, records = (
        load(file, task.start, task.settings.updates) if file and file.path.exists() else (task.start(), [])
    )
    began = time.monotonic() - (records[-1].seconds if records else 0.0)
    saved_at = time.monotonic()
    try:
        while state.count < task.settings.updates:
            following, loss = task.step(state)
            record = _measured(
                task, following, FitRecord(update=following.count, seconds=time.monotonic() - began, loss=loss)
            )
            # An update counts once both of these are done; an interrupt between them is mended below.
            records.append(record)
            state = following
            if progress is not None:
                progress(record)
            if file and time.monotonic() - saved_at > _SECONDS_BETWEEN_SAVES:
                save(file, state, records)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        if file:
            save(file, state, records[: state.count])
        raise
    if file:
        save(file, state, records)
    return state, records


def _measured(task: FitProblem, state: Adam, record: FitRecord) -> FitRecord:
    """The record with the intersections over union of ``state``, now and then and at the end."""
    if state.count % task.settings.evaluate_every and state.count < task.settings.updates:
        return record
    scene = task.scene(state.parameters)
    return dataclasses.replace(
        record,
        training_iou=mean_iou(task.renderer, scene, task.views),
        held_out_iou=mean_iou(task.renderer, scene, task.held_out) if task.held_out else None,
    )


def mean_iou(renderer: Renderer, scene: Mesh | Volume, views: ViewSet) -> float:
    """The mean silhouette intersection over union of a scene and views of it, by a sharp rendering."""
    with torch.no_grad():
        return float(silhouette_iou(renderer(scene, views.cameras, ("alpha",)).alpha, views.alpha).mean())


def check_renderer(renderer: Renderer, kind: type[Mesh] | type[Volume]) -> None:
    """Raise `CapabilityError` for a renderer of other scenes than those of this kind."""
    able = renderer.capabilities
    if kind not in able.scenes:
        kinds = " or ".join(scene.__name__ for scene in able.scenes)
        raise CapabilityError(
            f"A {kind.__name__.lower()} is to be fitted, and {able.name} renders {kinds}. Fit through "
            f"{' or '.join(renderers_of_scene(kind))}, or fit a {kinds.lower()}."
        )
