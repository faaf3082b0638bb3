"""pyrender behind the seam, with its known faults worked round in this file.

What is mended: names that NumPy 2 removed; a context whose end terminates the EGL display of its siblings; depth read
by the perspective formula whatever the camera; cameras without a principal point; a framebuffer of 8 bits and four
samples that cannot be turned off; four directional lights at most; textures whose rows are no multiple of four bytes.
"""

import contextlib
import os
import threading
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.conventions import opengl_depth, to_opengl
from render3d.errors import GraphicsError
from render3d.images import CHANNELS
from render3d.optional import PYRENDER
from render3d.renderers.base import Capabilities, warn_if_software
from render3d.renderers.deferred import deferred, weights_at_pixels
from render3d.renderers.drawing import RendersOneByOne, TakesShading
from render3d.renderers.shading import Color, Shading
from render3d.renderers.sharing import SharesContext, check_process
from render3d.scenes import Mesh

Array = npt.NDArray[Any]

_SHADERS = Path(__file__).parent / "pyrender_shaders"

_lock = threading.RLock()
_contexts: "dict[str, _Context]" = {}  # at most one, under "shared"


def load() -> Any:
    """Import pyrender for rendering without a screen, on any NumPy.

    Raises:
        RendererError: It is not installed.
        GraphicsError: It cannot be imported.
    """
    PYRENDER.require()
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")  # read when PyOpenGL is first imported
    try:
        import pyrender
        import pyrender.mesh
    except Exception as error:
        raise GraphicsError(f"pyrender cannot be imported ({error}); see 'render3d doctor'.") from error
    if not hasattr(np, "infty") and not hasattr(pyrender.mesh.np, "infty"):
        pyrender.mesh.np = types.SimpleNamespace(**vars(np), infty=np.inf)  # for that module alone
    return pyrender


@final
class Pyrender(TakesShading, SharesContext, RendersOneByOne):
    """A mesh renderer on pyrender: headless, one image at a time, without a gradient of its own.

    It is here for those who have scenes in it, and as a second opinion on `OpenGL`, which is many times faster.

    Args:
        shading: Lights, background, culling, normals and supersampling. Textures are kept in 8 bits of linear light.

    ``EGL_DEVICE_ID`` chooses the device, as in pyrender itself; it is read when the first image is rendered.

    Raises:
        GraphicsError: When first called: no EGL, or a fork of a process that has used it.

    Not differentiable: inputs that require a gradient are an error outside ``torch.no_grad()``. Use
    `render3d.differentiable`.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Every image of a mesh, without gradients."""
        return Capabilities(
            name="Pyrender",
            outputs=tuple(CHANNELS),
            batched=False,
            device="opengl",
            licence="MIT",
            reach=self.shading.reach,
        )

    def draw(self, mesh: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersOneByOne.draw`."""
        warn_if_software(self.gl_renderer, cameras.device)
        shading = self.shading.in_numbers("Pyrender")
        mesh, cameras = mesh.detach().to("cpu"), cameras.detach().to("cpu")
        poses, projections, _ = to_opengl(cameras)[:3]
        views = list(zip(poses.double().numpy(), projections.double().numpy(), strict=True))
        with self._use().current() as painter:
            images = painter.paint(mesh, views, cameras.image_size, shading)
        color, window = (torch.from_numpy(np.stack(part)) for part in zip(*images, strict=True))
        depth = torch.where(window < 1, opengl_depth(window * 2 - 1, cameras), 0.0)
        rgb, face_index = torch.split(color.movedim(-1, -3), [3, 1], dim=1)
        face_index = face_index.int() - 1
        found = {"rgb": rgb, "alpha": (face_index >= 0).to(rgb), "depth": depth[:, None], "face_index": face_index}
        if not {"normal", "barycentric"}.isdisjoint(outputs):
            corners = cameras.to_camera_space(mesh.vertices)[:, mesh.faces]
            weights = weights_at_pixels(corners, cameras, face_index)
            found = deferred(mesh, cameras, face_index, weights, shading) | found
        return found

    def _use(self) -> "_Context":
        self._check_open()
        with _lock:
            context = _contexts.get("shared") or _contexts.setdefault("shared", _Context())
            check_process(context.process)
            self._hold(context)
            return context

    @property
    def gl_renderer(self) -> str:
        """Which OpenGL answers: ``GL_RENDERER``."""
        return self._use().gl_renderer


@final
class _Context:
    """pyrender's EGL context, one a process."""

    def __init__(self) -> None:
        pyrender = load()
        from OpenGL import GL
        from pyrender.platforms.egl import EGLPlatform, get_device_by_index

        try:
            self._platform = EGLPlatform(1, 1, device=get_device_by_index(int(os.environ.get("EGL_DEVICE_ID", "0"))))
            with _restored():
                self._platform.init_context()
                self._painter = _make_painter(pyrender)
                self.gl_renderer = str(GL.glGetString(GL.GL_RENDERER).decode())
        except Exception as error:  # PyOpenGL and asserts of pyrender fail in any way
            raise GraphicsError(
                f"pyrender got no OpenGL through EGL: {error}. 'render3d doctor' tells what is missing."
            ) from error
        self.process = os.getpid()

    @contextlib.contextmanager
    def current(self) -> Iterator[Any]:
        """Make it current in this thread, and whatever was current before it afterwards."""
        with _lock, _restored():
            self._platform.make_current()
            yield self._painter

    def close(self) -> None:
        """Destroy the context, and not the display that it shares with others, as pyrender would."""
        from OpenGL import EGL

        with _lock:
            _contexts.clear()
            if os.getpid() == self.process:
                with self.current() as painter:
                    painter.delete()
                EGL.eglDestroyContext(self._platform._egl_display, self._platform._egl_context)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Give back whatever context was current."""
    from OpenGL import EGL

    display = EGL.eglGetCurrentDisplay()
    draw, read = EGL.eglGetCurrentSurface(EGL.EGL_DRAW), EGL.eglGetCurrentSurface(EGL.EGL_READ)
    context = EGL.eglGetCurrentContext()
    try:
        yield
    finally:
        if context:
            EGL.eglMakeCurrent(display, draw, read, context)
        else:
            mine = EGL.eglGetCurrentDisplay()
            EGL.eglMakeCurrent(mine, EGL.EGL_NO_SURFACE, EGL.EGL_NO_SURFACE, EGL.EGL_NO_CONTEXT)


def _make_painter(pyrender: Any) -> Any:
    """A pyrender renderer with a framebuffer of floats without multisampling; a function, since pyrender is lazy."""
    from OpenGL import GL
    from pyrender.renderer import Renderer
    from pyrender.shader_program import ShaderProgramCache

    class Camera(pyrender.Camera):  # type: ignore[misc]
        """A camera that is its matrix."""

        def __init__(self, matrix: Array) -> None:
            super().__init__(znear=1.0, zfar=2.0)
            self.matrix = matrix

        def get_projection_matrix(self, width: int | None = None, height: int | None = None) -> Array:
            return self.matrix

    class Painter(Renderer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(1, 1)
            self._main_fb_dims = (0, 0)
            self._program_cache = ShaderProgramCache(shader_dir=str(_SHADERS))

        def paint(
            self, mesh: Mesh, views: list[tuple[Array, Array]], size: tuple[int, int], shading: Shading
        ) -> list[tuple[Array, Array]]:
            """For each pose and projection: colours and faces ``[H, W, 4]``, depth ``[H, W]`` in 0-1 of the window."""
            scene = pyrender.Scene(bg_color=(*shading.background, 0.0), ambient_light=shading.ambient)
            scene.add(_to_pyrender(pyrender, mesh, shading))
            for light in shading.lights:
                strength = pyrender.DirectionalLight(color=np.array(light.color), intensity=1.0)
                scene.add(strength, pose=_pose_of_light(light.towards))
            self.viewport_height, self.viewport_width = size
            images = []
            for pose, projection in views:
                node = scene.add(Camera(projection), pose=pose)
                scene.main_camera_node = node
                images.append(self.render(scene, pyrender.RenderFlags.OFFSCREEN | pyrender.RenderFlags.RGBA))
                scene.remove_node(node)
            self._update_context(pyrender.Scene(), pyrender.RenderFlags.NONE)  # frees what no scene holds any more
            return images

        def _compute_max_n_lights(self, flags: int) -> list[int]:
            return [8, 0, 0]

        def _configure_main_framebuffer(self) -> None:
            if self._main_fb_dims == (self.viewport_width, self.viewport_height):
                return
            self._delete_main_framebuffer()
            self._main_cb, self._main_db = GL.glGenRenderbuffers(2)
            self._main_fb = self._main_fb_ms = GL.glGenFramebuffers(1)
            GL.glBindFramebuffer(GL.GL_DRAW_FRAMEBUFFER, self._main_fb)
            for buffer, kind, attachment in (
                (self._main_cb, GL.GL_RGBA32F, GL.GL_COLOR_ATTACHMENT0),
                (self._main_db, GL.GL_DEPTH_COMPONENT24, GL.GL_DEPTH_ATTACHMENT),
            ):
                GL.glBindRenderbuffer(GL.GL_RENDERBUFFER, buffer)
                GL.glRenderbufferStorage(GL.GL_RENDERBUFFER, kind, self.viewport_width, self.viewport_height)
                GL.glFramebufferRenderbuffer(GL.GL_DRAW_FRAMEBUFFER, attachment, GL.GL_RENDERBUFFER, buffer)
            self._main_fb_dims = (self.viewport_width, self.viewport_height)

        def _delete_main_framebuffer(self) -> None:
            if self._main_fb is not None:
                GL.glDeleteFramebuffers(1, [self._main_fb])
                GL.glDeleteRenderbuffers(2, [self._main_cb, self._main_db])
            self._main_fb = self._main_fb_ms = self._main_cb = self._main_db = None
            self._main_fb_dims = (0, 0)

        def _read_main_framebuffer(self, scene: Any, flags: int) -> tuple[Array, Array]:
            width, height = self._main_fb_dims
            GL.glBindFramebuffer(GL.GL_READ_FRAMEBUFFER, self._main_fb)
            color = np.frombuffer(GL.glReadPixels(0, 0, width, height, GL.GL_RGBA, GL.GL_FLOAT), np.float32)
            depth = np.frombuffer(GL.glReadPixels(0, 0, width, height, GL.GL_DEPTH_COMPONENT, GL.GL_FLOAT), np.float32)
            return color.reshape(height, width, 4)[::-1].copy(), depth.reshape(height, width)[::-1].copy()

    return Painter()


def _to_pyrender(pyrender: Any, mesh: Mesh, shading: Shading) -> Any:
    """A pyrender mesh. Vertices are split where faces have colours of their own, and on the seams of a texture."""
    faces, of_vertices = mesh.faces, torch.arange(mesh.vertices.shape[-2])
    colors = mesh.colors.float().numpy() if mesh.colors is not None else None
    uv, texture = None, None
    if mesh.texture is not None:
        coordinates = mesh.texture.uv
        if mesh.seams is not None:
            faces, of_vertices, of_uv = mesh.seams
            coordinates = coordinates[of_uv]
        uv = coordinates.float().numpy()
        texels = (mesh.texture.image.clamp(0, 1) * 255 + 0.5).byte().numpy()
        opaque = np.full((*texels.shape[:2], 1), 255, np.uint8)  # four channels keep rows aligned to four bytes
        linear = pyrender.Sampler(magFilter=9729, minFilter=9729)  # GL_LINEAR, without mipmaps
        source = np.concatenate([texels, opaque], axis=-1)
        texture = pyrender.Texture(source=source, source_channels="RGBA", sampler=linear)
    if mesh.face_colors is not None:
        of_vertices = faces.reshape(-1)
        colors = mesh.face_colors.float().numpy().repeat(3, axis=0)
        faces = torch.arange(len(of_vertices)).reshape(-1, 3)
    positions = mesh.vertices[of_vertices].float().numpy()
    normals = mesh.vertex_normals()[of_vertices].float().numpy() if shading.normals == "smooth" else None
    if shading.cull == "front":  # pyrender leaves out back faces only: turn all round, and the normals with them
        faces, normals = faces.flip(-1), -normals if normals is not None else None
    colored = colors is not None or texture is not None
    material = pyrender.MetallicRoughnessMaterial(
        baseColorFactor=(1.0, 1.0, 1.0, 1.0) if colored else (*NEUTRAL_GREY, 1.0),
        baseColorTexture=texture,
        doubleSided=shading.cull == "none",
    )
    primitive = pyrender.Primitive(
        positions=positions,
        normals=normals,
        texcoord_0=uv,
        color_0=colors,
        indices=np.ascontiguousarray(faces.numpy(), np.uint32),
        material=material,
    )
    return pyrender.Mesh([primitive])


def _pose_of_light(towards: Color | Tensor) -> Array:
    """A pose whose -z axis is the direction in which the light travels."""
    z = np.array(towards, np.float64) / np.linalg.norm(towards)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, np.cross(z, x), z], axis=-1)
    return pose
