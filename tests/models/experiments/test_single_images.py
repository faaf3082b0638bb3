"""Meshes from single pictures: the gradient by each name, what is scored, what is refused, and that it learns."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import render3d as r3
from render3d.datasets import ColoredExample, ColoredSolids, ColoredSolidsSettings, PrimitivesSettings
from render3d.datasets.pictures.colored import SHADING
from render3d.errors import ModelError
from render3d.estimators import Gaussian as Noise
from render3d.estimators import Pixels, multi_sample_bound
from render3d.fitting.preconditioner import combinatorial_laplacian
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import SingleImages
from render3d.models.parts.cell_search import CellSearch
from render3d.models.parts.likelihoods import Bernoulli, ClampedBernoulli, GaussianLikelihood, Likelihood
from render3d.models.parts.sampled import SampledRendering
from render3d.models.parts.turn_search import TurnSearch, rotations_of
from render3d.models.parts.writers import MeshWriter
from render3d.models.study.orientations import ANGLE_BY_CHANCE, angles, free_frames, orientation_errors
from render3d.models.study.single_images import judge
from render3d.models.training.folder import train_to_folder
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption, OpenGL
from render3d.scenes import Mesh

SIZE, STATE, COPIES = 16, 3, 64
CAMERA = r3.Cameras.look_at((0.0, 0.0, 3.0), image_size=(SIZE, SIZE)).to_orthographic(2.4)
LIKELIHOOD = GaussianLikelihood(0.5)
BLACK_BOX: tuple[str, ...] = ("local_credit", "leave_one_out", "vimco")

DATA = ColoredSolidsSettings(image_size=16, train=60, validation=12, test=36)
SMALL = SingleImages(latents=4, state=24, hidden=32, features=8, glimpse=8, samples=2)


def projection(gradient: str, samples: int = 4) -> SampledRendering:
    torch.manual_seed(0)
    return SampledRendering(OpenGL(), CAMERA, STATE, gradient=gradient, samples=samples, noise=0.7)


def scene(stretch: torch.Tensor) -> Mesh:
    """Balls ``[N]``, grey, one half darker, each as wide as ``stretch`` ``[N]`` says."""
    ball = Mesh.icosphere(1, radius=0.7)
    colors = torch.where(ball.vertices[:, :1] > 0, 0.8, 0.1).expand(-1, 3)
    wider = torch.stack([stretch, torch.ones_like(stretch), torch.ones_like(stretch)], -1)
    return Mesh(ball.vertices * wider[:, None], ball.faces, colors=colors)


def observation() -> torch.Tensor:
    """What a wider ball looks like."""
    with torch.no_grad():
        return OpenGL()(scene(torch.tensor([1.5])), CAMERA, ("rgb",)).rgb


@pytest.mark.parametrize("gradient", BLACK_BOX)
def test_the_gradient_by_each_name_is_that_of_what_is_maximised(gradient: str) -> None:
    part, state, x = projection(gradient), torch.zeros(COPIES, STATE), observation().expand(COPIES, -1, -1, -1, -1)
    found, differences, step = [], [], 0.05

    def value(stretch: torch.Tensor, number: int) -> torch.Tensor:
        return part.log_prob(LIKELIHOOD, x, scene(stretch), state, None, Key(number))

    for call in range(4):  # each of COPIES scenes has noise of its own: as many independent estimates
        stretch = torch.ones(COPIES, requires_grad=True)
        value(stretch, call).sum().backward()
        assert stretch.grad is not None
        found.append(stretch.grad)
        ahead, behind = (value(torch.full((COPIES,), 1 + offset), 100 + call) for offset in (step, -step))
        differences.append((ahead - behind).detach() / (2 * step))
    ours, theirs = torch.cat(found).double(), torch.cat(differences).double()
    error = math.sqrt(float(ours.var() + theirs.var()) / len(ours))
    assert abs(float(ours.mean() - theirs.mean())) < 4 * error  # one in 16,000
    assert float(theirs.mean()) > 4 * error  # and not for want of knowing


def test_vimco_is_the_multi_sample_bound_of_the_mesh_as_it_is_turned() -> None:
    part, state = projection("vimco"), torch.randn(2, STATE)
    mesh, x = scene(torch.tensor([0.9, 1.1])), observation().expand(2, -1, -1, -1, -1)
    found = part.log_prob(LIKELIHOOD, x, mesh, state, None, Key(5))
    wanted = multi_sample_bound(
        OpenGL(),
        part.orient(mesh, state, None, None).mesh,
        CAMERA,
        lambda rendering: LIKELIHOOD.log_probs(x, rendering.rgb).sum(-3),
        4,
        noise=Noise(scale=Pixels(0.7)),
        outputs=("rgb",),
        generator=Key(5),
    )
    torch.testing.assert_close(found, wanted.float())
    mean = projection("leave_one_out").log_prob(LIKELIHOOD, x, mesh, state, None, Key(5))  # of the same noise
    assert (found > mean).all()


@pytest.mark.parametrize("gradient", BLACK_BOX)
def test_colors_and_orientation_get_a_gradient_and_without_autograd_the_picture_is_sharp(
    gradient: str,
) -> None:
    part, state = projection(gradient), torch.zeros(1, STATE)
    mesh = scene(torch.tensor([1.2]))
    assert mesh.colors is not None
    colors = mesh.colors.clone().requires_grad_()
    mesh = dataclasses.replace(mesh, colors=colors)
    part.log_prob(LIKELIHOOD, observation(), mesh, state, None, Key(0)).sum().backward()
    assert colors.grad is not None and colors.grad.abs().max() > 0
    assert part.turn is not None and part.turn.bias.grad is not None and part.turn.bias.grad.abs().max() > 0
    with torch.no_grad():
        found = part.log_prob(LIKELIHOOD, observation(), mesh, state, None, Key(0))
        sharp = OpenGL()(part.orient(mesh, state, None, None).mesh, CAMERA, ("rgb",)).rgb
    torch.testing.assert_close(found, LIKELIHOOD.log_prob(observation(), sharp))


class Fading:
    """A renderer with a gradient of its own: alpha is not its business, and its colour is a mean over vertices."""

    capabilities = dataclasses.replace(
        OpenGL().capabilities, name="Fading", gradients=frozenset({"interior", "colors"})
    )

    def __call__(self, scene: Mesh, cameras: r3.Cameras, outputs: Any = (), *, generator: Any = None) -> r3.Rendering:
        value = scene.vertices.square().mean((-1, -2))[:, None, None, None, None]
        return r3.Rendering({"rgb": value.expand(-1, 1, 3, SIZE, SIZE)})


def test_a_renderer_with_a_gradient_of_its_own_is_differentiated_as_it_is() -> None:
    part = SampledRendering(Fading(), CAMERA, STATE, gradient="own")  # type: ignore[arg-type]
    stretch = torch.ones(1, requires_grad=True)
    x = torch.full((1, 1, 3, SIZE, SIZE), 0.3)
    part.log_prob(LIKELIHOOD, x, scene(stretch), torch.zeros(1, STATE), None, Key(0)).sum().backward()
    ball = Mesh.icosphere(1, radius=0.7).vertices
    mean, slope = ball.square().mean(), 2 * ball[:, 0].square().mean() / 3
    wanted = 3 * SIZE**2 * (0.3 - mean) / LIKELIHOOD.sigma**2 * slope
    assert stretch.grad is not None and float(stretch.grad) == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("likelihood", [Bernoulli(), ClampedBernoulli(0.1), GaussianLikelihood(0.3)])
def test_one_number_an_element_adds_up_to_one_an_example(likelihood: Likelihood) -> None:
    torch.manual_seed(0)
    x, x_hat = (torch.rand(2, 3, 4) < 0.5).float(), torch.rand(5, 2, 3, 4)
    found = likelihood.log_probs(x, x_hat)
    assert found.shape == x_hat.shape
    for sample, each in zip(x_hat, found, strict=True):
        torch.testing.assert_close(each.sum((1, 2)), likelihood.log_prob(x, sample))


def test_smooth_radii_solve_the_equation_of_the_laplacian() -> None:
    torch.manual_seed(0)
    writer, states = MeshWriter(5, hidden=8, subdivisions=1, colored=True, smooth=True), torch.randn(1, 1, 5)
    logs = (writer(states).vertices.norm(dim=-1) / writer.radius).log()[0]
    unbounded = 1.5 * torch.atanh(logs / 1.5)
    laplacian = torch.from_numpy(combinatorial_laplacian(writer.faces, 42).toarray()).float()
    values = writer.content(states[:, -1]).reshape(42, 4)[:, 0]
    torch.testing.assert_close(unbounded + laplacian @ unbounded, values, atol=1e-5, rtol=1e-4)


def test_a_free_frame_is_taken_off_and_what_is_left_is_the_error() -> None:
    generator = np.random.default_rng(0)

    def random(count: int) -> torch.Tensor:
        return torch.from_numpy(Rotation.random(count, random_state=generator).as_matrix()).float()

    true, frames, labels = random(60), random(2), torch.arange(60) % 2
    axis = torch.nn.functional.normalize(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    off = torch.from_numpy(Rotation.from_rotvec(axis.numpy() * math.radians(10)).as_matrix()).float()
    fitted = free_frames(true @ frames[labels], true, labels, 2)
    torch.testing.assert_close(fitted, frames, atol=1e-4, rtol=1e-4)
    errors = orientation_errors(true @ frames[labels] @ off, true, labels, fitted)
    torch.testing.assert_close(errors, torch.full((60,), 10.0), atol=0.1, rtol=0.0)
    wild = free_frames(torch.where((labels == 0)[:, None, None], random(60), true @ frames[1]), true, labels, 2)
    torch.testing.assert_close(wild[1], frames[1], atol=1e-4, rtol=1e-4)
    by_chance = angles(random(20_000))
    assert abs(float(by_chance.mean()) - ANGLE_BY_CHANCE) < 4 * float(by_chance.std()) / math.sqrt(20_000)


# Orientations that are searched for


def test_points_of_the_box_are_rotations_of_equal_density() -> None:
    """Angle and axis of a uniform rotation: Kolmogorov and Smirnov at one in a thousand, and a known mean."""
    points = torch.rand(5000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = rotations_of(points)
    torch.testing.assert_close(found @ found.mT, torch.eye(3, dtype=torch.float64).expand_as(found))
    assert float(torch.linalg.det(found).min()) > 0.999
    turned = torch.deg2rad(angles(found)).sort().values
    below = (turned - turned.sin()) / math.pi  # the distribution of the angle
    assert float((below - torch.arange(1, 5001) / 5000).abs().max()) < 1.95 / math.sqrt(5000)
    axis = Rotation.from_matrix(found.numpy()).as_rotvec()
    height = torch.from_numpy(axis / np.linalg.norm(axis, axis=-1, keepdims=True)).sort(0).values
    uniform = (torch.arange(1, 5001) / 5000)[:, None]
    assert float(((height + 1) / 2 - uniform).abs().max()) < 1.95 / math.sqrt(5000)


def solids_seen(count: int) -> tuple[Mesh, torch.Tensor, torch.Tensor]:
    """Cubes ``[count]`` as they are before they are turned, pictures of them, and how they are turned."""
    solids = ColoredSolids("test", dataclasses.replace(DATA, test=6 * count))
    numbers = range(0, 6 * count, 6)
    rotations = torch.stack([solids[number].rotation for number in numbers])
    turned = [solids.solid(number) for number in numbers]
    own = torch.stack([mesh.vertices @ rotation for mesh, rotation in zip(turned, rotations, strict=True)])
    mesh = dataclasses.replace(turned[0], vertices=own)
    return mesh, torch.stack([solids[number].image for number in numbers])[:, None], rotations


def searching(search: TurnSearch) -> SampledRendering:
    return SampledRendering(OpenGL(SHADING), DATA.camera, STATE, search=search)


def test_the_search_finds_how_solids_are_turned() -> None:
    mesh, pictures, true = solids_seen(24)
    search = TurnSearch(cells=CellSearch(grid=(4, 8, 6), cut=32, rounds=3))
    found = searching(search).orient(mesh, torch.zeros(24, STATE), pictures, None)
    errors = angles(found.rotation.mT @ true)
    assert float(errors.median()) < 8 and float((errors < 30).float().mean()) > 0.75
    torch.testing.assert_close(found.mesh.vertices, mesh.vertices @ found.rotation.mT)


def test_the_law_of_the_search_has_the_density_that_it_claims() -> None:
    """The mean of p/q over draws of q is 1, and the mean of its log is below 0: it is no prior."""
    mesh, pictures, _ = solids_seen(1)
    copies, search = 2000, TurnSearch(cells=CellSearch(grid=(2, 3, 2), cut=3, rounds=2, spread=1.0))
    drawn = searching(search)._as_turned(mesh, rotations_of(torch.rand(1, 3)))
    assert drawn.shape == (1, 1, 1, 3, 16, 16)

    def draw(turns: torch.Tensor) -> torch.Tensor:
        if turns.dim() == 3:
            return searching(search)._as_turned(mesh, turns).expand(copies, -1, -1, -1, -1, -1)
        return searching(search)._as_turned(mesh, turns.flatten(0, 1)).unflatten(1, turns.shape[:2])[0]

    log_ratio = search.find(draw, pictures.expand(copies, -1, -1, -1, -1), Key(0)).log_ratio.double()
    weights = log_ratio.exp()
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / math.sqrt(copies)
    assert float(log_ratio.mean()) < -4 * float(log_ratio.std()) / math.sqrt(copies)


def test_what_is_maximised_has_the_price_of_the_orientation_in_it() -> None:
    mesh, pictures, _ = solids_seen(3)
    part, state = searching(TurnSearch(cells=CellSearch(grid=(2, 3, 2), cut=4))), torch.zeros(3, STATE)
    with torch.no_grad():
        found = part.log_prob(LIKELIHOOD, pictures, mesh, state, None, Key(2))
        seen = part.orient(mesh, state, pictures, Key(2).fold_in(1))
        sharp = OpenGL(SHADING)(seen.mesh, DATA.camera, ("rgb",)).rgb
    assert (seen.log_ratio < -1).all()
    torch.testing.assert_close(found, LIKELIHOOD.log_prob(pictures, sharp) + seen.log_ratio)


def test_the_search_may_draw_by_another_renderer() -> None:
    """One whose gradient is wanted may be too slow for it: here one that would be wrong."""
    mesh, pictures, _ = solids_seen(3)
    part = SampledRendering(
        Fading(),  # type: ignore[arg-type]
        DATA.camera,
        STATE,
        gradient="own",
        search=TurnSearch(),
        search_renderer=OpenGL(SHADING),
    )
    found, wanted = (
        each.orient(mesh, torch.zeros(3, STATE), pictures, None) for each in (part, searching(TurnSearch()))
    )
    assert torch.equal(found.rotation, wanted.rotation)


def test_without_a_picture_orientations_are_those_of_the_prior() -> None:
    ball = scene(torch.ones(400))
    seen = searching(TurnSearch()).orient(ball, torch.zeros(400, STATE), None, Key(1))
    mean = angles(seen.rotation).double()
    assert abs(float(mean.mean()) - ANGLE_BY_CHANCE) < 4 * float(mean.std()) / 20
    assert not seen.log_ratio.any()


def test_it_learns_and_the_folder_says_how_well(tmp_path: Path) -> None:
    recipe = Recipe(
        data=DATA,
        experiment=dataclasses.replace(SMALL, orientation="of_state"),
        training=TrainSettings(
            updates=80, batch_size=12, learning_rate=(3e-3, 1e-3), validate_every=80, validation_examples=12
        ),
    )
    source = BatchSource(recipe, "test")
    alpha = torch.stack([source.examples[index].alpha for index in range(36)])

    def overlap(model: Any) -> float:
        seen = OpenGL()(judge(model.eval(), source).meshes, DATA.camera).alpha[:, 0]
        return float(r3.metrics.silhouette_iou(seen, alpha).mean())

    before = overlap(model_of(recipe, source.classes))
    train_to_folder(recipe, tmp_path, device="cpu", evaluation_samples=2)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["findings"]
    assert metrics["silhouette_iou"]["mean"] > before + 0.1
    assert 0 < metrics["silhouette_iou"]["best_fixed"] < 1 and 0 < metrics["novel_view_iou"]["mean"] < 1
    assert 0 <= metrics["orientation_error_degrees"]["mean"] <= 180
    assert set(metrics["orientation_error_degrees"]["median_by_class"]) == set(ColoredSolids.classes)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("Shape and orientation", "Reconstructions", "Samples"))


def test_a_run_that_searches_is_trained_and_judged(tmp_path: Path) -> None:
    data = dataclasses.replace(DATA, train=12, validation=6, test=6)
    training = TrainSettings(updates=2, batch_size=4, validate_every=2, validation_examples=2)
    train_to_folder(Recipe(data=data, experiment=SMALL, training=training), tmp_path, device="cpu")
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert 0 <= metrics["findings"]["orientation_error_degrees"]["mean"] <= 180
    assert math.isfinite(metrics["test"]["negative_bound_nats"])


def blank(example: ColoredExample) -> ColoredExample:
    return example._replace(alpha=torch.zeros_like(example.alpha))


def of_another_size() -> None:
    recipe = Recipe(data=DATA, experiment=SMALL, training=TrainSettings())
    model = model_of(recipe, ColoredSolids.classes)
    larger = ColoredSolids("test", dataclasses.replace(DATA, image_size=20))
    model(SMALL.batch([larger[0]]), Key(0))


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: SMALL.batch([blank(ColoredSolids("test", DATA)[0])]), "nothing of its object"),
        (of_another_size, "must have shape"),
        (lambda: dataclasses.replace(SMALL, gradient="magic").build(DATA, 6), "local_credit"),
        (lambda: dataclasses.replace(SMALL, gradient="own").build(DATA, 6), "gives no gradient.*local_credit"),
        (lambda: SampledRendering(EmissionAbsorption(), CAMERA, STATE), "must render meshes"),
        (lambda: dataclasses.replace(SMALL, latents=0), "latents must be at least 1"),
        (lambda: SMALL.build(PrimitivesSettings(), 6), "those of ImageSettings; got PrimitivesSettings"),
        (
            lambda: projection("vimco").orient(torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, STATE), None, None),
            "MeshWriter",
        ),
        (lambda: dataclasses.replace(SMALL, orientation="guessed").build(DATA, 6), "of_state"),
        (lambda: CellSearch(grid=(3, 6, 0)), "at least 1 cell"),
        (lambda: CellSearch(grid=(3, 6, 5), cut=91), "at most all of them"),
        (lambda: CellSearch(grid=(3,), cut=1, rounds=-1), "rounds must be at least 0"),
        (lambda: CellSearch(grid=(3,), cut=1, spread=0.0), "spread positive"),
        (lambda: TurnSearch(pixels=0), "pixels be at least 1"),
        (lambda: TurnSearch(cells=CellSearch(grid=(4, 10))), r"3 dimensions.*\(4, 10\)"),
    ],
)
def test_what_nothing_could_be_learnt_from_is_refused(do: Callable[[], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        do()
