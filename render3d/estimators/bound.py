"""The multi-sample bound of a noisy mesh: the log of the mean likelihood of its samples."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError
from render3d.estimators.estimator import Estimator
from render3d.estimators.expected import PixelLoss, check_finite, check_pixels
from render3d.estimators.noise import Gaussian, Noise
from render3d.estimators.perturbation import Perturbation, ScoreGradient, check_scene, perturb
from render3d.estimators.signal import Plain, score_product
from render3d.estimators.support import Everywhere
from render3d.images import Rendering
from render3d.precision import without_autocast
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.scenes import Scene

LeftOut = Literal["geometric", "arithmetic"]
_SMALL_NOISE = Gaussian()


def multi_sample_bound(
    renderer: Renderer,
    scene: Scene,
    cameras: Cameras,
    log_likelihood: PixelLoss,
    samples: int,
    *,
    noise: Noise = _SMALL_NOISE,
    outputs: Sequence[str] = ("rgb", "alpha"),
    generator: Generator | Key | None = None,
) -> Tensor:
    """``L = log 1/K sum_k p(images | mesh_k)`` in nats, a bound to maximise, with a gradient through any renderer.

    In expectation it is at most ``log E p(images | noisy mesh)``, rises to it with K, and is the expected log
    likelihood at K = 1: a sample that explains the images well need not be like the others.

    The likelihood is that of an object, so what all its views say is summed before the exponential. Noise must be
    shared by the views, and no pixel can be credited to near vertices only, as each changes every sample's weight.

    Args:
        renderer: Any renderer; it is called once, on all K noisy realisations.
        scene: One `Mesh` of batch ``[*batch]``, scene units. Vertices get an estimated gradient; for colours see
            `expected_loss`.
        cameras: ``[*batch, views]``. Those of objects with one view get a gradient through camera-space vertices.
        log_likelihood: Takes a `Rendering` of leading shape ``[K, *batch, views]`` and returns one number a pixel in
            nats, ``[K, *batch, views, H, W]``, unreduced. What else it depends on gets its ordinary gradient, which is
            ``sum_k w_k grad f_k``, w being the softmax over samples of the sums f over views and pixels.
        samples: K >= 2.
        noise: The law of the displacements, shared by the views and independent from sample to sample.
        outputs: The images that ``log_likelihood`` reads.
        generator: Where the noise comes from: drawn from once, or a `Key`.

    Returns:
        ``[*batch]`` float64, nats. Under ``torch.no_grad()`` there is no noise: the log likelihood of one sharp
        rendering.

    Raises:
        ValueError: Too few samples.
        CapabilityError: Noise that is drawn for each view, or in pairs.
        ShapeError: ``log_likelihood`` returned another shape, or batches do not broadcast.
        GradientError: A sample's log likelihood is not finite; or an input requires a gradient that it would not get,
            as the cameras of several views do: noise that views share moves the mesh before all of them at once, which
            does not tell one camera from another.

    A second derivative is an error of autograd. Source: Mnih and Rezende, "Variational inference for Monte Carlo
    objectives", 2016 (VIMCO), to which supplement A.5 refers; the gradient is
    ``sum_k (L - L_{-k}) grad log p(noise_k) + sum_k w_k grad f_k``, where the geometric mean of the others stands for
    a sample's likelihood in ``L_{-k}``; see `MultiSampleBound` for the other choice.
    """
    bound = MultiSampleBound(samples=samples, noise=noise)
    return bound(renderer, scene, cameras, log_likelihood, outputs=outputs, generator=generator)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiSampleBound:
    """`multi_sample_bound` as a value, with the choice of what stands for a sample in its own baseline.

    Attributes:
        samples: K >= 2.
        noise: The law of the displacements, shared by the views and independent from sample to sample.
        left_out: What stands for a sample's likelihood in its own baseline: the ``"geometric"`` mean of those of the
            others or their ``"arithmetic"`` mean. Both are unbiased.

    Raises:
        ValueError: Too few samples, or an unknown ``left_out``.
        CapabilityError: Noise in pairs.
    """

    samples: int
    noise: Noise = _SMALL_NOISE
    left_out: LeftOut = "geometric"

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"samples must be at least 2, as each is compared with the others; got {self.samples}.")
        if self.left_out not in ("geometric", "arithmetic"):
            raise ValueError(f"left_out must be 'geometric' or 'arithmetic'; got {self.left_out!r}.")
        if self.noise.paired:
            raise CapabilityError(
                f"multi_sample_bound needs independent samples, and those of {type(self.noise).__name__} noise come in "
                "pairs: the mirror image in a sample's baseline would bias the gradient. Pass the noise without it."
            )

    def __call__(
        self,
        renderer: Renderer,
        scene: Scene,
        cameras: Cameras,
        log_likelihood: PixelLoss,
        *,
        outputs: Sequence[str] = ("rgb", "alpha"),
        generator: Generator | Key | None = None,
    ) -> Tensor:
        """The bound; see `multi_sample_bound`."""
        if not torch.is_grad_enabled():
            sharp = renderer(check_scene(scene), cameras, outputs)
            return _of_objects(log_likelihood(sharp), sharp)
        _check_cameras(cameras)
        estimator = Estimator(samples=self.samples, noise=self.noise, support=Everywhere(), signal=Plain())
        perturbed = perturb(renderer, scene, cameras, outputs, estimator, generator)
        _check_shared(perturbed)
        f = _of_objects(log_likelihood(perturbed.rendering), perturbed.rendering)
        check_finite(f, "log_likelihood")
        value = f.logsumexp(0) - math.log(self.samples)
        if not perturbed.anchor.requires_grad:
            return value
        gradient = _camera_gradient(learning_signals(f.detach(), self.left_out), perturbed)
        return value + ScoreGradient.apply(perturbed.anchor, gradient)  # type: ignore[no-untyped-call, no-any-return]


def learning_signals(f: Tensor, left_out: LeftOut) -> Tensor:
    """``L - L_{-k}`` of log likelihoods ``[K, *batch]``; in ``L_{-k}`` a mean of the others stands for ``f_k``."""
    samples = len(f)
    own = torch.eye(samples, dtype=torch.bool, device=f.device).reshape(samples, samples, *[1] * (f.dim() - 1))
    others = f.expand(samples, *f.shape)  # [K, K, *batch]: row k is what sample k is compared with
    if left_out == "geometric":
        mean = others.masked_fill(own, 0.0).sum(1) / (samples - 1)
    else:
        mean = others.masked_fill(own, -math.inf).logsumexp(1) - math.log(samples - 1)
    return f.logsumexp(0) - torch.where(own, mean[:, None], others).logsumexp(1)


def _of_objects(pixels: Tensor, rendering: Rendering) -> Tensor:
    """Sums ``[..., *batch]`` over views and pixels, in float64: differences of a nat matter in sums of 1e5."""
    return check_pixels(pixels, rendering, "log_likelihood").sum((-1, -2, -3), dtype=torch.float64)


@without_autocast
def _camera_gradient(signals: Tensor, perturbed: Perturbation) -> Tensor:
    """``sum_k signal_k score_k`` in the world, handed in equal parts to each view's copy ``[*batch, views, V, 3]``."""
    cameras, draw = perturbed.noisy.cameras, perturbed.noisy.draw
    mean = score_product(signals[..., None, None].to(draw.score), draw.score)
    return draw.world_gradient(mean * (len(signals) / cameras.views)) @ cameras.rotation.mT


def _check_shared(perturbed: Perturbation) -> None:
    if perturbed.noisy.draw.coordinates.shape[-3] > 1:
        raise CapabilityError(
            "multi_sample_bound needs noise that the views of an object share, as the likelihood of a sample is that "
            "of one mesh in all views; got noise drawn for each view. Pass per_view=False, or one view an object."
        )


def _check_cameras(cameras: Cameras) -> None:
    inputs = {"world_to_camera": cameras.world_to_camera, "intrinsics": cameras.intrinsics}
    waiting = [name for name, tensor in inputs.items() if tensor.requires_grad]
    if waiting and cameras.views > 1:
        raise GradientError(
            f"{' and '.join(waiting)} of {cameras.views} views require a gradient, and noise that views share does not "
            "tell one camera from another in a likelihood of all of them. Detach the cameras and move the mesh, pass "
            "one view an object, or use expected_loss."
        )
