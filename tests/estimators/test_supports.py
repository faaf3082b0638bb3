"""Which pixels a vertex is credited with: boxes and sums by plain loops, and whether what is left out matters."""

import dataclasses
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.estimators import (
    Antithetic,
    Estimator,
    Everywhere,
    Gaussian,
    LeaveOneOut,
    Noisy,
    NotLocalWarning,
    Paired,
    Pixels,
    Rings,
    Smoothed,
    check_gradient,
    local_credit,
)
from render3d.estimators.estimator import Support
from render3d.estimators.noise import Noise
from render3d.estimators.support import box_sums
from render3d.scenes.topology import neighbours


def noisy_of(mesh: Mesh, cameras: r3.Cameras, noise: Gaussian, *, samples: int = 5, reach: int | None = 1) -> Noisy:
    return Noisy(mesh, cameras, noise.draw(Key(4), samples, mesh, cameras), "a renderer", reach)


@pytest.fixture
def ball() -> tuple[Mesh, r3.Cameras]:
    cameras = r3.Cameras.sphere(3, 3.0, vertical_fov_degrees=46, image_size=(20, 28)).crop(1, 3, 18, 24)
    return Mesh.icosphere(1, radius=0.8), cameras


def test_sums_over_boxes_agree_with_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 7, 9, generator=generator, dtype=torch.float64)
    low = torch.stack([torch.randint(0, 9, (3, 4)), torch.randint(0, 7, (3, 4))], -1)
    high = torch.minimum(low + torch.randint(0, 6, (3, 4, 2)), torch.tensor([9, 7]))
    sums = box_sums(images, low, high)
    for k in range(2):
        for view in range(3):
            for vertex in range(4):
                (x, y), (right, bottom) = low[view, vertex].tolist(), high[view, vertex].tolist()
                assert sums[k, view, vertex] == pytest.approx(float(images[k, view, y:bottom, x:right].sum()))


@pytest.mark.parametrize("rings", [1, 2])
@pytest.mark.parametrize("along", ["axes", "normals", "screen"])
def test_a_box_holds_the_ring_in_every_sample_and_no_more(
    ball: tuple[Mesh, r3.Cameras], rings: int, along: str
) -> None:
    mesh, cameras = ball
    noise = Gaussian(scale=0.05, along=along, per_view=True)  # type: ignore[arg-type]
    noisy = noisy_of(mesh, cameras, noise)
    low, high = Rings().boxes(noisy, rings)
    table, _ = neighbours(mesh.faces, 42)
    for view in range(3):
        pixels = cameras[view : view + 1].project(noisy.vertices[:, view])[:, 0]  # [K, V, 2]
        for vertex in range(42):
            ring = set(table[vertex].tolist())
            for _ in range(rings - 1):
                ring |= {near for member in ring for near in table[member].tolist()}
            points = pixels[:, sorted(ring)].flatten(0, 1)
            first = (points.amin(0) - 1 / 16).floor().clamp(min=0).minimum(torch.tensor([24.0, 18.0]))
            last = (points.amax(0) + 1 / 16).ceil().clamp(min=0).minimum(torch.tensor([24.0, 18.0]))
            assert low[view, vertex].tolist() == first.tolist()
            assert high[view, vertex].tolist() == last.tolist()


def test_faces_that_cross_the_near_plane_may_cover_anything(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, _ = ball
    inside = r3.Cameras.look_at((0.0, 0.0, 0.7), image_size=(18, 24))
    low, high = Rings().boxes(noisy_of(mesh, inside, Gaussian(scale=0.01)), 1)
    behind = inside.to_camera_space(mesh.vertices)[0, :, 2] < 0.05
    assert behind.any() and not behind.all()
    assert (low[0][behind] == 0).all() and (high[0][behind] == torch.tensor([24, 18])).all()


@pytest.mark.parametrize("outputs", [("alpha",), ("rgb",)])
def test_smooth_normals_reach_the_second_ring(outputs: tuple[str, ...]) -> None:
    """What a vertex changes lies in its box: exactly, since the black box is asked."""
    mesh, cameras = Mesh.icosphere(2, radius=0.8), r3.Cameras.sphere(2, 3.0, image_size=(36, 48))
    for normals, reach in (("flat", 1), ("smooth", 2)):
        renderer = r3.renderers.OpenGL(r3.Shading(normals=normals))  # type: ignore[arg-type]
        assert renderer.capabilities.reach_of(outputs) == (1 if outputs == ("alpha",) else reach)
        noise = Gaussian(scale=1e-6)
        noisy = noisy_of(mesh, cameras, noise, reach=renderer.capabilities.reach_of(outputs))
        low, high = Rings().boxes(noisy, noisy.reach or 0)
        before = renderer(mesh, cameras, outputs).as_dict()[outputs[0]]
        outside = 0
        for vertex in range(0, 162, 9):
            moved = mesh.vertices.clone()
            moved[vertex] *= 0.9  # inwards: it stays within its ring's box
            changed = (renderer(mesh.with_vertices(moved), cameras, outputs).as_dict()[outputs[0]] != before).any(1)
            for view in range(2):
                (x, y), (right, bottom) = low[view, vertex].tolist(), high[view, vertex].tolist()
                assert not changed[view, :y].any() and not changed[view, bottom:].any()
                assert not changed[view, :, :x].any() and not changed[view, :, right:].any()
                first, last = Rings().boxes(noisy, 1)
                (x, y), (right, bottom) = first[view, vertex].tolist(), last[view, vertex].tolist()
                changed[view, y:bottom, x:right] = False
            outside += int(changed.sum())
        assert (outside > 0) == (outputs == ("rgb",) and normals == "smooth")  # one ring would not do


def test_a_renderer_that_says_nothing_credits_everything_and_warns(ball: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = ball
    noisy = noisy_of(mesh, cameras, Gaussian(scale=0.05), reach=None)
    advantages = torch.randn(5, 3, 18, 24)
    with pytest.warns(NotLocalWarning, match="a renderer does not say that its pixels depend on near vertices only"):
        credit = Rings().collect(advantages, noisy)
    torch.testing.assert_close(credit, Everywhere().collect(advantages, noisy))
    assert Rings(rings=1).collect(advantages, noisy).shape == (5, 3, 42)


# Bias, on a scene that hides part of itself. The noise is about one pixel, and two where pairs are asked.


@dataclasses.dataclass(frozen=True)
class OwnBoxes(Support):
    """A wrong support: each sample credits the box of that sample alone."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        draw = dataclasses.replace(noisy.draw, coordinates=noisy.draw.coordinates[None])  # a batch of one sample each
        own = dataclasses.replace(noisy, draw=draw)
        return box_sums(advantages[None], *Rings().boxes(own, 1))[0]


@dataclasses.dataclass(frozen=True)
class UnperturbedBoxes(Support):
    """A wrong support: the boxes of the mesh without noise."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        still = dataclasses.replace(noisy.draw, coordinates=torch.zeros_like(noisy.draw.coordinates[:1]))
        return box_sums(advantages, *Rings().boxes(dataclasses.replace(noisy, draw=still), 1))


@dataclasses.dataclass(frozen=True)
class VisibleFaces(Support):
    """A wrong support: of each pair, a vertex is credited with the pixels that show a face of it in either image."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        noisy_mesh = noisy.mesh.with_vertices(noisy.vertices.squeeze(-3))
        shown = r3.renderers.OpenGL()(noisy_mesh, noisy.cameras, ("face_index",)).face_index[:, :, 0]
        corners = torch.cat([noisy.faces, torch.full((1, 3), -1)])[shown]  # [K, views, H, W, 3]; -1 is no face
        half = len(advantages) // 2
        credits = []
        for vertex in range(noisy.mesh.vertices.shape[-2]):
            seen = (corners == vertex).any(-1)
            seen = seen[:half] | seen[half:]
            credits.append((advantages * torch.cat([seen, seen])).sum((-1, -2)))
        return torch.stack(credits, -1)


def smoothed(support: Support, noise: Noise, samples: int = 8) -> Smoothed:
    signal = Paired() if noise.paired else LeaveOneOut()
    return Smoothed(r3.renderers.OpenGL(), Estimator(samples=samples, noise=noise, support=support, signal=signal))


ONE_PIXEL, TWO_PIXELS = Gaussian(scale=Pixels(1.0)), Gaussian(scale=Pixels(2.0))


@pytest.mark.parametrize(
    "noise",
    [ONE_PIXEL, Gaussian(scale=Pixels(1.0), along="normals", per_view=True), Antithetic(TWO_PIXELS)],
    ids=["along axes", "along normals", "antithetic"],
)
def test_rings_are_unbiased_and_two_percent_would_be_seen(
    noise: Noise, self_occluding: tuple[Mesh, r3.Cameras]
) -> None:
    """99 % power at |z| > 3 against a bias of 2 %: 2 % is at least 3 + 2.33 standard errors, as measured here."""
    mesh, cameras = self_occluding
    estimator = smoothed(Rings(), noise, 500)
    report = check_gradient(estimator, mesh, cameras, calls=160, random_directions=0, generator=Key(2))
    assert report.ok, str(report)
    assert stats.norm.sf(3 - 0.02 / report.relative_bias_error) > 0.99, str(report)


@pytest.mark.parametrize(
    ("support", "noise"),
    [(OwnBoxes(), ONE_PIXEL), (UnperturbedBoxes(), ONE_PIXEL), (VisibleFaces(), Antithetic(TWO_PIXELS))],
    ids=["own boxes", "unperturbed boxes", "visible faces of pairs"],
)
def test_known_wrong_supports_are_caught(
    support: Support, noise: Noise, self_occluding: tuple[Mesh, r3.Cameras]
) -> None:
    mesh, cameras = self_occluding
    report = check_gradient(
        smoothed(support, noise, 64), mesh, cameras, calls=100, random_directions=0, generator=Key(2)
    )
    assert not report.ok, str(report)


def test_local_credit_has_less_variance_and_the_same_gradient(self_occluding: tuple[Mesh, r3.Cameras]) -> None:
    mesh, cameras = self_occluding
    everywhere = check_gradient(smoothed(Everywhere(), ONE_PIXEL, 16), mesh, cameras, calls=100, generator=Key(3))
    local = check_gradient(smoothed(Rings(), ONE_PIXEL, 16), mesh, cameras, calls=100, generator=Key(3))
    assert local.relative_variance < everywhere.relative_variance / 2
    assert math.isclose(local.directions[0].reference, everywhere.directions[0].reference, rel_tol=0.3)


def test_parts_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="LeaveOneOut is for independent samples, and Antithetic noise is not"):
        Estimator(samples=4, noise=Antithetic(ONE_PIXEL), support=Rings(), signal=LeaveOneOut())
    with pytest.raises(ValueError, match="Paired is for antithetic samples, and Gaussian noise is not"):
        Estimator(samples=4, noise=ONE_PIXEL, support=Rings(), signal=Paired())
    with pytest.raises(ValueError, match="needs per_view=True"):
        Gaussian(along="screen")
    with pytest.raises(ValueError, match="rings must be at least 1; got 0"):
        Rings(rings=0)
    with pytest.raises(ValueError, match="positive number of scene units, or of Pixels"):
        local_credit(scale=Pixels(0.0))
