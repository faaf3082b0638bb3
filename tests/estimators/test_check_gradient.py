"""`check_gradient` itself: it passes what is right, catches what is wrong, and its figures are what theory says."""

import dataclasses

import pytest
import torch
from scipy import stats
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.errors import CapabilityError
from render3d.estimators import (
    Antithetic,
    Estimator,
    Everywhere,
    Gaussian,
    LeaveOneOut,
    Noise,
    Noisy,
    Paired,
    Pixels,
    Rings,
    Signal,
    Smoothed,
    Support,
    check_gradient,
    expected_loss,
    leave_one_out,
)
from render3d.testing.pixel_function import PixelFunction


@dataclasses.dataclass(frozen=True)
class PlantedBias(Signal):
    """A leave-one-out signal that is too large by a known share."""

    share: float

    def advantages(self, losses: Tensor) -> Tensor:
        return LeaveOneOut().advantages(losses) * (1 + self.share)


@dataclasses.dataclass(frozen=True)
class OwnBox(Support):
    """A wrong support: credits the lower half of the image only."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        return advantages[..., advantages.shape[-2] // 2 :, :].sum((-1, -2))[..., None]


def smoothed(signal: Signal, support: Support | None = None) -> Smoothed:
    noise = Gaussian(scale=0.06)
    estimator = Estimator(samples=500, noise=noise, support=support or Everywhere(), signal=signal)
    return Smoothed(r3.renderers.OpenGL(), estimator)


def test_leave_one_out_passes_and_a_bias_of_two_percent_is_caught(self_occluding: tuple[Mesh, r3.Cameras]) -> None:
    """99 % power at |z| > 3: the bias must be at least 3 + 2.33 standard errors; both from the errors measured here."""
    mesh, cameras = self_occluding
    right = check_gradient(smoothed(LeaveOneOut()), mesh, cameras, calls=160, random_directions=0, generator=Key(1))
    assert right.ok, str(right)
    power = stats.norm.sf(3 - 0.02 / right.relative_bias_error)
    assert power > 0.99, str(right)
    wrong = check_gradient(smoothed(PlantedBias(0.02)), mesh, cameras, calls=160, random_directions=0, generator=Key(1))
    assert not wrong.ok, str(wrong)
    assert wrong.directions[0].z > 3


def test_a_wrong_support_is_caught(self_occluding: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = self_occluding
    report = check_gradient(smoothed(LeaveOneOut(), OwnBox()), mesh, cameras, calls=40, generator=Key(2))
    assert not report.ok
    assert "BIASED" in str(report)


def test_a_pixel_loss_of_colours_is_checked_too(self_occluding: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = self_occluding
    target = r3.renderers.OpenGL()(mesh.with_vertices(1.1 * mesh.vertices), cameras)

    def pixel_loss(image: r3.Rendering) -> Tensor:
        return (image.rgb - target.rgb).square().sum(-3) + (image.alpha - target.alpha).square().sum(-3)

    assert check_gradient(smoothed(LeaveOneOut()), mesh, cameras, pixel_loss, calls=30, generator=Key(3)).ok


@pytest.mark.parametrize("samples", [4, 16])
def test_relative_variance_on_a_linear_function(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, samples: int
) -> None:
    """(D + 1) / (K - 1), D = 15, within a 99.9 % interval by the bootstrap over calls."""
    vertices = mesh.vertices.expand(1500, -1, -1).clone().requires_grad_()  # as many calls: each has its own noise
    scene, estimator = mesh.with_vertices(vertices), leave_one_out(samples, 0.1)
    (exact,) = torch.autograd.grad(linear_box(scene, cameras).alpha.sum(), vertices)
    value = expected_loss(
        linear_box, scene, cameras, lambda image: image.alpha[..., 0, :, :], estimator, generator=Key(5)
    )
    (gradient,) = torch.autograd.grad(value.sum(), vertices)
    squared = (gradient - exact).square().sum((1, 2)) / exact.square().sum((1, 2))
    resampled = squared[torch.randint(1500, (2000, 1500), generator=torch.Generator().manual_seed(0))].mean(1)
    low, high = torch.quantile(resampled, torch.tensor([0.0005, 0.9995]))
    assert low < 16 / (samples - 1) < high
    if samples == 4:  # where they differ enough, K in the place of K - 1 is told apart
        assert not low < 16 / samples < high


def test_the_report_of_a_linear_function(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    report = check_gradient(Smoothed(linear_box, leave_one_out(16, 0.1)), mesh, cameras, calls=400, generator=Key(1))
    assert report.ok
    assert report.relative_variance == pytest.approx(16 / 15, rel=0.2)
    assert report.signal_to_noise == pytest.approx(1 / report.relative_variance)
    assert report.renders == 16 * (400 + 100 + 4 * 100 * 4)
    assert [direction.name for direction in report.directions] == ["gradient", "random 1", "random 2", "random 3"]
    assert "No bias found" in str(report)
    assert report.share == 1
    assert "credited with 100 % of the pixels: no support can be wrong" in str(report)


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(scale=0.1),
        Gaussian(scale=0.1, along="normals"),
        Gaussian(scale=Pixels(1.0), along="normals", per_view=True),
        Antithetic(Gaussian(scale=0.1)),
    ],
    ids=["axes", "normals", "each view", "antithetic"],
)
def test_what_the_noise_explains_is_taken_off_and_leaves_no_bias(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, noise: Noise
) -> None:
    """Where differences are exact, an error of the mean of what is taken off would be seen, however small."""
    signal = Paired() if noise.paired else LeaveOneOut()
    renderer = Smoothed(linear_box, Estimator(samples=64, noise=noise, support=Everywhere(), signal=signal))
    report = check_gradient(renderer, mesh, cameras, calls=200, generator=Key(6))
    assert report.ok, str(report)
    gradient = report.directions[0]
    assert gradient.reference_error < 1e-3 * abs(gradient.reference)
    if not getattr(noise, "per_view", False):  # there each view has a gradient of its own
        by_chance = abs(gradient.reference) * (2 / (64 * 200)) ** 0.5  # of the mean of a linear function's estimates
        assert gradient.estimated_error < 0.3 * by_chance


def test_the_report_says_what_of_the_support(self_occluding: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = self_occluding
    right = check_gradient(smoothed(LeaveOneOut(), Rings()), mesh, cameras, calls=20, generator=Key(4))
    assert 0.03 < right.share < 0.5
    assert "what is left out makes no difference that was seen: the support is right" in str(right)
    wrong = check_gradient(smoothed(LeaveOneOut(), OwnBox()), mesh, cameras, calls=40, generator=Key(2))
    assert wrong.share == 0.5
    assert "If Everywhere() is not biased, the support is wrong" in str(wrong)


def test_the_same_key_gives_the_same_report(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    renderer = Smoothed(linear_box, leave_one_out(4, 0.1))
    reports = [check_gradient(renderer, mesh, cameras, calls=5, generator=Key(1)) for _ in range(2)]
    assert reports[0] == reports[1]


def test_only_smoothed_renderers_have_an_estimator(mesh: Mesh, cameras: r3.Cameras) -> None:
    with pytest.raises(CapabilityError, match="check_gradient compares estimators; got OpenGL, which has none"):
        check_gradient(r3.renderers.OpenGL(), mesh, cameras)
