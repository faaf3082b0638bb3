"""The parts of the models against closed forms."""

import math

import pytest
import torch

import render3d as r3
from render3d.errors import ModelError
from render3d.estimators import Estimator, leave_one_out, local_credit
from render3d.models.parts.batch import Batch
from render3d.models.parts.gaussians import DiagonalGaussian
from render3d.models.parts.layers import TransformHead
from render3d.models.parts.likelihoods import Bernoulli, ClampedBernoulli, GaussianLikelihood, Likelihood
from render3d.models.parts.projections import Identity, InferredCameras, Rendered, volume_of
from render3d.models.parts.readers import ClassReader, GridReader, NoReader
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.writers import MeshWriter
from render3d.randomness import Key
from render3d.renderers import LearnedProjection, OpenGL
from render3d.spatial import ScaleShift, write


def test_the_kl_term_is_the_closed_form_and_the_mean_of_the_log_ratio() -> None:
    torch.manual_seed(0)
    law = DiagonalGaussian(torch.randn(4, 3, dtype=torch.float64), 0.5 * torch.randn(4, 3, dtype=torch.float64))
    normal = torch.distributions.Normal(law.mean, law.log_scale.exp())
    standard = torch.distributions.Normal(torch.zeros_like(law.mean), 1.0)
    torch.testing.assert_close(law.kl_to_standard(), torch.distributions.kl_divergence(normal, standard).sum(-1))
    z = law.sample(torch.randn(200_000, 4, 3, dtype=torch.float64))
    ratio = (normal.log_prob(z) - standard.log_prob(z)).sum(-1)
    z_score = (ratio.mean(0) - law.kl_to_standard()) / (ratio.std(0) / math.sqrt(len(z)))
    assert float(z_score.abs().max()) < 4.5  # one in 30,000 for four of them
    assert float(DiagonalGaussian(torch.zeros(1, 2), torch.zeros(1, 2)).kl_to_standard()) == 0


def test_likelihoods_are_those_of_torch() -> None:
    torch.manual_seed(0)
    x_hat, binary, real = torch.randn(3, 2, 4), (torch.rand(3, 2, 4) < 0.5).float(), torch.rand(3, 2, 4)
    pairs = [
        (Bernoulli().log_prob(binary, x_hat), torch.distributions.Bernoulli(logits=x_hat).log_prob(binary)),
        (GaussianLikelihood(0.3).log_prob(real, x_hat), torch.distributions.Normal(x_hat, 0.3).log_prob(real)),
        (
            ClampedBernoulli(0.1).log_prob(binary, real),
            torch.distributions.Bernoulli(probs=0.1 + 0.8 * real).log_prob(binary),
        ),
    ]
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted.flatten(1).sum(1))


def test_a_hard_pixel_costs_no_more_than_its_margin() -> None:
    wrong = ClampedBernoulli(0.01).log_prob(torch.ones(1, 1), torch.zeros(1, 1))
    assert float(wrong) == pytest.approx(math.log(0.01))
    p = torch.zeros(1, 1, requires_grad=True)
    ClampedBernoulli(0.01).log_prob(torch.ones(1, 1), p).sum().backward()
    assert p.grad is not None and float(p.grad) == pytest.approx(0.98 / 0.01)


@pytest.mark.parametrize("likelihood", [Bernoulli(), ClampedBernoulli(0.05), GaussianLikelihood(0.2)])
def test_samples_have_the_mean_that_is_stated(likelihood: Likelihood) -> None:
    x_hat = torch.tensor([0.1, 0.5, 0.9])
    generator = torch.Generator().manual_seed(0)
    drawn = likelihood.sample(x_hat.expand(40_000, 3), generator)
    z_score = (drawn.mean(0) - likelihood.mean(x_hat)) / (drawn.std(0) / 200)
    assert float(z_score.abs().max()) < 4.5


@pytest.mark.parametrize("kind", ["scale_shift", "affine"])
def test_a_place_can_always_be_written_to(kind) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    head = TransformHead(5, [0.8] * 3, kind)
    place = head(1e3 * torch.randn(200, 5))
    assert write(torch.ones(200, 1, 2, 2, 2), place, (3, 3, 3)).isfinite().all()
    at_rest = head(torch.zeros(1, 5))
    scale = at_rest.scale if isinstance(at_rest, ScaleShift) else torch.diagonal(at_rest.matrix[..., :3], 0, -2, -1)
    assert bool(((scale > 0.4) & (scale < 1.6)).all())


def test_an_affine_place_has_twelve_degrees() -> None:
    torch.manual_seed(0)
    head = TransformHead(12, [1.0] * 3, "affine")
    jacobian = torch.autograd.functional.jacobian(lambda s: head(s).matrix.flatten(), torch.randn(12))
    assert int(torch.linalg.matrix_rank(jacobian)) == 12


def test_a_mesh_moves_its_vertices_on_rays_from_the_centre() -> None:
    torch.manual_seed(0)
    mesh = MeshWriter(6, colored=True)(3 * torch.randn(4, 2, 6))
    assert mesh.vertices.shape == (4, 162, 3) and mesh.faces.shape == (320, 3)
    directions = torch.nn.functional.normalize(mesh.vertices, dim=-1)
    torch.testing.assert_close(directions, r3.Mesh.icosphere(2).vertices.expand(4, -1, -1), atol=1e-5, rtol=0)
    assert mesh.colors is not None and bool(((mesh.colors > 0) & (mesh.colors < 1)).all())
    assert bool((mesh.vertices.norm(dim=-1).std(1) > 0).all())


def test_inferred_cameras_turn_the_object_and_keep_their_distance() -> None:
    torch.manual_seed(0)
    rig = r3.Cameras.orbit(2, 3.0, image_size=(4, 6))
    with torch.no_grad():
        cameras = InferredCameras(rig, 5)(10 * torch.randn(7, 5))
    assert cameras.leading_shape == (7, 2)
    torch.testing.assert_close(cameras.position.norm(dim=-1), torch.full((7, 2), 3.0))
    between = (cameras.position[:, 0] * cameras.position[:, 1]).sum(-1)
    torch.testing.assert_close(between, (rig.position[0] * rig.position[1]).sum().expand(7))
    assert float(cameras.position.std(0).min()) > 0.1
    head = InferredCameras(rig, 5)
    torch.nn.init.zeros_(head.turn.bias)
    torch.testing.assert_close(head(torch.zeros(1, 5)).world_to_camera[0], rig.world_to_camera)


def test_further_channels_of_a_canvas_reach_a_learned_projection() -> None:
    canvas = torch.randn(2, 3, 4, 4, 4)
    volume = volume_of(canvas)
    torch.testing.assert_close(volume.occupancy[:, 0], torch.sigmoid(canvas[:, 0]))
    torch.testing.assert_close(volume.values[:, 1:], canvas[:, 1:])
    cameras = r3.Cameras.orbit(2, 3.0, image_size=(5, 6))
    projection = Rendered(LearnedProjection(3, outputs=("rgb", "alpha"), features=2, planes=4), ("rgb", "alpha"))
    assert projection(canvas, torch.zeros(2, 1), cameras, Key(0)).shape == (2, 2, 4, 5, 6)
    assert any(name.startswith("renderer.space") for name, _ in projection.named_parameters())


def test_a_black_box_must_be_made_differentiable_first() -> None:
    with pytest.raises(ModelError, match=r"Wrap it: render3d.differentiable\(renderer\)"):
        Rendered(OpenGL())


def test_parts_that_do_not_fit_say_so() -> None:
    canvas, state = torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 2)
    with pytest.raises(ModelError, match="the batch has none"):
        Rendered(r3.renderers.EmissionAbsorption())(canvas, state, None, Key(0))
    with pytest.raises(ModelError, match="Use a Rendered projection"):
        Identity()(r3.Mesh.icosphere(0), state, None, Key(0))
    with pytest.raises(ModelError, match="cameras of shape"):
        InferredCameras(r3.Cameras.stack([r3.Cameras.orbit(2, 3.0)] * 2), 3)
    with pytest.raises(ModelError, match="'scale_shift' or 'affine'"):
        TransformHead(3, [1.0] * 3, "rigid")  # type: ignore[arg-type]
    for make in (lambda: GaussianLikelihood(0.0), lambda: ClampedBernoulli(0.5), lambda: ClassReader(0)):
        with pytest.raises(ModelError):
            make()
    with pytest.raises(ModelError, match="each at least 1"):
        GridReader((1, 4, 4), 3)


@pytest.mark.parametrize(
    ("renderer_name", "estimator"),
    [
        ("OpenGL", leave_one_out(samples=12, scale=0.1)),
        ("Pyrender", leave_one_out(samples=12, scale=0.1)),
        ("OpenGL", local_credit(samples=12, scale=0.1)),
    ],
    ids=["OpenGL", "Pyrender", "local credit"],
)
def test_a_model_of_meshes_learns_from_single_pictures_through_a_black_box(
    renderer_name: str, estimator: Estimator
) -> None:
    """Balls and blocks of different sizes, one shaded picture of each, T = 1: the seam with its real user."""
    torch.manual_seed(0)
    renderer = getattr(r3.renderers, renderer_name)(r3.Shading(background=(0.0, 0.0, 0.0)))
    camera = r3.Cameras.orbit(1, 3.0, image_size=(24, 24))
    ball = r3.Mesh.icosphere(2)
    sizes = torch.tensor([[0.4, 0.4, 0.4], [0.9, 0.9, 0.9], [1.0, 0.4, 0.4], [0.4, 1.0, 0.4]])
    images = renderer(r3.Mesh(sizes[:, None] * ball.vertices, ball.faces), camera, ("rgb",)).rgb
    through = r3.differentiable(renderer, estimator)
    model = SequentialModel(
        steps=1,
        latents=4,
        state=32,
        context=NoReader(),
        posterior=Posterior(GridReader((1, 3, 24, 24), 32, images=True, size=32), 32, 0, 4),
        writer=MeshWriter(32, hidden=64, subdivisions=1),
        projection=Rendered(through, ("rgb",)),
        likelihood=GaussianLikelihood(0.2),
    )
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    batch = Batch(images, cameras=camera)
    squared_errors = []
    for step in range(40):
        optimiser.zero_grad()
        model(batch, Key(0).fold_in(step)).total.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step < 5 or step >= 30:
            with torch.no_grad():
                states, _ = model.infer(batch, torch.zeros(4, 1, 4))
                squared_errors.append(float((model.decode(states, batch, Key(0)) - images).square().mean()))
    # 0.48 to 0.69 over eight seeds: training through noise is chaotic
    assert sum(squared_errors[5:]) / 10 < 0.8 * sum(squared_errors[:5]) / 5
