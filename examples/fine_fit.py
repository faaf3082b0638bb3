"""The bunny at 256 x 256 pixels with ten thousand vertices, coarse to fine: from silhouettes, depth, or shaded colour.

A sphere of 642 vertices is fitted to small images; then its faces are divided in four, and it goes on with larger
ones. Every gradient comes through OpenGL, which gives none: from its edges, or by local credit.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import trimesh
import tyro
from torch import Tensor

import render3d as r3
from render3d import report
from render3d.atomic import write_json, write_text
from render3d.data import bunny
from render3d.estimators import Pixels, local_credit
from render3d.fitting.optimiser import Adam
from render3d.fitting.preconditioner import SmoothCoordinates
from render3d.fitting.settings import geometric
from render3d.metrics import chamfer_distance, silhouette_iou
from render3d.scenes import Mesh

OUTPUTS = {"silhouettes": ("alpha",), "depth": ("alpha", "depth"), "colour": ("alpha", "rgb")}
DEEP = 0.1  # differences of depth count up to this, scene units: beyond, another part of the object is seen


class Level(NamedTuple):
    """One of the sizes, and how it is fitted; quantities that decay do so geometrically."""

    pixels: int
    updates: int
    learning_rate: tuple[float, float]  # scene units
    smoothness: float
    noise: tuple[float, float]  # pixels


LEVELS = (
    Level(64, 400, (0.045, 0.0045), 1.0, (1.0, 0.3)),
    Level(128, 200, (0.015, 0.003), 2.0, (1.0, 0.4)),
    Level(256, 150, (0.006, 0.001), 4.0, (1.0, 0.4)),
)


class Found(NamedTuple):
    """A fitted mesh and how it got there: (level's pixels, vertices, seconds, held-out IoU, chamfer distance)."""

    mesh: Mesh
    course: list[tuple[int, int, float, float, float]]


def fit_finely(target: str, levels: tuple[Level, ...], views: int, held_out: int, samples: int | None) -> Found:
    """Fit the bunny as ``target`` shows it."""
    truth, opengl = bunny().normalized(), r3.renderers.OpenGL(r3.Shading(background=(0.0, 0.0, 0.0)))
    largest = levels[-1].pixels
    unseen = cameras_of(held_out, largest)
    wanted = opengl(truth, unseen, ("alpha",)).alpha
    mesh, course, began = Mesh.icosphere(3, 0.6), [], time.monotonic()
    for number, level in enumerate(levels):
        mesh = divided(mesh) if number else mesh
        cameras = cameras_of(views, level.pixels)
        loss = pixel_loss(target, opengl(truth, cameras, OUTPUTS[target]))
        mesh = descend(mesh, cameras, loss, level, OUTPUTS[target], samples, opengl)
        seconds = time.monotonic() - began
        iou = float(silhouette_iou(opengl(mesh, unseen, ("alpha",)).alpha, wanted).mean())
        course.append((level.pixels, len(mesh.vertices), seconds, iou, chamfer_distance(mesh, truth)))
        print(
            f"{target}: {level.pixels} pixels, {len(mesh.vertices)} vertices, {seconds:.0f} s: held-out IoU {iou:.4f}, "
            f"chamfer distance {course[-1][-1]:.5f}",
            flush=True,
        )
    return Found(mesh, course)


def cameras_of(views: int, pixels: int) -> r3.Cameras:
    """Square images from all round."""
    return r3.Cameras.sphere(views, 3.0, vertical_fov_degrees=46, image_size=(pixels, pixels))


def pixel_loss(target: str, wanted: r3.Rendering) -> Callable[[r3.Rendering], Tensor]:
    """One number a pixel: squared differences of coverage, and of what else is seen."""

    def loss(seen: r3.Rendering) -> Tensor:
        coverage = (seen.alpha - wanted.alpha).square()[..., 0, :, :]
        if target == "depth":
            both = seen.alpha * wanted.alpha
            apart = both * ((seen.depth - wanted.depth) / DEEP).clamp(-1, 1).square()
            return coverage + apart[..., 0, :, :]
        return coverage + (4 * (seen.rgb - wanted.rgb).square().sum(-3) if target == "colour" else 0)

    return loss


def descend(
    template: Mesh,
    cameras: r3.Cameras,
    loss: Callable[[r3.Rendering], Tensor],
    level: Level,
    outputs: tuple[str, ...],
    samples: int | None,
    renderer: r3.renderers.Renderer,
) -> Mesh:
    """The mesh after all updates of a level: by local credit with so many samples, or by the gradient of edges."""
    smooth = r3.differentiable(renderer, "edges")
    coordinates = SmoothCoordinates(template.faces, len(template.vertices), level.smoothness)
    state = Adam.start(coordinates.from_vertices(template.vertices), uniform=True)
    for step in range(level.updates):
        done = step / level.updates
        parameters = state.parameters.clone().requires_grad_()
        mesh = template.with_vertices(coordinates.to_vertices(parameters))
        if samples is None:
            value = loss(smooth(mesh, cameras, outputs)).sum()
        else:
            estimator = local_credit(samples, Pixels(geometric(level.noise, done)))
            key = r3.Key(0).fold_in(step)
            value = r3.expected_loss(renderer, mesh, cameras, loss, estimator, outputs=outputs, generator=key)
        (gradient,) = torch.autograd.grad(value, parameters)
        state = state.step(gradient, geometric(level.learning_rate, done))
    return template.with_vertices(coordinates.to_vertices(state.parameters))


def divided(mesh: Mesh) -> Mesh:
    """Every face in four, the surface as it was."""
    vertices, faces = trimesh.remesh.subdivide(mesh.vertices.numpy(), mesh.faces.numpy())
    return Mesh(torch.from_numpy(vertices).float(), torch.from_numpy(faces))


def page(found: dict[str, Found], facts: dict[str, str]) -> str:
    """Figures and images of all targets."""
    header = ("target", "pixels", "vertices", "seconds", "held-out IoU", "chamfer distance")
    rows = [
        (target, str(pixels), str(vertices), f"{seconds:.0f}", f"{iou:.4f}", f"{distance:.5f}")
        for target, result in found.items()
        for pixels, vertices, seconds, iou, distance in result.course
    ]
    best = max(range(len(rows)), key=lambda row: float(rows[row][4]))
    return report.page(
        "The bunny, coarse to fine",
        "A sphere fitted through OpenGL by local credit, to silhouettes, depth or shaded pictures of the bunny.",
        report.section("Figures", report.table(header, rows, chosen=best)),
        report.section(
            "Pictures",
            report.paragraph(f"From above: the bunny itself, then what was fitted to {', to '.join(found)}."),
            report.gallery(pictures(found), ["", "", "", ""], width=240),
        ),
        report.section("How it was made", report.facts(facts)),
    )


def pictures(found: dict[str, Found]) -> dict[str, Tensor]:
    """Every mesh, and the true one, from four sides."""
    cameras = r3.Cameras.orbit(4, 3.0, elevation_degrees=15, vertical_fov_degrees=40, image_size=(240, 240))
    meshes = {"truth": bunny().normalized()} | {target: result.mesh for target, result in found.items()}
    opengl = r3.renderers.OpenGL(r3.Shading(samples_per_pixel=4))
    return {name: opengl(mesh, cameras, ("rgb",)).rgb for name, mesh in meshes.items()}


def main(
    *,
    out: Path = Path("out/fine_fit"),
    targets: tuple[str, ...] = tuple(OUTPUTS),
    views: int = 20,
    held_out: int = 32,
    samples: int | None = None,
    levels: int = len(LEVELS),
) -> None:
    """Fit the bunny, coarse to fine.

    Args:
        out: The folder for the results.
        targets: What is fitted to: silhouettes, depth, colour.
        views: Images that are fitted.
        held_out: Further ones, whose silhouettes are compared.
        samples: Noisy meshes a view and update, by local credit; by default the gradient of edges, without noise.
        levels: How many of the sizes, from the coarsest.
    """
    found = {target: fit_finely(target, LEVELS[:levels], views, held_out, samples) for target in targets}
    provenance = report.provenance(r3.renderers.OpenGL())
    out.mkdir(parents=True, exist_ok=True)
    for target, result in found.items():
        result.mesh.save(out / f"{target}.ply")
    courses = {target: result.course for target, result in found.items()}
    write_json(out / "metrics.json", {"course": courses, "made_with": provenance})
    write_text(out / "report.html", page(found, provenance))
    print(f"Report: {(out / 'report.html').resolve()}")


if __name__ == "__main__":
    tyro.cli(main)
