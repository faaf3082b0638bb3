"""Noise that neighbouring vertices share: its law by dense twins, its gradients by closed forms and statistics."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.estimators import (
    Antithetic,
    Correlated,
    Draw,
    Estimator,
    Everywhere,
    Gaussian,
    LeaveOneOut,
    Noise,
    Noisy,
    NotLocalWarning,
    Paired,
    Pixels,
    Regression,
    Rings,
    Support,
    expected_loss,
    multi_sample_bound,
)
from render3d.testing.estimators import EstimatorContract
from render3d.testing.pixel_function import PixelFunction

SMOOTHNESS = 2.0


def correlated(scale: float | Pixels = 0.1, smoothness: float = SMOOTHNESS, **settings: object) -> Correlated:
    return Correlated(noise=Gaussian(scale=scale, **settings), smoothness=smoothness)  # type: ignore[arg-type]


def covariance_of(mesh: Mesh, smoothness: float) -> Tensor:
    """``[V, V]`` of one coordinate, by loops and NumPy: the twin."""
    count = mesh.vertices.shape[-2]
    matrix = np.eye(count)
    edges = {tuple(sorted((int(face[a]), int(face[b])))) for face in mesh.faces for a, b in ((0, 1), (1, 2), (2, 0))}
    for first, second in edges:
        for one, other in ((first, second), (second, first)):
            matrix[one, one] += smoothness
            matrix[one, other] -= smoothness
    inverse = np.linalg.inv(matrix @ matrix)
    size = np.sqrt(np.diag(inverse))
    return torch.from_numpy(inverse / size[:, None] / size)


@pytest.fixture
def ball() -> tuple[Mesh, r3.Cameras]:
    return Mesh.icosphere(1, radius=0.8), r3.Cameras.sphere(2, 3.0, image_size=(18, 24))


def test_the_draw_is_the_gaussian_one_through_a_root_of_the_covariance(ball: tuple[Mesh, r3.Cameras]) -> None:
    """The roots are symmetric but for the scaling, so that ``e = L z`` and ``L L^T`` is the twin."""
    mesh, cameras = ball
    noise = correlated(along="normals")
    z = noise.noise.draw(Key(1), 50, mesh, cameras).coordinates[..., 0].double()  # [K, 1, V]
    found = noise.draw(Key(1), 50, mesh, cameras)
    covariance = covariance_of(mesh, SMOOTHNESS)
    torch.testing.assert_close(covariance.diagonal(), torch.ones(42, dtype=torch.float64))
    assert covariance[0, mesh.faces[0, 1]] > 0.5 or covariance[mesh.faces[0, 0], mesh.faces[0, 1]] > 0.5
    # z = L^T (score) and e = L z, so that e = C score and |z|^2 = e^T score, whatever the root.
    e, score = (part[..., 0].double() for part in (found.coordinates, found.score))
    torch.testing.assert_close(score @ covariance, e, rtol=0, atol=1e-5)
    torch.testing.assert_close((e * score).sum(-1), z.square().sum(-1), rtol=1e-5, atol=0)
    white = noise.noise.draw(Key(1), 50, mesh, cameras)
    torch.testing.assert_close(found.world_gradient(e[0, ..., None]), white.world_gradient(e[0, ..., None]))


@pytest.mark.parametrize(("smoothness", "expected"), [(0.1, 0.16), (0.3, 0.34), (1.0, 0.60)])
def test_neighbours_are_as_correlated_as_stated(smoothness: float, expected: float) -> None:
    mesh = Mesh.icosphere(3)
    covariance = covariance_of(mesh, smoothness)
    assert float(covariance[mesh.faces[:, 0], mesh.faces[:, 1]].mean()) == pytest.approx(expected, abs=0.005)


def test_the_score_is_the_gradient_of_the_log_density(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = ball
    draw = correlated().draw(Key(1), 4, mesh, cameras)
    mean = torch.zeros(42, dtype=torch.float64, requires_grad=True)
    for axis in range(3):
        density = torch.distributions.MultivariateNormal(mean, covariance_of(mesh, SMOOTHNESS))
        for k in range(4):
            coordinates = draw.coordinates[k, 0, :, axis].double()
            (expected,) = torch.autograd.grad(density.log_prob(coordinates), mean)
            torch.testing.assert_close(draw.score[k, 0, :, axis].double(), expected, rtol=1e-4, atol=1e-4)


def test_a_vertex_s_own_part_is_what_a_regression_on_all_others_leaves(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = ball
    draw = correlated(along="normals").draw(Key(1), 6, mesh, cameras)
    covariance, e = covariance_of(mesh, SMOOTHNESS), draw.coordinates[:, 0, :, 0].double()
    assert draw.own is not None
    for vertex in range(42):
        others = torch.arange(42) != vertex
        told = e[:, others] @ torch.linalg.solve(covariance[others][:, others], covariance[others, vertex])
        torch.testing.assert_close(draw.own[:, 0, vertex, 0].double(), e[:, vertex] - told, rtol=0, atol=1e-5)


def test_without_smoothness_it_is_the_gaussian_noise(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = ball
    noise = correlated(smoothness=0.0, per_view=True)
    found, white = (each.draw(Key(3), 3, mesh, cameras) for each in (noise, noise.noise))
    torch.testing.assert_close(found.coordinates, white.coordinates)
    torch.testing.assert_close(found.score, white.score)
    assert found.own is not None
    torch.testing.assert_close(found.own, white.coordinates)


def test_vertices_of_no_face_move_alone(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = ball
    more = Mesh(torch.cat([mesh.vertices, torch.ones(1, 3)]), mesh.faces)
    noise = correlated()
    found, white = (each.draw(Key(3), 3, more, cameras).coordinates for each in (noise, noise.noise))
    torch.testing.assert_close(found[..., -1, :], white[..., -1, :])


# Gradients in closed form: pixels that are linear and quadratic in the vertices, under the noise's own law


def pixel_loss(rendering: r3.Rendering) -> Tensor:
    return rendering.alpha[..., 0, :, :] * torch.linspace(-1, 2, 24).reshape(4, 6)


@pytest.mark.filterwarnings("ignore::render3d.estimators.NotLocalWarning")  # PixelFunction is not local
@pytest.mark.parametrize("box", ["linear_box", "curved_box"])
@pytest.mark.parametrize("per_view", [False, True])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("support", [Everywhere(), Rings()])
def test_gradients_of_polynomials_are_exact_on_average(
    box: str, per_view: bool, paired: bool, support: Support, request: pytest.FixtureRequest, mesh: Mesh
) -> None:
    """Of 4,000 meshes in one call, by chi-squared over 15 coordinates: a right one fails with probability 3e-6.

    A quadratic's gradient is that without noise, whatever the law. The value shows the law: it has ``C`` in it.
    """
    function: PixelFunction = request.getfixturevalue(box)
    cameras, calls = r3.Cameras.sphere(2, 3.0, image_size=(6, 8)).crop(1, 1, 4, 6), 4000
    noise: Noise = Antithetic(correlated(per_view=per_view)) if paired else correlated(per_view=per_view)
    estimator = Estimator(samples=4, noise=noise, support=support, signal=Paired() if paired else LeaveOneOut())
    vertices = mesh.vertices.expand(calls, -1, -1).clone().requires_grad_()
    loss = expected_loss(function, mesh.with_vertices(vertices), cameras, pixel_loss, estimator, generator=Key(0))
    (gradients,) = torch.autograd.grad(loss.sum(), vertices)
    still = mesh.vertices.clone().requires_grad_()
    sharp = pixel_loss(function(mesh.with_vertices(still), cameras)).sum()
    (exact,) = torch.autograd.grad(sharp, still)
    spread = torch.cov(gradients.flatten(1).double().T) / calls
    bias = (gradients.mean(0) - exact).flatten().double()
    assert float(bias @ torch.linalg.solve(spread, bias)) < 15 + 6 * math.sqrt(30)

    # E (w.(x + e))^2 = (w.x)^2 + scale^2 w^T (C x I) w, also in the space of a camera: its rotation commutes with C
    rows = function.weights.reshape(24, 5, 3).double()
    variance = 0.1**2 * torch.einsum("pvc,vu,puc->p", rows, covariance_of(mesh, SMOOTHNESS), rows)
    expected = sharp.detach() + 2 * function.curvature * float(variance @ torch.linspace(-1, 2, 24).double())
    found = loss.detach().double()
    rounding = 8 * torch.finfo(torch.float32).eps * abs(float(expected))  # all that is left of a linear one's noise
    assert abs(float(found.mean() - expected)) < 5 * float(found.std()) / math.sqrt(calls) + rounding


def test_the_bound_takes_it(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    moving = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
    bound = multi_sample_bound(linear_box, moving, cameras, pixel_loss, 4, noise=correlated(0.01))
    assert torch.autograd.grad(bound, moving.vertices)[0].abs().sum() > 0


# Boxes


def boxes(mesh: Mesh, cameras: r3.Cameras, draw: Draw) -> tuple[Tensor, Tensor]:
    return Rings().boxes(Noisy(mesh, cameras, draw, "a renderer", 1), 1)


@pytest.fixture
def corners(mesh: Mesh) -> tuple[Mesh, r3.Cameras]:
    """Two triangles: most vertices are at the border of their own box."""
    return mesh.with_vertices(0.4 * mesh.vertices), r3.Cameras.sphere(2, 3.0, image_size=(72, 96))


@pytest.mark.parametrize("along", ["axes", "normals", "screen"])
def test_a_box_stays_when_a_vertex_s_own_parts_are_exchanged(corners: tuple[Mesh, r3.Cameras], along: str) -> None:
    """What the proof asks for. The range over the samples alone does not stay, and lies in the box."""
    mesh, cameras = corners
    draw = correlated(0.05, along=along, per_view=True).draw(Key(2), 5, mesh, cameras)
    assert draw.own is not None
    low, high = boxes(mesh, cameras, draw)
    untold_low, untold_high = boxes(mesh, cameras, dataclasses.replace(draw, own=None))
    assert (low <= untold_low).all() and (high >= untold_high).all()
    changed = 0
    for vertex in range(5):
        for order in ([1, 0, 2, 3, 4], [4, 3, 1, 0, 2], [2, 3, 4, 0, 1]):
            own, coordinates = draw.own.clone(), draw.coordinates.clone()
            own[..., vertex, :] = draw.own[order][..., vertex, :]
            coordinates += own - draw.own
            other = dataclasses.replace(draw, coordinates=coordinates, own=own)
            for before, after in zip((low, high), boxes(mesh, cameras, other), strict=True):
                assert torch.equal(before[:, vertex], after[:, vertex])
            untold = boxes(mesh, cameras, dataclasses.replace(other, own=None))
            changed += not torch.equal(untold_low[:, vertex], untold[0][:, vertex])
    assert changed > 0


def test_the_box_of_pairs_stays_when_an_own_part_is_mirrored(corners: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = corners
    draw = Antithetic(correlated(0.05)).draw(Key(2), 4, mesh, cameras)
    assert draw.own is not None
    low, high = boxes(mesh, cameras, draw)
    for vertex in range(5):
        own = draw.own.clone()
        own[0::2, ..., vertex, :] *= -1  # the first pair's: samples 0 and 2
        other = dataclasses.replace(draw, coordinates=draw.coordinates + own - draw.own, own=own)
        for before, after in zip((low, high), boxes(mesh, cameras, other), strict=True):
            assert torch.equal(before[:, vertex], after[:, vertex])


# Bias, through OpenGL, against central differences of the loss smoothed by this law


class TestLocalCredit(EstimatorContract):
    """A bias of 2 % is looked for in test_supports.py; this is for what else the contract asks."""

    bias = 0.2
    calls = 100

    def make_estimator(self) -> Estimator:
        noise = correlated(0.06, along="normals", per_view=True)
        return Estimator(samples=64, noise=noise, support=Rings(), signal=LeaveOneOut())


# What is refused


def test_a_regression_on_near_vertices_is_refused(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    moving = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
    estimator = Estimator(samples=64, noise=correlated(), support=Rings(), signal=Regression())
    with (
        pytest.warns(NotLocalWarning),
        pytest.raises(ValueError, match=r"Regression is for independent noise.*Use LeaveOneOut\(\) with Correlated"),
    ):
        expected_loss(linear_box, moving, cameras, pixel_loss, estimator)


def test_bad_settings_are_named(mesh: Mesh, cameras: r3.Cameras) -> None:
    for smoothness in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="smoothness must be zero or positive; got"):
            correlated(smoothness=smoothness)
    wrong: object = Antithetic(Gaussian())
    with pytest.raises(ValueError, match=r"made of Gaussian noise; got Antithetic. .*Antithetic\(Correlated\(noise="):
        Correlated(noise=wrong, smoothness=1.0)  # type: ignore[arg-type]
    many = Mesh(torch.zeros(10_001, 3), mesh.faces)
    with pytest.raises(ValueError, match="at most 10,000 vertices; got 10,001. Use its Gaussian noise"):
        correlated().draw(Key(0), 2, many, cameras)


def test_scaled_changes_its_scale_alone() -> None:
    estimator = Estimator(samples=4, noise=correlated(Pixels(2.0)), support=Rings(), signal=LeaveOneOut())
    assert estimator.scaled(0.5).noise == correlated(Pixels(1.0))
    pairs = Estimator(samples=4, noise=Antithetic(correlated(0.2)), support=Rings(), signal=Paired())
    assert pairs.scaled(0.5).noise == Antithetic(correlated(0.1))


def test_another_smoothness_of_the_same_mesh_is_another_law(ball: tuple[Mesh, r3.Cameras]) -> None:
    """What is remembered of a topology is that of the last smoothness only."""
    mesh, cameras = ball
    drawn = [correlated(smoothness=value).draw(Key(1), 2, mesh, cameras).coordinates for value in (1.0, 5.0, 1.0)]
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.allclose(drawn[0], drawn[1])
