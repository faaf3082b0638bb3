"""A fit as a folder that explains itself: the mesh, what was asked for, how good it is, and a page that shows it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from render3d.atomic import atomic_write
from render3d.errors import FitError
from render3d.fitting.fit import Progress, fit
from render3d.fitting.fit_report import fit_report
from render3d.fitting.measures import Measure, baselines, measure
from render3d.fitting.settings import FitSettings
from render3d.renderers.base import Renderer
from render3d.report.provenance import provenance
from render3d.scenes import Mesh
from render3d.views import Views

CHECKPOINT = "checkpoint.safetensors"
_KEYS = {"fit", "seconds", "steps", "history"}  # of metrics.json, beside the names of baselines


def fit_to_folder(
    out: Path,
    views: Views,
    held_out: Views | None,
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
    taken = sorted(_KEYS & set(compare_with or {}))
    if taken:
        raise FitError(f"compare_with must not use the names {', '.join(sorted(_KEYS))}; got {', '.join(taken)}.")
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise FitError(f"{out} holds a fit already. Go on with it by --resume, or write to another folder.")
    if resume and not checkpoint.exists():
        raise FitError(f"There is nothing to resume in {out}: it has no {CHECKPOINT}. Start without --resume.")
    out.mkdir(parents=True, exist_ok=True)
    if not resume:  # what a fit was started with stays, whatever it is resumed with
        _write_config(out, settings, renderer)
    result = fit(views, template, renderer, settings, held_out=held_out, checkpoint=checkpoint, progress=progress)
    meshes = {"fit": result.mesh, **baselines(views), **(compare_with or {})}
    measures = {name: measure(mesh, views, held_out, renderer) for name, mesh in meshes.items()}
    for suffix in ("glb", "obj"):
        result.mesh.save(out / f"mesh.{suffix}")
    figures = {name: dataclasses.asdict(value) for name, value in measures.items()}
    history = [dataclasses.asdict(record) for record in result.records if record.training_iou is not None]
    seconds = result.records[-1].seconds
    _write_json(out / "metrics.json", {**figures, "seconds": seconds, "steps": settings.steps, "history": history})
    _write(out / "report.html", fit_report(result, views, held_out, measures, renderer, settings))
    return measures


def _write_config(out: Path, settings: FitSettings, renderer: Renderer) -> None:
    config = {"command": "fit", "settings": dataclasses.asdict(settings), "made_with": provenance(renderer)}
    _write_json(out / "config.json", config)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    _write(path, json.dumps(content, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8"))
