"""The gradient of edges: against differences of supersampled images, closed forms and a slow twin."""

import dataclasses
from typing import Literal

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading, differentiable
from render3d.errors import CapabilityError, GradientError
from render3d.estimators import default_gradient
from render3d.renderers import EdgeGradient, EmptyViewWarning, OpenGL, Pyrender, Renderer
from render3d.renderers.deferred import weights_at_pixels
from render3d.renderers.edge_gradient.adjacency import adjacency
from render3d.renderers.edge_gradient.walk import crossed_edges, pairs_of
from render3d.testing.deformations import (
    DeformationProblem,
    Image,
    partly_flipped,
    pebble,
    relative,
    room,
    seamed_pebble,
    smooth_fields,
    textured_pebble,
    tube,
    weighted_sum,
)
from render3d.testing.only_images import OnlyImages
from render3d.testing.scenes import blob

VIEWS = 3
IMAGES: tuple[Image, Image] = ("alpha", "rgb")


def cameras(size: int = 64) -> Cameras:
    return Cameras.sphere(VIEWS, 3.0, vertical_fov_degrees=46.0, image_size=(size, size))


def gradient(renderer: Renderer, mesh: Mesh, seen: Cameras, image: Image) -> Tensor:
    return DeformationProblem(mesh=mesh, cameras=seen, image=image).gradient(renderer)


def error(
    mesh: Mesh, image: Image, shading: Shading | None = None, *, seen: Cameras | None = None, samples: int = 16
) -> float:
    shading = shading or Shading()
    seen = cameras() if seen is None else seen
    problem = DeformationProblem(mesh=mesh, cameras=seen, image=image, shading=shading, samples=samples)
    return problem.error(EdgeGradient(OpenGL(shading)), smooth_fields(mesh.vertices, 8))


@pytest.mark.parametrize("image", ["alpha", "rgb"])
@pytest.mark.parametrize("normals", ["flat", "smooth"])
@pytest.mark.parametrize("mesh", [pebble(), textured_pebble(), seamed_pebble()], ids=["colours", "texture", "seam"])
def test_it_is_that_of_supersampled_images(mesh: Mesh, image: Image, normals: Literal["flat", "smooth"]) -> None:
    assert error(mesh, image, Shading(normals=normals)) < 0.04


def test_faces_turned_at_random_change_nothing() -> None:
    mesh = pebble()
    for image in IMAGES:
        expected, found = (
            gradient(EdgeGradient(OpenGL()), each, cameras(), image) for each in (mesh, partly_flipped(mesh))
        )
        # Which of the faces that cover a pixel is found may differ, and with it an edge in a fold.
        assert relative(found, expected) < (1e-3 if image == "rgb" else 0.05)


def test_split_vertices_share_what_one_gets() -> None:
    mesh = pebble()
    corners = mesh.faces.reshape(-1)
    assert mesh.colors is not None
    split = Mesh(mesh.vertices[corners], torch.arange(len(corners)).reshape(-1, 3), colors=mesh.colors[corners])
    expected = gradient(EdgeGradient(OpenGL()), mesh, cameras(), "rgb")
    found = gradient(EdgeGradient(OpenGL()), split, cameras(), "rgb")
    torch.testing.assert_close(torch.zeros_like(expected).index_add(0, corners, found), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("renderer", [OpenGL, Pyrender])
def test_without_light_an_image_is_coverage_times_colour(renderer: type[OpenGL] | type[Pyrender]) -> None:
    mesh = dataclasses.replace(pebble(), colors=None)
    shading = dataclasses.replace(Shading.unlit(), background=(0.0, 0.0, 0.0))
    vertices = mesh.vertices.clone().requires_grad_()
    shown = EdgeGradient(renderer(shading))(mesh.with_vertices(vertices), cameras(), ("rgb", "alpha"))
    rgb, alpha = (
        torch.autograd.grad(weighted_sum(image), vertices, retain_graph=True)[0] for image in (shown.rgb, shown.alpha)
    )
    torch.testing.assert_close(rgb, alpha * float(shown.rgb.detach().max()) * (1 - 0.6 + 0.5), rtol=1e-4, atol=1e-6)


def test_a_batch_and_a_list_are_their_elements() -> None:
    mesh, renderer = pebble(), EdgeGradient(OpenGL())
    meshes = mesh.with_vertices(torch.stack([mesh.vertices, 0.8 * mesh.vertices]))
    for scene in (meshes, [meshes[0], meshes[1]]):
        vertices = [each.vertices.clone().requires_grad_() for each in (meshes[0], meshes[1])]
        moving = (
            meshes.with_vertices(torch.stack(vertices))
            if isinstance(scene, Mesh)
            else [mesh.with_vertices(each) for each in vertices]
        )
        found = torch.autograd.grad(weighted_sum(renderer(moving, cameras(), ("rgb",)).rgb).sum(), vertices)
        for one, each in zip(found, (meshes[0], meshes[1]), strict=True):
            torch.testing.assert_close(one, gradient(renderer, each, cameras(), "rgb"), rtol=1e-4, atol=1e-6)


def test_each_scene_of_a_list_has_its_cameras() -> None:
    mesh, renderer = pebble(), EdgeGradient(OpenGL())
    own = Cameras.stack([cameras(), cameras().retract(0.1 * torch.ones(VIEWS, 6))])
    vertices = mesh.vertices.clone().requires_grad_()
    shown = renderer([mesh.with_vertices(vertices)] * 2, own, ("alpha",)).alpha
    (found,) = torch.autograd.grad(weighted_sum(shown).sum(), vertices)
    expected = sum(gradient(renderer, mesh, own[element], "alpha") for element in (0, 1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_vertices_may_lie_behind_the_camera() -> None:
    inside, seen = room()
    assert error(inside, "rgb", seen=seen) < 0.06


def test_more_samples_see_what_is_thinner_than_a_pixel() -> None:
    thin = tube(0.02)  # half a pixel
    coarse, fine = (error(thin, "alpha", Shading(samples_per_pixel=n), samples=64) for n in (1, 16))
    assert fine < 0.5 * coarse


def test_a_fin_may_share_an_edge_with_two_faces() -> None:
    """Three faces meet at it: of a pyramid, and one that sticks out."""
    vertices = torch.tensor([[-0.8, -0.5, 0.1], [0.7, -0.6, 0.0], [0.1, 0.7, 0.2], [0.0, -0.1, 0.8], [0.2, -1.0, 0.6]])
    fin = Mesh(vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 1, 4]]))
    for image in IMAGES:
        assert error(fin, image) < 0.04


def test_the_edges_that_are_crossed_are_those_of_a_slow_search() -> None:
    """Of a convex body: outlines, by brute force in float64 over all edges."""
    body = Mesh.icosphere(1)
    body = body.with_vertices((body.vertices * torch.tensor([0.9, 0.6, 0.7])).double())
    seen = dataclasses.replace(
        cameras(32),
        world_to_camera=cameras(32).world_to_camera.double(),
        intrinsics=cameras(32).intrinsics.double(),
    )
    points = seen.to_camera_space(body.vertices) @ seen.intrinsics.mT
    face = OpenGL()(body, seen, ("face_index",)).face_index[:, 0].long()
    pairs = pairs_of(face >= 0, torch.where(face >= 0, 1.0, torch.inf))
    found, ended = crossed_edges(points, adjacency(body.vertices, body.faces), face, pairs)
    outlines = found.some(found.across < 0)
    assert bool(ended.all())
    assert sorted(outlines.pair.tolist()) == list(range(len(ended)))
    pixels = points[..., :2] / points[..., 2:]
    for pair, side, share in zip(*(outlines[i].tolist() for i in (0, 1, 3)), strict=True):
        near, axis, view = int(pairs.near[pair]), int(pairs.axis[pair]), int(pairs.image[pair])
        start = torch.tensor([near % 32 + 0.5, near // 32 % 32 + 0.5]).double()
        ends = _crossed_by_search(pixels[view], body.faces, start, axis, float(pairs.sign[pair]))
        corner = body.faces[side // 3].roll(-(side % 3))[:2]
        assert {int(end) for end in corner} == ends
        depth = points[view, corner, 2]
        on_screen = share * depth[1] / ((1 - share) * depth[0] + share * depth[1])
        place = torch.lerp(pixels[view, corner[0]], pixels[view, corner[1]], on_screen)
        assert abs(float(place[1 - axis] - start[1 - axis])) < 1e-9


def _crossed_by_search(pixels: Tensor, faces: Tensor, start: Tensor, axis: int, sign: float) -> set[int]:
    """The last edge of a convex body on the way from a pixel centre to the next."""
    best, ends = -1.0, set[int]()
    for corners in faces.tolist():
        for first, second in ((corners[0], corners[1]), (corners[1], corners[2]), (corners[2], corners[0])):
            a, b = pixels[first] - start, pixels[second] - start
            if (a[1 - axis] > 0) != (b[1 - axis] > 0):
                t = a[1 - axis] / (a[1 - axis] - b[1 - axis])
                where = sign * float(a[axis] + t * (b[axis] - a[axis]))
                if best < where <= 1 + 1 / 64:
                    best, ends = where, {first, second}
    return ends


def test_a_covering_face_covers_its_pixel() -> None:
    mesh = pebble()
    face = OpenGL().covering_faces(mesh, cameras())
    assert torch.equal(face >= 0, OpenGL()(mesh, cameras(), ("alpha",)).alpha > 0)
    weights = weights_at_pixels(cameras().to_camera_space(mesh.vertices)[:, mesh.faces], cameras(), face)
    assert weights.min() > -0.05


def test_what_was_in_one_place_is_looked_at_again() -> None:
    """The faces are remembered, and with them which vertices were in one place."""
    mesh = pebble()
    corners = mesh.faces.reshape(-1)
    faces = torch.arange(len(corners)).reshape(-1, 3)
    together = adjacency(mesh.vertices[corners], faces)
    assert bool((together.across >= 0).all())
    apart = mesh.vertices[corners] + torch.arange(len(corners))[:, None]
    assert bool((adjacency(apart, faces).across < 0).all())


def test_a_view_of_nothing_warns_and_gives_zeros() -> None:
    mesh, away = pebble(), Cameras.look_at((0.0, 0, 3), (0.0, 0, 6), image_size=(16, 16))
    with pytest.warns(EmptyViewWarning):
        found = gradient(EdgeGradient(OpenGL()), mesh, away, "alpha")
    assert not bool(found.any())


def test_a_face_that_is_seen_from_its_edge_gives_finite_gradients() -> None:
    flat = Mesh(
        torch.tensor([[-1.0, 1e-3, -1], [1, 1e-3, -1], [1, -1e-3, 1], [-1, -1e-3, 1]]),
        torch.tensor([[0, 1, 2], [0, 2, 3]]),
    )
    level = Cameras.look_at((0.0, 0, 3), (0.0, 0, 0), image_size=(33, 33))  # the middle of a row looks along it
    assert bool((OpenGL()(flat, level).alpha > 0).any())
    for image in IMAGES:
        assert bool(gradient(EdgeGradient(OpenGL()), flat, level, image).isfinite().all())


def test_nan_that_a_loss_passes_back_is_named() -> None:
    mesh = blob()
    alpha = EdgeGradient(OpenGL())(mesh.with_vertices(mesh.vertices.requires_grad_()), cameras(), ("alpha",)).alpha
    with pytest.raises(GradientError, match=r"loss in alpha must be finite.*first in view 0"):
        (alpha * torch.nan).sum().backward()


def test_a_renderer_that_tells_no_faces_is_refused() -> None:
    with pytest.raises(CapabilityError, match=r"OnlyImages has no output 'face_index'. These have: OpenGL, Pyrender"):
        differentiable(OnlyImages(OpenGL()), "edges")
    assert default_gradient(OnlyImages(OpenGL())) == "local_credit"


def test_which_gradient_a_renderer_gets() -> None:
    assert default_gradient(OpenGL()) == default_gradient(Pyrender()) == "edges"
    assert isinstance(differentiable(OpenGL()), EdgeGradient)
    assert differentiable(edges := EdgeGradient(OpenGL())) is edges
    with pytest.raises(CapabilityError, match="gradient='own' is for renderers that have one, and OpenGL has none"):
        differentiable(OpenGL(), "own")
    with pytest.raises(CapabilityError, match="local_credit"):
        differentiable(OpenGL(), "local_credits")
