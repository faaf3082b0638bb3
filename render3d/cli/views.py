"""``render3d views``: training views from a collection of meshes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from render3d.cli.calls import Json, Out, Quiet, Result, Resume, Size, default, flag_of, height_and_width
from render3d.cli.progress import Bar
from render3d.cli.views_tables import preview_tables, run_tables
from render3d.color import srgb_to_linear
from render3d.datasets.collections import open_collections
from render3d.datasets.collections.upright import Up
from render3d.datasets.view_sets.write.dry_run import preview
from render3d.datasets.view_sets.write.engine import Engine, Limits
from render3d.datasets.view_sets.write.protocols import PROTOCOLS, CameraProtocol, Given, R2N2Cameras
from render3d.datasets.view_sets.write.run import Advance, generate
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError
from render3d.registry import Registry
from render3d.renderers import Shading

Look = Literal["flat", "smooth", "unlit"]
_ENGINES: Registry[type[Engine]] = Registry(
    "engine",
    {
        "local": "render3d.datasets.view_sets.write.local:LocalEngine",
        "ray": "render3d.datasets.view_sets.write.ray:RayEngine",
    },
    error=DatasetError,
)


def views(
    models: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    out: Out,
    protocol: str = "sphere",
    views: Annotated[int | None, default(24)] = None,
    size: Annotated[Size, default("128 128")] = (),
    distance: Annotated[float | None, default(3)] = None,
    fov: Annotated[float | None, default(45)] = None,
    near: Annotated[float | None, default(0.1)] = None,
    far: Annotated[float | None, default(10)] = None,
    outputs: tuple[str, ...] = ("rgb", "alpha", "depth"),
    format: str = "nerfstudio",
    radius: Annotated[float | None, default("1, and 0.5 for r2n2")] = None,
    keep_size: bool = False,
    up: Up = "y",
    repair: bool = False,
    shading: Look = "flat",
    background: Annotated[tuple[float, float, float], tyro.conf.arg(metavar="R G B")] = (1.0, 1.0, 1.0),
    samples_per_pixel: int = 1,
    renderer: str = "opengl",
    seed: int = 0,
    layout: Annotated[str | None, default("recognised by its files")] = None,
    classes: Annotated[tuple[str, ...], default("all")] = (),
    limit: Annotated[int | None, default("all")] = None,
    resume: Resume = False,
    dry_run: bool = False,
    engine: str = "local",
    workers: Annotated[int | None, default("one a core")] = None,
    address: Annotated[str | None, default("the one that Ray finds")] = None,
    timeout: float = Limits.seconds,
    memory: float = 4.0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> Result:
    """Make training views of a collection of meshes: images, cameras, depth, normals.

    Writes the objects, manifest.json, config.json, metrics.json and report.html; failures.csv lists what failed,
    problems.csv what was wrong with objects that were made, and skipped.csv the files that were not taken. A run may be
    stopped at any moment; --resume makes what is missing or damaged.

    Args:
        models: A folder of meshes, such as that of ShapeNet or ModelNet; a list of paths, .txt or .csv; one mesh; or
            several of these.
        protocol: Where cameras stand: orbit, sphere, random or r2n2; or a transforms.json.
        views: Views per object.
        distance: Distance of the cameras from the middle of the object, scene units.
        fov: Vertical field of view, degrees.
        near: Distance at which visible depths begin, scene units.
        far: Distance at which they end, scene units.
        outputs: Images stored of each view, of rgb, alpha, depth, normal and face_index.
        format: How files lie on disk: nerfstudio, colmap, r2n2 or shards; or module:Class for one of your own.
        radius: Radius, scene units, to which objects are scaled after they are moved to the middle.
        keep_size: Leave objects where they are in their files, and as large.
        up: Axis of the files that points up: z in ModelNet.
        repair: Mend meshes first: leave out faces that cannot be rendered or are there twice, and turn the others to
            face outwards.
        shading: Normals of faces (flat) or of vertices (smooth), lit from three sides; or colours as they are (unlit).
        background: Colour behind objects, sRGB from 0 to 1, as image files have it.
        samples_per_pixel: Samples per pixel, a square number; more than 1 smooth the edges of rgb and alpha.
        renderer: Renderer, by name or as module:Class.
        seed: Seed of random cameras.
        layout: How MODELS is laid out: shapenet-v1, shapenet-v2, modelnet, sweethome3d, classes, flat, recursive (at
            any depth) or list; or module:Class for one of your own.
        classes: Classes whose objects are rendered.
        limit: Number of objects, the first of the collection.
        dry_run: Read the meshes, and show what would be made, refused and not taken; nothing is rendered or written.
        engine: Where objects are rendered: local (processes on this machine) or ray (a Ray cluster).
        workers: Objects that are rendered at a time, each in a process.
        address: Address of the Ray cluster.
        timeout: Seconds that one object may take.
        memory: GiB that the process of an object may hold.
    """
    lens = {"distance": distance, "vertical_fov_degrees": fov, "near": near, "far": far}
    cameras = _protocol(protocol, {"views": views, "image_size": height_and_width(size) if size else None, **lens})
    settings = ViewsSettings(
        protocol=cameras,
        outputs=outputs,
        format=format,
        shading=_shading(shading, background, samples_per_pixel),
        radius=_radius(radius, keep_size, cameras),
        up=up,
        renderer=renderer,
        seed=seed,
        repair=repair,
    )
    kind = _ENGINES.load(engine)
    workers_of = kind(**_taken(kind, f"--engine {engine}", {"workers": workers, "address": address}))
    collection = open_collections(models, layout).select(classes=classes or None)[:limit]
    if dry_run and resume:
        raise DatasetError("--dry-run looks at all objects, not at what is missing in --out; leave out --resume.")
    with Bar("objects", quiet=quiet) as bar:
        bar.begin("views", len(collection))

        def advance(state: Advance) -> None:
            failed = f"{state.failed} failed" if state.failed else ""
            bar.advance(state.kept + state.made + state.failed, failed)

        limits = Limits(timeout, round(memory * 2**30))
        if dry_run:
            seen = preview(collection, settings, workers_of, limits, progress=advance)
            return Result(seen.facts(), preview_tables(seen))
        found = generate(collection, settings, out, workers_of, limits, resume=resume, progress=advance)
    return Result(found.facts(), run_tables(found, out), out / "report.html")


def _protocol(name: str, flags: Mapping[str, Any]) -> CameraProtocol:
    kind = PROTOCOLS.get(name, Given)
    given = _taken(kind, f"--protocol {name}", flags)
    made: CameraProtocol = Given.read(name) if kind is Given else kind(**given)
    return made


def _taken(kind: type[Any], flag: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that are given, if a dataclass has them all."""
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = given.keys() - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise DatasetError(f"{flag} takes no {', '.join(sorted(map(flag_of, unknown)))}; leave it out.")
    return given


def _radius(radius: float | None, keep_size: bool, cameras: CameraProtocol) -> float | None:
    if keep_size and radius is not None:
        raise DatasetError("--keep-size and --radius exclude each other; leave one out.")
    if keep_size or radius is not None:
        return radius
    return 0.5 if isinstance(cameras, R2N2Cameras) else 1.0


def _shading(look: Look, background: tuple[float, float, float], samples_per_pixel: int) -> Shading:
    if not all(0 <= value <= 1 for value in background):
        raise DatasetError(f"--background must be three numbers from 0 to 1; got {' '.join(map(str, background))}.")
    red, green, blue = srgb_to_linear(torch.tensor(background, dtype=torch.float64)).tolist()
    base = Shading.unlit() if look == "unlit" else Shading(normals=look)
    return dataclasses.replace(base, background=(red, green, blue), samples_per_pixel=samples_per_pixel)
