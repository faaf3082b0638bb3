"""Images of inferred meshes by any renderer, with a gradient that is an argument."""

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, ModelError
from render3d.estimators import (
    SHARP,
    Estimator,
    Gaussian,
    Pixels,
    default_gradient,
    differentiable,
    estimator_of,
    expected_loss,
    multi_sample_bound,
)
from render3d.images import Rendering
from render3d.models.parts.batch import Inferred
from render3d.models.parts.likelihoods import Likelihood
from render3d.models.parts.projections import rotations
from render3d.models.parts.turn_search import TurnSearch
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh

_OUTPUTS = ("rgb",)
_OF_TURNS = 1


class Oriented(NamedTuple):
    """Meshes as they are seen.

    Attributes:
        mesh: ``[N]``, turned.
        rotation: ``[N, 3, 3]``, from the frame of the inferred mesh to the world.
        log_ratio: ``[N]``, nats: ``log p(rotation) - log q(rotation)``; 0 for one that is a function of the state.
    """

    mesh: Mesh
    rotation: Tensor
    log_ratio: Tensor


@final
class SampledRendering(nn.Module):
    """Images of a mesh in an inferred orientation (supplement A.5), compared pixel by pixel.

    For a black box, each mesh is rendered in K noisy realisations, and what autograd gets is an estimate. What is
    maximised is ``E log p(x given noisy mesh)`` for an estimator such as ``"local_credit"`` or ``"leave_one_out"``, and
    ``log E p(x given noisy mesh)``, bounded by K samples, for ``"vimco"``. Without autograd it is one sharp image.
    Colours get exact gradients where the renderer tells which face a pixel shows, as `OpenGL` does.

    The object is turned, and not the camera, so that lights stay where they are. Its orientation is a latent variable
    with the prior and the law q of a `TurnSearch`, for which the mesh is rendered in many; or a function of the state,
    which gets a gradient.

    Args:
        renderer: Any renderer of meshes.
        cameras: ``[views]``, those of all observations; constants.
        state: Size of the state.
        gradient: The name of an estimator as of `render3d.estimators.estimator_by_name`; or ``"vimco"``; or
            ``"own"``, of renderers that have one; or ``"edges"``, of those that tell which face a pixel shows.
        samples: K.
        noise: Its standard deviation in pixels, at each vertex.
        search: Finds orientations; None where they are a linear function of the state.
        search_renderer: What draws meshes in the search, ``renderer`` by default. A quick one does.

    Raises:
        ModelError: Another gradient, or one that the renderer does not allow; cameras of a batch.
        ValueError: Too few samples, or a noise that is not positive.
    """

    def __init__(
        self,
        renderer: Renderer,
        cameras: Cameras,
        state: int,
        *,
        gradient: str = "local_credit",
        samples: int = 8,
        noise: float = 0.5,
        search: TurnSearch | None = None,
        search_renderer: Renderer | None = None,
    ) -> None:
        super().__init__()
        _check(renderer, cameras, gradient)
        self.renderer = differentiable(renderer, gradient) if gradient in SHARP else renderer
        self.gradient, self.samples = gradient, samples
        self.cameras = cameras.detach()
        self.noise = Gaussian(scale=Pixels(noise))
        self.estimator = model_estimator(gradient, samples, noise)
        self.search, self.search_renderer = search, search_renderer or renderer
        self.turn = nn.Linear(state, 6) if search is None else None

    def orient(self, scene: Inferred, state: Tensor, x: Tensor | None, key: Key | None) -> Oriented:
        """Meshes in the orientations in which images show them.

        Args:
            scene: Meshes ``[N]``.
            state: ``[N, S]``.
            x: Images ``[N, views, 3, H, W]``; None for orientations from the prior.
            key: Of the draws; None for the most probable orientation.

        Raises:
            ModelError: What the writer makes are no meshes.
        """
        if not isinstance(scene, Mesh):
            raise ModelError("This projection is one of meshes, and the writer makes volumes. Use a MeshWriter.")
        if self.turn is not None:
            rotation = rotations(self.turn(state))
            log_ratio = torch.zeros_like(rotation[:, 0, 0])
        else:
            assert self.search is not None
            if x is None:
                rotation, log_ratio = self.search.prior(len(state), key)
            else:
                rotation, log_ratio = self.search.find(lambda turns: self._as_turned(scene, turns), x, key)
            rotation, log_ratio = rotation.to(scene.vertices), log_ratio.to(scene.vertices)
        return Oriented(scene.with_vertices(scene.vertices @ rotation.mT), rotation, log_ratio)

    def _as_turned(self, mesh: Mesh, turns: Tensor) -> Tensor:
        """``[N, K, views, 3, H, W]`` of meshes ``[N]`` turned by ``[K, 3, 3]`` or ``[N, K, 3, 3]``."""
        alone = mesh[:, None]
        return self.search_renderer(
            alone.with_vertices(alone.vertices @ turns.mT), self.cameras.to(turns.device), _OUTPUTS
        ).rgb

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``[N, views, 3, H, W]``, sharp; where orientations are searched for, in one of the prior."""
        return self._sharp(self.orient(scene, state, None, key.fold_in(_OF_TURNS)).mesh, key)

    def _sharp(self, mesh: Mesh, key: Key) -> Tensor:
        return self.renderer(mesh, self.cameras.to(mesh.vertices.device), _OUTPUTS, generator=key).rgb

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """As `Projection.log_prob`, of images ``[N, views, 3, H, W]``; with ``log p - log q`` of orientations."""
        seen = self.orient(scene, state, x, key.fold_in(_OF_TURNS))
        return self._log_likelihood(likelihood, x, seen.mesh, key) + seen.log_ratio

    def _log_likelihood(self, likelihood: Likelihood, x: Tensor, mesh: Mesh, key: Key) -> Tensor:
        if self.gradient in SHARP or not torch.is_grad_enabled():
            return likelihood.log_prob(x, self._sharp(mesh, key))

        def of_pixels(rendering: Rendering) -> Tensor:
            return likelihood.log_probs(x, rendering.rgb).sum(-3)

        seen = self.renderer, mesh, self.cameras.to(x.device)
        if self.estimator is None:
            bound = multi_sample_bound(
                *seen, of_pixels, self.samples, noise=self.noise, outputs=_OUTPUTS, generator=key
            )
            return bound.to(x)
        return -expected_loss(
            *seen, lambda rendering: -of_pixels(rendering), self.estimator, outputs=_OUTPUTS, generator=key
        )


def model_estimator(gradient: str, samples: int, noise: float) -> Estimator | None:
    """Make the estimator of a gradient by its name, with noise in pixels; None for those that need none.

    Raises:
        ModelError: There is no such gradient.
        ValueError: Too few samples, or a noise that is not positive.
    """
    try:
        return estimator_of(gradient, samples, Pixels(noise), others=("vimco",))
    except CapabilityError as error:
        raise ModelError(str(error)) from error


def _check(renderer: Renderer, cameras: Cameras, gradient: str) -> None:
    able = renderer.capabilities
    if Mesh not in able.scenes:
        raise ModelError(f"The renderer must render meshes, and {able.name} does not. Take one such as OpenGL.")
    if gradient == "own" and not able.gradients:
        raise ModelError(
            f"{able.name} gives no gradient, so that nothing could be learnt with gradient='own'. Take "
            f"{default_gradient(renderer)!r}, 'local_credit' or 'vimco'; or a renderer that has one, such as Mitsuba."
        )
    if cameras.batch_shape:
        raise ModelError(f"cameras must be of shape [views]; got {list(cameras.leading_shape)}.")
