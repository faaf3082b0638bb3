"""Is the gradient right? An estimator compared with an independent reference."""

import dataclasses
import math
from typing import final

import torch
from torch import Generator, Tensor

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.errors import CapabilityError
from render3d.estimators.estimator import Estimator
from render3d.estimators.expected import PixelLoss, expected_loss
from render3d.estimators.perturbation import noisy_of, render_views
from render3d.estimators.smoothed import Smoothed
from render3d.images import Rendering
from render3d.randomness import Key, as_key
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh

# How far the vertex that moves most goes in the inner pair of the central differences, in standard deviations of the
# noise. Smaller steps flip fewer pixels, so the reference gets noisier; with five points the bias left is of fourth
# order.
_STEP = 0.5
_SUSPICIOUS_Z = 3.0
_FEW = 20  # calls to which nothing is fitted


@final
@dataclasses.dataclass(frozen=True)
class Direction:
    """The derivative along one fixed direction of unit length, twice.

    Attributes:
        name: Which direction.
        estimated: Mean of the estimator over its calls, less what their noise explains of it.
        estimated_error: Standard error of that mean.
        reference: Mean of the reference.
        reference_error: Its standard error.
    """

    name: str
    estimated: float
    estimated_error: float
    reference: float
    reference_error: float

    @property
    def bias(self) -> float:
        """Estimated less reference."""
        return self.estimated - self.reference

    @property
    def error(self) -> float:
        """Standard error of the bias."""
        return math.hypot(self.estimated_error, self.reference_error)

    @property
    def z(self) -> float:
        """The bias in standard errors; beyond 3 by chance once in 370 times."""
        return self.bias / self.error if self.error > 0 else math.copysign(math.inf, self.bias) if self.bias else 0.0


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """What `check_gradient` found; printing it says it in words.

    Attributes:
        directions: The gradient's own direction first, then random ones.
        relative_variance: ``tr Cov / |g|^2`` of one call: its relative squared error where there is no bias.
        share: How many of an image's pixels a vertex is credited with, on average: 1 for `Everywhere`.
        calls: Calls of the estimator.
        renders: Renderings of the mesh in all, of every view at once.
    """

    directions: tuple[Direction, ...]
    relative_variance: float
    share: float
    calls: int
    renders: int

    @property
    def signal_to_noise(self) -> float:
        """``|g|^2 / tr Cov`` of one call."""
        return 1 / self.relative_variance if self.relative_variance > 0 else math.inf

    @property
    def relative_bias(self) -> float:
        """Bias along the gradient, as a share of the reference."""
        return self.directions[0].bias / abs(self.directions[0].reference)

    @property
    def relative_bias_error(self) -> float:
        """Standard error of `relative_bias`: a bias of 5.4 times this is found with a power of 99 %."""
        return self.directions[0].error / abs(self.directions[0].reference)

    @property
    def ok(self) -> bool:
        """Whether every direction agrees with the reference to within chance (``|z| < 3``)."""
        return all(abs(direction.z) < _SUSPICIOUS_Z for direction in self.directions)

    def __str__(self) -> str:
        verdict = "No bias found" if self.ok else "BIASED"
        lines = [
            f"{verdict}: {100 * self.relative_bias:+.2f} % +- {100 * self.relative_bias_error:.2f} % along the "
            "gradient.",
            self._on_the_support(),
            f"One call has relative variance {self.relative_variance:.3g}, signal-to-noise {self.signal_to_noise:.3g}.",
            f"{self.calls} calls, {self.renders} renders.",
        ]
        for d in self.directions:
            lines.append(
                f"  {d.name:<12} estimated {d.estimated:+.5g} +- {d.estimated_error:.2g}, reference "
                f"{d.reference:+.5g} +- {d.reference_error:.2g}, z = {d.z:+.2f}"
            )
        return "\n".join(lines)

    def _on_the_support(self) -> str:
        credited = f"A vertex is credited with {100 * self.share:.3g} % of the pixels"
        if self.share >= 1:
            return f"{credited}: no support can be wrong, and for many vertices a local one has less variance."
        if self.ok:
            return f"{credited}, and what is left out makes no difference that was seen: the support is right."
        return (
            f"{credited}. If Everywhere() is not biased, the support is wrong: more rings, for normals that neighbours "
            "share; a margin, for a loss or a renderer that looks at neighbouring pixels; Everywhere(), for shadows."
        )


def check_gradient(
    renderer: Renderer,
    scene: Mesh,
    cameras: Cameras,
    pixel_loss: PixelLoss | None = None,
    *,
    calls: int = 200,
    random_directions: int = 3,
    generator: Generator | Key | None = None,
) -> GradientCheck:
    """Compare a smoothed renderer's gradient in the vertices with central differences of the smoothed loss.

    The reference renders the black box at four points along fixed directions (five-point central differences), under
    noise common to all four, and shares no code with the estimators but the noise's law. Directions are one estimate of
    the gradient, from calls of its own, since one from the calls under test would look longer than it is, and random
    ones. How far the noise of a call is from its law explains most of the estimator's error along a direction, and has
    a known mean, zero: it is taken off by regression (control variates).

    Args:
        renderer: A `Smoothed` renderer.
        scene: One `Mesh`; a batch counts as one objective, the sum over its elements.
        cameras: Cameras that see it.
        pixel_loss: As in `expected_loss`; the objective is its expectation. By default alpha times a fixed smooth
            pattern, differentiated through the mean image, which for this linear loss has the same gradient.
        calls: Calls of the estimator that are tested. The pilot that finds the gradient's direction, and the reference
            along each direction, are a quarter as long: both are far less noisy.
        random_directions: How many, besides the gradient's own, of those that the noise may take. In D dimensions they
            see a bias only through a share of about ``1 / sqrt(D)`` of it.
        generator: Where all noise comes from: drawn from once, or a `Key`.

    Returns:
        A `GradientCheck`; ``.ok`` says whether any bias was found.

    Raises:
        CapabilityError: ``renderer`` is not `Smoothed`.
    """
    if not isinstance(renderer, Smoothed):
        raise CapabilityError(
            f"check_gradient compares estimators; got {renderer.capabilities.name}, which has none. Pass "
            "render3d.estimators.Smoothed(renderer, estimator)."
        )
    key = as_key(generator)
    mesh = scene.detach()
    check = _Check(renderer, mesh, cameras.detach(), pixel_loss)
    few = max(calls // 4, 2)
    pilot = torch.stack([check.gradient(key.fold_in(call)) for call in range(few)]).mean(0)
    directions = [pilot / pilot.norm()]
    for number in range(random_directions):
        directions.append(check.random_direction(key.fold_in(2**32 + number)).to(pilot))
    keys = [key.fold_in(few + call) for call in range(calls)]
    gradients = torch.stack([check.gradient(each) for each in keys])
    chance = torch.stack([check.chance(directions, each) for each in keys], dim=1)
    results = []
    for number, direction in enumerate(directions):
        along = (gradients * direction).flatten(1).sum(1)
        differences = check.central_differences(direction, few, key.fold_in(few + calls + number))
        name = f"random {number}" if number else "gradient"
        results.append(Direction(name, *_explained(along, chance[number]), *_mean_and_error(differences)))
    variance = gradients.var(0).sum()
    squared_norm = (gradients.mean(0).square().sum() - variance / calls).clamp(min=1e-30)
    samples = renderer.estimator.samples
    return GradientCheck(
        directions=tuple(results),
        relative_variance=float(variance / squared_norm),
        share=check.share(key.fold_in(2**33)),
        calls=calls,
        renders=samples * (calls + few + 4 * few * len(directions)),
    )


@dataclasses.dataclass(frozen=True)
class _Check:
    renderer: Smoothed
    mesh: Mesh
    cameras: Cameras
    pixel_loss: PixelLoss | None

    @property
    def estimator(self) -> Estimator:
        return self.renderer.estimator

    def gradient(self, key: Key) -> Tensor:
        """One call of the estimator."""
        vertices = self.mesh.vertices.clone().requires_grad_()
        scene = self.mesh.with_vertices(vertices)
        with torch.enable_grad():
            if self.pixel_loss is None:
                self.renderer.train()
                loss = self.losses(self.renderer(scene, self.cameras, ("alpha",), generator=key))
            else:
                black_box = self.renderer.renderer
                loss = expected_loss(black_box, scene, self.cameras, self.pixel_loss, self.estimator, generator=key)
            (gradient,) = torch.autograd.grad(loss.sum(), vertices)
        return gradient.double()

    def chance(self, directions: list[Tensor], key: Key) -> Tensor:
        """``[directions, 2]``, of mean zero: what the noise of one call, by chance, adds to the estimates along them.

        The samples' mean of (score times motion), less its expectation: the error for a loss that is linear along the
        direction and depends on all vertices, and for one whose every pixel depends on one vertex.
        """
        draw = self.estimator.noise.draw(key, self.estimator.samples, self.mesh, self.cameras)
        found = []
        for direction in directions:
            along = direction[..., None, :, :]
            if draw.directions is not None:
                along = (draw.directions.double() * along[..., None, :]).sum(-1)  # [*batch, W, V, d]
            motion = (draw.coordinates * draw.scale * along).sum(-1)  # [K, *batch, W, V]
            score = (draw.score / draw.scale * along).sum(-1)
            expected = along.square().expand_as(draw.coordinates[0]).sum()
            products = (motion.sum(-1) * score.sum(-1), (motion * score).sum(-1))
            found.append(torch.stack([product.mean(0).sum() for product in products]) - expected)
        return torch.stack(found)

    def share(self, key: Key) -> float:
        """How many of the pixels a vertex is credited with: the credit of ones."""
        outputs = ("alpha",) if self.pixel_loss is None else ("rgb", "alpha")
        noisy = noisy_of(self.renderer.renderer, self.mesh, self.cameras, outputs, self.estimator, key)
        batch = broadcast_shapes(self.mesh.batch_shape, self.cameras.batch_shape, names=("scene", "cameras"))
        ones = torch.ones(self.estimator.samples, *batch, self.cameras.views, *self.cameras.image_size)
        return self.estimator.share(noisy, ones.to(self.mesh.vertices))

    def losses(self, rendering: Rendering) -> Tensor:
        """One number a pixel, ``[..., views, H, W]``."""
        if self.pixel_loss is not None:
            return self.pixel_loss(rendering)
        height, width = rendering.image_size
        y, x = torch.linspace(0, 5, height)[:, None], torch.linspace(0, 5, width)[None, :]
        view = torch.arange(rendering.leading_shape[-1])[:, None, None]
        pattern = torch.sin(x + 0.7 * y + view) + 0.5 * torch.cos(1.3 * y - x + 2 * view)
        return rendering.alpha[..., 0, :, :] * pattern.to(rendering.device)

    def random_direction(self, key: Key) -> Tensor:
        """``[*batch, V, 3]`` of unit length: one that the noise may take, since along others nothing is estimated."""
        draw = self.estimator.noise.draw(key, 2, self.mesh, self.cameras)
        direction = draw.displacements[0, ..., 0, :, :].double().expand_as(self.mesh.vertices)
        unit: Tensor = direction / direction.norm()
        return unit

    def central_differences(self, direction: Tensor, calls: int, key: Key) -> Tensor:
        """``[calls]`` estimates of the derivative of the smoothed loss, the mean over a call's samples each."""
        noise = self.estimator.noise
        typical = noise.draw(key, 2, self.mesh, self.cameras).displacements.square().mean().sqrt()
        step = direction.to(self.mesh.vertices) * (_STEP * typical / direction.abs().max())
        outputs = ("alpha",) if self.pixel_loss is None else ("rgb", "alpha")
        results = []
        for call in range(calls):
            draw = noise.draw(key.fold_in(call), self.estimator.samples, self.mesh, self.cameras)
            displaced = self.mesh.vertices[..., None, :, :] + draw.displacements  # [K, *batch, W, V, 3]
            points = torch.stack([displaced + multiple * step[..., None, :, :] for multiple in (1, -1, 2, -2)])
            with torch.no_grad():
                rendering = render_views(self.renderer.renderer, self.mesh, points, self.cameras, outputs)
            near_above, near_below, far_above, far_below = self.losses(rendering).double().flatten(2).sum(-1).mean(-1)
            difference = 8 * (near_above - near_below) - (far_above - far_below)
            results.append(difference / (12 * step.double().norm()))
        return torch.stack(results)


def _explained(values: Tensor, chance: Tensor) -> tuple[float, float]:
    """The mean of values ``[N]`` and its error, by regression on ``chance`` ``[N, 2]``, whose mean is zero."""
    if len(values) < _FEW:
        return _mean_and_error(values)
    values, design = values.cpu(), torch.cat([torch.ones_like(chance[:, :1]), chance], dim=1).cpu()
    inverse = torch.linalg.pinv(design)
    coefficients = inverse @ values
    variance = (values - design @ coefficients).square().sum() / (len(values) - design.shape[1])
    return float(coefficients[0]), float(variance.sqrt() * inverse[0].norm())


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))
