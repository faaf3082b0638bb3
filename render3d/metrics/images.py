"""How close images are."""

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes
from render3d.errors import ShapeError

_RADIUS = 5  # of SSIM's window, pixels

SSIM_WINDOW = 2 * _RADIUS + 1
"""The side of the window of `ssim`, pixels: images must not be smaller."""


def silhouette_iou(first: Tensor, second: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Intersection over union of two silhouettes, one number an image.

    Args:
        first: Coverage ``[..., 1, H, W]``, 0-1, such as `render3d.Rendering.alpha`.
        second: The same; leading dimensions broadcast.
        threshold: Coverage above which a pixel counts as covered.

    Returns:
        ``[...]`` float32, 0-1. Two empty silhouettes agree: 1.

    Raises:
        ShapeError: The images differ in size.
    """
    a, b = _covered(first, second, threshold)
    intersection = (a & b).sum((-1, -2, -3))
    union = (a | b).sum((-1, -2, -3))
    return (intersection / union.clamp(min=1)).where(union > 0, 1.0)


def psnr(first: Tensor, second: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of two images whose white is 1, in decibels: ``-10 log10`` of the mean square.

    Images are compared as they are; published figures are those of sRGB (`render3d.color.linear_to_srgb`, clamped).

    Args:
        first: ``[..., C, H, W]``.
        second: The same; leading dimensions broadcast.
        where: ``[..., 1, H, W]`` bool: the pixels that count; by default all.

    Returns:
        ``[...]``; infinite where the images are equal, NaN where no pixel counts.

    Raises:
        ShapeError: The images differ in size.
    """
    _check_size(first, second)
    return -10 * _mean((first - second).square().mean(-3, keepdim=True), where).log10()


def ssim(first: Tensor, second: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Structural similarity of two images whose white is 1: at most 1, which only equal images have.

    The settings are those of the paper: a Gaussian window of 11 x 11 pixels with a standard deviation of 1.5, moments
    of the population, K1 = 0.01 and K2 = 0.03. Channels are compared one by one, and windows that an image does not
    hold whole are left out.

    Images are compared as they are; published figures are those of sRGB (`render3d.color.linear_to_srgb`, clamped).

    Args:
        first: ``[..., C, H, W]`` float, H and W at least 11.
        second: The same; leading dimensions broadcast.
        where: ``[..., 1, H, W]`` bool: the windows whose middles count; by default all.

    Returns:
        ``[...]`` float32; NaN where no window counts. Not differentiable.

    Raises:
        ShapeError: The images differ in size, or are smaller than the window.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", TIP 2004; as scikit-image has it.
    """
    _check_size(first, second)
    if min(first.shape[-2:]) < SSIM_WINDOW:
        raise ShapeError(
            f"Images must be at least {SSIM_WINDOW} pixels a side, the window of SSIM; got {list(first.shape)}. "
            "Render them larger."
        )
    shape = broadcast_shapes(first.shape, second.shape, names=("first", "second"))
    a, b = (image.detach().expand(shape).reshape(-1, *shape[-3:]) for image in (first, second))
    maps = torch.stack([_similarity(one, other) for one, other in zip(a, b, strict=True)])
    similarity = maps.reshape(*shape[:-3], *maps.shape[-3:]).to(first.device)
    inner = (..., slice(_RADIUS, -_RADIUS), slice(_RADIUS, -_RADIUS))
    return _mean(similarity, None if where is None else where[inner])


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    """The mean over channels of the similarity round each pixel whose window the image holds, ``[1, H - 10, W - 10]``.

    Images are ``[C, H, W]``.
    """
    from skimage.metrics import structural_similarity  # slow to import, and for this alone

    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        *(image.cpu().double().numpy() for image in (first, second)),
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return torch.from_numpy(similarity).float().mean(0, keepdim=True)[:, _RADIUS:-_RADIUS, _RADIUS:-_RADIUS]


def _mean(values: Tensor, where: Tensor | None) -> Tensor:
    """The mean ``[...]`` of values ``[..., 1, H, W]`` over the pixels that count; NaN where none does."""
    counts = torch.ones_like(values) if where is None else where.to(values).expand_as(values)
    return (values * counts).sum((-1, -2, -3)) / counts.sum((-1, -2, -3))


def _check_size(first: Tensor, second: Tensor) -> None:
    if first.shape[-3:] != second.shape[-3:]:
        raise ShapeError(f"Images must be of one size; got {list(first.shape)} and {list(second.shape)}.")


def silhouette_disagreement(first: Tensor, second: Tensor, *, threshold: float = 0.5) -> Tensor:
    """The share of pixels that one silhouette covers and the other does not, ``[...]``; else as `silhouette_iou`."""
    a, b = _covered(first, second, threshold)
    return (a ^ b).float().mean((-1, -2, -3))


def _covered(first: Tensor, second: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    if first.shape[-3:] != second.shape[-3:] or first.shape[-3:-2] != (1,):
        raise ShapeError(
            f"Silhouettes must be [..., 1, H, W] of one size; got {list(first.shape)} and {list(second.shape)}."
        )
    return first > threshold, second > threshold
