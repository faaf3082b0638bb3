"""The sequential model: its bound by brute force, its recursions, its gradients, and that splitting changes nothing."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.likelihoods import GaussianLikelihood
from render3d.models.parts.projections import InferredCameras, Rendered
from render3d.models.parts.readers import ClassReader, GridReader, NoReader
from render3d.models.parts.sequential import SequentialModel
from render3d.models.parts.writers import CanvasWriter
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption
from render3d.spatial import write


def binary(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4).double()


def hermite(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the expectation under a standard normal variable."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(x), torch.from_numpy(w / math.sqrt(2 * math.pi))


def test_the_free_energy_is_the_evidence_and_the_posterior_s_error_by_brute_force(build) -> None:  # type: ignore[no-untyped-def]
    """``E_q[F] = -log p(x) + KL[q || p(z given x)]`` for one latent, by sums over a fine grid of z."""
    model: SequentialModel = build(steps=1, latents=1, n=2)
    with torch.no_grad():
        model.posterior.moments[-1].bias.add_(torch.tensor([0.7, -0.3]))  # wrong enough to be seen
    x = binary(1, 1, 2, 2, 2, seed=3)
    z = torch.linspace(-25, 25, 12001, dtype=torch.float64)  # q is wider than the prior
    width = float(z[1] - z[0])
    with torch.no_grad():
        logits = model.decode(model.imagine(z[:, None, None]), Batch(x), Key(0))
        given_z = model.likelihood.log_prob(x.expand_as(logits), logits)
        prior = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
        evidence = torch.logsumexp(given_z + prior, 0) + math.log(width)
        prepared = model.posterior.reader.prepare(x, 1)
        law = model.posterior(prepared, model.start[:1], torch.empty(1, 0, dtype=torch.float64))
        scale = law.log_scale.exp()
        q = -0.5 * ((z - law.mean[0]) / scale[0]) ** 2 - law.log_scale[0] - 0.5 * math.log(2 * math.pi)
        error = (q.exp() * (q - (given_z + prior - evidence))).sum() * width
        noise = z[:, None, None]
        density = prior.exp() * width
        every = model.free_energy(Batch(x.expand(len(z), -1, -1, -1, -1)), noise, Key(0)).total
        found = (every * density).sum()
    assert float(error) > 0.05
    assert float(found) == pytest.approx(float(-evidence + error), abs=1e-5)


def test_the_model_is_a_law_over_observations(build) -> None:  # type: ignore[no-untyped-def]
    """The probabilities of all 256 volumes of eight voxels add up to one."""
    model: SequentialModel = build(steps=1, latents=1, n=2)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64).reshape(-1, 1, 2, 2, 2)
    nodes, weights = hermite(80)
    with torch.no_grad():
        logits = model.decode(model.imagine(nodes[:, None, None]), Batch(every), Key(0))
        total = sum(
            weight * model.likelihood.log_prob(every, logit.expand_as(every)).exp().sum()
            for logit, weight in zip(logits, weights, strict=True)
        )
    assert float(total) == pytest.approx(1.0, abs=1e-9)


def slowly(model: SequentialModel, x: Tensor, labels: Tensor, noise: Tensor) -> tuple[float, list[float]]:
    """The equations one by one for one example, writing at every step as equation 4 is printed."""
    cell, state, memory = model.transition, model.start[:1], model.start[1:]
    prepared = model.posterior.reader.prepare(x, 1)
    canvas, terms = model.writer.start.expand(1, 1, *model.writer.size), []  # type: ignore[attr-defined]
    c = torch.nn.functional.one_hot(labels, 3).double()
    for step in range(model.steps):
        r = model.posterior.reader(prepared, state)
        moments = model.posterior.moments(torch.cat([r, state, c], 1))
        mean, log_scale = moments[:, : model.latents], 3 * torch.tanh(moments[:, model.latents :] / 3)
        q = torch.distributions.Normal(mean, log_scale.exp())
        terms.append(float(torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum()))
        z = mean + log_scale.exp() * noise[:, step]
        state, memory = cell(torch.cat([z, c], 1), (state, memory))
        patch = model.writer.content(state).reshape(1, 1, 2, 2, 2)  # type: ignore[attr-defined]
        canvas = canvas + write(patch, model.writer.place(state), model.writer.size)  # type: ignore[attr-defined]
    likelihood = torch.distributions.Bernoulli(logits=canvas).log_prob(x).sum()
    return float(-likelihood), terms


@pytest.mark.parametrize("transform", ["scale_shift", "affine"])
def test_every_sum_over_a_discrete_noise_is_that_of_the_equations(build, transform: str) -> None:  # type: ignore[no-untyped-def]
    """Noise of +-1: all 2^(T L) values of z are enumerated, by the model in one batch and by hand one by one."""
    model: SequentialModel = build(steps=2, latents=2, context=ClassReader(3), transform=transform)
    x, label = binary(1, 1, 4, 4, 4), torch.tensor([2])
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64).reshape(16, 2, 2)
    with torch.no_grad():
        found = model.free_energy(Batch(x.expand(16, -1, -1, -1, -1), label.expand(16)), every, Key(0))
        by_hand = [slowly(model, x, label, noise[None]) for noise in every]
    torch.testing.assert_close(found.reconstruction, torch.tensor([each[0] for each in by_hand]).double())
    torch.testing.assert_close(found.kl, torch.tensor([each[1] for each in by_hand]).double())
    torch.testing.assert_close(found.total, found.reconstruction + found.kl.sum(1))
    assert float(found.kl.std()) > 0  # the terms depend on the latents before them


def test_the_posterior_goes_through_the_generative_transition(build) -> None:  # type: ignore[no-untyped-def]
    model: SequentialModel = build(steps=3)
    x = binary(2, 1, 4, 4, 4)
    noise = torch.randn(2, 3, 3, dtype=torch.float64)
    states, _ = model.infer(Batch(x), noise)
    latents = []
    prepared, carried = model.posterior.reader.prepare(x, 2), model._start(2)
    for step in range(3):
        latents.append(model.posterior(prepared, carried[0], torch.empty(2, 0)).sample(noise[:, step]))
        carried = model._next(latents[-1], torch.empty(2, 0), carried)
    torch.testing.assert_close(model.imagine(torch.stack(latents, 1)), states)


def test_more_steps_add_no_parameters(build) -> None:  # type: ignore[no-untyped-def]
    few, many = build(steps=2), build(steps=9)
    assert sum(p.numel() for p in few.parameters()) == sum(p.numel() for p in many.parameters())
    many.load_state_dict(few.state_dict())
    noise = torch.randn(1, 9, 3, dtype=torch.float64)
    torch.testing.assert_close(few.imagine(noise[:, :2]), many.imagine(noise)[:, :2])


def test_splitting_a_batch_changes_nothing(build) -> None:  # type: ignore[no-untyped-def]
    model: SequentialModel = build()
    x = binary(5, 1, 4, 4, 4)
    whole = model(Batch(x), Key(7))
    parts = [model(Batch(x[:2]), Key(7)), model(Batch(x[2:]), Key(7, first_example=2))]
    torch.testing.assert_close(whole.total, torch.cat([part.total for part in parts]))
    assert not torch.equal(whole.total, model(Batch(x), Key(8)).total)


def directional(model: SequentialModel, batch: Batch, noise: Tensor, step: float) -> tuple[float, float]:
    """The derivative along one random direction of all parameters: by autograd, and by central differences."""
    names = [name for name, _ in model.named_parameters()]
    torch.manual_seed(5)
    direction = {name: torch.randn_like(value) for name, value in model.named_parameters()}

    def value(shift: float) -> Tensor:
        moved = {name: model.get_parameter(name) + shift * direction[name] for name in names}

        class Terms(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self) -> Tensor:
                return self.model.free_energy(batch, noise, Key(0)).total.sum()

        inner = {f"model.{name}": tensor for name, tensor in moved.items()}
        result: Tensor = torch.func.functional_call(Terms(), inner, ())
        return result

    gradients = torch.autograd.grad(value(0.0), list(model.parameters()))
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
    along = sum((gradient * direction[name]).sum() for name, gradient in zip(names, gradients, strict=True))
    with torch.no_grad():
        difference = (value(step) - value(-step)) / (2 * step)
    return float(along), float(difference)


@pytest.mark.parametrize("transform", ["scale_shift", "affine"])
@pytest.mark.parametrize("kind", ["none", "class", "views"])
def test_gradients_of_every_parameter_are_those_of_finite_differences(build, kind: str, transform: str) -> None:  # type: ignore[no-untyped-def]
    views = GridReader((2, 1, 6, 5), 7, images=True, size=4, features=2, glimpse=2)
    reader, context = {
        "none": (NoReader(), None),
        "class": (ClassReader(4), torch.tensor([0, 3])),
        "views": (views, torch.rand(2, 2, 1, 6, 5, dtype=torch.float64)),
    }[kind]
    model = build(context=reader, transform=transform)
    noise = torch.randn(2, 2, 3, dtype=torch.float64)
    along, difference = directional(model, Batch(binary(2, 1, 4, 4, 4), context), noise, 1e-6)
    assert along == pytest.approx(difference, rel=1e-5)


def test_gradients_reach_inferred_cameras_through_a_renderer(build) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    rig = r3.Cameras.orbit(2, 3.0, image_size=(8, 8))
    rig = r3.Cameras(rig.world_to_camera.double(), rig.intrinsics.double(), rig.image_size)
    model: SequentialModel = build(
        n=6,
        reader=GridReader((2, 1, 8, 8), 7, images=True, size=5, features=2, glimpse=2),
        writer=CanvasWriter(7, (6, 6, 6), patch=4, hidden=6, empty=-2.0),
        projection=Rendered(EmissionAbsorption(samples_per_voxel=4), inferred=InferredCameras(rig, 7)),
        likelihood=GaussianLikelihood(0.5),
    )
    images, noise = torch.rand(3, 2, 1, 8, 8).double(), torch.randn(3, 2, 3).double()
    along, difference = directional(model, Batch(images), noise, 1e-5)
    assert along == pytest.approx(difference, rel=0.01)


def test_samples_follow_the_key_and_the_context(build) -> None:  # type: ignore[no-untyped-def]
    model: SequentialModel = build(context=ClassReader(2))
    labels = torch.tensor([0, 1, 0])
    first = model.sample(3, Key(1), labels)
    assert first.shape == (3, 1, 4, 4, 4)
    torch.testing.assert_close(first, model.sample(3, Key(1), labels))
    torch.testing.assert_close(first[2:], model.sample(1, Key(1, 2), labels[2:]))
    assert not torch.equal(first, model.sample(3, Key(2), labels))
    other = model.sample(3, Key(1), 1 - labels)
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    ("context", "given", "message"),
    [
        (NoReader(), torch.zeros(2, dtype=torch.long), "takes no context"),
        (ClassReader(3), None, r"integer labels of shape \[2\]; got none"),
        (ClassReader(3), torch.tensor([0, 3]), "Labels must lie in 0-2.*got 0 to 3"),
        (ClassReader(3), torch.tensor([0.0, 1.0]), "integer labels"),
        (ClassReader(3), torch.tensor([0, 1, 2]), r"of shape \[2\]"),
        (GridReader((1, 1, 4, 4), 7, images=True), torch.zeros(2, 1, 1, 5, 4), r"\[2, 1, 1, 4, 4\].*\[2, 1, 1, 5, 4\]"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(build, context, given, message: str) -> None:  # type: ignore[no-untyped-def]
    model = build(context=context)
    with pytest.raises(ModelError, match=message):
        model(Batch(binary(2, 1, 4, 4, 4), given), Key(0))


def test_an_observation_of_another_size_is_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match="Build the model for this data"):
        build()(Batch(binary(2, 1, 4, 4, 5)), Key(0))
