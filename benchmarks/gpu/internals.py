"""Time the parts of a call of OpenGL, inside the package.

The package has no public function that says where the time of a call goes, and a profiler would slow down small calls
more than large ones. So the functions below are replaced, in this process only, by ones that look at the clock. This is
the only module that depends on names inside the package's OpenGL renderer.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, final

from render3d.renderers.opengl import atlas, painter, renderer, resources, uploads


@final
class Stopwatch:
    """Seconds by part; the time of a part inside another one counts for the inner one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = [0.0]

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with its time added to a part."""

        @functools.wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                return call(*arguments, **named)
            finally:
                whole = time.perf_counter() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + whole - self._inner.pop()
                self._inner[-1] += whole

        return timed


def watch_opengl() -> Stopwatch:
    """Replace the parts of OpenGL's work by ones that are timed, for the rest of this process."""
    watch = Stopwatch()
    drawn = watch.around("draw", lambda framebuffer: framebuffer.ctx.finish())
    read = watch.around("read_back", atlas.read_tiles)

    def draw_then_read(framebuffer: Any, *arguments: Any) -> Any:
        """Wait for the drawing first: reading would wait for it, and the two could not be told apart."""
        drawn(framebuffer)
        return read(framebuffer, *arguments)

    parts: list[tuple[Any, str, Callable[..., Any]]] = [
        (painter, "read_tiles", draw_then_read),
        (painter, "pack", watch.around("transform", uploads.pack)),
        (renderer, "named_outputs", watch.around("clone", renderer.named_outputs)),
        (resources.StreamBuffers, "write", watch.around("upload", resources.StreamBuffers.write)),
        (painter.Painter, "_submit", watch.around("submit", painter.Painter._submit)),
    ]
    for owner, name, replacement in parts:
        setattr(owner, name, replacement)
    return watch
