"""Colours found on a mesh of known shape: they are those that the views were painted with."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading, Texture
from render3d.errors import CapabilityError, FitError, ShapeError
from render3d.fitting import ColorFitResult, fit_colors
from render3d.fitting.least_squares import conjugate_gradients
from render3d.renderers import OpenGL, Pyrender
from render3d.testing.only_images import OnlyImages
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras
from render3d.view_sets import ViewSet, read_views, write_views

EXACT: dict[str, Any] = {"smoothness": 0, "margin": 0}  # of views without noise or wrong masks
KINDS = {"colors": (24, 3), "face_colors": (36, 3), "texture": (6, 9, 3), "seams": (6, 9, 3)}


def painted(kind: str, values: Tensor) -> Mesh:
    """The asymmetric mesh in these colours; a texture is laid on it from above, or ends at a seam round the middle."""
    mesh = asymmetric_mesh().without_colors()
    uv = 0.5 + 0.4 * mesh.vertices[:, [0, 2]] + 0.13 * mesh.vertices[:, 1:2]
    moved = 24 * (mesh.vertices[mesh.faces].mean(1)[:, :1] > 0).long()
    changes: dict[str, Any] = {kind: values}
    if kind in ("texture", "seams"):
        faces = mesh.faces + moved if kind == "seams" else None
        changes = {"texture": Texture(values, uv if faces is None else torch.cat([uv, 0.3 - uv]), faces)}
    return dataclasses.replace(mesh, **changes)


def truth(kind: str) -> Tensor:
    return torch.rand(*KINDS[kind], generator=torch.Generator().manual_seed(3))


def colors_of(result: ColorFitResult) -> Tensor:
    mesh = result.mesh
    found = mesh.texture.image if mesh.texture else mesh.colors if mesh.face_colors is None else mesh.face_colors
    assert found is not None
    return found


def views_of(mesh: Mesh, shading: Shading | None = None) -> ViewSet:
    cameras = Cameras.cat([uneven_cameras("perspective"), Cameras.sphere(4, 2.8, image_size=(96, 160))])
    images = OpenGL(shading)(mesh, cameras)
    return ViewSet(cameras, images.alpha, images.rgb, tuple(str(number) for number in range(8)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 4])
def test_colours_are_found(kind: str, samples: int) -> None:
    shading = Shading(samples_per_pixel=samples, normals="smooth")
    start = painted(kind, torch.full(KINDS[kind], 0.5))
    result = fit_colors(views_of(painted(kind, truth(kind)), shading), start, OpenGL(shading), updates=40, **EXACT)
    known = result.shown > 2
    assert known.float().mean() > 0.35
    assert (colors_of(result) - truth(kind))[known].abs().max() < 0.02
    assert (colors_of(result) - truth(kind))[known].square().mean().sqrt() < 0.005
    assert len(result.differences) == 81
    assert bool((result.agreement > 0.9).all()) and not result.outliers
    assert result.differences[0] > 0.1 > 2e-3 > result.differences[-1]


def test_what_no_view_shows_stays() -> None:
    """All cameras on one side: what is behind keeps its colour, and is said to be unknown."""
    mesh = painted("face_colors", truth("face_colors"))
    views = views_of(mesh).select([0])
    start = dataclasses.replace(mesh, face_colors=torch.full((36, 3), 0.25))
    result = fit_colors(views, start, **EXACT)
    hidden = result.shown == 0
    assert 5 < int(hidden.sum()) < 36
    assert bool((colors_of(result)[hidden] == 0.25).all())
    lit = OpenGL()(mesh, views.cameras, ("face_index",)).face_index
    assert set(lit[lit >= 0].tolist()) >= set((~hidden).nonzero().flatten().tolist())


def test_a_mesh_without_colours_gets_those_of_vertices_from_a_neutral_grey() -> None:
    mesh = painted("colors", truth("colors"))
    result = fit_colors(views_of(mesh), mesh.without_colors(), updates=40, **EXACT)
    assert result.mesh.colors is not None and result.mesh.colors.shape == (24, 3)
    assert (result.mesh.colors - truth("colors"))[result.shown > 2].abs().max() < 0.02


def test_the_background_of_the_views_does_not_matter() -> None:
    mesh, kind = painted("colors", truth("colors")), "colors"
    start = painted(kind, torch.full(KINDS[kind], 0.5))
    found = []
    for background in ((1.0, 1.0, 1.0), (0.0, 0.3, 0.9)):
        views = views_of(mesh, Shading(samples_per_pixel=4, background=background))
        found.append(colors_of(fit_colors(views, start, OpenGL(Shading(samples_per_pixel=4)))))
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_what_the_views_show_beside_the_mesh_does_not_matter() -> None:
    """Masks that cover everything, as those of photographs without any."""
    mesh, start = painted("colors", truth("colors")), painted("colors", torch.full((24, 3), 0.5))
    views = views_of(mesh)
    everything = dataclasses.replace(views, alpha=torch.ones_like(views.alpha))
    found = [colors_of(fit_colors(each, start, **EXACT)) for each in (views, everything)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)
    assert fit_colors(everything, start, **EXACT).differences[-1] < 2e-3


def test_from_images_on_disk(tmp_path: Path) -> None:
    """In 8 bits of sRGB, under light that saturates nothing."""
    mesh, cameras = painted("colors", truth("colors")), uneven_cameras("perspective")
    write_views(tmp_path, cameras, OpenGL()(mesh, cameras))
    result = fit_colors(read_views(tmp_path), painted("colors", torch.full((24, 3), 0.5)), updates=40, **EXACT)
    well = result.shown > 100
    assert well.sum() >= 8
    assert (colors_of(result) - truth("colors"))[well].abs().max() < 0.02


def test_from_pictures_by_another_renderer() -> None:
    """Pyrender rasterises and keeps colours in its own way."""
    mesh, cameras = painted("colors", truth("colors")), uneven_cameras("perspective")
    images = Pyrender()(mesh, cameras)
    views = ViewSet(cameras, images.alpha, images.rgb, ("a", "b", "c", "d"))
    result = fit_colors(views, painted("colors", torch.full((24, 3), 0.5)), **EXACT)
    well = result.shown > 100
    assert well.sum() >= 8
    assert (colors_of(result) - truth("colors"))[well].abs().max() < 0.02


def test_the_renderer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh, calls = painted("colors", truth("colors")), []
    views = views_of(mesh)
    call = OpenGL.__call__
    monkeypatch.setattr(OpenGL, "__call__", lambda self, *a, **k: calls.append(a) or call(self, *a, **k))
    fit_colors(views, mesh)
    assert len(calls) == 1


def test_colours_stay_between_black_and_white() -> None:
    mesh = painted("colors", torch.full((24, 3), 0.9))
    views = views_of(mesh)
    assert views.rgb is not None
    brighter = dataclasses.replace(views, rgb=1.5 * views.rgb)
    assert colors_of(fit_colors(brighter, mesh)).max() == 1


def test_bad_input_is_named() -> None:
    mesh = painted("colors", truth("colors"))
    views = views_of(mesh)
    with pytest.raises(ValueError, match="updates must be at least 1; got 0"):
        fit_colors(views, mesh, updates=0)
    with pytest.raises(ShapeError, match=r"mesh must be one mesh; got a batch of shape \[2\]"):
        fit_colors(views, Mesh.stack([mesh, mesh]))
    with pytest.raises(FitError, match="views must have colours; got silhouettes alone"):
        fit_colors(dataclasses.replace(views, rgb=None), mesh)
    assert views.rgb is not None
    broken = views.rgb.clone()
    broken[2, 1, 5, 7] = torch.nan
    with pytest.raises(FitError, match="rgb of views must be finite; got NaN or infinite values in 2"):
        fit_colors(dataclasses.replace(views, rgb=broken), mesh)
    with pytest.raises(FitError, match="The views must show the mesh"):
        fit_colors(dataclasses.replace(views, alpha=torch.zeros_like(views.alpha)), mesh)
    with pytest.raises(CapabilityError, match="OnlyImages has no face_index"):
        fit_colors(views, mesh, OnlyImages(OpenGL()))


def test_conjugate_gradients_reach_the_least_squares_solution() -> None:
    """Against a direct solver in double precision, with and without a preconditioner; a scale of zero keeps a value."""
    random = torch.Generator().manual_seed(1)
    matrix = torch.randn(30, 8, generator=random, dtype=torch.float64) * torch.logspace(-2, 2, 8, dtype=torch.float64)
    target, start = (torch.randn(size, generator=random, dtype=torch.float64) for size in (30, 8))
    exact = torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0]

    def solve(scale: Tensor, steps: int) -> Tensor:
        products = (lambda x: matrix @ x), (lambda r: matrix.T @ r)
        *_, (found, residual) = conjugate_gradients(*products, target, start, scale, steps)
        torch.testing.assert_close(residual, matrix @ found - target)
        return found

    scale = 1 / matrix.norm(dim=0)
    torch.testing.assert_close(solve(scale, 8), exact)
    torch.testing.assert_close(solve(scale, 200), exact)  # no harm in going on
    assert (solve(torch.ones_like(scale), 8) - exact).norm() > 10 * (solve(scale, 8) - exact).norm()
    kept = solve(torch.where(torch.arange(8) == 3, 0, scale), 20)
    assert kept[3] == start[3]
    rest = torch.arange(8) != 3
    of_rest = torch.linalg.lstsq(matrix[:, rest], (target - matrix[:, 3] * start[3])[:, None]).solution[:, 0]
    torch.testing.assert_close(kept[rest], of_rest)
