"""Lights as tensors: their gradients against differences of OpenGL's own pictures, and a `Shading` as a value."""

import dataclasses
import pickle
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Key, Mesh, Rendering, Shading
from render3d.data import bunny
from render3d.errors import GradientError, ShapeError
from render3d.estimators import Estimator, Smoothed, expected_loss, leave_one_out, local_credit
from render3d.renderers import DeferredShading, DirectionalLight, OpenGL
from render3d.testing.only_images import OnlyImages

AMBIENT, COLOR, TOWARDS, BACKGROUND = (0.3, 0.2, 0.4), (0.5, 0.1, 0.9), (0.3, 0.2, 1.4), (0.6, 0.3, 0.8)
VALUES = torch.tensor([*AMBIENT, *COLOR, *TOWARDS, *BACKGROUND])


def lit(values: Tensor, shading: Shading | None = None) -> Shading:
    """By ambient light, a light's colour and direction, and the background, three numbers each; and a light beside."""
    ambient, color, towards, background = values.reshape(4, 3)
    lights = DirectionalLight(towards=(0.1, -0.3, 1.0)), DirectionalLight(towards=towards, color=color)
    return dataclasses.replace(shading or Shading(), ambient=ambient, lights=lights, background=background)


def relief() -> Mesh:
    """A bumpy sheet whose normals lean at most 40 degrees to the camera: no light is edge-on to any of it."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, 9), torch.linspace(-1, 1, 9), indexing="xy")
    height = 0.12 * (4 * x + y).sin() + 0.1 * (3 * y - 2 * x).cos()
    corner = (torch.arange(8)[:, None] * 9 + torch.arange(8)).reshape(-1, 1)
    faces = torch.cat([corner + torch.tensor([0, 1, 10]), corner + torch.tensor([0, 10, 9])])
    colors = torch.rand(81, 3, generator=torch.Generator().manual_seed(1))
    return Mesh(torch.stack([x, y, height], -1).reshape(81, 3), faces, colors=colors)


def camera() -> Cameras:
    return Cameras.look_at((0.2, 0.1, 3.5), image_size=(24, 32))


def weighted(rendering: Rendering) -> Tensor:
    """A pixel loss that is linear in the picture."""
    weights = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(5))
    return (rendering.rgb * weights).sum(-3)


def assert_gradient_is_that_of(objective: Callable[[Tensor], Tensor], pictures: Callable[[Tensor], Tensor]) -> None:
    """To the rounding of half floats, by differences of fourth order in each of the twelve numbers."""
    values = VALUES.clone().requires_grad_()
    (found,) = torch.autograd.grad(objective(values), values)
    quotients = []
    for axis in 0.15 * torch.eye(12):
        near, far = (float(pictures(VALUES + n * axis) - pictures(VALUES - n * axis)) for n in (1, 2))
        quotients.append((8 * near - far) / (12 * 0.15))
    expected = torch.tensor(quotients)
    for name, part, differences in zip(
        ("ambient", "color", "towards", "background"), found.reshape(4, 3), expected.reshape(4, 3), strict=True
    ):
        assert differences.norm() > 1, name
        assert (part - differences).norm() < 6e-3 * differences.norm(), (name, part, differences)


@pytest.mark.parametrize("normals", ["flat", "smooth"])
@pytest.mark.parametrize("samples", [1, 4])
def test_gradients_of_lights_are_the_difference_quotients_of_the_black_box(
    normals: Literal["flat", "smooth"], samples: int
) -> None:
    shading = Shading(normals=normals, samples_per_pixel=samples)
    assert_gradient_is_that_of(
        lambda values: weighted(DeferredShading(OpenGL(lit(values, shading)))(relief(), camera(), ("rgb",))).sum(),
        lambda values: weighted(OpenGL(lit(values, shading))(relief(), camera(), ("rgb",))).sum(),
    )


@pytest.mark.parametrize("estimator", [leave_one_out(4, 0.01), local_credit(3, 0.01)], ids=["shared", "per view"])
@pytest.mark.parametrize("way", ["expected", "smoothed"])
@pytest.mark.parametrize("normals", ["flat", "smooth"])
def test_estimators_carry_the_gradient_of_the_same_noisy_objective(
    way: str, estimator: Estimator, normals: Literal["flat", "smooth"]
) -> None:
    """The noise does not depend on lights. Where none waits for a gradient, the pictures are OpenGL's own."""
    shading = Shading(normals=normals, samples_per_pixel=4)

    def objective(values: Tensor) -> Tensor:
        black_box = OpenGL(lit(values, shading))
        if way == "smoothed":
            return weighted(Smoothed(black_box, estimator)(relief(), camera(), ("rgb",), generator=Key(2))).sum()
        return expected_loss(black_box, relief(), camera(), weighted, estimator, outputs=("rgb",), generator=Key(2))

    assert_gradient_is_that_of(objective, objective)


def test_shapes_get_the_gradient_they_get_under_lights_of_numbers() -> None:
    found = []
    for values in (VALUES, VALUES.clone().requires_grad_()):
        vertices = relief().vertices.requires_grad_()
        moving = relief().with_vertices(vertices)
        loss = expected_loss(OpenGL(lit(values)), moving, camera(), weighted, local_credit(6, 0.01), generator=Key(1))
        found.append(torch.autograd.grad(loss, vertices)[0])
    assert (found[0] - found[1]).norm() < 5e-3 * found[0].norm()


def test_the_light_on_the_bunny_is_found_to_within_a_degree() -> None:
    """The direction, and the colours of the light and of the ambient light, from six pictures; nothing is random."""
    mesh, cameras = bunny().normalized(), Cameras.sphere(6, 3.0, image_size=(48, 48))
    true = DirectionalLight(towards=(0.5, 0.7, 0.4), color=(0.9, 0.7, 0.4))
    pictures = OpenGL(Shading(ambient=(0.1, 0.2, 0.3), lights=(true,)))(mesh, cameras, ("rgb",)).rgb
    towards, color, ambient = (
        torch.tensor(start, requires_grad=True) for start in ([-0.2, 0, 1], [0.5] * 3, [0.5] * 3)
    )
    renderer = DeferredShading(
        OpenGL(Shading(ambient=ambient, lights=(DirectionalLight(towards=towards, color=color),)))
    )
    optimiser = torch.optim.Adam([towards, color, ambient], lr=0.05)
    visible = renderer.look(mesh, cameras)
    for _ in range(100):
        optimiser.zero_grad()
        (visible.rgb(mesh) - pictures).square().mean().backward()
        optimiser.step()
    cosine = torch.cosine_similarity(towards.detach(), torch.tensor(true.towards), dim=0)
    assert float(cosine.clamp(max=1).acos().rad2deg()) < 1
    torch.testing.assert_close(color.detach(), torch.tensor(true.color), rtol=0, atol=0.02)
    torch.testing.assert_close(ambient.detach(), torch.tensor([0.1, 0.2, 0.3]), rtol=0, atol=0.02)


def test_a_renderer_without_such_gradients_names_the_lights_that_wait() -> None:
    color = torch.tensor(COLOR, requires_grad=True)
    shading = Shading(ambient=color, background=color, lights=(DirectionalLight(towards=TOWARDS, color=color),))
    with pytest.raises(
        GradientError,
        match=r"^ambient and background and lights\[0\].color require a gradient, and OpenGL gives none by itself. .*"
        r"render3d.renderers.DeferredShading\(OpenGL\(shading\)\), or render3d.differentiable",
    ):
        OpenGL(shading)(relief(), camera())
    with pytest.raises(
        GradientError, match=r"ambient .* must get a gradient. .*OnlyImages has no face_index.*Use OpenGL"
    ):
        Smoothed(OnlyImages(OpenGL(shading)))(relief(), camera())
    with torch.no_grad():
        assert OpenGL(shading)(relief(), camera()).rgb.shape == (1, 3, 24, 32)
    assert OpenGL(lit(VALUES))(relief(), camera()).rgb.shape == (1, 3, 24, 32)  # tensors that wait for nothing
    assert {"colors", "lights"} <= Smoothed(OpenGL()).capabilities.gradients
    assert {"colors", "lights"}.isdisjoint(Smoothed(OnlyImages(OpenGL())).capabilities.gradients)


def test_an_optimiser_moves_the_light_that_a_renderer_has() -> None:
    towards = torch.tensor([0.0, 0.0, 1.0])
    renderer = OpenGL(Shading(lights=(DirectionalLight(towards=towards),)))
    before = renderer(relief(), camera()).rgb
    towards.copy_(torch.tensor([1.0, 0.0, 0.2]))
    assert (renderer(relief(), camera()).rgb - before).abs().max() > 0.1


def test_shadings_are_equal_where_their_numbers_are_and_their_tensors_are_the_same() -> None:
    assert Shading() == Shading()
    assert hash(Shading()) == hash(Shading())
    assert Shading() != Shading(ambient=(0.3, 0.3, 0.4))
    assert Shading() != DirectionalLight(towards=TOWARDS)
    color = torch.tensor(COLOR)
    lamps = [DirectionalLight(towards=TOWARDS, color=each) for each in (color, color, color.clone())]
    shadings = [Shading(lights=(lamp,)) for lamp in lamps]
    assert shadings[0] == shadings[1] and lamps[0] == lamps[1]
    assert shadings[0] != shadings[2] and lamps[0] != lamps[2]
    known = {shadings[0]: "here"}
    color += 1  # as an optimiser does
    assert known[shadings[1]] == "here"
    assert shadings[2] not in known


def test_a_shading_goes_through_pickle_and_shows_its_tensors() -> None:
    shading = lit(VALUES.clone().requires_grad_())
    back = pickle.loads(pickle.dumps(shading))
    assert isinstance(back.ambient, Tensor)
    assert torch.equal(back.ambient, torch.tensor(AMBIENT))
    assert back.lights[1].color.requires_grad
    assert pickle.loads(pickle.dumps(Shading())) == Shading()
    assert "ambient=tensor([0.3000, 0.2000, 0.4000]" in repr(OpenGL(shading))


def test_lights_in_numbers_are_the_same_light() -> None:
    assert Shading().in_numbers("a box") == Shading()
    found = lit(VALUES.double()).in_numbers("a box")
    assert found.ambient == pytest.approx(AMBIENT)
    assert found.background == pytest.approx(BACKGROUND)
    assert found.lights[1].towards == pytest.approx(TOWARDS)
    assert found.lights[1].color == pytest.approx(COLOR)


def test_lights_that_are_no_three_numbers_are_named() -> None:
    with pytest.raises(ShapeError, match=r"towards must have shape \[3\]; got \[1, 3\]"):
        DirectionalLight(towards=torch.ones(1, 3))
    with pytest.raises(ShapeError, match=r"background must have shape \[3\]; got \[\]"):
        Shading(background=torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"non-zero length; got \(0.0, 0.0, 0.0\)"):
        DirectionalLight(towards=torch.zeros(3, requires_grad=True))
