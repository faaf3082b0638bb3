"""The expected loss of a noisy mesh."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.errors import GradientError, ShapeError
from render3d.estimators.estimator import Estimator
from render3d.estimators.perturbation import ScoreGradient, check_scene, perturb, zero_in_value
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.scenes import Scene

PixelLoss = Callable[[Rendering], Tensor]


def expected_loss(
    renderer: Renderer,
    scene: Scene,
    cameras: Cameras,
    pixel_loss: PixelLoss,
    estimator: Estimator,
    *,
    outputs: Sequence[str] = ("rgb", "alpha"),
    generator: Generator | Key | None = None,
) -> Tensor:
    """The loss a noisy mesh can expect, ``E[sum of pixel_loss]``, with a gradient through a renderer that gives none.

    Args:
        renderer: Any renderer; it is called once, on all K noisy realisations.
        scene: One `Mesh` of batch ``[*batch]``, scene units. Vertices get an estimated gradient. Colours, textures
            and the tensors of the renderer's `render3d.Shading` get the exact one of the samples that are drawn, where
            it returns which face a pixel shows, as `OpenGL` does, and are an error elsewhere.
        cameras: ``[*batch, views]``. Poses and intrinsics get a gradient through the camera-space vertices.
        pixel_loss: Takes a `Rendering` of leading shape ``[K, *batch, views]`` and returns one number a pixel,
            ``[K, *batch, views, H, W]``, unreduced; what else it depends on gets its ordinary gradient.
        estimator: How the gradient is estimated, such as `leave_one_out`.
        outputs: The images that ``pixel_loss`` reads.
        generator: Where the noise comes from: drawn from once, or a `Key`.

    Returns:
        ``[*batch]``: the mean over samples of the sum over an object's views and pixels; a scalar for one object. Under
        ``torch.no_grad()`` there is no noise: the loss of one sharp rendering.

    Raises:
        ShapeError: ``pixel_loss`` returned another shape, or batches do not broadcast.
        GradientError: An input requires a gradient that it would not get, or the loss of a sample is not finite.

    A second derivative is an error of autograd. Source: supplement A.5; ``E l`` is differentiated as
    ``E[(l - baseline) grad log p(noise)]``, exactly unbiased for any loss.
    """
    if not torch.is_grad_enabled():
        sharp = renderer(check_scene(scene), cameras, outputs)
        return check_pixels(pixel_loss(sharp), sharp, "pixel_loss").sum((-1, -2, -3))
    perturbed = perturb(renderer, scene, cameras, outputs, estimator, generator)
    losses = check_pixels(pixel_loss(perturbed.rendering), perturbed.rendering, "pixel_loss")
    sums = losses.sum((-1, -2, -3))
    check_finite(sums, "pixel_loss")
    value = sums.mean(0)
    if not perturbed.anchor.requires_grad:
        return value
    unexplained = losses.detach()
    if perturbed.control is not None:
        explained = check_pixels(pixel_loss(perturbed.control), perturbed.control, "pixel_loss")
        unexplained = unexplained - explained.detach()
        value = value + zero_in_value(explained.mean(0).sum((-1, -2, -3)))
    gradient = perturbed.gradient(unexplained)
    return value + ScoreGradient.apply(perturbed.anchor, gradient)  # type: ignore[no-untyped-call, no-any-return]


def check_pixels(values: Tensor, rendering: Rendering, name: str) -> Tensor:
    """``values`` if they are one a pixel, or a `ShapeError` that names the function they came from."""
    expected = (*rendering.leading_shape, *rendering.image_size)
    if tuple(values.shape) != expected:
        raise ShapeError(
            f"{name} must return one number a pixel, of shape {list(expected)}; got {list(values.shape)}. Sum over "
            "channels with .sum(-3), and leave samples, views, rows and columns unreduced."
        )
    return values


def check_finite(sums: Tensor, name: str) -> None:
    """Raise `GradientError` if a sum over pixels, of ``[K, *batch]``, is not finite: baselines would spread it."""
    finite = sums.isfinite()
    if finite.all():
        return
    broken = (~finite).nonzero()
    sample, *element = broken[0].tolist()
    where = f"sample {sample}" + (f" of batch element {element}" if element else "")
    raise GradientError(
        f"{name} must be finite; in {where} it sums to {float(sums[tuple(broken[0])])}, and {len(broken)} of "
        f"{finite.numel()} sums are not finite. No gradient could come of it: clamp it, or mask such pixels."
    )
