"""The reference renderer, against closed forms: it is what the others are compared with."""

from pathlib import Path

import pytest
import torch

import render3d.testing.reference as reference
from render3d import Cameras, Mesh, Shading
from render3d.renderers import DirectionalLight
from render3d.testing.reference import NumpyRenderer

ALL = NumpyRenderer().capabilities.outputs


def test_it_is_short_enough_to_be_read() -> None:
    assert len(Path(reference.__file__).read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_a_square_covers_the_pixels_between_its_corners(projection: str) -> None:
    """A square 2 away, seen with a focal length of 20 pixels; orthographic, with 10 pixels a unit."""
    camera = Cameras.look_at((0, 0, 2.0), image_size=(40, 60))
    matrix = torch.tensor([[20.0, 0, 30.3], [0, 20, 20.2], [0, 0, 1]])
    if projection == "orthographic":
        camera = camera.to_orthographic(1.0)
        matrix[[0, 1], [0, 1]] = 10
    camera = Cameras(camera.world_to_camera, matrix[None], (40, 60), 0.01, 100.0, camera.projection)
    corners = torch.tensor([[-0.5, -0.25, 0], [1, -0.25, 0], [1, 0.5, 0], [-0.5, 0.5, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    image = NumpyRenderer()(Mesh(corners, faces), camera, ALL)
    covered = torch.zeros(40, 60)
    # x: 30.3 - 5 to 30.3 + 10, and y points down: 20.2 - 5 to 20.2 + 2.5, at pixel centres.
    covered[15:23, 25:40] = 1
    assert torch.equal(image.alpha[0, 0], covered)
    torch.testing.assert_close(image.depth[0, 0], 2 * covered)
    torch.testing.assert_close(image.normal[0], torch.tensor([0.0, 0, 1])[:, None, None] * covered)
    point = (corners[faces][image.face_index[0, 0, 20, 33]] * image.barycentric[0, :, 20, 33, None]).sum(0)
    torch.testing.assert_close(point, torch.tensor([(33.5 - 30.3) / 10, -(20.5 - 20.2) / 10, 0]))


def test_a_sphere_has_the_depth_and_the_normals_of_a_sphere() -> None:
    camera = Cameras.look_at((0, 0, 3.0), image_size=(48, 48))
    image = NumpyRenderer(Shading(normals="smooth"))(Mesh.icosphere(4), camera, ("depth", "normal", "alpha"))
    rays = camera.rays()
    along = (rays.origins * rays.directions).sum(-1)
    root = along.square() - rays.origins.square().sum(-1) + 1
    points = rays.origins + rays.directions * (-along - root.clamp(min=0).sqrt())[..., None]
    surely = root[0] > 0.3  # at the rim, the facets differ from the sphere
    torch.testing.assert_close(image.depth[0, 0][surely], 3 - points[0, ..., 2][surely], atol=3e-3, rtol=0)
    cosine = (image.normal[0].movedim(0, -1) * points[0]).sum(-1)[surely]
    assert cosine.min() > 0.9995


def test_light_falls_as_the_cosine_and_from_both_sides() -> None:
    square = Mesh(torch.tensor([[-9.0, -9, 0], [9, -9, 0], [0, 9, 0]]), torch.tensor([[0, 1, 2]]))
    light = DirectionalLight(towards=(0, 3.0**0.5, 1), color=(0.5, 1.0, 0.0))
    renderer = NumpyRenderer(Shading(ambient=(0.1, 0.2, 0.3), lights=(light,)))
    around = Cameras.orbit(2, 2.0, elevation_degrees=0, image_size=(4, 4))
    # The first camera is where the light is, 60 degrees off the normal; the second sees the side in the dark.
    front, back = renderer(square, around, ("rgb",)).rgb[:, :, 2, 2]
    lit, dark = torch.tensor([0.1 + 0.25, 0.2 + 0.5, 0.3]), torch.tensor([0.1, 0.2, 0.3])
    expected = {True: (lit, dark), False: (dark, lit)}[bool(around.position[0, 2] > 0)]
    torch.testing.assert_close(torch.stack([front, back]), 0.6 * torch.stack(expected))
