"""``render3d views``: training views from a collection of meshes."""

import contextlib
import dataclasses
import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from render3d.datasets.collections import open_collection
from render3d.datasets.collections.upright import Up
from render3d.datasets.view_sets.write.engine import Engine, Limits
from render3d.datasets.view_sets.write.protocols import PROTOCOLS, CameraProtocol, Given, R2N2Cameras
from render3d.datasets.view_sets.write.run import Advance, Result, generate
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError
from render3d.renderers import Shading
from render3d.renderers.registry import names_in

_ENGINES = {
    "local": ("render3d.datasets.view_sets.write.local:LocalEngine", ("workers",)),
    "ray": ("render3d.datasets.view_sets.write.ray:RayEngine", ("workers", "address")),
}
"""Where each is, and the flags it takes."""


def views(
    models: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    protocol: str = "sphere",
    views: int | None = None,
    size: int | None = None,
    distance: float | None = None,
    fov: float | None = None,
    near: float | None = None,
    far: float | None = None,
    outputs: str = "rgb,alpha,depth",
    format: str = "nerfstudio",
    radius: float | None = None,
    keep_size: bool = False,
    up: Up = "y",
    samples_per_pixel: int = 1,
    renderer: str = "opengl",
    seed: int = 0,
    layout: str | None = None,
    classes: str = "",
    limit: int | None = None,
    resume: bool = False,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    address: str | None = None,
    timeout: float = Limits.seconds,
    memory: float = 4.0,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Make training views of a collection of meshes: images, cameras, depth, normals.

    Writes the objects, manifest.json, failures.csv, config.json, metrics.json and report.html. A run may be stopped at
    any moment; --resume makes what is missing or damaged.

    Args:
        models: A folder of meshes, such as that of ShapeNet or ModelNet; a list of paths, .txt or .csv; or one mesh.
        out: The folder for the results.
        protocol: Where cameras stand: orbit, sphere, random, r2n2; or a transforms.json.
        views: An object; by default 24.
        size: Height and width of a view in pixels; by default 128.
        distance: Of cameras from the middle of the object, scene units; by default 3.
        fov: Vertical field of view in degrees; by default 45.
        near: Where the visible depths begin, scene units; by default 0.1.
        far: Where they end; by default 10.
        outputs: What is stored, of rgb, alpha, depth, normal and face_index, with commas between.
        format: How files lie on disk: nerfstudio, r2n2 or shards; or module:Class for one of your own.
        radius: Objects are moved to the middle and scaled to this; by default 1, for r2n2 0.5.
        keep_size: Leave objects where they are, as large as they are.
        up: The axis of the files that points up: z in ModelNet.
        samples_per_pixel: A square number; more than 1 smooths edges of rgb and alpha.
        renderer: A back end by its name, or module:Class for one of your own.
        seed: Of the places of random cameras.
        layout: How MODELS is laid out, where it is not recognised: shapenet-v1, shapenet-v2, modelnet, sweethome3d,
            classes, flat or list; or module:Class for one of your own.
        classes: Only those classes, with commas between.
        limit: Only so many objects, the first of the collection.
        resume: Go on with the run that was stopped in OUT.
        engine: Who works: local, this machine; ray, a cluster.
        workers: Processes at a time; by default one a core.
        address: Of the Ray cluster.
        timeout: Seconds that one object may take.
        memory: GiB that the process of an object may hold.
        as_json: Print the figures as JSON instead of a table.
    """
    lens = {"distance": distance, "vertical_fov_degrees": fov, "near": near, "far": far}
    cameras = _protocol(protocol, {"views": views, "image_size": None if size is None else (size, size), **lens})
    settings = ViewsSettings(
        protocol=cameras,
        outputs=names_in(outputs),
        format=format,
        shading=Shading(samples_per_pixel=samples_per_pixel),
        radius=_radius(radius, keep_size, cameras),
        up=up,
        renderer=renderer,
        seed=seed,
    )
    workers_of = _engine(engine, {"workers": workers, "address": address})
    shapes = open_collection(models, layout).select(classes=names_in(classes) or None)[:limit]
    console = Console(stderr=as_json)
    with _nothing_on_stdout() if as_json else contextlib.nullcontext(), _Bar(console) as bar:
        try:
            limits = Limits(timeout, round(memory * 2**30))
            result = generate(shapes, settings, out, workers_of, limits, resume=resume, progress=bar.advance)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped at object {bar.done} of {len(shapes)}; nothing is lost. Go on by the same command with "
                "--resume."
            ) from None
    _print(result, out, as_json)
    return 0


def _protocol(name: str, flags: Mapping[str, Any]) -> CameraProtocol:
    given = {flag: value for flag, value in flags.items() if value is not None}
    kind = PROTOCOLS.get(name)
    if kind is None or kind is Given:
        if given:
            raise DatasetError(f"{name}: the cameras of a file are as they are; leave out {', '.join(given)}.")
        return Given.read(name)
    unknown = set(given) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise DatasetError(f"The cameras of {name} have no {', '.join(sorted(unknown))} to choose; leave it out.")
    made: CameraProtocol = kind(**given)
    return made


def _radius(radius: float | None, keep_size: bool, cameras: CameraProtocol) -> float | None:
    if keep_size:
        if radius is not None:
            raise DatasetError("--keep-size and --radius exclude each other; leave one out.")
        return None
    if radius is None:
        return 0.5 if isinstance(cameras, R2N2Cameras) else 1.0
    return radius


def _engine(name: str, flags: Mapping[str, Any]) -> Engine:
    place, takes = _ENGINES[name]
    given = {flag: value for flag, value in flags.items() if value is not None}
    unknown = set(given) - set(takes)
    if unknown:
        raise DatasetError(f"--engine {name} takes no --{', --'.join(sorted(unknown))}; leave it out.")
    module, kind = place.split(":")
    made: Engine = getattr(importlib.import_module(module), kind)(**given)
    return made


@contextlib.contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """What libraries print, and processes that are started meanwhile, goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


class _Bar:
    """Objects, how many a second, and an estimate of the time that is left."""

    def __init__(self, console: Console) -> None:
        self.done = 0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._bar = Progress(TextColumn("views"), *columns, TextColumn("left"), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("views", total=None, state="")

    def __enter__(self) -> "_Bar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self, state: Advance) -> None:
        """Show how far the run is."""
        self.done = state.kept + state.made + state.failed
        task = self._bar.tasks[self._task]
        words = [f"{task.speed:.1f} objects/s"] if task.speed else []
        words += [f"{state.failed} failed"] if state.failed else []
        self._bar.update(self._task, total=state.total, completed=self.done, state="  ".join(words))


def _print(result: Result, out: Path, as_json: bool) -> None:
    facts = result.facts()
    if as_json:
        print(json.dumps(facts))
        return
    table = Table("", "objects")
    table.add_row("made", str(result.made))
    if result.kept:
        table.add_row("kept from before", str(result.kept))
    for kind, count in facts["failed_by_kind"].items():
        table.add_row(f"failed: {kind}", str(count))
    if result.skipped:
        table.add_row("met and not taken for objects", str(len(result.skipped)))
    console = Console()
    console.print(table)
    rate = f"{result.views} views in {result.seconds:.1f} s, {facts['views_per_second']:.1f} a second."
    console.print(rate, highlight=False)
    if result.failures:
        console.print(f"What failed, and why: {(out / 'failures.csv').resolve()}", soft_wrap=True, highlight=False)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
