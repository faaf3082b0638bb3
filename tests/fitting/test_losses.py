"""What fits make small: against a twin in loops, and where silhouettes know nothing."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh
from render3d.color import linear_to_srgb
from render3d.errors import FitError
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.fitting.losses import PixelLoss, Weights
from render3d.images import Rendering
from render3d.renderers import OpenGL, Shading
from render3d.view_sets import ViewSet

UNLIT = OpenGL(Shading.unlit())


def random_images(*shape: int, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    alpha = torch.zeros(*shape, 1, 9, 11)
    alpha[..., 1:8, 1:9] = 1
    alpha[..., 4, 1] = 0.6
    alpha = torch.where(torch.rand(alpha.shape, generator=generator) < 0.03, 0.7, alpha)
    images = {"alpha": alpha}
    for name, channels in (("rgb", 3), ("depth", 1), ("normal", 3)):
        images[name] = torch.rand(*shape, channels, 9, 11, generator=generator)
    return images


def twin(rendering: dict[str, Tensor], views: dict[str, Tensor], weights: Weights) -> Tensor:
    """Pixel by pixel, in loops."""
    count, _, height, width = views["alpha"].shape
    found = torch.zeros(count, height, width)
    for view in range(count):
        for y in range(height):
            for x in range(width):
                near = [
                    float(views["alpha"][view, 0, j, i])
                    for j in range(max(0, y - 2), min(height, y + 3))
                    for i in range(max(0, x - 2), min(width, x + 3))
                ]
                loss = float(rendering["alpha"][view, 0, y, x] - views["alpha"][view, 0, y, x]) ** 2
                inside, covered = min(near) > 0.999, float(rendering["alpha"][view, 0, y, x]) > 0.999
                here = {
                    name: (rendering[name][view, :, y, x], views[name][view, :, y, x])
                    for name in ("rgb", "depth", "normal")
                }
                if inside:
                    one, other = (linear_to_srgb(color) for color in here["rgb"])
                    loss += weights.rgb * sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True))
                if inside and covered:
                    loss += weights.depth * (float(here["depth"][0] - here["depth"][1]) / weights.length) ** 2
                    loss += weights.normal * float((here["normal"][0] - here["normal"][1]).square().sum())
                found[view, y, x] = loss
    return found


@pytest.mark.parametrize(
    "weights",
    [
        Weights(),
        Weights(rgb=2.0),
        Weights(depth=0.5, length=0.3),
        Weights(rgb=0.7, depth=1.5, normal=0.25, length=2.0),
    ],
)
def test_the_loss_is_that_of_a_twin_in_loops(weights: Weights) -> None:
    images, rendered = random_images(2, seed=0), random_images(2, seed=1)
    cameras = Cameras.sphere(2, 3.0, image_size=(9, 11))
    loss = PixelLoss(ViewSet(cameras, names=("a", "b"), **images), weights)
    assert loss.outputs == ("alpha", *weights.images)
    found = loss(Rendering({name: rendered[name] for name in loss.outputs}))
    assert found.shape == (2, 9, 11)
    torch.testing.assert_close(found, twin(rendered, images, weights))


def test_a_batch_of_renderings_is_compared_with_the_same_views() -> None:
    images, rendered = random_images(2, seed=0), random_images(3, 2, seed=1)
    cameras = Cameras.sphere(2, 3.0, image_size=(9, 11))
    weights = Weights(rgb=1.0, depth=1.0, normal=1.0)
    loss = PixelLoss(ViewSet(cameras, names=("a", "b"), **images), weights)
    whole = loss(Rendering(rendered))
    assert whole.shape == (3, 2, 9, 11)
    for number in range(3):
        assert torch.equal(whole[number], loss(Rendering({name: image[number] for name, image in rendered.items()})))


def bowl() -> Mesh:
    """A ball whose top is pushed in; from the side, its rim hides that."""
    ball = Mesh.icosphere(4)
    x, y, z = ball.vertices.unbind(-1)
    inside = (x.square() + y.square()) / 0.6**2
    dent = 0.5 * (1 - inside).clamp(min=0) * (z > 0)
    return ball.with_vertices(torch.stack([x, y, z.clamp(max=0.8) - dent], dim=-1) * 0.8)


def depth_of_dent(mesh: Mesh) -> float:
    """Mean height over the middle of the dent."""
    x, y, z = mesh.vertices.unbind(-1)
    return float(z[(x.square() + y.square() < 0.04) & (z > -0.3)].mean())


def flat() -> Mesh:
    """The same ball with a flat top: the same silhouettes from the side."""
    ball = Mesh.icosphere(4)
    return ball.with_vertices(torch.cat([ball.vertices[:, :2], ball.vertices[:, 2:].clamp(max=0.8)], dim=1) * 0.8)


@pytest.fixture(scope="module")
def bowls() -> ViewSet:
    """From above, all round: silhouettes end at the rim, and depth and normals show the dent."""
    angle = torch.arange(6) * (2 * math.pi / 6)
    places = torch.stack([1.8 * angle.cos(), 1.8 * angle.sin(), torch.full((6,), 2.4)], dim=-1)
    cameras = Cameras.look_at(places, up=(0.0, 0.0, 1.0), vertical_fov_degrees=40.0, image_size=(48, 48))
    rendering = OpenGL()(bowl(), cameras, ("alpha", "depth", "normal"))
    names = tuple(map(str, range(6)))
    return ViewSet(cameras, rendering.alpha, None, names, depth=rendering.depth, normal=rendering.normal)


SETTINGS = TemplateFitSettings(updates=40, learning_rate=(0.03, 0.01), smoothness=4.0, evaluate_every=40)


def test_silhouettes_alone_leave_the_dent_closed(bowls: ViewSet) -> None:
    assert depth_of_dent(bowl()) < 0.35 < 0.6 < depth_of_dent(flat())
    assert depth_of_dent(fit_template(bowls, flat(), settings=SETTINGS).mesh) > 0.55


@pytest.mark.parametrize("weights", [{"depth": 3.0}, {"normal": 1.0}, {"depth": 1.0, "normal": 0.3}])
def test_depth_and_normals_find_the_dent(bowls: ViewSet, weights: dict[str, float]) -> None:
    result = fit_template(bowls, flat(), settings=dataclasses.replace(SETTINGS, **weights))
    assert depth_of_dent(result.mesh) < 0.45
    assert result.training_iou > 0.95


def test_colours_tell_how_a_ball_is_turned_where_silhouettes_do_not() -> None:
    ball = Mesh.icosphere(4, 0.8)
    x, y, z = ball.vertices.unbind(-1)
    painted = dataclasses.replace(
        ball, colors=0.5 + 0.4 * torch.stack([(3 * x).sin(), (3 * y).sin(), (3 * z).sin()], -1)
    )
    cameras = Cameras.sphere(6, 3.0, vertical_fov_degrees=40.0, image_size=(48, 48))
    rendering = UNLIT(painted, cameras, ("rgb", "alpha"))
    views = ViewSet(cameras, rendering.alpha, rendering.rgb, tuple("abcdef"))
    angle = math.radians(12)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
    turned = painted.with_vertices(painted.vertices @ turn.T)

    def error(mesh: Mesh) -> float:
        return float((mesh.vertices - painted.vertices).square().sum(-1).mean().sqrt())

    settings = TemplateFitSettings(updates=40, learning_rate=(0.02, 0.005), smoothness=20.0, evaluate_every=40)
    blind = fit_template(views, turned, UNLIT, settings)
    seeing = fit_template(views, turned, UNLIT, dataclasses.replace(settings, rgb=1.0))
    assert error(blind.mesh) > 0.9 * error(turned)
    assert error(seeing.mesh) < 0.6 * error(turned)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("rgb", "Take images with colours, all of them;"),
        ("depth", r"Read the view set with it: read_views\(..., also=\('depth',\)\);"),
        ("normal", r"Read the view set with it: read_views\(..., also=\('normal',\)\);"),
    ],
)
def test_images_that_are_weighed_and_missing_are_an_error(bowls: ViewSet, name: str, way_out: str) -> None:
    lacking = dataclasses.replace(bowls, rgb=None, depth=None, normal=None)
    message = rf"The fit compares {name}, and views have alpha\. {way_out} or leave its weight at zero\."
    with pytest.raises(FitError, match=message):
        fit_template(lacking, flat(), settings=dataclasses.replace(SETTINGS, **{name: 1.0}))
