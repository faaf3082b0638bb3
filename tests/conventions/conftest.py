"""Random cameras for the converters: non-square images, off-centre principal points, poses of every direction."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from render3d.cameras import Cameras, Projection, rigid


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotation matrices about a coordinate axis."""
    generator = torch.zeros(3, 3, dtype=angle.dtype)
    generator[(axis + 2) % 3, (axis + 1) % 3] = 1
    generator[(axis + 1) % 3, (axis + 2) % 3] = -1
    return torch.linalg.matrix_exp(angle[..., None, None] * generator)


@st.composite
def _cameras(
    draw: st.DrawFn,
    *,
    projections: tuple[Projection, ...] = ("perspective", "orthographic"),
    square_pixels: bool = False,
    batches: tuple[tuple[int, ...], ...] = ((), (2,)),
) -> Cameras:
    leading = (*draw(st.sampled_from(batches)), draw(st.integers(1, 3)))
    size = height, width = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    count = torch.Size(leading).numel()

    def numbers(low: float, high: float) -> Tensor:
        values = draw(st.lists(st.floats(low, high), min_size=count, max_size=count))
        return torch.tensor(values, dtype=torch.float64).reshape(leading)

    angles = [numbers(-3.2, 3.2) for _ in range(3)]
    rotation = _about(0, angles[0]) @ _about(1, angles[1]) @ _about(2, angles[2])
    pose = rigid(rotation, torch.stack([numbers(-10, 10) for _ in range(3)], dim=-1))
    matrix = torch.zeros(*leading, 3, 3, dtype=torch.float64)
    matrix[..., 0, 0] = numbers(0.2, 5) * width
    matrix[..., 1, 1] = matrix[..., 0, 0] if square_pixels else numbers(0.2, 5) * height
    matrix[..., 0, 2], matrix[..., 1, 2] = numbers(-0.5, 1.5) * width, numbers(-0.5, 1.5) * height
    matrix[..., 2, 2] = 1
    near = draw(st.floats(0.01, 1))
    far = near * draw(st.floats(2, 1e4))
    return Cameras(pose, matrix, size, near, far, draw(st.sampled_from(projections)))


@pytest.fixture(scope="session")
def random_cameras() -> Callable[..., st.SearchStrategy[Cameras]]:
    """A strategy of float64 cameras; its arguments narrow it to what a system can express."""
    return _cameras


@pytest.fixture(scope="session")
def off_centre() -> Cameras:
    """Four fixed perspective cameras, 480 x 641, off centre, fx different from fy, that see the unit cube in front."""
    angles = torch.tensor([[0.3, -0.8, 0.1], [2.5, 0.4, -1.2], [-1.1, 3.0, 0.7], [0.0, 0.0, 2.0]], dtype=torch.float64)
    rotation = _about(0, angles[:, 0]) @ _about(1, angles[:, 1]) @ _about(2, angles[:, 2])
    translation = torch.tensor([[0.2, -0.1, 4], [-0.3, 0.4, 5], [0, 0.2, 3], [0.1, 0, 6]], dtype=torch.float64)
    matrix = torch.tensor([[510.0, 0, 287.25], [0, 433.5, 251.75], [0, 0, 1]], dtype=torch.float64)
    return Cameras(rigid(rotation, translation), matrix, (480, 641), near=0.3, far=40.0)


@pytest.fixture(scope="session")
def points() -> Tensor:
    """Points of the unit cube."""
    return torch.rand(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 0.5
