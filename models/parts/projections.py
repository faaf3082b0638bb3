"""Proj, equation 5: from the inferred scene to what is compared with the observation."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor, nn

from render3d.cameras import Cameras, rigid
from render3d.errors import ModelError
from render3d.models.parts.batch import Inferred
from render3d.models.parts.likelihoods import Likelihood
from render3d.randomness import Key
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume


class Projection(Protocol):
    """From scenes of batch ``[N]`` to ``x_hat``."""

    def __call__(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``x_hat``, of the shape of the observation.

        Args:
            scene: What f_write made.
            state: ``[N, S]``: s_T.
            cameras: Those of the batch, where they are known.
            key: For renderers that are random.
        """
        ...

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """``log p(x given scene)``, ``[N]``, nats; a projection may have a gradient, or latents, of its own.

        Args:
            likelihood: Of ``x`` given ``x_hat``.
            x: The observation.
            scene: As above, like the rest.
            state: s_T.
            cameras: Those of the batch.
            key: For renderers and gradients that are random.
        """
        ...


class _Differentiable(nn.Module):
    """A projection that autograd sees through."""

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """``log p(x given x_hat)``, ``[N]``."""
        return likelihood.log_prob(x, self(scene, state, cameras, key))


@final
class Identity(_Differentiable):
    """The canvas itself: for models of volumes."""

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``scene``."""
        if isinstance(scene, Mesh):
            raise ModelError("A mesh cannot be compared with an observation as it is. Use a Rendered projection.")
        return scene


def rotations(values: Tensor) -> Tensor:
    """``[N, 3, 3]`` of any numbers ``[N, 6]``: two rows made orthonormal; zeros mean no turn.

    Without singular points: Zhou et al., "On the continuity of rotation representations in neural networks", CVPR 2019.
    """
    rows = values.reshape(-1, 2, 3) + torch.eye(2, 3, device=values.device)
    first = torch.nn.functional.normalize(rows[:, 0], dim=-1)
    second = rows[:, 1] - (first * rows[:, 1]).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


@final
class InferredCameras(nn.Module):
    """Cameras that the model infers: those of a rig, after a turn of the object about the origin.

    Args:
        rig: ``[views]``: where they would be without the turn. Its poses are constants.
        state: Size of the state.
    """

    def __init__(self, rig: Cameras, state: int) -> None:
        super().__init__()
        if rig.batch_shape:
            raise ModelError(f"rig must be cameras of shape [views]; got {list(rig.leading_shape)}.")
        self.rig = rig.detach()
        self.turn = nn.Linear(state, 6)

    def forward(self, state: Tensor) -> Cameras:
        """``[N, views]``."""
        rotation = rotations(self.turn(state))
        turn = rigid(rotation, torch.zeros_like(rotation[:, 0]))
        rig = self.rig.to(state.device)
        return dataclasses.replace(rig, world_to_camera=rig.world_to_camera @ turn[:, None])


@final
class Rendered(_Differentiable):
    """An image of the scene by any `Renderer`: the line in which renderers are swapped.

    A canvas becomes a `Volume` by the softplus link; further channels of it go to the renderer as they are. A mesh is
    rendered as it is. A black box is wrapped before: ``differentiable(renderer)``.

    Args:
        renderer: What renders; if it is a module, its parameters are the model's.
        outputs: The images that are compared, joined along the channels in this order.
        inferred: Where the cameras come from, if they are not those of the batch.
    """

    def __init__(
        self, renderer: Renderer, outputs: Sequence[str] = ("alpha",), *, inferred: InferredCameras | None = None
    ) -> None:
        super().__init__()
        if not renderer.capabilities.gradients:
            raise ModelError(
                f"{renderer.capabilities.name} gives no gradient, so nothing could be learnt through it. Wrap it: "
                "render3d.differentiable(renderer)."
            )
        self.renderer, self.outputs, self.inferred = renderer, tuple(outputs), inferred

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``[N, views, C, H, W]``."""
        if self.inferred is not None:
            cameras = self.inferred(state)
        if cameras is None:
            raise ModelError("This model renders by the cameras of the batch, and the batch has none. Pass cameras.")
        seen = scene if isinstance(scene, Mesh) else volume_of(scene)
        rendering = self.renderer(seen, cameras, self.outputs, generator=key)
        return torch.cat([rendering.as_dict()[name] for name in self.outputs], dim=-3)


def volume_of(canvas: Tensor) -> Volume:
    """The volume of canvases ``[N, C, D, H, W]``: logits of occupancy, then features."""
    density = Volume.from_logits(canvas[:, 0]).values
    return Volume(torch.cat([density, canvas[:, 1:]], dim=1))
