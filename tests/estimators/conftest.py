"""Scenes and black boxes for estimators."""

import sys
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d.scenes import Mesh
from render3d.testing.pixel_function import PixelFunction
from render3d.testing.scenes import torus

HERE = str(Path(__file__).parent)
if HERE not in sys.path:  # so that `enumeration` can be imported
    sys.path.insert(0, HERE)


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


@pytest.fixture
def self_occluding() -> tuple[Mesh, r3.Cameras]:
    """A torus of 48 vertices seen half from the side, its far part hidden by the near one."""
    cameras = r3.Cameras.orbit(1, 3.0, elevation_degrees=15, image_size=(20, 28)).crop(1, 3, 18, 24)
    return torus(8, 6), cameras
