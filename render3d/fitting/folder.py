"""A fit as a folder that explains itself: what was found and asked for, how good it is, and a page that shows it."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from render3d import renderers
from render3d.atomic import write_json, write_text
from render3d.errors import FitError, VolumeError
from render3d.fitting.checkpoint import run_folder
from render3d.fitting.figures import FitFigures
from render3d.fitting.fit import FitResult
from render3d.fitting.fit_report import fit_report
from render3d.fitting.loop import Progress, check_renderer
from render3d.fitting.measures import Measure, baselines, measure
from render3d.fitting.photo_report import photo_report
from render3d.fitting.remarks import on_measures
from render3d.fitting.settings import FitSettings, Settings, VolumeFitSettings
from render3d.fitting.task import FitTask
from render3d.fitting.template_fit import TemplateFitResult
from render3d.fitting.volume_fit import VolumeFitResult, in_volume_frame
from render3d.metrics import compare_surfaces, mesh_topology
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

STAGES = "stages"
"""The folder of the meshes that the stages of a fit to photographs left."""

_KEYS = {"fit", "seconds", "updates", "history", "remarks", "topology", "truth", "unseen"}
"""Of metrics.json, beside the names of baselines."""
_MESH_OF_VOLUME = "fit, as a mesh"
_OWN = {FitSettings: {"shape", "visual hull"}, VolumeFitSettings: {_MESH_OF_VOLUME}}  # by the settings of fits
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
) -> FitFigures:
    """Fit, and write ``mesh.glb``, ``mesh.obj``, ``config.json``, ``metrics.json`` and ``report.html`` to ``out``.

    Of a fit to photographs there is ``stages/`` as well, with the mesh that each stage left. Of a volume there is
    ``volume.npz`` as well, and the meshes are its surface by marching cubes, in the world of the views; where no voxel
    is opaque enough for a surface, they are left out. Meshes, this one and the baselines, are then measured through
    `OpenGL`.

    Args:
        out: A folder; made if it is not there.
        task: What is fitted.
        renderer: What is fitted through.
        resume: Go on with the fit that was stopped there. Without it, a folder that holds one is an error.
        compare_with: Further meshes to measure beside the `baselines`, by name.
        progress: As in `fit`.

    Returns:
        The `FitFigures` that ``metrics.json`` holds.

    Raises:
        CapabilityError: As in `fit` and `fit_volume`.
        FitError: As there; a fit in ``out`` without ``resume``, or none with it; a name in ``compare_with`` that
            ``metrics.json`` needs for something else.
    """
    further = compare_with or {}
    check_renderer(renderer, task.scene)
    _check_names(further, _KEYS | _OWN.get(type(task.settings), set()))
    run_folder(out).check_resume(resume)
    task, left_out = task.without_empty()
    result = task.fit(renderer, folder=out, progress=progress)
    surfaces = _saved(out, result)
    both = seen(task.views, result.scene), None if task.held_out is None else seen(task.held_out, result.scene)
    measures = {"fit": measure(result.scene, *both, renderer)}
    judge: Renderer = renderer if task.scene is Mesh else renderers.OpenGL()
    if not isinstance(result, FitResult):
        surfaces |= baselines(task.views)
    surfaces |= further
    for name, mesh in surfaces.items():
        if name != "fit":
            measures[name] = measure(mesh, task.views, task.held_out, judge)
    figures = _figures(task, result, measures, surfaces, left_out)
    history = [dataclasses.asdict(record) for record in result.records if record.training_iou is not None]
    course = {"seconds": result.records[-1].seconds, "updates": task.settings.updates, "history": history}
    write_json(out / "metrics.json", {**figures.facts, **course})
    write_text(out / "report.html", _page(result, *both, figures, renderer, task.settings))
    return figures


def _page(
    result: FitResult | TemplateFitResult | VolumeFitResult,
    views: ViewSet,
    held_out: ViewSet | None,
    figures: FitFigures,
    renderer: Renderer,
    settings: Settings,
) -> str:
    if isinstance(result, FitResult):
        return photo_report(result, views, held_out, figures, renderer)
    return fit_report(result, views, held_out, figures.measures, renderer, settings)


def _figures(
    task: FitTask,
    result: FitResult | TemplateFitResult | VolumeFitResult,
    measures: dict[str, Measure],
    surfaces: Mapping[str, Mesh],
    left_out: list[str],
) -> FitFigures:
    truth = {}
    if task.truth is not None:
        truth = {name: compare_surfaces(mesh, task.truth, task.views.cameras) for name, mesh in surfaces.items()}
    mesh = surfaces.get("fit", surfaces.get(_MESH_OF_VOLUME))
    found: tuple[str, ...] = tuple(on_measures(measures))
    unseen = None
    if isinstance(result, FitResult):
        found, unseen = (*left_out, *result.remarks, *found), result.colors and result.colors.unseen
    return FitFigures(measures, mesh and mesh_topology(mesh), truth, unseen, found)


def _saved(out: Path, result: FitResult | TemplateFitResult | VolumeFitResult) -> dict[str, Mesh]:
    """Save what was fitted, and return its surfaces in the world of the views, by the names of `FitFigures`."""
    scene = result.scene
    if isinstance(scene, Volume):
        scene.save(out / "volume.npz")
        with contextlib.suppress(VolumeError):  # no voxel is as opaque
            surface = scene.to_mesh(_LEVEL).restored()
            _save_mesh(out, surface)
            return {_MESH_OF_VOLUME: surface}
        return {}
    _save_mesh(out, scene)
    if not isinstance(result, FitResult):
        return {"fit": scene}
    (out / STAGES).mkdir(exist_ok=True)
    for path in (out / STAGES).glob("*.glb"):  # of a fit that went further and was resumed for less
        path.unlink()
    for name, mesh in result.stages.items():
        mesh.save(out / STAGES / f"{name}.glb")
    shape = {"shape": result.stages["shape"]} if "colour" in result.stages else {}
    return {"fit": scene, **shape, "visual hull": result.stages["hull"]}


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
    for suffix in ("mtl", "png"):  # of a mesh in other colours
        (out / f"mesh.{suffix}").unlink(missing_ok=True)
    for suffix in ("glb", "obj"):
        mesh.save(out / f"mesh.{suffix}")
