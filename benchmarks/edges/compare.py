"""``python -m benchmarks edges``: the gradient of edges beside Mitsuba's and local credit.

Errors are those of derivatives along 16 smooth motions, 6 rigid ones and the twists of three cameras, relative to
central differences of images with 16 samples a pixel and more. A step is forwards and backwards, 20 views.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from benchmarks.edges.fits import MESHES, fit_rows
from benchmarks.findings import Cell, Measurements, Results
from benchmarks.gradients.scene import Scene, ball
from benchmarks.timing import Comparison
from render3d.cameras import Cameras
from render3d.data import bunny, teapot
from render3d.estimators import Pixels, Smoothed, differentiable, expected_loss, local_credit
from render3d.fitting import TemplateFitSettings
from render3d.images import Rendering
from render3d.optional import MITSUBA
from render3d.randomness import Key
from render3d.renderers import EdgeGradient, OpenGL, make_renderer
from render3d.renderers.base import Renderer
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh
from render3d.testing.deformations import (
    DeformationProblem,
    Image,
    partly_flipped,
    partly_missing,
    passing_through,
    pebble,
    rigid_fields,
    room,
    smooth_fields,
    textured_pebble,
    tube,
    with_junctions,
)
from render3d.testing.gradients import MotionProblem

_Row = dict[str, Cell]
_PIXEL = 0.04  # scene units, at the centre of images of 64 x 64

# Of the time of local credit with K = 4, what a step may take; the ratio is its inverse.
_STEPS: tuple[tuple[Image, int, int, float], ...] = (
    ("alpha", 64, 3, 0.75),
    ("alpha", 128, 4, 0.55),
    ("rgb", 64, 3, 1.0),
    ("rgb", 128, 4, 1.0),
)


def compare(rounds: int) -> Results:
    """Errors, what breaks, and the time of a step."""
    tables = [
        Measurements(title="Relative error along motions", rows=list(_errors((64, 128))), note=_ERRORS_NOTE),
        Measurements(title="Relative error of the gradient suite", rows=list(_suite())),
        Measurements(title="What breaks: relative error along smooth motions", rows=list(_breaks()), note=_BREAKS_NOTE),
    ]
    meshes = {name: make().normalized() for name, make in MESHES.items()}
    fits = list(fit_rows(meshes, TemplateFitSettings(), range(max(1, rounds // 2))))
    tables.append(Measurements(title="Fits, as render3d fit makes them", rows=fits, note=_FITS_NOTE))
    return Results(comparisons=[_step(*step, rounds=rounds) for step in _STEPS], tables=tables)


_ERRORS_NOTE = "local_credit: one call, K = 16, noise of one pixel; its error is noise."
_FITS_NOTE = (
    "20 silhouettes of 64 x 64 pixels, 642 vertices, each gradient with its defaults; IoU on 32 held-out views. "
    "Medians; '-': not every fit got there. Seconds hold the measurements of the IoU."
)
_BREAKS_NOTE = (
    "Images of 64 x 64 pixels. Widths are in pixels. '16 samples' is the gradient of edges with 16 samples a pixel."
)


def _renderers(shading: Shading) -> Mapping[str, Renderer]:
    """Those with gradients."""
    found: dict[str, Renderer] = {"edges": EdgeGradient(OpenGL(shading))}
    if MITSUBA.is_installed:
        found["Mitsuba"] = make_renderer("mitsuba", shading)
    return found


def _cameras(size: int) -> Cameras:
    return Cameras.sphere(3, 3.0, vertical_fov_degrees=46.0, image_size=(size, size))


def _errors(sizes: tuple[int, ...]) -> Iterator[_Row]:
    meshes = {"bunny": bunny().normalized(), "pebble": pebble(), "textured pebble": textured_pebble()}
    for (name, mesh), size in ((each, size) for each in meshes.items() for size in sizes):
        for image in ("alpha", "rgb") if mesh.texture is None else ("rgb",):
            problem = DeformationProblem(mesh=mesh, cameras=_cameras(size), image=image)
            renderers = {**_renderers(problem.shading), "local_credit": Smoothed(OpenGL(), local_credit(16))}
            for by, renderer in renderers.items():
                yield {
                    "mesh": name,
                    "pixels": float(size),
                    "image": image,
                    "gradient": by,
                    "smooth": problem.error(renderer, smooth_fields(mesh.vertices), Key(0)),
                    "rigid": problem.error(renderer, rigid_fields(mesh.vertices), Key(0)),
                    "twists": problem.twist_error(renderer, Key(0)),
                }


def _suite() -> Iterator[_Row]:
    for projection in ("perspective", "orthographic"):
        for image in ("alpha", "rgb"):
            for motion in ("mesh", "poses"):
                problem = MotionProblem(image, motion, projection)
                errors = {name: problem.relative_error(each) for name, each in _renderers(problem.shading).items()}
                yield {"projection": projection, "image": image, "motion": motion, **errors}


def _breaks() -> Iterator[_Row]:
    row = functools.partial(_broken, cameras=_cameras(64))
    for width in (0.25, 0.5, 1.0, 2.0):
        yield row(f"tube, {width:g} wide", tube(width * _PIXEL), images=("alpha",), samples=64)
    plain = Mesh(pebble().vertices, pebble().faces)
    yield row("bunny", bunny().normalized())
    yield row("bunny, half of the faces flipped", partly_flipped(bunny().normalized()))
    yield row("bunny, three tenths of the faces missing", partly_missing(bunny().normalized()))
    yield row("pebble", plain)
    yield row("pebble, T-junctions at a fifth of the faces", with_junctions(plain))
    yield row("pebble, smooth normals", pebble(), shading=Shading(normals="smooth"))
    yield row("two balls through one another", passing_through())
    inside, cameras = room()
    yield _broken("a room, vertices behind the camera", inside, cameras)
    yield row("teapot", teapot().normalized())


def _broken(
    name: str,
    mesh: Mesh,
    cameras: Cameras,
    images: tuple[Image, ...] = ("alpha", "rgb"),
    shading: Shading | None = None,
    samples: int = 16,
) -> _Row:
    found: _Row = {"mesh": name}
    shading = shading or Shading()
    renderers = {**_renderers(shading), "edges, 16 samples": EdgeGradient(_supersampled(shading))}
    for image in ("alpha", "rgb"):
        problem = DeformationProblem(mesh=mesh, cameras=cameras, image=image, shading=shading, samples=samples)
        for by, renderer in renderers.items():
            shown = image in images and not (name.startswith("a room") and image == "alpha")
            found[f"{image}, {by}"] = problem.error(renderer, smooth_fields(mesh.vertices)) if shown else None
    return found


def _supersampled(shading: Shading) -> OpenGL:
    return OpenGL(dataclasses.replace(shading, samples_per_pixel=16))


def _step(image: Image, size: int, subdivisions: int, share: float, views: int = 20, *, rounds: int) -> Comparison:
    """Forwards and backwards, the gradient of edges and local credit with K = 4 in turns: the medians."""
    scene, template = Scene.make(views, size), ball(subdivisions)
    cameras, target = scene.views.cameras, scene.views.alpha
    edges, estimator = differentiable(scene.renderer, "edges"), local_credit(4, Pixels(0.5))

    def pixel_loss(rendering: Rendering) -> Tensor:
        return (rendering.as_dict()[image] - target).square().sum(-3)

    def by_edges(mesh: Mesh) -> Tensor:
        return pixel_loss(edges(mesh, cameras, (image,))).sum()

    def by_noise(mesh: Mesh) -> Tensor:
        call = scene.renderer, mesh, cameras, pixel_loss, estimator
        return expected_loss(*call, outputs=(image,), generator=Key(0))

    ours, theirs = _medians(by_edges, by_noise, template, max(3, 3 * rounds))
    return Comparison(
        1 / ours,
        1 / theirs,
        case=f"a step, {image}, {size} x {size}, {len(template.vertices):,} vertices",
        unit="steps/s",
        peer="local_credit, K = 4",
        floor=1 / share,
    )


def _medians(
    first: Callable[[Mesh], Tensor], second: Callable[[Mesh], Tensor], template: Mesh, rounds: int
) -> tuple[float, float]:
    """Seconds of both, in turns after a warm-up, of a mesh that changes."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for found, loss in zip(times, (first, second), strict=True):
            stretched = template.vertices * torch.tensor([0.9, 0.7 + 0.01 * turn / rounds, 1.0])
            vertices = stretched.requires_grad_()
            began = time.perf_counter()
            loss(template.with_vertices(vertices)).backward()  # type: ignore[no-untyped-call]
            found.append(time.perf_counter() - began)
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])
