"""Scenes from all round."""

import dataclasses

import pytest
import torch
from torch import Tensor

from render3d import Mesh, Shading, Volume
from render3d.errors import CapabilityError, VolumeError
from render3d.renderers import EmissionAbsorption, MaxProjection, OpenGL
from render3d.report import animation, lit, turntable


def corner_block() -> Volume:
    """A block that fills one corner of a large cube, and dust that is hardly there in the other."""
    occupancy = torch.zeros(16, 20, 24)
    occupancy[:4, :5, :6] = 1.0
    occupancy[-1, -1, -1] = 0.01
    return Volume.from_occupancy(occupancy, extent=300.0)


def place(frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of what is not white: the share of the picture, and the means of row and column, from -1 to 1, each [views]."""
    ink = (frames < 0.9).any(1).double()
    axes = [torch.linspace(-1, 1, size, dtype=torch.float64) for size in ink.shape[1:]]
    area = ink.sum((1, 2))
    rows, columns = (ink.sum(2) * axes[0]).sum(1) / area, (ink.sum(1) * axes[1]).sum(1) / area
    return ink.mean((1, 2)), rows, columns


def test_a_volume_is_shown_large_and_in_the_middle_wherever_it_lies_in_its_cube() -> None:
    frames = turntable(corner_block(), views=5, size=32)
    assert frames.shape == (5, 3, 32, 32)
    share, rows, columns = place(frames)
    assert share.min() > 0.15
    assert torch.stack([rows, columns]).abs().max() < 0.1  # perspective shows the near side larger
    for border in (frames[..., 0, :], frames[..., -1, :], frames[..., 0], frames[..., -1]):
        assert border.min() > 0.99


def test_a_volume_turns_as_its_mesh_does() -> None:
    ball = Mesh.icosphere(3)
    bent = ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.3, 0.5]) + 0.2 * ball.vertices.roll(1, -1))
    frames = turntable(Volume.from_mesh(bent, 48), views=6, size=40)
    expected = turntable(bent, views=6, size=40)
    covered, wanted = ((pictures < 0.9).any(1) for pictures in (frames, expected))
    assert (covered & wanted).sum() / (covered | wanted).sum() > 0.9


def test_an_empty_volume_turns_as_nothing() -> None:
    assert turntable(Volume.from_occupancy(torch.zeros(3, 3, 3)), views=2, size=8).min() == 1


def test_a_renderer_of_coverage_alone_shows_coverage() -> None:
    frames = turntable(corner_block(), MaxProjection(), views=2, size=16)
    assert torch.equal(frames[:, 0], frames[:, 2])
    assert frames[:, :, 8, 8].min() > 0.9
    assert frames[:, :, 0, 0].max() == 0


def test_a_turntable_has_no_gradient_and_is_an_animation() -> None:
    volume = corner_block()
    volume.values.requires_grad_()
    frames = turntable(volume, views=2, size=8)
    assert not frames.requires_grad
    assert animation(frames, "turning").startswith("<figure")


def test_what_has_no_turntable() -> None:
    with pytest.raises(VolumeError, match=r"One volume fits the unit sphere; got a batch of shape \[1\]"):
        turntable(corner_block()[None], views=2, size=8)
    with pytest.raises(CapabilityError, match="OpenGL renders Mesh; got Volume"):
        turntable(corner_block(), OpenGL(), views=2, size=8)


def ramp(*towards: float) -> Volume:
    """Occupancy that falls linearly towards (x, y, z), in a grid of voxels that are no cubes."""
    axes = [(torch.arange(cells) + 0.5) / cells * 2 - 1 for cells in (8, 10, 6)]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return Volume.from_occupancy(0.5 - 0.2 * sum(a * b for a, b in zip((x, y, z), towards, strict=True)))


@pytest.mark.parametrize("towards", [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.6, 0.8), (0.48, 0.6, -0.64)])
def test_light_falls_by_lambert_on_where_occupancy_falls(towards: tuple[float, float, float]) -> None:
    shading = Shading()
    volume = ramp(*towards)
    shone = lit(volume, shading)
    assert torch.equal(shone.density, volume.density)
    expected = torch.tensor(shading.ambient)
    for lamp in shading.lights:
        direction = torch.tensor(lamp.towards) / torch.tensor(lamp.towards).norm()
        expected = expected + torch.tensor(lamp.color) * (direction @ torch.tensor(towards)).clamp(min=0)
    grey = lit(volume, Shading.unlit()).colors[:, 4, 5, 3]
    torch.testing.assert_close(shone.colors[:, 4, 5, 3], grey * expected, atol=1e-4, rtol=1e-3)


def test_light_multiplies_the_colours_of_the_volume() -> None:
    volume = ramp(0.0, 0.0, 1.0)
    tint = torch.tensor([0.9, 0.5, 0.1])[:, None, None, None].expand(3, *volume.resolution)
    colored = dataclasses.replace(volume, values=torch.cat([volume.density, tint]))
    white = dataclasses.replace(volume, values=torch.cat([volume.density, torch.ones_like(tint)]))
    torch.testing.assert_close(lit(colored).colors, tint * lit(white).colors)


def test_inside_a_solid_there_is_ambient_light_and_its_faces_have_that_of_a_mesh() -> None:
    occupancy = torch.zeros(24, 24, 24)
    occupancy[6:18, 6:18, 6:18] = 1.0
    block = lit(Volume.from_occupancy(occupancy))
    unlit = lit(Volume.from_occupancy(occupancy), Shading.unlit()).colors[:, 12, 12, 12]
    torch.testing.assert_close(block.colors[:, 12, 12, 12], unlit * torch.tensor(Shading().ambient))
    by_volume = turntable(block, EmissionAbsorption(), views=4, size=32)[:, :, 16, 16]
    by_mesh = turntable(Volume.from_occupancy(occupancy).to_mesh(), views=4, size=32)[:, :, 16, 16]
    torch.testing.assert_close(by_volume, by_mesh, atol=0.03, rtol=0)


def test_a_batch_is_not_lit() -> None:
    with pytest.raises(VolumeError, match=r"lit takes one volume; got a batch of shape \[1\]"):
        lit(corner_block()[None])
