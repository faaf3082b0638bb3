"""Is an estimator exactly unbiased if only some pixels may be credited to a vertex? By `enumeration`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from enumeration import EXACT, Problem, Steps, double, mean_gradient
from torch import Tensor

import render3d as r3
from render3d import Mesh, Rendering
from render3d.estimators import (
    LeaveOneOut,
    Noisy,
    Paired,
    Plain,
    Rings,
    Signal,
    Support,
)
from render3d.estimators.support import box_sums
from render3d.images import CHANNELS
from render3d.renderers import Capabilities


@dataclasses.dataclass(frozen=True)
class Boxes:
    """A local black box: a face fills the screen box of its corners, and the nearest face is seen, in its own grey."""

    capabilities = Capabilities(name="Boxes", outputs=("rgb", "alpha"), batched=True, device="cpu", licence="", reach=1)

    def __call__(
        self, scene: Any, cameras: r3.Cameras, outputs: Sequence[str] = ("alpha",), *, generator: Any = None
    ) -> Any:
        height, width = cameras.image_size
        corners = cameras.to_camera_space(scene.vertices)[..., scene.faces, :]  # [*batch, views, F, 3 corners, xyz]
        pixels = cameras.to_pixels(corners)
        low, high = pixels.amin(-2).floor(), pixels.amax(-2).ceil()
        x, y = torch.arange(width), torch.arange(height)
        columns = (low[..., 0, None] <= x) & (x < high[..., 0, None])
        rows = (low[..., 1, None] <= y) & (y < high[..., 1, None])
        inside = rows[..., :, None] & columns[..., None, :]  # [*batch, views, F, H, W]
        depth, grey = corners[..., 2].mean(-1), 1.5 + torch.sin(4 * corners.sum((-1, -2)))
        distances = torch.where(inside, depth[..., None, None], torch.inf)
        shown = torch.where(inside, grey[..., None, None], 0).gather(-3, distances.argmin(-3, keepdim=True))
        return Rendering({name: shown.expand(*shown.shape[:-3], CHANNELS[name], -1, -1) for name in outputs})


@pytest.fixture(scope="module")
def local() -> Problem:
    """A strip of three faces and five vertices in an image of 3 x 12 pixels; a step is some 1.5 pixels."""
    vertices = [[-1.0, -0.2, 0.1], [-0.6, 0.3, -0.1], [0.05, -0.2, 0.2], [0.5, 0.25, 0.0], [1.05, -0.15, -0.2]]
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(3, 12), vertical_fov_degrees=12).to_orthographic(0.9)
    mesh = Mesh(torch.tensor(vertices, dtype=torch.float64), torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4]]))
    return Problem(Boxes(), mesh, double(camera))


class OwnBox(Support):
    """A wrong support: the box of the vertex in each sample, for the credit of that sample."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        alone = [
            dataclasses.replace(
                noisy, draw=dataclasses.replace(noisy.draw, coordinates=noisy.draw.coordinates[k : k + 1])
            )
            for k in range(len(advantages))
        ]
        return torch.cat([Rings().collect(advantages[k : k + 1], one) for k, one in enumerate(alone)])


class StillBox(Support):
    """A wrong support: the box of the vertex in the mesh without noise."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        still = dataclasses.replace(noisy.draw, coordinates=0 * noisy.draw.coordinates)
        return box_sums(advantages, *Rings().boxes(dataclasses.replace(noisy, draw=still), 1))


RIGHT = [
    (LeaveOneOut(), 2, Steps(0.35, mean=0.1)),
    (LeaveOneOut(), 3, Steps(0.35, mean=-0.05)),
    (Paired(), 2, Steps(0.35)),
    (Paired(), 4, Steps(0.35)),
]


@pytest.mark.parametrize(("signal", "samples", "noise"), RIGHT)
def test_boxes_over_all_samples_are_exactly_unbiased(
    local: Problem, signal: Signal, samples: int, noise: Steps
) -> None:
    """The claim of `Rings`, with occlusion, by a box that is narrower than the image for all vertices but one."""
    _, exact = local.exact_gradient(noise)
    _, gradient = mean_gradient(local, noise, samples, signal, Rings())
    assert exact.abs().min() > 0.05
    torch.testing.assert_close(gradient, exact, **EXACT)


@pytest.mark.parametrize("support", [OwnBox(), StillBox()])
@pytest.mark.parametrize(("signal", "samples", "noise"), RIGHT)
def test_tighter_boxes_are_biased(local: Problem, support: Support, signal: Signal, samples: int, noise: Steps) -> None:
    _, exact = local.exact_gradient(noise)
    _, gradient = mean_gradient(local, noise, samples, signal, support)
    assert (gradient - exact).norm() > 0.1 * exact.norm()


def test_boxes_over_all_samples_need_a_baseline(local: Problem) -> None:
    """Without one, what is left out keeps its mean: Plain is biased by half a percent, where LeaveOneOut was exact."""
    noise = Steps(0.35, mean=0.1)
    _, exact = local.exact_gradient(noise)
    assert (mean_gradient(local, noise, 2, Plain(), Rings())[1] - exact).norm() > 0.003 * exact.norm()
    torch.testing.assert_close(mean_gradient(local, noise, 2, Plain())[1], exact, **EXACT)
