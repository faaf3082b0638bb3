"""A black box made smooth: a renderer whose images can be differentiated."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError
from render3d.estimators.estimator import Estimator
from render3d.estimators.perturbation import Perturbation, check_scene, perturb, zero_in_value
from render3d.estimators.presets import default_estimator
from render3d.estimators.statistics import GradientStatistics, statistics_of
from render3d.images import Rendering, to_float
from render3d.randomness import Key, as_key
from render3d.renderers.base import FULL_GRADIENTS, Capabilities, Renderer
from render3d.renderers.deferred_shading import can_be_shaded
from render3d.scenes import Scene

_UNSMOOTHABLE = ("face_index", "barycentric")
_WEIGHTED_BY_ALPHA = ("depth", "normal")


@dataclasses.dataclass
class _Last:
    """The last call: what its gradient is made of, once there is one."""

    credited: Perturbation
    losses: Tensor | None = None


@final
class Smoothed(nn.Module):
    """A `Renderer` that shows the mean image of K noisy meshes and differentiates it by an estimator.

    Any torch loss may follow. Given ``v``, the loss's gradient in the image, the backward pass is the estimator with
    the per-pixel loss ``<v, I_k>``. It optimises the loss *of the mean image*, not the mean loss (that is
    `expected_loss`): unbiased for a downstream gradient that does not depend on the samples, and biased by O(1/K)
    otherwise, as then ``v`` was computed from the same samples. ``crossfit`` computes it from others.

    Under ``torch.no_grad()`` and after ``.eval()`` it is one sharp rendering without noise.

    Source: Berthet et al., "Learning with differentiable perturbed optimizers", 2020, for the mean under noise in the
    place of a piecewise constant function; Le Lidec et al., "Differentiable rendering with perturbed optimizers", 2021,
    for rasterisers, with noise inside of them.

    ``rgb`` and ``alpha`` are means, ``depth`` and ``normal`` means weighted by alpha. Gradients reach vertices, poses
    and intrinsics; and colours, textures and the tensors of a `render3d.Shading`, exactly, where the black box returns
    which face a pixel shows, as `OpenGL` does (elsewhere they are an error). A second derivative is an error of
    autograd.

    Args:
        renderer: A black box.
        estimator: Noise, support, signal and number of samples; by default `local_credit` if its
            pixels depend on near vertices only, as those of `OpenGL` do, else `leave_one_out`.
        shows: The image that is returned: ``"mean"``, or ``"sharp"``, the one without noise (one more rendering). The
            gradient is that of the mean image either way.
        crossfit: Show the mean of one half of the samples and credit the other half, drawn independently. The gradient
            of a loss that is quadratic in ``rgb`` and ``alpha``, such as a squared difference, is then as unbiased as
            the estimator: ``v`` is linear in the images, so ``E v(shown) = v(E I)``. Of other losses a bias of O(1/K)
            remains, that of ``E v(shown)`` alone. Both the image and the gradient have the noise of K/2 samples.

    Raises:
        ValueError: Samples that cannot be halved, or ``crossfit`` of the sharp image, whose ``v`` depends on no sample.
    """

    def __init__(
        self,
        renderer: Renderer,
        estimator: Estimator | None = None,
        *,
        shows: Literal["mean", "sharp"] = "mean",
        crossfit: bool = False,
    ) -> None:
        super().__init__()
        if shows not in ("mean", "sharp"):
            raise ValueError(f"shows must be 'mean' or 'sharp'; got {shows!r}.")
        if crossfit and shows == "sharp":
            raise ValueError("crossfit=True is for shows='mean': the sharp image depends on no sample. Leave it out.")
        self.renderer = renderer
        self.estimator = estimator or default_estimator(renderer)
        self.shows = shows
        self.crossfit = crossfit
        self._last: _Last | None = None
        if crossfit:
            _half(self.estimator)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the black box, less what has no mean, plus gradients."""
        inner = self.renderer.capabilities
        outputs = tuple(name for name in inner.outputs if name not in _UNSMOOTHABLE)
        gradients = FULL_GRADIENTS
        if not can_be_shaded(self.renderer):  # what is exact, it must have by itself
            gradients = FULL_GRADIENTS - {"colors", "lights"} | inner.gradients
        return dataclasses.replace(inner, name=f"Smoothed({inner.name})", outputs=outputs, gradients=gradients)

    def forward(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render, as every `Renderer` does; ``generator`` is drawn from once, or is a `Key`."""
        for name in outputs:
            if name in _UNSMOOTHABLE:
                raise CapabilityError(
                    f"{name} has no mean, so {self.capabilities.name} cannot give it. Ask the black box itself: "
                    "smoothed.renderer(scene, cameras, outputs)."
                )
        if not (self.training and torch.is_grad_enabled()):
            with torch.no_grad():
                return self.renderer(scene, cameras, outputs)
        weighted = any(name in _WEIGHTED_BY_ALPHA for name in outputs)
        needed = tuple(dict.fromkeys([*outputs, *(["alpha"] if weighted else [])]))
        key, estimator = as_key(generator), _half(self.estimator) if self.crossfit else self.estimator
        credited = shown = perturb(self.renderer, scene, cameras, needed, estimator, key)
        if self.crossfit:
            with torch.no_grad():
                shown = perturb(self.renderer, scene, cameras, needed, estimator, key.fold_in(1))
        self._last = _Last(credited)
        images = _mean_images(shown, self._last, outputs)
        if self.shows == "sharp":
            images = self._with_values_of_sharp(images, scene, cameras, outputs)
        return Rendering(images)

    def stats(self) -> GradientStatistics:
        """How good the last gradient was, estimated from its own samples: cheap enough to look at while training.

        Raises:
            GradientError: There was none: no ``backward`` since this renderer was last called.
        """
        if self._last is None or self._last.losses is None:
            raise GradientError("stats() is of the last gradient, and there was none: call it after backward().")
        return statistics_of(self._last.credited, self._last.losses)

    def _with_values_of_sharp(
        self, images: Mapping[str, Tensor], scene: Scene, cameras: Cameras, outputs: Sequence[str]
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            sharp = self.renderer(check_scene(scene).detach(), cameras.detach(), outputs).as_dict()
        return {name: sharp[name] + (image - image.detach()) for name, image in images.items()}


def _half(estimator: Estimator) -> Estimator:
    samples, multiple = estimator.samples, 4 if estimator.noise.paired else 2
    least = 2 * estimator.signal.minimum_samples
    if samples % multiple or samples < least:
        raise ValueError(
            f"crossfit shows one half of the samples and credits the other: samples must be a multiple of {multiple}, "
            f"at least {least}, for {type(estimator.signal).__name__}; got samples={samples}."
        )
    return dataclasses.replace(estimator, samples=samples // 2)


def _mean_images(shown: Perturbation, last: _Last, outputs: Sequence[str]) -> dict[str, Tensor]:
    """The mean of every output over the samples shown, in the autograd graph of the credited ones' anchor."""
    credited = last.credited
    samples = _summable(credited.rendering)
    values = _MeanImages.apply(credited.anchor, last, list(_summable(shown.rendering).values()), *samples.values())  # type: ignore[no-untyped-call]
    means = dict(zip(samples, values, strict=True))
    if credited.control is not None:
        explained = _summable(credited.control)
        means = {name: mean + zero_in_value(to_float(explained[name]).mean(0)) for name, mean in means.items()}
    for name in _WEIGHTED_BY_ALPHA:
        if name in outputs:
            covered = means["alpha"] > 0
            means[name] = torch.where(covered, means[name] / torch.where(covered, means["alpha"], 1.0), 0.0)
    return {name: means[name] for name in outputs}


def _summable(rendering: Rendering) -> dict[str, Tensor]:
    """Samples of images ``[K, *batch, views, C, H, W]`` whose sums mean something."""
    return {
        name: rendering.alpha * getattr(rendering, name) if name in _WEIGHTED_BY_ALPHA else rendering.stored(name)
        for name in rendering.outputs
    }


class _MeanImages(torch.autograd.Function):
    """Means of what is shown; backward, the estimator with per-pixel losses ``<grad_output, sample>``.

    What a control variate explains of the samples is taken off them.

    Samples that are in the autograd graph, for their colours and lights, get their share of the gradient as usual.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, last: _Last, shown: Sequence[Tensor], *samples: Tensor) -> tuple[Tensor, ...]:
        ctx.last, ctx.samples = last, [images.detach() for images in samples]
        return tuple(to_float(images).mean(0) for images in shown)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        in_anchor = None
        if ctx.needs_input_grad[0]:
            credited, samples = ctx.last.credited, ctx.samples
            if credited.control is not None:
                explained = _summable(credited.control).values()
                samples = [images - known.detach() for images, known in zip(samples, explained, strict=True)]
            losses = sum(
                (to_float(images) * gradient).sum(-3) for images, gradient in zip(samples, grad_outputs, strict=True)
            )
            ctx.last.losses = losses
            in_anchor = credited.gradient(losses)
        in_samples = [
            (gradient / len(images)).expand_as(images) if needed else None
            for images, gradient, needed in zip(ctx.samples, grad_outputs, ctx.needs_input_grad[3:], strict=True)
        ]
        return in_anchor, None, None, *in_samples
