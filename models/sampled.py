"""Pictures of inferred meshes by any renderer, with a gradient that is an argument."""

from typing import Literal, final, get_args

import torch
from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import ModelError
from render3d.estimators import Gaussian, Pixels, estimator_by_name, expected_loss, multi_sample_bound
from render3d.images import Rendering
from render3d.models.batch import Inferred
from render3d.models.likelihoods import Likelihood
from render3d.models.projections import rotations
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh

GradientName = Literal["local_credit", "leave_one_out", "vimco", "none"]
GRADIENTS: tuple[GradientName, ...] = get_args(GradientName)

_OUTPUTS = ("rgb",)


@final
class SampledRendering(nn.Module):
    """Pictures of a mesh in an inferred orientation (supplement A.5), compared pixel by pixel.

    For a black box, each mesh is rendered in K noisy realisations, and what autograd gets is an estimate. What is
    maximised is ``E log p(x given noisy mesh)`` for ``"local_credit"`` and ``"leave_one_out"``, and
    ``log E p(x given noisy mesh)``, bounded by K samples, for ``"vimco"``. Without autograd it is one sharp picture.
    Colours get exact gradients where the renderer tells which face a pixel shows, as `OpenGL` does.

    The object is turned, and not the camera, so that lights stay where they are.

    Args:
        renderer: Any renderer of meshes.
        cameras: ``[views]``, those of all observations; constants.
        state: Size of the state, of which the orientation is a linear function.
        gradient: ``"none"`` is for renderers with a gradient of their own.
        samples: K.
        noise: Its standard deviation in pixels, at each vertex.

    Raises:
        ModelError: Another gradient, or ``"none"`` for a renderer that gives no gradient; cameras of a batch.
        ValueError: Too few samples, or a noise that is not positive.
    """

    def __init__(
        self,
        renderer: Renderer,
        cameras: Cameras,
        state: int,
        *,
        gradient: GradientName = "local_credit",
        samples: int = 8,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        _check(renderer, cameras, gradient)
        self.renderer, self.gradient, self.samples = renderer, gradient, samples
        self.cameras = cameras.detach()
        self.noise = Gaussian(scale=Pixels(noise))
        self.estimator = None
        if gradient in ("local_credit", "leave_one_out"):
            self.estimator = estimator_by_name(gradient, samples, Pixels(noise))
        self.turn = nn.Linear(state, 6)

    def rotation(self, state: Tensor) -> Tensor:
        """``[N, 3, 3]``, from the frame of the inferred mesh to the world."""
        return rotations(self.turn(state))

    def turned(self, scene: Inferred, state: Tensor) -> Mesh:
        """The mesh as it is seen."""
        if not isinstance(scene, Mesh):
            raise ModelError("This projection is one of meshes, and the writer makes volumes. Use a MeshWriter.")
        return scene.with_vertices(scene.vertices @ self.rotation(state).mT)

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``[N, views, 3, H, W]``, sharp."""
        return self.renderer(self.turned(scene, state), self._cameras(state), _OUTPUTS, generator=key).rgb

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """As `Projection.log_prob`, of pictures ``x`` ``[N, views, 3, H, W]``."""
        if self.gradient == "none" or not torch.is_grad_enabled():
            return likelihood.log_prob(x, self(scene, state, cameras, key))

        def of_pixels(rendering: Rendering) -> Tensor:
            return likelihood.log_probs(x, rendering.rgb).sum(-3)

        mesh, seen_by = self.turned(scene, state), self._cameras(state)
        if self.estimator is None:
            bound = multi_sample_bound(
                self.renderer,
                mesh,
                seen_by,
                of_pixels,
                self.samples,
                noise=self.noise,
                outputs=_OUTPUTS,
                generator=key,
            )
            return bound.to(x)
        loss = expected_loss(
            self.renderer,
            mesh,
            seen_by,
            lambda rendering: -of_pixels(rendering),
            self.estimator,
            outputs=_OUTPUTS,
            generator=key,
        )
        return -loss

    def _cameras(self, state: Tensor) -> Cameras:
        return self.cameras.to(state.device)


def _check(renderer: Renderer, cameras: Cameras, gradient: str) -> None:
    if gradient not in GRADIENTS:
        raise ModelError(f"gradient must be one of {', '.join(map(repr, GRADIENTS))}; got {gradient!r}.")
    able = renderer.capabilities
    if Mesh not in able.scenes:
        raise ModelError(f"The renderer must render meshes, and {able.name} does not. Take one such as OpenGL.")
    if gradient == "none" and not able.gradients:
        raise ModelError(
            f"{able.name} gives no gradient, so that nothing could be learnt with gradient='none'. Take "
            "'local_credit', 'leave_one_out' or 'vimco'; or a renderer with a gradient of its own, such as PyTorch3D."
        )
    if cameras.batch_shape:
        raise ModelError(f"cameras must be of shape [views]; got {list(cameras.leading_shape)}.")
