"""Noisy realisations of a scene, and the backward pass from credit to what vertices and cameras were computed from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Generator, Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError, ShapeError
from render3d.estimators.estimator import Estimator
from render3d.estimators.noisy import Noisy
from render3d.images import Rendering
from render3d.precision import without_autocast
from render3d.randomness import Key, as_key
from render3d.renderers.base import GradientKind, Renderer
from render3d.renderers.deferred_shading import DeferredShading
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh, Scene


@final
@dataclasses.dataclass(frozen=True)
class Perturbation:
    """K noisy realisations of a mesh and their renderings.

    Attributes:
        rendering: Images of leading shape ``[K, *batch, views]``.
        noisy: What was rendered.
        anchor: ``[*batch, views, V, 3]``: the vertices without noise in the space of each camera, in the autograd
            graph. The black box is a function of these: a gradient given to them reaches vertices, poses, intrinsics
            and all that is upstream.
        estimator: What turns losses into the anchor's gradient.
        control: The same seen by the ``control`` of the signal, in the autograd graph, or None.
    """

    rendering: Rendering
    noisy: Noisy
    anchor: Tensor
    estimator: Estimator
    control: Rendering | None = None

    @without_autocast
    def gradient(self, losses: Tensor) -> Tensor:
        """The gradient in ``anchor``, from losses ``[K, *batch, views, H, W]`` whose sum is the objective."""
        return self.estimator.gradient(losses, self.noisy) @ self.noisy.cameras.rotation.mT


@without_autocast
def perturb(
    renderer: Renderer,
    scene: Scene,
    cameras: Cameras,
    outputs: Sequence[str],
    estimator: Estimator,
    generator: Generator | Key | None,
) -> Perturbation:
    """Draw, render and keep what the gradient needs.

    Autograd records the anchor and, if they require a gradient, colours and lights.
    """
    mesh = check_scene(scene)
    broadcast_shapes(mesh.batch_shape, cameras.batch_shape, names=("scene", "cameras"))
    anchor = camera_space(mesh, cameras)
    noisy = noisy_of(renderer, mesh, cameras, outputs, estimator, as_key(generator))
    waiting = waiting_exactly(mesh, renderer)
    black_box = carrying(renderer, waiting) if waiting else renderer
    with torch.set_grad_enabled(bool(waiting)):  # vertices and cameras are detached: colours and lights are recorded
        rendering = render_views(black_box, mesh, noisy.vertices, noisy.cameras, outputs)
    explaining, control = estimator.signal.control, None
    if explaining is not None and anchor.requires_grad:
        moving = mesh.vertices[..., None, :, :] + noisy.draw.displacements
        control = render_views(explaining, noisy.mesh, moving, cameras, outputs)
    return Perturbation(rendering, noisy, anchor, estimator, control)


@torch.no_grad()
def noisy_of(
    renderer: Renderer, mesh: Mesh, cameras: Cameras, outputs: Sequence[str], estimator: Estimator, key: Key
) -> Noisy:
    """Draw the noisy realisations that the renderer is to show these outputs of."""
    able, draw = renderer.capabilities, estimator.noise.draw(key, estimator.samples, mesh, cameras)
    return Noisy(mesh.detach(), cameras.detach(), draw, able.name, able.reach_of(outputs))


def waiting_exactly(mesh: Mesh, renderer: Renderer) -> dict[str, GradientKind]:
    """Colours and lights that require a gradient, which needs no estimator, if autograd is on: names and kinds."""
    colors = [name for name, (tensor, role) in mesh.inputs().items() if role == "colors" and tensor.requires_grad]
    shading = getattr(renderer, "shading", None)
    lights = shading.waiting if isinstance(shading, Shading) else []
    waiting: dict[str, GradientKind] = {**dict.fromkeys(colors, "colors"), **dict.fromkeys(lights, "lights")}
    return waiting if torch.is_grad_enabled() else {}


def carrying(renderer: Renderer, waiting: Mapping[str, GradientKind]) -> Renderer:
    """A renderer that carries exact gradients to these inputs: this one, or one that shades what it sees.

    Raises:
        GradientError: It does not return enough of what it sees; ``waiting`` are the inputs that would get no gradient.
    """
    if renderer.capabilities.gradients.issuperset(waiting.values()):
        return renderer
    try:
        return DeferredShading(renderer)
    except CapabilityError as error:
        raise GradientError(
            f"{' and '.join(waiting)} must get a gradient. {error} Or detach what needs none."
        ) from error


def render_views(
    renderer: Renderer, mesh: Mesh, vertices: Tensor, cameras: Cameras, outputs: Sequence[str]
) -> Rendering:
    """Images of leading shape ``[*more, *batch, views]``, of vertices ``[*more, *batch, W, V, 3]``.

    W is the number of views: a mesh for each, seen by one camera; or 1: one mesh for all of them.
    """
    if vertices.shape[-3] == 1:
        seen = renderer(mesh.with_vertices(vertices.squeeze(-3)), cameras, outputs)
    else:
        each = renderer(mesh.with_vertices(vertices), cameras[..., None], outputs)
        seen = Rendering({name: each.stored(name).squeeze(-4) for name in outputs})
    batch = broadcast_shapes(vertices.shape[:-3], cameras.batch_shape, names=("scene", "cameras"))
    expected, came = (*batch, cameras.views, *cameras.image_size), (*seen.leading_shape, *seen.image_size)
    if expected != came:
        raise ShapeError(
            f"{renderer.capabilities.name} returned images of [*batch, views, H, W] = {list(came)}; expected "
            f"{list(expected)}: the batch that scene and cameras broadcast to, samples first. RendersOneByOne does "
            "it for a renderer that draws one mesh at a time."
        )
    return seen


def check_scene(scene: Scene) -> Mesh:
    """The one mesh that estimators take, or an error."""
    if not isinstance(scene, Mesh):
        raise CapabilityError(
            f"Estimators take one Mesh, whose batch shares a topology; got a {type(scene).__name__}. Call once for "
            "each mesh of a list; renderers of volumes have gradients of their own."
        )
    scene.check_values()
    return scene


def camera_space(mesh: Mesh, cameras: Cameras) -> Tensor:
    """The vertices ``[*batch, views, V, 3]`` in the space of each camera, for autograd.

    New intrinsics make the image that the old ones would make of points scaled by ``f / f_old`` and shifted by
    ``(c - c_old) / f_old`` times their depth. Old and new are equal in value here, so only the gradient is new: it is
    how intrinsics are reached through a black box.
    """
    points = cameras.to_camera_space(mesh.vertices)
    if not cameras.intrinsics.requires_grad:
        return points
    focal = cameras.focal[..., None, :]
    center = cameras.intrinsics[..., None, :2, 2]
    depth = points[..., 2:] if cameras.projection == "perspective" else torch.ones_like(points[..., 2:])
    shift = (center - center.detach()) / focal.detach()
    return torch.cat([points[..., :2] * (focal / focal.detach()) + shift * depth, points[..., 2:]], dim=-1)


def zero_in_value(tensor: Tensor) -> Tensor:
    """Its gradient alone, to be added to something."""
    return tensor - tensor.detach()


class ScoreGradient(torch.autograd.Function):
    """Zero in value; hands a gradient that was estimated forwards, ``[*batch, views, V, 3]``, to the anchor."""

    @staticmethod
    def forward(ctx: FunctionCtx, anchor: Tensor, gradient: Tensor) -> Tensor:
        """Returns zeros ``[*batch]``, to be added to a loss of that shape."""
        ctx.save_for_backward(gradient)
        return anchor.new_zeros(gradient.shape[:-3])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        """The estimate, scaled."""
        (gradient,) = ctx.saved_tensors
        return grad_output[..., None, None, None] * gradient, None
