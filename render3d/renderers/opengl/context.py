"""One OpenGL context per process and device, made on first use and shared by all renderer objects."""

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any, final

import moderngl
import torch

from render3d.errors import GraphicsError
from render3d.renderers.base import is_software
from render3d.renderers.opengl.resources import Resources
from render3d.renderers.sharing import check_process

_contexts: dict[int, "GraphicsContext"] = {}
_lock = threading.RLock()


def shared_context(egl_device: int) -> "GraphicsContext":
    """The context of this process on that EGL device, made if it is not there.

    Raises:
        GraphicsError: EGL is missing or gives no context; or this process was forked after a context was made.
    """
    with _lock:
        context = _contexts.get(egl_device)
        if context is None:
            context = _contexts[egl_device] = GraphicsContext(egl_device)
        check_process(context.process)
        return context


@final
class GraphicsContext:
    """An EGL context and what renderers keep in it.

    Attributes:
        gl: The moderngl context.
        egl_device: Index in EGL's list of devices.
        gl_renderer: The name of what answered, ``GL_RENDERER``.
        process: The number of the process that made it.
        max_size: The largest width and height of a framebuffer, in pixels.
        resources: What the renderer keeps between calls: programs, buffers, framebuffers.
    """

    def __init__(self, egl_device: int) -> None:
        try:
            settings: dict[str, Any] = {"backend": "egl", "device_index": egl_device}
            self.gl = moderngl.create_context(require=430, standalone=True, **settings)
        except Exception as error:  # glcontext raises bare Exception
            raise GraphicsError(
                f"No OpenGL 4.3 context could be made through EGL on device {egl_device}: {error}. Without a screen, "
                "Mesa's software renderer does (Debian: apt install libegl1 libgl1 libgl1-mesa-dri libgles2). "
                "'render3d doctor' tells what is missing."
            ) from error
        self.egl_device = egl_device
        self.gl_renderer = str(self.gl.info["GL_RENDERER"])
        largest = self.gl.info["GL_MAX_TEXTURE_SIZE"]
        self.max_size = int(min(largest, *self.gl.info["GL_MAX_VIEWPORT_DIMS"]))
        self.resources: Resources | None = None
        self.process = os.getpid()
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def current(self) -> Iterator[moderngl.Context]:
        """Make the context current in this thread, and whatever was current before it afterwards."""
        check_process(self.process)
        with self._lock, self.gl:
            yield self.gl

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Keep torch to one thread while software OpenGL renders for the main thread.

        Torch's workers wait for more work by spinning, on the cores that OpenGL's own threads need. The number of
        threads is that of the whole process: no other thread than the main one may change it and change it back.
        """
        if not is_software(self.gl_renderer) or threading.current_thread() is not threading.main_thread():
            yield
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def close(self) -> None:
        """Release the context; the next renderer makes another."""
        with _lock:
            if _contexts.get(self.egl_device) is self:
                del _contexts[self.egl_device]
            if os.getpid() == self.process:
                self.gl.release()
