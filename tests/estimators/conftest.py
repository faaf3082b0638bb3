"""Scenes and black boxes for estimators."""

import pytest
import torch

import render3d as r3
from render3d.scenes import Mesh
from render3d.testing.pixel_function import PixelFunction


@pytest.fixture
def mesh() -> Mesh:
    """Five vertices: D = 15 parameters."""
    vertices = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    return Mesh(vertices, torch.tensor([[0, 1, 2], [2, 3, 4]]))


@pytest.fixture
def cameras() -> r3.Cameras:
    """Two views, neither square nor centred."""
    return r3.Cameras.sphere(2, 3.0, image_size=(6, 8)).crop(1, 1, 4, 6)


@pytest.fixture
def linear_box() -> PixelFunction:
    """A black box that is linear in the vertices."""
    return PixelFunction(torch.randn(24, 15, generator=torch.Generator().manual_seed(2)), (4, 6))


@pytest.fixture
def curved_box() -> PixelFunction:
    """A black box that is quadratic in the vertices."""
    return PixelFunction(torch.randn(24, 15, generator=torch.Generator().manual_seed(3)), (4, 6), curvature=0.1)
