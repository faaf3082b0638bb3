"""The seam: what a renderer is, and what it can do."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Generator, Tensor

from render3d.batches import broadcast_shapes, check_same_device
from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError, ShapeError
from render3d.images import CHANNELS, Rendering, to_float
from render3d.randomness import Key
from render3d.renderers.table import renderers_of_scene, renderers_with_output
from render3d.scenes import Mesh, Scene, SceneKind

GradientKind = Literal["colors", "lights", "interior", "silhouette", "pose"]
FULL_GRADIENTS: frozenset[GradientKind] = frozenset(get_args(GradientKind))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a renderer can do; asking for more is a `CapabilityError`.

    Attributes:
        name: What users call it.
        outputs: The images of `Rendering` that it makes.
        gradients: What it carries gradients to by itself: ``"colors"`` (of vertices, faces, voxels and textures),
            ``"lights"`` (and the background: the tensors of its `Shading`), ``"interior"`` (shapes, as far as it
            changes what is seen between edges), ``"silhouette"`` (shapes, as far as edges move), ``"pose"`` (cameras,
            whatever shapes get). Empty for a black box. An image whose gradient would be zero for the lack of a kind,
            such as ``alpha`` without ``"silhouette"``, is a `GradientError`.
        batched: Whether a batch is one job for it rather than a loop.
        device: Where it works: ``"cpu"``, ``"cuda"``, ``"opengl"``.
        licence: SPDX name of what stands behind it.
        scenes: The kinds of scenes it renders.
        reach: How many rings of faces round a vertex change their colours when it moves: 1 for flat or no shading, 2
            for normals that neighbours share. None, where any pixel may change (shadows, reflections) or nothing is
            known.
    """

    name: str
    outputs: tuple[str, ...]
    gradients: frozenset[GradientKind] = frozenset()
    batched: bool
    device: str
    licence: str
    scenes: tuple[type[SceneKind], ...] = (Mesh,)
    reach: int | None = None

    def reach_of(self, outputs: Sequence[str]) -> int | None:
        """The reach in these images: which surface a pixel shows changes in the first ring only."""
        shaded = not _GEOMETRY.issuperset(outputs)
        return self.reach if shaded or self.reach is None else 1


_GEOMETRY = frozenset({"alpha", "depth", "face_index", "barycentric"})


@runtime_checkable
class Renderer(Protocol):
    """Anything that makes a `Rendering` of a scene seen by cameras.

    Batch dimensions of scene and cameras broadcast and the views come last: meshes ``[K, B]`` seen by cameras
    ``[B, views]`` give images ``[K, B, views, C, H, W]``; B meshes, each seen by its own camera, are
    ``cameras[:, None]``; a scene that differs per view is ``[B, views]`` against ``[B, views, 1]``. Images live on the
    device of the scene.
    ``generator`` is drawn from by renderers that are random, once a call; others ignore it.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this renderer can do."""
        ...

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render ``scene`` as seen by ``cameras``."""
        ...


class EmptyViewWarning(UserWarning):
    """A view covers no pixel: the scene lies outside it."""


def check_call(capabilities: Capabilities, scene: Scene, cameras: Cameras, outputs: Sequence[str]) -> torch.Size:
    """Check what every renderer must refuse; returns the batch that scene and cameras broadcast to.

    Raises:
        CapabilityError: A scene or output this renderer does not do.
        ShapeError: Batches that do not broadcast, or a list that is empty or holds batches.
        DeviceError: Scene and cameras on different devices.
        GradientError: An input requires a gradient that, as ``capabilities`` says, would not come, or not through all
            of ``outputs``.
        Render3DError: As `SceneKind.check_values` of the scene, such as `MeshError` or `VolumeError`.
    """
    _check_outputs(capabilities, outputs)
    scenes = scene_list(scene)
    _check_scenes(capabilities, scenes)
    for item in scenes:
        if torch.is_grad_enabled():
            _check_gradients(capabilities, item, cameras, outputs)
        check_same_device(scene=next(iter(item.inputs().values()))[0], cameras=cameras.world_to_camera)
        item.check_values()
    return broadcast_shapes(shape_of_batch(scene), cameras.batch_shape, names=("scene", "cameras"))


def scene_list(scene: Scene) -> list[SceneKind]:
    """Return the scenes of a list, or a scene alone as a list."""
    scenes: list[Any] = list(scene) if isinstance(scene, Sequence) else [scene]
    if not scenes:
        raise ShapeError("scene is an empty list; it must hold at least one scene.")
    return scenes


def mesh_list(scene: Scene) -> list[Mesh]:
    """Return the meshes of a scene of meshes: itself, or those of a list."""
    return [item for item in scene_list(scene) if isinstance(item, Mesh)]


def shape_of_batch(scene: Scene) -> torch.Size:
    """Return the batch shape of a scene; the scenes of a list are one batch dimension.

    Raises:
        ShapeError: A list that holds a batch.
    """
    if isinstance(scene, SceneKind):
        return scene.batch_shape
    if any(item.batch_shape for item in scene):
        raise ShapeError("A list of scenes is one batch dimension: each must have no batch of its own.")
    return torch.Size([len(scene)])


def _check_outputs(capabilities: Capabilities, outputs: Sequence[str]) -> None:
    if isinstance(outputs, str) or not outputs:
        raise CapabilityError(f"outputs must be a tuple of names such as ('rgb', 'alpha'); got {outputs!r}.")
    for name in outputs:
        if name not in CHANNELS:
            raise CapabilityError(f"outputs may hold {', '.join(CHANNELS)}; got {name!r}.")
        if name not in capabilities.outputs:
            others = ", ".join(renderers_with_output(name))
            raise CapabilityError(f"{capabilities.name} has no output {name!r}. These have: {others}.")


def _check_scenes(capabilities: Capabilities, scenes: Sequence[SceneKind]) -> None:
    kind = next((type(scene) for scene in scenes if not isinstance(scene, capabilities.scenes)), None)
    if kind is None:
        return
    rendered = " or ".join(kind.__name__ for kind in capabilities.scenes)
    message = f"{capabilities.name} renders {rendered}; got {kind.__name__}."
    if issubclass(kind, SceneKind) and (others := renderers_of_scene(kind)):
        message += f" These render it: {', '.join(others)}."
        message += f" Or convert it: {kind.conversion}." if kind.conversion else ""
    raise CapabilityError(message)


def _check_gradients(capabilities: Capabilities, scene: SceneKind, cameras: Cameras, outputs: Sequence[str]) -> None:
    """Raise `GradientError` if an input requires a gradient that would not come: never a silent zero."""
    given = capabilities.gradients
    moves = ("silhouette",) if "alpha" in outputs else ("silhouette", "interior")
    shapes = not given.isdisjoint(moves)
    comes = {"shape": shapes, "colors": "colors" in given}
    inputs = {name: (tensor, comes[role]) for name, (tensor, role) in scene.inputs().items()}
    inputs |= {name: (getattr(cameras, name), shapes and "pose" in given) for name in ("world_to_camera", "intrinsics")}
    lacking = [name for name, (tensor, can) in inputs.items() if tensor.requires_grad and not can]
    if lacking:
        where = " through alpha: its edges are hard" if given and "alpha" in outputs else ""
        raise GradientError(
            f"{' and '.join(lacking)} require a gradient, and {capabilities.name} gives none by itself{where}. "
            f"Wrap it: render3d.{'estimators.Smoothed' if given else 'differentiable'}(renderer); or render under "
            "torch.no_grad()."
        )


def average_samples(image: Tensor, oversampling: int) -> Tensor:
    """The mean over squares of ``oversampling`` pixels a side, ``[..., C, H, W]`` float32."""
    values = to_float(image)
    height, width = values.shape[-2] // oversampling, values.shape[-1] // oversampling
    return values.reshape(*values.shape[:-2], height, oversampling, width, oversampling).mean((-3, -1))


def warn_of_empty_views(rendering: Rendering) -> None:
    """Warn if a view covers no pixel: fits that see nothing fail without a sign."""
    if "alpha" in rendering.outputs:
        empty = rendering.stored("alpha").flatten(-3).amax(-1) == 0
        if bool(empty.any()):
            warnings.warn(
                "A view covers no pixel: the scene lies outside it, beyond near or far, or behind the camera.",
                EmptyViewWarning,
                stacklevel=3,
            )


class SoftwareRenderingWarning(UserWarning):
    """OpenGL runs on the CPU although the tensors are on a GPU."""


def is_software(gl_renderer: str) -> bool:
    """Whether an OpenGL of this name runs on the CPU."""
    software = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
    return any(name in gl_renderer.lower() for name in software)


def warn_if_software(gl_renderer: str, device: torch.device) -> None:
    """Warn if a software OpenGL answered for tensors that live on a GPU."""
    if device.type != "cpu" and is_software(gl_renderer):
        warnings.warn(
            f"OpenGL is {gl_renderer}, which runs on the CPU, although the scene is on {device}. The GPU's driver "
            "lacks its graphics part, or another EGL device answered; see 'render3d doctor'.",
            SoftwareRenderingWarning,
            stacklevel=3,
        )
