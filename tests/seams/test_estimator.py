"""A noise law, a signal and an estimator from outside the package, where its own work."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import estimator_parts
import pytest
import torch
from estimator_parts import LessTheNext, Logistic, logistic
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.cli import main
from render3d.datasets import ColoredSolids, ColoredSolidsSettings
from render3d.errors import CapabilityError, ModelError
from render3d.estimators import Antithetic, Estimator, Everywhere, Paired, Pixels, expected_loss, multi_sample_bound
from render3d.fitting import TemplateFitSettings
from render3d.models.experiments import SingleImages
from render3d.renderers import OpenGL
from render3d.testing.estimators import EstimatorContract
from render3d.testing.pixel_function import PixelFunction
from render3d.view_sets import write_views

NAME = "estimator_parts:logistic"


class TestLocally(EstimatorContract):
    bias = 0.15

    def make_estimator(self) -> Estimator:
        return logistic(24, 0.06)


class TestInPairs(EstimatorContract):
    bias = 0.4
    calls = 80

    def make_estimator(self) -> Estimator:
        return Estimator(samples=64, noise=Antithetic(Logistic(scale=0.06)), support=Everywhere(), signal=Paired())


@pytest.fixture
def triangle() -> tuple[Mesh, r3.Cameras, PixelFunction]:
    """Three vertices, one view, and a black box of four pixels that are linear in them."""
    mesh = Mesh(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([[0, 1, 2]]))
    weights = torch.randn(4, 9, generator=torch.Generator().manual_seed(2))
    return mesh, r3.Cameras.look_at((0.0, 0.0, 3.0), image_size=(2, 2)), PixelFunction(weights, (2, 2))


def alpha(image: r3.Rendering) -> Tensor:
    return image.alpha[..., 0, :, :]


def gradient(mesh: Mesh, cameras: r3.Cameras, box: PixelFunction) -> Tensor:
    """Of the sum of all pixels, by autograd."""
    vertices = mesh.vertices.clone().requires_grad_()
    return torch.autograd.grad(alpha(box(mesh.with_vertices(vertices), cameras)).sum(), vertices)[0]


def test_the_bound_of_a_linear_log_likelihood_has_its_gradient_whatever_the_law(
    triangle: tuple[Mesh, r3.Cameras, PixelFunction],
) -> None:
    """``log mean exp f(x + d_k)`` moves by as much as f. One of nine beyond 4.5 standard errors: 6e-5."""
    mesh, cameras, box = triangle
    copies = mesh.with_vertices(mesh.vertices.expand(4000, -1, -1).clone().requires_grad_())
    bound = multi_sample_bound(box, copies, cameras, alpha, 4, noise=Logistic(scale=0.1), generator=Key(0))
    (found,) = torch.autograd.grad(bound.sum(), copies.vertices)
    z = (found.mean(0) - gradient(mesh, cameras, box)) / (found.std(0) / 4000**0.5)
    assert float(z.abs().max()) < 4.5
    assert float((found.mean(0) / (found.std(0) / 4000**0.5)).abs().max()) > 4.5


def test_a_signal_may_have_a_renderer_explain_its_losses(triangle: tuple[Mesh, r3.Cameras, PixelFunction]) -> None:
    """One that explains all of them leaves no noise."""
    mesh, cameras, box = triangle
    vertices = mesh.vertices.clone().requires_grad_()
    estimator = Estimator(samples=2, noise=Logistic(scale=0.1), support=Everywhere(), signal=LessTheNext(control=box))
    loss = expected_loss(box, mesh.with_vertices(vertices), cameras, alpha, estimator, generator=Key(0))
    torch.testing.assert_close(torch.autograd.grad(loss, vertices)[0], gradient(mesh, cameras, box))


def test_a_black_box_is_made_differentiable_and_tells_its_statistics() -> None:
    vertices = Mesh.icosphere(1, 0.8).vertices.requires_grad_()
    cameras = r3.Cameras.orbit(2, 3.0, image_size=(16, 16))
    renderer = r3.differentiable(OpenGL(), logistic(8, 0.05))
    image = renderer(Mesh.icosphere(1).with_vertices(vertices), cameras, ("alpha",), generator=Key(1))
    image.alpha.square().sum().backward()
    assert float(vertices.grad.abs().sum()) > 0
    assert renderer.stats().samples == 8


def test_a_fit_anneals_the_noise_of_an_estimator_by_name() -> None:
    settings = TemplateFitSettings(gradient=NAME, samples=6, noise=(2.0, 0.5), updates=10)
    assert settings.estimator_at(0) == logistic(6, Pixels(2.0))
    assert settings.estimator_at(5) == logistic(6, Pixels(1.0))
    assert settings.estimator_at(10) == logistic(6, Pixels(0.5))
    assert Antithetic(Logistic(scale=0.2)).scaled(0.5) == Antithetic(Logistic(scale=0.1))


def render3d(*words: object) -> subprocess.CompletedProcess[str]:
    root, seams = Path(r3.__file__).parents[1], Path(estimator_parts.__file__).parent
    return subprocess.run(
        [sys.executable, "-m", "render3d", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{seams}"},
        check=False,
    )


@pytest.fixture
def views(tmp_path: Path) -> Path:
    ball = Mesh.icosphere(2)
    cameras = r3.Cameras.sphere(6, 3.0, image_size=(24, 32))
    stretched = ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6]))
    write_views(tmp_path / "views", cameras, OpenGL()(stretched, cameras))
    return tmp_path / "views"


def test_the_command_line_fits_by_it(views: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Mesh.icosphere(1, 0.95).save(tmp_path / "ball.obj")
    words = ("fit", views, "--template", tmp_path / "ball.obj", "--samples", 8, "--updates", 20, "--evaluate-every", 1)
    done = render3d(*words, "--out", tmp_path / "out", "--gradient", NAME)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "config.json").read_text())["settings"]["gradient"] == NAME
    history = json.loads((tmp_path / "out" / "metrics.json").read_text())["history"]
    assert history[-1]["training_iou"] > history[0]["training_iou"] + 0.05
    refused = [*words, "--out", tmp_path / "no", "--gradient", "estimator_parts:unsigned"]
    assert main([*map(str, refused)]) != 0 and "annotated to return" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("local_kredit", "There is no estimator 'local_kredit'. Did you mean 'local_credit'?"),
        ("estimator_parts:unsigned", "must be a function"),
        ("estimator_parts:Logistic", "must be a function"),
        ("nowhere_at_all:logistic", "cannot be imported"),
    ],
)
def test_what_is_no_estimator_is_refused_before_anything_is_called(name: str, message: str) -> None:
    for error, settings in ((CapabilityError, TemplateFitSettings(samples=4)), (ModelError, SingleImages())):
        with pytest.raises(error, match=f"gradient must be .* or an estimator.*{message}"):
            dataclasses.replace(settings, gradient=name)


def test_a_model_is_learnt_by_it() -> None:
    data = ColoredSolidsSettings(image_size=16, train=2, validation=2, test=2)
    experiment = SingleImages(gradient=NAME, latents=4, state=24, hidden=32, features=8, glimpse=8, samples=4)
    model = experiment.build(data, len(ColoredSolids.classes))
    model(experiment.batch([ColoredSolids("train", data)[0]]), Key(0)).total.sum().backward()
    assert model.projection.estimator == logistic(4, Pixels(0.5))
    assert all(float(part.grad.abs().sum()) > 0 for part in model.writer.parameters() if part.grad is not None)
