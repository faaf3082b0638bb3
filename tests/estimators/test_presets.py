"""Presets, on black boxes whose gradients are known, by chi-squared over all coordinates."""

import dataclasses

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.estimators import (
    ESTIMATORS,
    Estimator,
    Pixels,
    antithetic,
    central_difference,
    estimator_by_name,
    expected_loss,
    local_credit,
    local_regression,
    spsa,
)
from render3d.testing.pixel_function import PixelFunction


def pattern(rendering: r3.Rendering) -> Tensor:
    height, width = rendering.image_size
    weights = torch.randn(height, width, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    return rendering.alpha[..., 0, :, :] * weights.to(rendering.alpha)


def gradients(box: PixelFunction, mesh: Mesh, cameras: r3.Cameras, estimator: Estimator, calls: int) -> Tensor:
    """``[calls, parameters]``: a batch of as many meshes, each of which has its own noise."""
    vertices = mesh.vertices.expand(calls, -1, -1).clone().requires_grad_()
    loss = expected_loss(box, mesh.with_vertices(vertices), cameras, pattern, estimator, generator=Key(1))
    return torch.autograd.grad(loss.sum(), vertices)[0].flatten(1).double()


def exact(box: PixelFunction, mesh: Mesh, cameras: r3.Cameras) -> Tensor:
    vertices = mesh.vertices.clone().requires_grad_()
    loss = pattern(box(mesh.with_vertices(vertices), cameras)).sum()
    return torch.autograd.grad(loss, vertices)[0].flatten().double()


@pytest.mark.filterwarnings("ignore::render3d.estimators.NotLocalWarning")  # PixelFunction is not local
@pytest.mark.parametrize(
    "estimator",
    [
        antithetic(8, 0.1),
        spsa(8, 0.1),
        local_credit(8, 0.1),
        local_credit(8, Pixels(0.5)),
        local_regression(64, 0.1, along="axes"),
    ],
    ids=["antithetic", "spsa", "local credit", "local credit by pixels", "local regression"],
)
def test_gradients_of_a_linear_box_are_exact_on_average(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, estimator: Estimator
) -> None:
    """A right estimator fails with probability 1e-3. The ridge of the regression is part of its bias: it is undone."""
    found = gradients(linear_box, mesh, cameras, estimator, 400)
    truth = exact(linear_box, mesh, cameras)
    deviation = (found.mean(0) - truth) / (found.std(0) / 20)
    if estimator == local_regression(64, 0.1, along="axes"):  # shrunk by about K / (K + ridge K)
        assert 0.85 < float(found.mean(0) @ truth / truth.square().sum()) < 1
    else:
        assert float(deviation.square().sum()) < torch.distributions.Chi2(torch.tensor(15.0)).mean + 5 * 30**0.5


@pytest.mark.parametrize("along", ["normals", "screen"])
def test_noise_in_fewer_coordinates_gives_the_gradient_along_them(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, along: str
) -> None:
    alone = cameras[:1]
    with pytest.warns(r3.estimators.NotLocalWarning):
        found = gradients(linear_box, mesh, alone, local_credit(8, 0.1, along=along), 400)  # type: ignore[arg-type]
    truth = exact(linear_box, mesh, alone).reshape(5, 3)
    if along == "normals":
        normals = mesh.vertex_normals().double()
        truth = (truth * normals).sum(-1, keepdim=True) * normals
    else:
        rays = torch.nn.functional.normalize((mesh.vertices - alone.position).double(), dim=-1)
        truth = truth - (truth * rays).sum(-1, keepdim=True) * rays
    deviation = found.mean(0) - truth.flatten()
    assert float(deviation.norm() / truth.norm()) < 5 * float(found.std(0).norm() / 20 / truth.norm())
    assert float(deviation.norm() / truth.norm()) < 0.2


def test_central_differences_are_exact_on_a_quadratic_box(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    found = gradients(curved_box, mesh, cameras, central_difference(vertices=5, scale=0.1), 1)[0]
    torch.testing.assert_close(found, exact(curved_box, mesh, cameras), rtol=2e-4, atol=2e-3)


def test_references_say_how_many_samples_they_take(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(ValueError, match="samples must be twice the number of coordinates, 30 for 5 vertices; got 24"):
        expected_loss(linear_box, mesh, cameras, pattern, central_difference(vertices=4))
    for estimator in (spsa(5), antithetic(5)):
        with pytest.raises(ValueError, match="samples must be even"):
            expected_loss(linear_box, mesh, cameras, pattern, estimator)
    with pytest.raises(ValueError, match="scale must be a positive number"):
        spsa(scale=0.0)


def test_scaled_changes_the_noise_and_nothing_else() -> None:
    assert len(ESTIMATORS) == 6
    for name in ESTIMATORS:
        for scale, half in ((0.1, 0.05), (Pixels(1.0), Pixels(0.5))):
            assert estimator_by_name(name, 8, scale).scaled(0.5) == estimator_by_name(name, 8, half)
    assert central_difference(5, 0.1).scaled(0.5) == central_difference(5, 0.05)


def test_a_regression_without_ridge_needs_more_samples_than_coordinates(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction
) -> None:
    estimator = dataclasses.replace(local_regression(8, 0.1), signal=r3.estimators.Regression(ridge=0.0))
    few = dataclasses.replace(estimator, samples=5)
    with (
        pytest.warns(r3.estimators.NotLocalWarning),
        pytest.raises(ValueError, match="samples must be more than the 5"),
    ):
        gradients(linear_box, mesh, cameras, few, 1)
