"""The renderer: all samples, objects and views of a call as tiles of one framebuffer."""

from collections.abc import Sequence
from typing import Any, final

import numpy.typing as npt
import torch
from torch import Generator, Tensor

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.conventions import opengl_projection
from render3d.conventions.common import OPENGL_AXES
from render3d.errors import GraphicsError
from render3d.images import CHANNELS, Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities, check_call, shape_of_batch, warn_if_software
from render3d.renderers.drawing import Images, RendersOneByOne, TakesShading
from render3d.renderers.opengl.atlas import plan_grid
from render3d.renderers.opengl.context import GraphicsContext, shared_context
from render3d.renderers.opengl.devices import egl_device_of_cuda
from render3d.renderers.opengl.draws import frames, plan_segments
from render3d.renderers.opengl.painter import Painter
from render3d.renderers.opengl.resources import Resources
from render3d.renderers.shading import Shading
from render3d.renderers.sharing import SharesContext
from render3d.scenes import Scene

Array = npt.NDArray[Any]

_GEOMETRY = ("depth", "normal", "face_index", "any_face", "barycentric")


@final
class OpenGL(TakesShading, SharesContext, RendersOneByOne):
    """A mesh renderer on moderngl and EGL: headless, batched, without a gradient of its own.

    One call is as few draws and read-backs as the limits of OpenGL allow, whatever its batch. Images stay in the
    framebuffer's types until read: ``uint8`` for alpha alone, half floats for colour and normals.

    Where only alpha is asked for, faces turned away are left out if that provably changes no pixel: the surface has no
    border and all of it lies inside the view. That halves the work of fitting silhouettes.

    Args:
        shading: Lights, background, culling, normals and supersampling.
        egl_device: Which of EGL's devices renders. By default the one of the scene's CUDA device, or EGL's first for
            scenes on the CPU.

    Raises:
        GraphicsError: When first called: no OpenGL 4.3 through EGL; a fork of a process that has used OpenGL; an image
            larger than a framebuffer can be.

    Not differentiable: inputs that require a gradient are an error outside ``torch.no_grad()``. Use
    `render3d.differentiable`. Opaque to ``torch.compile``.
    """

    def __init__(self, shading: Shading | None = None, *, egl_device: int | None = None) -> None:
        super().__init__(shading)
        self.egl_device = egl_device

    @property
    def capabilities(self) -> Capabilities:
        """Every image of a mesh, without gradients."""
        return Capabilities(
            name="OpenGL",
            outputs=tuple(CHANNELS),
            batched=True,
            device="opengl",
            licence="MIT",
            reach=self.shading.reach,
        )

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] | None = None,
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` is not used: nothing here is random."""
        with self._context(cameras.device).undisturbed():
            return super().__call__(scene, cameras, outputs, generator=generator)

    def covering_faces(self, scene: Scene, cameras: Cameras) -> Tensor:
        """``[*batch, views, 1, H, W]`` int32: a face that covers each pixel, -1 where nothing is.

        It need not be the nearest, as in ``face_index``: faces are left out as they are for ``alpha``, and their order
        does not matter. That takes half the time.
        """
        with self._context(cameras.device).undisturbed():
            check_call(self.capabilities, scene, cameras, ("face_index",))
            return self.draw(scene, cameras, ("any_face",))["any_face"]

    def _images(self, scene: Scene, cameras: Cameras, outputs: Sequence[str], batch: torch.Size) -> Images:
        return self._averaged(scene, cameras, outputs)

    def draw(self, scene: Scene, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """Draw every tile once, whether the scene is one, a batch or a list; images are ``[*batch, views, C, H, W]``.

        Args:
            scene: Its batch broadcasts with that of the cameras to ``[*batch]``.
            cameras: As the scene.
            outputs: Some of the images that are asked for.
        """
        context = self._context(cameras.device)
        warn_if_software(context.gl_renderer, cameras.device)
        shading = self.shading.in_numbers("OpenGL")
        targets = tuple(name for name in _GEOMETRY if name in outputs)
        if "rgb" in outputs or "alpha" in outputs:
            targets = ("color" if "rgb" in outputs else "alpha", *targets)
        height, width = cameras.image_size
        if max(height, width) > context.max_size:
            raise GraphicsError(
                f"image_size (with supersampling) is {height} x {width}, and {context.gl_renderer} renders at most "
                f"{context.max_size} x {context.max_size}. Render crops: cameras.crop(top, left, height, width)."
            )
        batch = broadcast_shapes(shape_of_batch(scene), cameras.batch_shape, names=("scene", "cameras"))
        leading = torch.Size([*batch, cameras.views])
        grid = plan_grid(leading.numel(), cameras.image_size, context.max_size)
        matrices = clip_matrices(cameras).reshape(-1, 4, 4)
        places: list[Tensor] = []
        parts = []
        with torch.no_grad(), context.current() as gl:
            context.resources = context.resources or Resources(gl)
            painter = Painter(gl, context.resources, shading, targets, cameras)
            for frame in frames(plan_segments(scene, cameras.leading_shape, leading), grid.tiles):
                parts.append(named_outputs(painter.paint(frame, matrices, grid), outputs))
                places.extend(segment.places for segment in frame)
        order = torch.cat(places)
        in_order = bool((order == torch.arange(len(order))).all())
        result = {}
        for name in parts[0]:
            tiles = parts[0][name] if len(parts) == 1 else torch.cat([part[name] for part in parts])
            tiles = tiles if in_order else tiles[order.argsort()]
            result[name] = tiles.to(cameras.device).unflatten(0, leading)  # type: ignore[no-untyped-call]
        return result

    def _context(self, device: torch.device) -> GraphicsContext:
        self._check_open()
        egl_device = self.egl_device
        if egl_device is None:
            egl_device = egl_device_of_cuda(device.index or 0) if device.type == "cuda" else 0
        context = shared_context(egl_device)
        self._hold(context)
        return context

    @property
    def gl_renderer(self) -> str:
        """Which OpenGL answers for scenes on the CPU (or on ``egl_device``): ``GL_RENDERER``."""
        return self._context(torch.device("cpu")).gl_renderer


def clip_matrices(cameras: Cameras) -> Tensor:
    """``[*batch, views, 4, 4]`` float32: from the world to clip space with y down, so that row 0 comes first."""
    to_camera = cameras.world_to_camera.detach().double()
    # OpenGL's camera space is OpenCV's with y and z reversed; reversing y once more in clip space undoes the first.
    y_down = torch.diag(torch.tensor([1.0, -1, 1, 1])).to(to_camera)
    projection = opengl_projection(cameras).detach().double()
    return (y_down @ projection @ OPENGL_AXES.to(to_camera) @ to_camera).float()


def named_outputs(targets: dict[str, Array], outputs: Sequence[str]) -> dict[str, Tensor]:
    """Copies of the images of `Rendering`, ``[tiles, C, H, W]``, from what the framebuffer's attachments hold."""
    images = {name: torch.from_numpy(array).movedim(-1, -3) for name, array in targets.items()}
    if "color" in images:
        color = images.pop("color")
        images["rgb"], images["alpha"] = color[:, :3], color[:, 3:]
    for name in ("face_index", "any_face"):
        if name in images:
            images[name] = images[name].int() - 1
    for name in ("normal", "barycentric"):
        if name in images:
            images[name] = images[name][:, :3]
    wanted = [name for name in outputs if name in images]
    return {name: images[name].clone(memory_format=torch.contiguous_format) for name in wanted}
