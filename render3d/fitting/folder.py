"""A fit as a folder that explains itself: what was found and asked for, how good it is, and a page that shows it."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from render3d import renderers
from render3d.atomic import write_json, write_text
from render3d.errors import FitError, VolumeError
from render3d.fitting.checkpoint import run_folder
from render3d.fitting.fit import FitResult, fit
from render3d.fitting.fit_report import fit_report
from render3d.fitting.loop import Progress, check_renderer
from render3d.fitting.measures import Measure, baselines, measure
from render3d.fitting.settings import FitSettings, Settings, VolumeFitSettings
from render3d.fitting.volume_fit import VolumeFitResult, fit_volume, in_volume_frame
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
    views: ViewSet,
    held_out: ViewSet | None,
    template: Mesh | None,
    renderer: Renderer,
    settings: FitSettings,
    *,
    resume: bool = False,
    compare_with: Mapping[str, Mesh] | None = None,
    progress: Progress | None = None,
) -> dict[str, Measure]:
    """Fit, and write ``mesh.glb``, ``mesh.obj``, ``config.json``, ``metrics.json`` and ``report.html`` to ``out``.

    Args:
        out: A folder; made if it is not there.
        views: As in `fit`, like the next four.
        held_out: Views for measuring only.
        template: What is deformed, or None for a sphere.
        renderer: What is fitted through.
        settings: Everything else.
        resume: Go on with the fit that was stopped there. Without it, a folder that holds one is an error.
        compare_with: Further meshes to measure beside the `baselines`, by name.
        progress: As in `fit`.

    Returns:
        The measures of the fit, under ``"fit"``, then of the baselines.

    Raises:
        FitError: As in `fit`; a fit in ``out`` without ``resume``, or none with it; a name in ``compare_with`` that
            ``metrics.json`` needs for something else.
    """
    check_renderer(renderer, Mesh)
    _check_names(compare_with or {}, _KEYS)
    run_folder(out).check_resume(resume)
    result = fit(views, template, renderer, settings, held_out=held_out, folder=out, progress=progress)
    meshes = {"fit": result.mesh, **baselines(views), **(compare_with or {})}
    measures = {name: measure(mesh, views, held_out, renderer) for name, mesh in meshes.items()}
    _save_mesh(out, result.mesh)
    _write_metrics(out, measures, result, settings)
    write_text(out / "report.html", fit_report(result, views, held_out, measures, renderer, settings))
    return measures


def fit_volume_to_folder(
    out: Path,
    views: ViewSet,
    held_out: ViewSet | None,
    renderer: Renderer,
    settings: VolumeFitSettings,
    *,
    resume: bool = False,
    compare_with: Mapping[str, Mesh] | None = None,
    progress: Progress | None = None,
) -> dict[str, Measure]:
    """Fit a volume, and write ``volume.npz`` beside the files of `fit_to_folder` to ``out``.

    ``mesh.glb`` and ``mesh.obj`` are its surface by marching cubes, in the world of the views; where no voxel is opaque
    enough for a surface, they are left out. Meshes, this one and the baselines, are measured through `OpenGL`.

    Args:
        out: As in `fit_to_folder`, like the others.
        views: As in `fit_volume`, like the next three.
        held_out: Views for measuring only.
        renderer: What is fitted through.
        settings: Everything else.
        resume: Go on with the fit that was stopped there.
        compare_with: Further meshes to measure.
        progress: As in `fit`.

    Returns:
        The measures of the fit, under ``"fit"``, of its surface, under ``"fit, as a mesh"``, then of the baselines.

    Raises:
        CapabilityError: As in `fit_volume`.
        FitError: As in `fit_volume` and `fit_to_folder`.
    """
    check_renderer(renderer, Volume)
    _check_names(compare_with or {}, _KEYS | {_MESH_OF_VOLUME})
    run_folder(out).check_resume(resume)
    result = fit_volume(views, renderer, settings, held_out=held_out, folder=out, progress=progress)
    result.volume.save(out / "volume.npz")
    meshes = {}
    with contextlib.suppress(VolumeError):  # no voxel is as opaque
        meshes[_MESH_OF_VOLUME] = result.volume.to_mesh(_LEVEL).restored()
        _save_mesh(out, meshes[_MESH_OF_VOLUME])
    both = seen(views, result.volume), None if held_out is None else seen(held_out, result.volume)
    measures = {"fit": measure(result.volume, *both, renderer)}
    for name, mesh in {**meshes, **baselines(views), **(compare_with or {})}.items():
        measures[name] = measure(mesh, views, held_out, renderers.OpenGL())
    _write_metrics(out, measures, result, settings)
    write_text(out / "report.html", fit_report(result, *both, measures, renderer, settings))
    return measures


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
    out: Path, measures: Mapping[str, Measure], result: FitResult | VolumeFitResult, settings: Settings
) -> None:
    figures = {name: dataclasses.asdict(value) for name, value in measures.items()}
    history = [dataclasses.asdict(record) for record in result.records if record.training_iou is not None]
    seconds = result.records[-1].seconds
    write_json(out / "metrics.json", {**figures, "seconds": seconds, "updates": settings.updates, "history": history})
