"""What rays through a large volume take."""

import pytest
import torch

from render3d import Cameras, Volume
from render3d.comparison.costs import peak_memory
from render3d.renderers import EmissionAbsorption


def render(channels: int) -> None:
    """Four volumes of 128^3 at 128 x 128 pixels, forward and backward."""
    values = torch.rand(4, channels, 128, 128, 128, requires_grad=True)
    cameras = Cameras.sphere(4, 3.0, vertical_fov_degrees=46, image_size=(128, 128))[:, None]
    outputs = ("alpha",) if channels == 1 else ("rgb", "alpha", "depth")
    rendering = EmissionAbsorption()(Volume(values), cameras, outputs)
    torch.stack([rendering.stored(name).square().sum() for name in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None and bool(values.grad.any())


@pytest.mark.parametrize(("channels", "least", "most"), [(1, 64, 1024), (4, 256, 2048)])
def test_forward_and_backward_of_large_volumes_take_far_less_than_4_gib(channels: int, least: int, most: int) -> None:
    """At least the values and their gradients, in MiB; the limit that users were promised is 4,096."""
    assert least < peak_memory(render, channels) < most
