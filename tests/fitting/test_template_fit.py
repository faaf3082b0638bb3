import dataclasses

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh
from render3d.errors import FitError, ShapeError
from render3d.estimators import ESTIMATORS
from render3d.fitting import TemplateFitSettings, best_sphere, enclosing_sphere, fit_template, mean_iou, measure
from render3d.images import Rendering
from render3d.renderers import OpenGL, Pyrender, Renderer
from render3d.renderers.base import Capabilities
from render3d.view_sets import ViewSet


class Watched:
    """A renderer that remembers what it was called with."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self.capabilities = renderer.capabilities
        self.calls: list[tuple[Mesh, Cameras]] = []

    def __call__(self, scene, cameras, outputs=("rgb", "alpha"), *, generator=None) -> Rendering:
        self.calls.append((scene, cameras))
        return self.renderer(scene, cameras, outputs, generator=generator)


class Spots:
    """A differentiable renderer in a few lines: a soft spot at each vertex."""

    capabilities = Capabilities(
        name="Spots",
        outputs=("alpha",),
        gradients=frozenset({"silhouette"}),
        batched=True,
        device="cpu",
        licence="MIT",
    )

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None) -> Rendering:
        return Rendering({"alpha": self.coverage(cameras.project(scene.vertices), cameras.image_size)})

    @staticmethod
    def coverage(pixels: Tensor, image_size: tuple[int, int]) -> Tensor:
        height, width = image_size
        centers = torch.cartesian_prod(torch.arange(height) + 0.5, torch.arange(width) + 0.5).flip(-1)
        distance = (pixels[..., None, :, :] - centers[:, None]).square().sum(-1)
        transmitted = torch.log1p(-0.9 * torch.exp(-distance / 8)).sum(-1).exp()
        return (1 - transmitted).reshape(*pixels.shape[:-2], 1, height, width)


@pytest.fixture
def spotted(ellipsoid) -> ViewSet:
    """What `Spots` sees of the ellipsoid."""
    cameras = Cameras.sphere(4, 3.0, vertical_fov_degrees=46.0, image_size=(20, 20))
    ball = Mesh.icosphere(1)
    few = ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6]))
    return ViewSet(cameras, Spots()(few, cameras).alpha, None, tuple("abcd"))


@pytest.mark.parametrize("count", [6, 12])
def test_a_fit_is_better_than_its_start_and_than_the_best_sphere_on_views_old_and_new(
    make_views, ellipsoid, renderer, count
):
    views = make_views(ellipsoid, views=count, size=48)
    cameras = Cameras.orbit(5, 3.0, elevation_degrees=20.0, vertical_fov_degrees=46.0, image_size=(48, 48))
    new = ViewSet(cameras, renderer(ellipsoid, cameras, ("alpha",)).alpha, None, tuple("abcde"))
    quick = {"updates": 100, "samples": 8, "learning_rate": (0.05, 0.0025), "subdivisions": 2}
    settings = TemplateFitSettings(**quick, evaluate_every=100)
    result = fit_template(views, None, renderer, settings, held_out=new)
    sphere = measure(best_sphere(views).mesh(4), views, new, renderer)
    # Seen over five seeds: 0.88 and more on the fitted views, 0.85 and more on new ones; the sphere has 0.76.
    assert result.training_iou > max(0.82, sphere.training_iou + 0.04)
    assert result.held_out_iou > max(0.79, sphere.held_out_iou + 0.03)
    assert mean_iou(renderer, result.template, views) < 0.6


def test_the_start_is_the_enclosing_sphere_unless_a_template_is_given(views, renderer, quick):
    template = fit_template(views, None, renderer, quick).template
    expected = enclosing_sphere(views).mesh(quick.subdivisions)
    assert torch.equal(template.vertices, expected.vertices)
    assert torch.equal(template.faces, expected.faces)


def test_opengl_is_the_renderer_by_default(views, renderer, quick):
    assert torch.equal(
        fit_template(views, settings=quick).mesh.vertices, fit_template(views, None, renderer, quick).mesh.vertices
    )


def test_one_step_lowers_the_expected_loss_under_every_other_noise(views, renderer):
    step = TemplateFitSettings(updates=1, samples=32, subdivisions=1, learning_rate=(0.02, 0.02))
    first = fit_template(views, None, renderer, step)

    def expected_losses(mesh: Mesh) -> list[float]:
        others = [dataclasses.replace(step, seed=seed) for seed in range(1, 6)]
        return [fit_template(views, mesh, renderer, other).records[0].loss for other in others]

    before, after = expected_losses(first.template), expected_losses(first.mesh)
    assert all(low < high for low, high in zip(after, before, strict=True))


def test_the_same_seed_gives_the_same_result_and_another_seed_another(views, renderer, quick):
    quick = dataclasses.replace(quick, gradient="local_credit")
    first, second = (fit_template(views, None, renderer, quick) for _ in range(2))
    other = fit_template(views, None, renderer, dataclasses.replace(quick, seed=1))
    assert torch.equal(first.mesh.vertices, second.mesh.vertices)
    assert [record.loss for record in first.records] == [record.loss for record in second.records]
    assert not torch.equal(first.mesh.vertices, other.mesh.vertices)


def test_the_help_of_fits_lists_every_estimator():
    assert all(name in TemplateFitSettings.__doc__ for name in ESTIMATORS)


def test_a_fit_draws_from_no_global_generator(views, renderer, quick):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit_template(views, None, renderer, quick)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_black_box_is_shown_noisy_meshes_of_each_view_and_sharp_ones_to_measure(views, renderer, quick):
    watched = Watched(renderer)
    fit_template(views, None, watched, dataclasses.replace(quick, gradient="local_credit"))
    batches = [tuple(mesh.batch_shape) for mesh, _ in watched.calls]
    assert batches.count((quick.samples, 6)) == quick.updates
    assert batches.count(()) == 3  # after steps 5, 10 and 12
    assert len(batches) == quick.updates + 3
    noisy = next(mesh for mesh, _ in watched.calls if mesh.batch_shape)
    assert not torch.equal(noisy.vertices[0, 0], noisy.vertices[0, 1])


def test_a_renderer_with_silhouette_gradients_is_differentiated_itself_and_needs_no_noise(spotted):
    settings = TemplateFitSettings(updates=10, subdivisions=1, evaluate_every=10, learning_rate=(0.02, 0.02))
    watched = Watched(Spots())
    result = fit_template(spotted, Mesh.icosphere(1, 0.8), watched, settings)
    assert [mesh.batch_shape for mesh, _ in watched.calls] == [torch.Size([])] * 11
    assert [mesh.vertices.requires_grad for mesh, _ in watched.calls] == [True] * 10 + [False]
    again = fit_template(spotted, Mesh.icosphere(1, 0.8), Spots(), dataclasses.replace(settings, seed=7))
    assert torch.equal(result.mesh.vertices, again.mesh.vertices)


def test_steps_along_an_exact_gradient_lower_the_loss_each_time(spotted):
    settings = TemplateFitSettings(updates=10, learning_rate=(0.02, 0.02))
    losses = [record.loss for record in fit_template(spotted, Mesh.icosphere(1, 0.8), Spots(), settings).records]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_is_the_mean_squared_difference_before_the_step(spotted):
    template = Mesh.icosphere(1, 0.8)
    (record,) = fit_template(spotted, template, Spots(), TemplateFitSettings(updates=1)).records
    difference = Spots()(template, spotted.cameras).alpha - spotted.alpha
    assert record.loss == pytest.approx(difference.square().mean().item(), rel=1e-4)


def test_pyrender_in_place_of_opengl_gives_the_same_fit(make_views, ellipsoid, quick):
    views = make_views(ellipsoid, views=4, size=16)
    by_opengl, by_pyrender = (fit_template(views, None, renderer, quick) for renderer in (OpenGL(), Pyrender()))
    assert by_pyrender.training_iou == pytest.approx(by_opengl.training_iou, abs=0.02)
    # Far less than the deformation, which moves vertices by 0.05 to 0.2.
    torch.testing.assert_close(by_pyrender.mesh.vertices, by_opengl.mesh.vertices, atol=0.01, rtol=0)


def test_the_faces_and_colours_of_the_template_stay_and_it_is_left_as_it_was(views, renderer, quick):
    colors = torch.rand(42, 3, generator=torch.Generator().manual_seed(0))
    ball = Mesh.icosphere(1)
    vertices = ball.vertices.clone().requires_grad_()
    template = dataclasses.replace(ball, vertices=vertices, colors=colors)
    result = fit_template(views, template, renderer, quick)
    assert torch.equal(result.mesh.faces, ball.faces)
    assert torch.equal(result.mesh.colors, colors)
    assert torch.equal(template.vertices, ball.vertices)
    assert torch.equal(result.template.vertices, ball.vertices)
    assert not torch.equal(result.mesh.vertices, ball.vertices)
    assert not result.mesh.vertices.requires_grad
    assert vertices.grad is None


def test_a_fit_does_not_mind_no_grad_round_it(views, renderer, quick):
    expected = fit_template(views, None, renderer, quick)
    with torch.no_grad():
        result = fit_template(views, None, renderer, quick)
    assert torch.equal(result.mesh.vertices, expected.mesh.vertices)


def test_a_batch_of_templates_is_an_error(views, renderer):
    batch = Mesh.icosphere(1).with_vertices(Mesh.icosphere(1).vertices.expand(2, -1, -1))
    with pytest.raises(ShapeError, match=r"template must be one mesh; got a batch of shape \[2\]. Index it"):
        fit_template(views, batch, renderer)


def moved(mesh: Mesh, *by: float) -> Mesh:
    return mesh.with_vertices(mesh.vertices + torch.tensor(by))


def two_views(**changes) -> ViewSet:
    """From the front and from the right, with a disc on each."""
    cameras = Cameras.look_at([[0.0, 0.0, 3.0], [3.0, 0.0, 0.0]], image_size=(24, 24), **changes)
    alpha = torch.zeros(2, 1, 24, 24)
    alpha[..., 8:16, 8:16] = 1
    return ViewSet(cameras, alpha, None, ("front", "right"))


@pytest.mark.parametrize(
    ("by", "seen"),
    [
        ((0.0, 0.0, -2.5), "right"),  # far from the front, beside the picture from the right
        ((2.0, 0.0, 0.0), "front"),
        ((-2.5, 0.0, 0.0), "front"),
        ((0.0, 0.0, 5.0), "front, right"),  # behind the one, beside the other
        ((0.0, 2.5, 0.0), "front, right"),
        ((0.0, -2.5, 0.0), "front, right"),
    ],
)
def test_a_template_out_of_the_picture_is_an_error_that_names_the_views(renderer, quick, by, seen):
    count = len(seen.split(", "))
    with pytest.raises(FitError, match=rf"out of the image in {seen} \({count} of 2 views\). Check the poses"):
        fit_template(two_views(), moved(Mesh.icosphere(1, 0.3), *by), renderer, quick)


@pytest.mark.parametrize("planes", [{"near": 4.0}, {"far": 2.0}])
def test_a_template_outside_near_and_far_is_an_error(renderer, quick, planes):
    with pytest.raises(FitError, match=r"front, right \(2 of 2 views\). Check the poses .OpenCV: z forward., near"):
        fit_template(two_views(**planes), Mesh.icosphere(1, 0.3), renderer, quick)


def test_a_template_behind_all_cameras_is_an_error(renderer, quick):
    with pytest.raises(FitError, match="The template is out of the image in"):
        fit_template(two_views(), moved(Mesh.icosphere(1, 0.3), 10.0, 0.0, 10.0), renderer, quick)


def test_a_close_up_that_shows_no_vertex_is_not_out_of_the_picture(views, renderer, quick):
    camera = views.cameras[:1]
    template = Mesh.icosphere(0, 0.8)
    close = camera.crop(16, 13, 1, 1).resize(32, 32)
    pixels = close.project(template.vertices)
    assert not ((pixels > 0) & (pixels < 32)).all(-1).any()
    cameras = Cameras.cat([close, views.cameras[1:]])
    mixed = ViewSet(cameras, torch.cat([torch.ones(1, 1, 32, 32), views.alpha[1:]]), None, views.names)
    assert fit_template(mixed, template, renderer, quick).records


def test_every_step_is_recorded_and_some_are_measured(views, renderer, quick):
    seen = []
    result = fit_template(views, None, renderer, quick, progress=seen.append)
    assert tuple(seen) == result.records
    assert [record.update for record in seen] == list(range(1, 13))
    assert [record.update for record in seen if record.training_iou is not None] == [5, 10, 12]
    assert [record.seconds for record in seen] == sorted(record.seconds for record in seen)
    assert result.training_iou == mean_iou(renderer, result.mesh, views)
    assert result.held_out_iou is None


def test_held_out_views_are_measured_and_change_nothing(make_views, ellipsoid, renderer, quick):
    views, held_out = make_views(ellipsoid, views=9).split(held_out=3)
    alone, beside = (
        fit_template(views, None, renderer, quick),
        fit_template(views, None, renderer, quick, held_out=held_out),
    )
    assert torch.equal(alone.mesh.vertices, beside.mesh.vertices)
    assert [record.loss for record in alone.records] == [record.loss for record in beside.records]
    assert [record.training_iou for record in alone.records] == [record.training_iou for record in beside.records]
    assert beside.held_out_iou == mean_iou(renderer, beside.mesh, held_out)
    assert [record.update for record in beside.records if record.held_out_iou is not None] == [5, 10, 12]


def test_large_views_are_shrunk_before_they_are_fitted(make_views, ellipsoid, renderer, quick):
    watched = Watched(renderer)
    fit_template(
        make_views(ellipsoid, views=3, size=40), None, watched, dataclasses.replace(quick, pixels=16, updates=1)
    )
    assert {cameras.image_size for _, cameras in watched.calls} == {(16, 16)}


def test_a_measure_is_by_the_silhouettes_at_their_full_size(make_views, ellipsoid, renderer):
    views, held_out = make_views(ellipsoid, views=4, size=140).split(held_out=2)
    perfect = measure(ellipsoid, views, held_out, renderer)
    assert (perfect.training_iou, perfect.held_out_iou, perfect.held_out_disagreement) == (1, 1, 0)
    alone = measure(ellipsoid, views, None, renderer)
    assert (alone.held_out_iou, alone.held_out_disagreement) == (None, None)
    half = dataclasses.replace(held_out, alpha=held_out.alpha.clone())
    half.alpha[0] = 0  # nothing where the ellipsoid is: no overlap, and its area differs
    area = held_out.alpha[0].mean().item()
    lost = measure(ellipsoid, views, half, renderer)
    assert lost.held_out_iou == pytest.approx(0.5)
    assert lost.held_out_disagreement == pytest.approx(area / 2)
