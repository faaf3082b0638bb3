"""The same fit through several renderers."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from render3d.atomic import write_json, write_text
from render3d.comparison.fits_report import LEVELS, Fitted, fits_report
from render3d.comparison.trials import memory_of
from render3d.comparison.turns import Figures, Turn, begin, check_names, stopped_message, summary, take_turns
from render3d.errors import ComparisonError
from render3d.fitting import (
    FitRecord,
    FitSettings,
    VolumeFitSettings,
    fit,
    fit_to_folder,
    fit_volume,
    fit_volume_to_folder,
    measure,
)
from render3d.fitting.checkpoint import run_folder
from render3d.fitting.folder import seen
from render3d.fitting.identity import fingerprint_of_views
from render3d.fitting.settings import Settings
from render3d.fitting.targets import check_targets
from render3d.metrics import chamfer_distance
from render3d.renderers import Renderer, make_renderer
from render3d.runs.identity import fingerprint
from render3d.scenes import Mesh, Volume
from render3d.settings import facts_of
from render3d.view_sets import ViewSet

_DEFAULTS = FitSettings()
Advance = Callable[[str, FitRecord], None]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitTask:
    """What every renderer is to fit.

    Attributes:
        views: Silhouettes and cameras.
        held_out: Views for measuring only, or None.
        template: The mesh that is deformed, or None for a sphere; fits of volumes have none.
        settings: Those of a mesh or of a volume: they say which is fitted.
        truth: The mesh that the views show, in the world of their cameras, where it is known.
    """

    views: ViewSet
    held_out: ViewSet | None = None
    template: Mesh | None = None
    settings: Settings = _DEFAULTS
    truth: Mesh | None = None

    @property
    def kind(self) -> str:
        """``"mesh"`` or ``"volume"``."""
        return "mesh" if isinstance(self.settings, FitSettings) else "volume"


def compare_fits(
    out: Path,
    task: FitTask,
    names: Sequence[str],
    *,
    resume: bool = False,
    progress: Advance | None = None,
) -> dict[str, Any]:
    """Run the same fit through several renderers, and write what came of each to a folder.

    There will be ``config.json``, ``metrics.json``, ``report.html``, and for each renderer a folder as `fit_to_folder`
    writes it, or `fit_volume_to_folder`. A renderer that fails is told of, and the others go on.

    Args:
        out: A folder; made if it is not there.
        task: What is fitted.
        names: Of two renderers at least, as `render3d.renderers.make_renderer` takes them. Each fit is
            measured by its own renderer, and all by the first that worked: one that is wrong may well agree with
            itself.
        resume: Go on with the fits that were stopped, keep those that had finished, and run those that are not there.
        progress: Called with the name of a back end and the `FitRecord` of every update through it.

    Returns:
        What ``metrics.json`` holds; see `summary`.

    Raises:
        ComparisonError: As in `compare_scene`.
        FitError: Views that nothing can be learned from.
        KeyboardInterrupt: Passed on, after what was finished has been written.
    """
    check_names(names)
    check_targets(task.views, name="views")
    if task.held_out is not None:
        check_targets(task.held_out, name="held_out")
    begin(out, dataclasses.asdict(task.settings), _identity(task), names, resume=resume)
    work = functools.partial(_work, task=task, resume=resume, progress=progress or (lambda name, record: None))
    turns, stopped = take_turns(out, names, work)
    fitted = {turn.label: _fitted(turn, task) for turn in turns if turn.worked}
    judge = next((make_renderer(turn.name) for turn in turns if turn.worked), None)
    figures = {label: _figures(each, task, judge) for label, each in fitted.items() if judge}
    found = summary(turns, figures)
    write_json(out / "metrics.json", found)
    write_text(out / "report.html", fits_report(task, turns, fitted, figures, judge))
    if stopped:
        raise KeyboardInterrupt(stopped_message(turns, out))
    return found


def _work(renderer: Renderer, name: str, folder: Path, task: FitTask, resume: bool, progress: Advance) -> Figures:
    memory = memory_of(_one_update, name, task)
    going_on = resume and run_folder(folder).is_begun
    options: dict[str, Any] = {"resume": going_on, "progress": lambda record: progress(name, record)}
    if isinstance(task.settings, VolumeFitSettings):
        fit_volume_to_folder(folder, task.views, task.held_out, renderer, task.settings, **options)
    else:
        fit_to_folder(folder, task.views, task.held_out, task.template, renderer, task.settings, **options)
    return {"peak_mib": memory, "images": images_of(task, renderer)}


def _one_update(name: str, task: FitTask) -> None:
    """What needs as much memory as the whole fit."""
    renderer, settings = make_renderer(name), dataclasses.replace(task.settings, updates=1)
    if isinstance(settings, VolumeFitSettings):
        fit_volume(task.views, renderer, settings, held_out=task.held_out)
    else:
        fit(task.views, task.template, renderer, settings, held_out=task.held_out)


def images_of(task: FitTask, renderer: Renderer) -> int:
    """How many images the optimiser asks for, without those that are measured along the way."""
    count, settings = len(task.views), task.settings
    if isinstance(settings, VolumeFitSettings):
        return settings.updates * min(settings.views_per_update, count)
    samples = 1 if "silhouette" in renderer.capabilities.gradients else settings.samples
    return settings.updates * count * samples


def _fitted(turn: Turn, task: FitTask) -> Fitted:
    """What a fit has written."""
    metrics = json.loads((turn.folder / "metrics.json").read_text(encoding="utf-8"))
    file = turn.folder / "mesh.obj"  # of a volume that is opaque nowhere, there is none
    surface = Mesh.load(file) if file.exists() else None
    scene = Volume.load(turn.folder / "volume.npz") if task.kind == "volume" else surface
    if scene is None:
        raise ComparisonError(f"{file} is gone. Remove {turn.folder} to fit through {turn.name} again.")
    return Fitted(scene, surface, metrics)


def _figures(fitted: Fitted, task: FitTask, judge: Renderer) -> Figures:
    own, history, scene = fitted.metrics["fit"], fitted.metrics["history"], fitted.scene
    kind = "training_iou" if task.held_out is None else "held_out_iou"
    reached = {
        f"seconds_to_{level:g}": next((each["seconds"] for each in history if each[kind] >= level), None)
        for level in LEVELS
    }
    judged = measure(scene, seen(task.views, scene), task.held_out and seen(task.held_out, scene), judge)
    return {
        "held_out_iou": own["held_out_iou"],
        "training_iou": own["training_iou"],
        "judged_held_out_iou": judged.held_out_iou,
        "judged_training_iou": judged.training_iou,
        "chamfer": chamfer_distance(fitted.surface, task.truth) if fitted.surface and task.truth else None,
        "seconds": fitted.metrics["seconds"],
        **reached,
    }


def _identity(task: FitTask) -> Mapping[str, str]:
    found = {"kind": f"fit of a {task.kind}"}
    for name, views in (("views", task.views), ("held_out", task.held_out)):
        found[name] = fingerprint_of_views(views) if views else "none"
    for name, mesh in (("template", task.template), ("truth", task.truth)):
        found[name] = fingerprint(mesh.vertices, mesh.faces) if mesh else "none"
    return found | facts_of(dataclasses.asdict(task.settings), "settings.")
