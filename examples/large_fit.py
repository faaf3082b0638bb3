"""Fifty thousand vertices and a texture of a million texels in one fit, through OpenGL, which gives no gradient.

A sphere becomes the chicken, coarse to fine: shape and texture at once, from images of it, by the gradient of edges.
Its vertices are a grid of latitude and longitude, so that a finer level begins where the coarser one ended.
"""

import resource
import time
from pathlib import Path
from typing import NamedTuple

import torch
import tyro
from torch import Tensor
from torch.nn.functional import interpolate

import render3d as r3
from render3d.atomic import write_json
from render3d.data import chicken
from render3d.fitting.optimiser import Adam
from render3d.fitting.preconditioner import SmoothCoordinates
from render3d.metrics import silhouette_iou
from render3d.report import provenance
from render3d.scenes import Mesh, Texture


class Level(NamedTuple):
    """How fine vertices, texels and images are, and how they are fitted."""

    rows: int  # of vertices from pole to pole, and as many round
    texels: int
    pixels: int
    updates: int
    learning_rate: float  # scene units
    smoothness: float


LEVELS = (
    Level(24, 64, 64, 150, 0.03, 1.0),
    Level(64, 256, 128, 100, 0.01, 4.0),
    Level(128, 512, 256, 60, 0.004, 16.0),
    Level(224, 1024, 256, 40, 0.002, 50.0),
)
_GREY = 0.0  # a logit
_TEXEL_RATE = 0.1


class Grid(NamedTuple):
    """A sphere of latitude and longitude, its texture in ``rows + 1`` rows of nodes: the first column comes again last.

    Attributes:
        faces: ``[F, 3]``, of vertices.
        corners: ``[F, 3]``, of nodes.
        uv: ``[nodes, 2]``.
        place: ``[nodes]``: the vertex at each.
        node: ``[V]``: a node of each vertex.
    """

    faces: Tensor
    corners: Tensor
    uv: Tensor
    place: Tensor
    node: Tensor

    @classmethod
    def of(cls, rows: int) -> "Grid":
        """With ``rows`` squares from pole to pole and round."""
        row, column = torch.meshgrid(torch.arange(rows + 1), torch.arange(rows + 1), indexing="ij")
        place = 1 + (row - 1) * rows + column % rows
        place = torch.where(row == 0, 0, torch.where(row == rows, 1 + (rows - 1) * rows, place)).reshape(-1)
        first = (row * (rows + 1) + column)[:-1, :-1].reshape(-1)
        below, beside, across = first + rows + 1, first + 1, first + rows + 2
        corners = torch.cat([torch.stack([first, below, across], -1), torch.stack([first, across, beside], -1)])
        sides = place[corners].sort(-1).values
        corners = corners[(sides[:, 1:] != sides[:, :-1]).all(-1)]  # at the poles, half of the squares are triangles
        uv = torch.stack([column, rows - row], -1).reshape(-1, 2) / rows
        node = torch.zeros(int(place.max()) + 1, dtype=torch.long).scatter(0, place, torch.arange(len(place)))
        return cls(place[corners], corners, uv, place, node)


def main(
    *, out: Path = Path("out/large_fit"), views: int = 24, batch: int = 6, held_out: int = 8, levels: int = len(LEVELS)
) -> None:
    """Fit the chicken, and say what it took.

    Args:
        out: The folder for the mesh and the figures.
        views: Images that are fitted.
        batch: Of these in an update.
        held_out: Images that only measure.
        levels: How many of the sizes, from the coarsest.
    """
    truth = chicken().normalized()
    opengl = r3.renderers.OpenGL(r3.Shading.unlit())
    surface = _ball(LEVELS[0].rows)
    logits = torch.full((LEVELS[0].texels, LEVELS[0].texels, 3), _GREY)
    course = []
    for level in LEVELS[:levels]:
        began = time.monotonic()
        surface, logits = _finer(surface, level.rows), _larger(logits, level.texels)
        mesh, surface, logits = _fit(opengl, truth, level, surface, logits, views, batch)
        seconds = time.monotonic() - began
        seen = _cameras(held_out, level.pixels, turned=True)
        with torch.no_grad():
            found, wanted = (opengl(each, seen, ("rgb", "alpha")) for each in (mesh, truth))
        error = float((found.rgb - wanted.rgb).square().mean())
        course.append(
            {
                "vertices": len(mesh.vertices),
                "texels": level.texels**2,
                "unknowns": mesh.vertices.numel() + logits.numel(),
                "pixels": level.pixels,
                "updates": level.updates,
                "seconds": seconds,
                "held_out_iou": float(silhouette_iou(found.alpha, wanted.alpha).mean()),
                "held_out_psnr": -10 * torch.log10(torch.tensor(error)).item(),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
        print(", ".join(f"{name} {value:,.4g}" for name, value in course[-1].items()), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    mesh.save(out / "chicken.glb")
    write_json(out / "metrics.json", {"levels": course, "made_with": provenance(opengl)})
    print(f"The mesh: {out / 'chicken.glb'}")


def _fit(
    renderer: r3.renderers.OpenGL, truth: Mesh, level: Level, surface: Tensor, logits: Tensor, views: int, batch: int
) -> tuple[Mesh, Tensor, Tensor]:
    """The mesh after all updates of a level, with its surface as a grid and the logits of its texture."""
    grid, smooth = Grid.of(level.rows), r3.differentiable(renderer, "edges")
    cameras = _cameras(views, level.pixels)
    with torch.no_grad():
        wanted = renderer(truth, cameras, ("rgb", "alpha"))
    coordinates = SmoothCoordinates(grid.faces, len(grid.node), level.smoothness)
    shape = Adam.start(coordinates.from_vertices(surface.reshape(-1, 3)[grid.node]), uniform=True)
    texels = logits.clone().requires_grad_()
    painter = torch.optim.Adam([texels], lr=_TEXEL_RATE)
    order = torch.Generator().manual_seed(0)
    for _ in range(level.updates):
        chosen = torch.randperm(views, generator=order)[:batch]
        points = shape.parameters.clone().requires_grad_()
        mesh = _mesh(grid, coordinates.to_vertices(points), texels)
        seen = smooth(mesh, cameras[chosen], ("rgb", "alpha"))
        loss = (seen.alpha - wanted.alpha[chosen]).square().mean() + (seen.rgb - wanted.rgb[chosen]).square().mean()
        painter.zero_grad()
        loss.backward()
        assert points.grad is not None
        shape = shape.step(points.grad, level.learning_rate)
        painter.step()
    vertices = coordinates.to_vertices(shape.parameters)
    surface = vertices[grid.place].reshape(level.rows + 1, level.rows + 1, 3)
    return _mesh(grid, vertices, texels.detach()), surface, texels.detach()


def _mesh(grid: Grid, vertices: Tensor, logits: Tensor) -> Mesh:
    return Mesh(vertices, grid.faces, texture=Texture(logits.sigmoid(), grid.uv, grid.corners))


def _cameras(views: int, pixels: int, *, turned: bool = False) -> r3.Cameras:
    """From all round; ``turned``, from other places."""
    cameras = r3.Cameras.sphere(views + turned, 3.0, vertical_fov_degrees=46.0, image_size=(pixels, pixels))
    return cameras[:views]


def _ball(rows: int) -> Tensor:
    """``[rows + 1, rows + 1, 3]``: a sphere of radius 0.6."""
    polar, round_ = torch.linspace(0, torch.pi, rows + 1)[:, None], torch.linspace(0, 2 * torch.pi, rows + 1)
    x, z = polar.sin() * round_.sin(), polar.sin() * round_.cos()
    return 0.6 * torch.stack([x, polar.cos().expand_as(x), z], -1)


def _finer(surface: Tensor, rows: int) -> Tensor:
    return _resized(surface, rows + 1, aligned=True)


def _larger(logits: Tensor, texels: int) -> Tensor:
    return _resized(logits, texels, aligned=False)


def _resized(values: Tensor, size: int, *, aligned: bool) -> Tensor:
    """``[size, size, C]`` from ``[H, W, C]``."""
    return interpolate(values.movedim(-1, 0)[None], (size, size), mode="bilinear", align_corners=aligned)[0].movedim(
        0, -1
    )


if __name__ == "__main__":
    tyro.cli(main)
