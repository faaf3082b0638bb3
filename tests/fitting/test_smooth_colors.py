"""Colours that views say little of: smoothed, filled in, and kept from views that are wrong."""

import dataclasses

import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading
from render3d.fitting import fit_colors, pixel_size
from render3d.fitting.color_links import filled, links_of, lookup, used_texels
from render3d.metrics import psnr
from render3d.renderers import OpenGL
from render3d.renderers.deferred import SurfacePoints
from render3d.scenes.topology import edges_of
from render3d.testing.scenes import asymmetric_mesh
from render3d.view_sets import ViewSet

UNLIT = OpenGL(Shading.unlit())


def smooth(points: Tensor) -> Tensor:
    return 0.5 + 0.2 * (2 * points + torch.tensor([0.0, 1.0, 2.0])).sin()


def sphere_views(count: int = 10) -> tuple[Mesh, ViewSet]:
    """A sphere painted with a smooth function, and views of it."""
    mesh, cameras = Mesh.icosphere(3), Cameras.sphere(count, 3.0, image_size=(64, 64))
    images = UNLIT(dataclasses.replace(mesh, colors=smooth(mesh.vertices)), cameras)
    return mesh, ViewSet(cameras, images.alpha, images.rgb, tuple(map(str, range(count))))


def test_both_sides_of_seams_have_the_colours_of_the_surface() -> None:
    mesh, views = sphere_views()
    result = fit_colors(views, mesh.unwrapped(pixel_size(views.cameras, mesh)), UNLIT)
    corners = torch.eye(3).repeat(len(mesh.faces), 1)
    face = torch.arange(len(mesh.faces)).repeat_interleave(3)
    texture = result.mesh.texture
    assert texture is not None
    found = torch.from_numpy(lookup(result.mesh, face, corners) @ texture.image.reshape(-1, 3).numpy())
    assert (found - smooth(mesh.vertices[mesh.faces].reshape(-1, 3))).abs().max() < 0.03
    assert result.unseen < 0.02 and result.outliers == ()


def test_what_no_view_shows_is_a_membrane_between_known_colours() -> None:
    """On a strip of squares, between its ends: a straight line. Where nothing is known nearby: the mean."""
    x = torch.arange(9.0).repeat(2)
    mesh = Mesh(torch.stack([x, torch.arange(2.0).repeat_interleave(9), 0 * x], -1), torch.tensor([[0, 1, 9]]))
    rows = torch.arange(8)
    faces = torch.cat([torch.stack([rows, rows + 1, rows + 10], -1), torch.stack([rows, rows + 10, rows + 9], -1)])
    strip = dataclasses.replace(mesh, faces=faces)
    known = (x == 0) | (x == 8)
    colors = torch.where(known, x / 8, -1.0)[:, None].expand(18, 3)
    # The diagonals pull as well: the exact answer is that of the direct minimum in double precision.
    dense = torch.from_numpy(links_of(strip).toarray()).double()
    free = torch.linalg.lstsq(dense[:, ~known], -dense[:, known] @ colors[known].double()).solution
    found = filled(colors, known, links_of(strip))
    torch.testing.assert_close(found[~known].double(), free, rtol=0, atol=1e-5)
    assert bool((found[1:9, 0] > found[:8, 0]).all()) and torch.equal(found[known], colors[known])
    lonely = dataclasses.replace(strip, vertices=torch.cat([strip.vertices, torch.ones(1, 3)]))
    known, colors = torch.cat([known, torch.tensor([False])]), torch.cat([colors, torch.zeros(1, 3)])
    torch.testing.assert_close(filled(colors, known, links_of(lonely))[18], torch.full((3,), 0.5))


def test_a_membrane_is_whole_across_seams() -> None:
    """Black and white at two texels of different charts: on every seam both sides have one colour in between."""
    mesh = Mesh.icosphere(2).unwrapped(0.1)
    assert mesh.texture is not None
    image, rows = mesh.texture.image, mesh.uv_faces
    first, last = (lookup(mesh, torch.tensor([face]), torch.full((1, 3), 1 / 3)).indices[0] for face in (0, -1))
    known = torch.zeros(image[..., 0].numel(), dtype=torch.bool)
    known[[first, last]] = True
    found = filled(torch.arange(len(known))[:, None].eq(first).float().expand(-1, 3), known, links_of(mesh))
    sides = edges_of(mesh.faces).pairs
    ends = [torch.stack([rows.reshape(-1), rows.roll(-1, 1).reshape(-1)], -1)[sides[:, k]] for k in (0, 1)]
    seams = (ends[0] != ends[1].flip(-1)).any(-1)
    halfway = torch.eye(3).add(torch.eye(3).roll(1, 1)) / 2  # of side k: between corners k and k + 1
    looked_up = [lookup(mesh, side // 3, halfway[side % 3]) @ found[:, 0].numpy() for side in sides[seams].unbind(-1)]
    assert int(seams.sum()) > 20 and abs(looked_up[0] - looked_up[1]).max() < 0.02
    assert 0.1 < looked_up[0].min() < looked_up[0].max() < 0.9


def test_the_share_of_the_surface_that_no_view_shows() -> None:
    """A camera sees ``(1 - 1 / d) / 2`` of a sphere from a distance d, in radii."""
    mesh, cameras = Mesh.icosphere(4), Cameras.look_at((0.0, 0.0, 4.0), vertical_fov_degrees=40, image_size=(200, 200))
    images = UNLIT(dataclasses.replace(mesh, colors=smooth(mesh.vertices)), cameras)
    views = ViewSet(cameras, images.alpha, images.rgb, ("a",))
    for kind in (mesh, mesh.unwrapped(0.06)):
        result = fit_colors(views, kind, UNLIT, margin=0)
        assert abs(result.unseen - (1 - (1 - 1 / 4) / 2)) < 0.03


def test_grain_is_smoothed() -> None:
    mesh, views = sphere_views()
    assert views.rgb is not None
    noise = 0.1 * torch.randn(views.rgb.shape, generator=torch.Generator().manual_seed(0))
    grainy, start = dataclasses.replace(views, rgb=views.rgb + noise), mesh.unwrapped(0.04)
    clean = UNLIT(dataclasses.replace(mesh, colors=smooth(mesh.vertices)), views.cameras)
    found = []
    for smoothness in (0.0, 3.0):
        rendered = UNLIT(fit_colors(grainy, start, UNLIT, smoothness=smoothness).mesh, views.cameras)
        found.append(float(psnr(rendered.rgb, clean.rgb).mean()))
    assert found[1] > found[0] + 3


def test_an_overexposed_view_is_named_and_has_no_say() -> None:
    mesh, views = sphere_views()
    assert views.rgb is not None
    rgb = views.rgb.clone()
    rgb[3] = (2.5 * rgb[3]).clamp(0, 1)
    wrong = dataclasses.replace(views, rgb=rgb)
    result = fit_colors(wrong, mesh, UNLIT)
    assert result.outliers == ("3",) and int(result.agreement.argmin()) == 3
    assert result.mesh.colors is not None
    assert (result.mesh.colors - smooth(mesh.vertices)).square().mean().sqrt() < 0.02


def test_lookup_is_what_renderers_look_up() -> None:
    random = torch.Generator().manual_seed(0)
    mesh = asymmetric_mesh().without_colors()
    unwrapped = mesh.unwrapped(0.1)
    assert unwrapped.texture is not None
    image = torch.rand(unwrapped.texture.image.shape, generator=random)
    textured = dataclasses.replace(unwrapped, texture=dataclasses.replace(unwrapped.texture, image=image))
    face = torch.randint(len(mesh.faces), (500,), generator=random)
    weights = torch.rand(500, 3, generator=random)
    weights /= weights.sum(1, keepdim=True)
    points = SurfacePoints(textured, torch.Size([1]), torch.zeros(500).long(), face, weights)
    matrix = lookup(textured, face, weights)
    torch.testing.assert_close(
        torch.from_numpy(matrix @ image.reshape(-1, 3).numpy()), points.reflectance(), rtol=0, atol=1e-4
    )
    taken = torch.from_numpy(abs(matrix).sum(0)).reshape(image.shape[:2]) > 1e-4
    assert bool(used_texels(textured)[taken].all())
