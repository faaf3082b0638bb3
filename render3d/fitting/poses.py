"""Find the pose of a known mesh in images of it, through any renderer."""

import dataclasses
import math
import warnings
from typing import final

import torch
from torch import Tensor

from render3d import renderers
from render3d.batches import broadcast_shapes, check_same_device, check_shape
from render3d.cameras import Cameras
from render3d.errors import CapabilityError, FitError, ShapeError
from render3d.fitting.loop import check_renderer
from render3d.fitting.settings import PoseSettings
from render3d.images import Rendering
from render3d.randomness import Key, standard_normal
from render3d.renderers.base import EmptyViewWarning, Renderer
from render3d.scenes import Mesh

_DEFAULTS = PoseSettings()

_FITTED = ("rgb", "alpha")
# A share of the noise's variance, so that few samples that happen to lie in a plane do not make steps explode.
_RIDGE = 0.02
# Steps end this many standard deviations of the noise from where the images were seen.
_TRUSTED = 4.0
_SMALLEST_SIDE = 4


@final
@dataclasses.dataclass(frozen=True)
class PoseResult:
    """What `fit_pose` found.

    Attributes:
        cameras: ``[*batch, views]``: the rough cameras, moved.
        twist: ``[*batch, 6]``: by what; see `move_about`, about the centre of the mesh's bounding box.
        loss: ``[*batch]``: mean squared difference of the images at full size, without noise. A loss that is far from
            zero is a fit that failed, or a mesh that does not look like the images.
        rough_loss: ``[*batch]``: the same of the rough cameras; it is never smaller.
        renders: How often each object was rendered, all views at once.
    """

    cameras: Cameras
    twist: Tensor
    loss: Tensor
    rough_loss: Tensor
    renders: int


def move_about(cameras: Cameras, twist: Tensor, center: Tensor) -> Cameras:
    """The cameras as an object sees them that moves rigidly about ``center``, all views by one motion.

    Args:
        cameras: ``[*batch, views]``; how the views stand to one another stays.
        twist: ``[*batch, 6]``: three of translation (scene units), three of rotation (radians), in the axes of the
            first view's camera. Differentiable.
        center: ``[*batch, 3]``, world: what a rotation leaves in its place.

    Returns:
        ``[*batch, views]``: `Cameras.retract` by each view's own twist for that motion (the adjoint of the twist).

    Raises:
        ShapeError: Another shape, or batches that do not broadcast.
    """
    check_shape(twist, "*batch 6", name="twist")
    check_shape(center, "*batch 3", name="center")
    broadcast_shapes(twist.shape[:-1], cameras.batch_shape, names=("twist", "cameras"))
    broadcast_shapes(center.shape[:-1], cameras.batch_shape, names=("center", "cameras"))
    place = cameras.to_camera_space(center[..., None, :])[..., 0, :]
    to_view = cameras.rotation @ cameras.rotation[..., :1, :, :].mT  # from the axes of the first view
    shift, turn = ((to_view @ part[..., None, :, None])[..., 0] for part in (twist[..., :3], twist[..., 3:]))
    return cameras.retract(torch.cat([shift + torch.linalg.cross(place.expand_as(turn), turn), turn], dim=-1))


@torch.no_grad()
def fit_pose(
    mesh: Mesh,
    cameras: Cameras,
    target: Rendering,
    renderer: Renderer | None = None,
    settings: PoseSettings = _DEFAULTS,
) -> PoseResult:
    """Find where a rigid mesh stands in images of it, from a rough pose that may be far off.

    Many poses round the rough one are rendered small, and the search goes on from the best. A step renders K poses with
    noise on their six numbers and fits a line to what each pixel did: the slope is the smoothed image's gradient
    (Stein; Berahas et al. 2022, as `render3d.estimators.Regression`), of all pixels from the same K images. With it the
    squared difference is minimised as Gauss and Newton do. No gradient of the renderer is used. Images, noise and the
    number of starts go from coarse to fine. `PoseSettings.renders` says how many renders that takes.

    Args:
        mesh: ``[*batch]``, one `Mesh`, with the colours it has in the images.
        cameras: ``[*batch, views]``, the rough pose. Views of one object move together, as a rig. Intrinsics stay.
        target: ``rgb`` or ``alpha`` or both, of the size of ``cameras``, their leading shape ``[*batch, views]``: as
            the renderer would show them, in linear light, over its background. Silhouettes alone leave many poses open.
        renderer: Any `Renderer` of meshes; by default `render3d.renderers.OpenGL`.
        settings: Everything else.

    Returns:
        A `PoseResult`. B objects are fitted at once, much faster than one by one, and each as if it were alone up to
        its noise. Nothing is differentiable.

    Raises:
        CapabilityError: A renderer of volumes, or without the target's images; a scene that is not one mesh.
        ShapeError: Shapes that do not fit, or images too small for the levels.
        DeviceError: Mesh, cameras and target on different devices.
        MeshError: A mesh that cannot be rendered.
        FitError: A target that is not finite or shows nothing, or a mesh that is out of the image at the rough pose.
    """
    renderer = renderer or renderers.OpenGL()
    check_renderer(renderer, Mesh)
    search = _Search(mesh, cameras, target, renderer, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyViewWarning)  # of a candidate that left the image: its loss is large
        rough_loss = search.check_visible()
        twists = search.candidates()
        for level in range(settings.levels):
            twists = search.best(twists, settings.starts_at(level), level)
            for step in range(level * settings.updates, (level + 1) * settings.updates):
                twists = search.step(twists, level, step)
        losses = search.losses(twists, settings.levels - 1)
    loss, chosen = losses.min(0)
    better = loss < rough_loss
    twist = torch.where(better[..., None], _picked(twists, chosen[None])[0], 0.0)
    loss = torch.where(better, loss, rough_loss)
    found = search.moved(twist)
    return PoseResult(found, twist * search.units, loss, rough_loss, search.renders)


@final
class _Search:
    """What stays the same in all updates. Its twists ``[*more, *batch, 6]`` count shifts in radii of the mesh."""

    def __init__(
        self, mesh: Mesh, cameras: Cameras, target: Rendering, renderer: Renderer, settings: PoseSettings
    ) -> None:
        if not isinstance(mesh, Mesh):
            raise CapabilityError(
                f"A pose is that of one Mesh, whose batch shares a topology; got a {type(mesh).__name__}. Call once "
                "for each mesh of a list."
            )
        mesh.check_values()
        check_same_device(mesh=mesh.vertices, cameras=cameras.world_to_camera, target=_images(target)[0])
        self.mesh, self.renderer, self.settings = mesh.detach(), renderer, settings
        self.batch = broadcast_shapes(mesh.batch_shape, cameras.batch_shape, names=("mesh", "cameras"))
        poses = cameras.detach().world_to_camera
        self.cameras = dataclasses.replace(
            cameras.detach(), world_to_camera=poses.expand(*self.batch, *poses.shape[-3:])
        )
        _check_target(target, self.cameras, settings.levels)
        self.target = target
        used = self.mesh.vertices[..., self.mesh.faces.reshape(-1), :].to(poses)
        self.center = (used.amin(-2) + used.amax(-2)) / 2
        radius = (used - self.center[..., None, :]).norm(dim=-1).amax(-1, keepdim=True)
        self.units = torch.cat([radius, radius, radius, *[torch.ones_like(radius)] * 3], dim=-1)
        self.renders = 0

    def moved(self, twists: Tensor) -> Cameras:
        """The cameras ``[*more, *batch, views]``."""
        return move_about(self.cameras, twists * self.units, self.center)

    def check_visible(self) -> Tensor:
        """The loss of the rough pose ``[*batch]``, or `FitError` if some view does not show the mesh."""
        self.renders += 1
        outputs = (*self.target.outputs, "alpha")
        seen = self.renderer(self.mesh, self.cameras, tuple(dict.fromkeys(outputs)))
        empty = (seen.alpha.flatten(-3).amax(-1) == 0).expand(self.cameras.leading_shape)
        if bool(empty.any()):
            where = empty.nonzero()[0].tolist()
            raise FitError(
                f"The mesh is out of the image in {int(empty.sum())} of {empty.numel()} views at the rough pose, "
                f"first in that of index {where}: there is nothing to improve. Check the poses (OpenCV: z forward), "
                "near and far, and that the mesh stands in the world of the cameras."
            )
        return self._differences(seen, self.settings.levels - 1).square().mean(-1)

    def candidates(self) -> Tensor:
        """Twists ``[candidates, *batch, 6]``; the first is zero, the rough pose itself."""
        settings = self.settings
        drawn = self._normal(Key(settings.seed), settings.candidates, 7)
        shift, axis, share = drawn[..., :3], drawn[..., 3:6], drawn[..., 6:]
        angle = math.radians(settings.reach_degrees) * torch.special.ndtr(share)  # uniform
        twists = torch.cat([settings.shift * shift, angle * axis / axis.norm(dim=-1, keepdim=True)], -1)
        twists[0] = 0
        return twists

    def losses(self, twists: Tensor, level: int) -> Tensor:
        """``[*more, *batch]``: mean squared differences at a level."""
        return self._residuals(twists, level).square().mean(-1)

    def best(self, twists: Tensor, count: int, level: int) -> Tensor:
        """Those ``count`` of ``[N, *batch, 6]`` with the least losses."""
        return _picked(twists, self.losses(twists, level).argsort(0)[:count])

    def step(self, twists: Tensor, level: int, number: int) -> Tensor:
        """Twists ``[N, *batch, 6]`` after one Gauss-Newton step on the images of noisy ones."""
        samples, starts = self.settings.samples, len(twists)
        scale = self.settings.noise_at(number)
        drawn = self._normal(Key(self.settings.seed).fold_in(number), samples, starts * 6)
        noise = drawn.reshape(samples, *self.batch, starts, 6).movedim(-2, 1)  # [K, N, *batch, 6]
        residuals = self._residuals(twists + scale * noise, level).to(noise)
        return twists + scale * gauss_newton(noise, residuals)

    def _normal(self, key: Key, samples: int, numbers: int) -> Tensor:
        drawn = standard_normal(key, samples, self.batch.numel(), (numbers,))
        return drawn.reshape(samples, *self.batch, numbers).to(self.cameras.world_to_camera)

    def _residuals(self, twists: Tensor, level: int) -> Tensor:
        """``[*more, *batch, P]``: what the images at a level lack, in all pixels, channels and views."""
        self.renders += twists.shape[:-1].numel() // self.batch.numel()
        cameras = self.moved(twists)
        # At twice the size, where there is room, and averaged: pixels of a small image are not to be points.
        size = [min(2 * small, whole) for small, whole in zip(self._size(level), cameras.image_size, strict=True)]
        return self._differences(self.renderer(self.mesh, cameras.resize(*size), self.target.outputs), level)

    def _differences(self, seen: Rendering, level: int) -> Tensor:
        size = self._size(level)
        pairs = [(getattr(seen, name), getattr(self.target, name)) for name in self.target.outputs if name in _FITTED]
        return torch.cat([(_pooled(found, size) - _pooled(wanted, size)).flatten(-4) for found, wanted in pairs], -1)

    def _size(self, level: int) -> tuple[int, int]:
        return _size_at(self.cameras.image_size, self.settings.levels - 1 - level)


def gauss_newton(noise: Tensor, residuals: Tensor) -> Tensor:
    """The step ``[..., D]`` that makes residuals small, from K of them at points that are off by noise.

    A line ``residuals = mean + J noise`` is fitted by least squares, with a small ridge, and ``|mean + J step|`` is
    minimised, the step no longer than is trusted.

    Args:
        noise: ``[K, ..., D]``, of unit variance, K > D.
        residuals: ``[K, ..., P]``, at those points. J itself, D x P, is never formed: products of the K images do.
    """
    center, middle = noise.mean(0), residuals.mean(0)
    apart = (noise - center).movedim(0, -1)  # [..., D, K]
    changes = (residuals - middle).movedim(0, -2)  # [..., K, P]
    samples, dimensions = noise.shape[0], noise.shape[-1]
    ridge = _RIDGE * samples * torch.eye(dimensions).to(noise)
    weights = torch.linalg.solve(apart @ apart.mT + ridge, apart)  # J^T = weights @ changes
    hessian = weights @ (changes @ changes.mT) @ weights.mT
    slope = (weights @ (changes @ middle[..., None]))[..., 0] - (hessian @ center[..., None])[..., 0]
    size = hessian.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    floor = 1e-5 * size + torch.finfo(size.dtype).tiny
    step = -torch.linalg.solve(hessian + floor * torch.eye(dimensions).to(noise), slope)
    length = step.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(step.dtype).tiny)
    trusted: Tensor = step * (_TRUSTED / length).clamp(max=1)
    return trusted


def _images(target: Rendering) -> list[Tensor]:
    images = [getattr(target, name) for name in target.outputs if name in _FITTED]
    if not images or len(images) < len(target.outputs):
        raise FitError(
            f"target must hold rgb or alpha or both, and nothing else; got {', '.join(target.outputs)}. Make "
            'a Rendering({"rgb": image}) of what is to be fitted.'
        )
    return images


def _check_target(target: Rendering, cameras: Cameras, levels: int) -> None:
    for name, image in zip(target.outputs, _images(target), strict=True):
        if image.shape[:-3] != cameras.leading_shape or image.shape[-2:] != cameras.image_size:
            expected = [*cameras.leading_shape, image.shape[-3], *cameras.image_size]
            raise ShapeError(
                f"{name} of target must have shape {expected}, one image a camera; got {list(image.shape)}."
            )
        if not bool(image.isfinite().all()):
            raise FitError(
                f"{name} of target must be finite; got NaN or infinite values. Mend or leave out such views."
            )
    if "alpha" in target.outputs and bool((target.alpha.flatten(-3).amax(-1) == 0).any()):
        raise FitError("alpha of target must show the object in each view; one covers nothing. Leave such views out.")
    if min(_size_at(cameras.image_size, levels - 1)) < _SMALLEST_SIDE:
        raise ShapeError(
            f"levels must leave the coarsest image {_SMALLEST_SIDE} pixels a side; got {levels} levels of images "
            f"of {cameras.image_size[0]} x {cameras.image_size[1]}. Take fewer levels, or larger images."
        )


def _size_at(whole: tuple[int, int], halvings: int) -> tuple[int, int]:
    height, width = whole
    return height >> halvings, width >> halvings


def _pooled(image: Tensor, size: tuple[int, int]) -> Tensor:
    if image.shape[-2:] == size:
        return image
    flat = image.reshape(-1, *image.shape[-3:])
    pooled = torch.nn.functional.adaptive_avg_pool2d(flat, size)
    return pooled.reshape(*image.shape[:-2], *size)


def _picked(twists: Tensor, indices: Tensor) -> Tensor:
    return twists.gather(0, indices[..., None].expand(*indices.shape, 6))
