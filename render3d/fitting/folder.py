"""A fit as a folder that explains itself: what was found and asked for, how good it is, and a page that shows it."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from render3d import renderers
from render3d.atomic import write_json, write_text
from render3d.errors import FitError, VolumeError
from render3d.fitting.checkpoint import run_folder
from render3d.fitting.fit_report import fit_report
from render3d.fitting.loop import Progress, check_renderer
from render3d.fitting.measures import Measure, baselines, measure
from render3d.fitting.settings import Settings
from render3d.fitting.task import FitTask
from render3d.fitting.template_fit import TemplateFitResult
from render3d.fitting.volume_fit import VolumeFitResult, in_volume_frame
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

_KEYS = {"fit", "seconds", "updates", "history"}  # of metrics.json, beside the names of baselines
_MESH_OF_VOLUME = "fit, as a mesh"
# Rays that graze a surface meet many of its voxels, so silhouettes end where a single voxel takes little. At this level
# of occupancy, the mesh of a fitted volume has about its silhouettes; at one half it is thinner.
_LEVEL = 0.25


def fit_to_folder(
    out: Path,
    task: FitTask,
    renderer: Renderer,
    *,
    resume: bool = False,
    compare_with: Mapping[str, Mesh] | None = None,
    progress: Progress | None = None,
) -> dict[str, Measure]:
    """Fit, and write ``mesh.glb``, ``mesh.obj``, ``config.json``, ``metrics.json`` and ``report.html`` to ``out``.

    Of a volume there is ``volume.npz`` as well, and the meshes are its surface by marching cubes, in the world of the
    views; where no voxel is opaque enough for a surface, they are left out. Meshes, this one and the baselines, are
    then measured through `OpenGL`.

    Args:
        out: A folder; made if it is not there.
        task: What is fitted.
        renderer: What is fitted through.
        resume: Go on with the fit that was stopped there. Without it, a folder that holds one is an error.
        compare_with: Further meshes to measure beside the `baselines`, by name.
        progress: As in `fit_template`.

    Returns:
        The measures of the fit, under ``"fit"``, of the surface of a volume, under ``"fit, as a mesh"``, then of the
        baselines.

    Raises:
        CapabilityError: As in `fit_template` and `fit_volume`.
        FitError: As there; a fit in ``out`` without ``resume``, or none with it; a name in ``compare_with`` that
            ``metrics.json`` needs for something else.
    """
    further = compare_with or {}
    check_renderer(renderer, task.scene)
    _check_names(further, _KEYS if task.scene is Mesh else _KEYS | {_MESH_OF_VOLUME})
    run_folder(out).check_resume(resume)
    result = task.fit(renderer, folder=out, progress=progress)
    scene, surface = result.scene, _saved(out, result.scene)
    both = seen(task.views, scene), None if task.held_out is None else seen(task.held_out, scene)
    measures = {"fit": measure(scene, *both, renderer)}
    judge: Renderer = renderer if task.scene is Mesh else renderers.OpenGL()
    for name, mesh in {**surface, **baselines(task.views), **further}.items():
        measures[name] = measure(mesh, task.views, task.held_out, judge)
    _write_metrics(out, measures, result, task.settings)
    write_text(out / "report.html", fit_report(result, *both, measures, renderer, task.settings))
    return measures


def _saved(out: Path, scene: Mesh | Volume) -> dict[str, Mesh]:
    """Save what was fitted, and return the surface of a volume, if it has one, by its name."""
    if isinstance(scene, Mesh):
        _save_mesh(out, scene)
        return {}
    scene.save(out / "volume.npz")
    with contextlib.suppress(VolumeError):  # no voxel is as opaque
        surface = scene.to_mesh(_LEVEL).restored()
        _save_mesh(out, surface)
        return {_MESH_OF_VOLUME: surface}
    return {}


def _check_names(compare_with: Mapping[str, Mesh], reserved: set[str]) -> None:
    taken = sorted(reserved & set(compare_with))
    if taken:
        raise FitError(f"compare_with must not use the names {', '.join(sorted(reserved))}; got {', '.join(taken)}.")


def seen(views: ViewSet, scene: Mesh | Volume) -> ViewSet:
    """The views as they stand to a fitted scene: to the cube of a volume; a mesh is in their world."""
    if isinstance(scene, Mesh):
        return views
    return dataclasses.replace(views, cameras=in_volume_frame(views.cameras, scene))


def _save_mesh(out: Path, mesh: Mesh) -> None:
    for suffix in ("glb", "obj"):
        mesh.save(out / f"mesh.{suffix}")


def _write_metrics(
    out: Path, measures: Mapping[str, Measure], result: TemplateFitResult | VolumeFitResult, settings: Settings
) -> None:
    figures = {name: dataclasses.asdict(value) for name, value in measures.items()}
    history = [dataclasses.asdict(record) for record in result.records if record.training_iou is not None]
    seconds = result.records[-1].seconds
    write_json(out / "metrics.json", {**figures, "seconds": seconds, "updates": settings.updates, "history": history})
