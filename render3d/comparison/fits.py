"""The same fit through several renderers."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from render3d.comparison.costs import memory_of
from render3d.comparison.fits_report import LEVELS, Fitted, fits_report
from render3d.comparison.turns import Figures, Summary, Turn, begin, check_names, finish, take_turns
from render3d.errors import ComparisonError
from render3d.fitting.checkpoint import FitRecord, run_folder
from render3d.fitting.folder import fit_to_folder, seen
from render3d.fitting.identity import fingerprints_of
from render3d.fitting.measures import measure
from render3d.fitting.targets import check_targets
from render3d.fitting.task import FitTask, renderer_for
from render3d.metrics import chamfer_distance
from render3d.renderers import Renderer
from render3d.runs.identity import fingerprint
from render3d.scenes import Mesh, Volume
from render3d.settings import facts_of

Advance = Callable[[str, FitRecord], None]


def compare_fits(
    out: Path,
    task: FitTask,
    names: Sequence[str],
    *,
    resume: bool = False,
    progress: Advance | None = None,
) -> Summary:
    """Run the same fit through several renderers, and write what came of each to a folder.

    There will be ``config.json``, ``metrics.json``, ``report.html``, and for each renderer a folder as `fit_to_folder`
    writes it. A renderer that fails is reported, and the others go on.

    Args:
        out: A folder; made if it is not there.
        task: What is fitted.
        names: Of two renderers at least, as `render3d.renderers.make_renderer` takes them. Each fit is
            measured by its own renderer, and all by the first that worked: one that is wrong may well agree with
            itself.
        resume: Go on with the fits that were stopped, keep those that had finished, and run those that are not there.
        progress: Called with the name of a renderer and the `FitRecord` of every update through it.

    Returns:
        What ``metrics.json`` holds; see `summary`.

    Raises:
        ComparisonError: As in `compare_scene`.
        FitError: Views that nothing can be learned from.
        KeyboardInterrupt: Passed on, after what was finished has been written.
    """
    check_names(names)
    task, _ = task.without_empty()
    check_targets(views=task.views, held_out=task.held_out)
    begin(out, dataclasses.asdict(task.settings), _identity(task), names, resume=resume)
    work = functools.partial(_work, task=task, resume=resume, progress=progress or (lambda name, record: None))
    make = functools.partial(renderer_for, settings=task.settings)
    turns, stopped = take_turns(out, names, work, make=make)
    fitted = {turn.label: _fitted(turn, task) for turn in turns if turn.worked}
    judge = next((make(turn.name) for turn in turns if turn.worked), None)
    figures = {label: _figures(each, task, judge) for label, each in fitted.items() if judge}
    return finish(out, turns, figures, fits_report(task, turns, fitted, figures, judge), stopped=stopped)


def _work(renderer: Renderer, name: str, folder: Path, task: FitTask, resume: bool, progress: Advance) -> Figures:
    memory = memory_of(_one_update, name, task)
    going_on = resume and run_folder(folder).is_begun
    fit_to_folder(folder, task, renderer, resume=going_on, progress=lambda record: progress(name, record))
    return {"peak_mib": memory, "images": task.settings.images(renderer, len(task.views))}


def _one_update(name: str, task: FitTask) -> None:
    """What needs as much memory as the whole fit."""
    dataclasses.replace(task, settings=task.settings.one_update).fit(renderer_for(name, task.settings))


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
    found = {"kind": f"fit of a {task.kind}"} | fingerprints_of(views=task.views, held_out=task.held_out)
    for name, mesh in (("template", task.template), ("truth", task.truth)):
        found[name] = fingerprint(mesh.vertices, mesh.faces) if mesh else "none"
    return found | facts_of(dataclasses.asdict(task.settings), "settings.")
