"""Pictures of solids whose sides have colours of their own."""

import math

import numpy as np
import pytest
import torch
import trimesh

import render3d as r3
from render3d.datasets import ColoredSolids, ColoredSolidsSettings
from render3d.datasets.pictures.colored import SHADING
from render3d.datasets.pictures.colored_meshes import colored, side_colors, solid_mesh
from render3d.errors import DatasetError
from render3d.renderers import OpenGL

KINDS = ColoredSolids.classes
SMALL = ColoredSolidsSettings(image_size=16, train=18, validation=6, test=12)


@pytest.mark.parametrize(
    ("kind", "diameters", "volume"),
    [
        ("cube", (0.8, 0.8, 0.8), 0.8**3),
        ("pyramid", (0.8, 0.5, 0.8), 0.8**2 * 0.5 / 3),
        ("cylinder", (0.4, 0.8, 0.4), math.pi * 0.2**2 * 0.8),
        ("sphere", (0.8, 0.8, 0.8), 4 / 3 * math.pi * 0.4**3),
        ("ellipsoid", (0.3, 0.8, 0.5), math.pi / 6 * 0.3 * 0.8 * 0.5),
        ("capsule", (0.4, 0.8, 0.4), math.pi * 0.2**2 * 0.4 + 4 / 3 * math.pi * 0.2**3),
    ],
)
def test_a_solid_is_closed_faces_outwards_and_has_the_size_and_volume_it_is_to_have(
    kind: str, diameters: tuple[float, float, float], volume: float
) -> None:
    solid = solid_mesh(kind)
    vertices = solid.sized(np.array([diameters, (1.0, 1.0, 1.0)]))[0]
    mesh = trimesh.Trimesh(vertices, solid.faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.bounds, np.array([-0.5, 0.5])[:, None] * diameters, atol=1e-9)
    flat = kind in ("cube", "pyramid")
    assert mesh.volume == pytest.approx(volume, rel=1e-6 if flat else 0.07) and mesh.volume <= volume * (1 + 1e-6)


def test_each_side_has_one_color_that_no_other_side_of_any_solid_has() -> None:
    found = set()
    for label, kind in enumerate(KINDS):
        solid = solid_mesh(kind)
        mesh = colored(kind, label, len(KINDS), torch.from_numpy(solid.vertices).float())
        assert mesh.face_colors is not None
        sides = {number: mesh.face_colors[solid.sides == number] for number in set(solid.sides.tolist())}
        for number, colors in sides.items():
            assert torch.equal(colors, colors[:1].expand_as(colors)), (kind, number)
            found.add(tuple(colors[0].tolist()))
    assert len(found) == 6 + 8 + 5 + 6 + 8 + 8
    assert all(0 <= value <= 1 for color in found for value in color)
    assert side_colors(0, 6, 4).shape == (4, 3)


@pytest.mark.parametrize("kind", ["cube", "pyramid"])
def test_flat_solids_have_a_side_for_each_direction_that_they_face(kind: str) -> None:
    solid = solid_mesh(kind)
    normals = np.round(trimesh.Trimesh(solid.vertices, solid.faces, process=False).face_normals, 6)
    facing = {side: {tuple(normal) for normal in normals[solid.sides == side]} for side in set(solid.sides.tolist())}
    assert all(len(each) == 1 for each in facing.values())
    assert len(set.union(*facing.values())) == len(facing)


@pytest.mark.parametrize("kind", ["sphere", "ellipsoid", "capsule", "cylinder"])
def test_no_face_of_a_round_solid_reaches_over_the_border_of_two_sides(kind: str) -> None:
    solid = solid_mesh(kind)
    corners = np.round(solid.sized(np.array([(0.4, 0.8, 0.4)]))[0], 9)[solid.faces]  # [F, 3 corners, xyz]
    borders = corners[..., [0, 2]] if kind == "cylinder" else corners
    assert not ((borders.max(1) > 0) & (borders.min(1) < 0)).any()


def test_an_example_depends_on_settings_seed_split_epoch_and_index_alone() -> None:
    first, again = ColoredSolids("train", SMALL, seed=3), ColoredSolids("train", SMALL, seed=3)
    backwards = [again[index] for index in reversed(range(18))][::-1]
    for one, other in zip((first[index] for index in range(18)), backwards, strict=True):
        assert torch.equal(one.image, other.image) and torch.equal(one.rotation, other.rotation)
        assert one.label == other.label
    assert [each.label for each in backwards] == [0, 1, 2, 3, 4, 5] * 3
    again.set_epoch(1)
    assert not torch.equal(first[0].rotation, again[0].rotation)
    again.set_epoch(0)
    assert torch.equal(first[0].image, again[0].image)
    for other_data in (ColoredSolids("train", SMALL, seed=4), ColoredSolids("test", SMALL, seed=3)):
        assert not torch.equal(first[0].rotation, other_data[0].rotation)
    fixed = ColoredSolids("test", SMALL)
    before = fixed[5].image
    fixed.set_epoch(9)
    assert torch.equal(before, fixed[5].image)


def test_a_picture_is_one_of_its_solid_which_is_turned_by_its_rotation() -> None:
    dataset = ColoredSolids("test", SMALL)
    for index in range(6):
        seen = OpenGL(SHADING)(dataset.solid(index), SMALL.camera)
        assert torch.equal(seen.rgb[0], dataset[index].image) and torch.equal(seen.alpha[0], dataset[index].alpha)
    upright = dataset.solid(0).vertices @ dataset[0].rotation
    torch.testing.assert_close(upright.abs(), torch.full_like(upright, 0.5))


def test_no_orientation_touches_the_border_of_the_picture() -> None:
    dataset = ColoredSolids("validation", ColoredSolidsSettings(validation=120))
    alpha = torch.stack([dataset[index].alpha for index in range(0, 120, 6)])  # cubes, the largest
    inner = alpha[..., 1:-1, 1:-1].sum()
    assert inner == alpha.sum() > 0


def test_no_surface_however_white_and_turned_is_as_bright_as_the_background() -> None:
    ball = r3.Mesh.icosphere(3)
    white = r3.Mesh(ball.vertices, ball.faces, colors=torch.ones_like(ball.vertices))
    seen = OpenGL(SHADING)(white, r3.Cameras.sphere(12, distance=3.0, image_size=(32, 32)))
    assert 0.6 < float((seen.rgb * seen.alpha).max()) < 0.9


def test_the_fingerprint_tells_other_pictures() -> None:
    one = ColoredSolids("test", SMALL).fingerprint()
    other = ColoredSolids("test", ColoredSolidsSettings(image_size=17, train=18, validation=6, test=12)).fingerprint()
    assert {name for name in one if one[name] != other[name]} == {"settings.image_size"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"rotations": "sideways"}, "rotations must be one of"),
        ({"capsule_diameter": (0.5, 0.4)}, "capsule_diameter must be"),
        ({"side": 4.0}, "side must be"),
        ({"test": -1}, "test must be at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        ColoredSolidsSettings(**changes)  # type: ignore[arg-type]
