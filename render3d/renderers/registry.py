"""Renderers by name: found, made with their shading, and ready to render."""

import inspect
from collections.abc import Callable

from render3d.errors import CapabilityError
from render3d.registry import Registry
from render3d.renderers.base import Renderer
from render3d.renderers.shading import Shading
from render3d.renderers.table import KNOWN

RENDERERS: Registry[type] = Registry(
    "renderer",
    {title.lower(): f"render3d.renderers.{line.module}:{title}" for title, line in KNOWN.items()},
    error=CapabilityError,
)
"""All renderers of the package, by the names that command lines take."""


def make_renderer(name: str, shading: Shading | None = None) -> Renderer:
    """Make a renderer that is ready to render.

    Args:
        name: A renderer of the package in any case, such as ``"opengl"``; or ``"module:Class"`` for one of your own,
            whose module is imported, and so its code is run.
        shading: Passed to the class if it has an argument of this name. None: its own default.

    Raises:
        CapabilityError: No renderer has this name; it is not a class whose objects are renderers; it needs other
            arguments; a shading that is not the default, and no argument for it; or a network that is not trained.
    """
    for title, line in KNOWN.items():
        if line.untrained and name.lower() == title.lower():
            raise CapabilityError(f"{name} {line.untrained}")
    kind = RENDERERS.load(name)
    if not (inspect.isclass(kind) and issubclass(kind, Callable)):  # type: ignore[arg-type]  # an abstract class to Python
        raise _no_renderer(name)
    given = {}
    try:
        if shading is not None and "shading" in inspect.signature(kind).parameters:
            given = {"shading": shading}
        elif shading not in (None, Shading()):
            raise CapabilityError(f"The renderer {name!r} takes no shading; leave the shading as it is.")
        made = kind(**given)
    except (TypeError, ValueError) as error:
        raise CapabilityError(
            f"The renderer {name!r} cannot be made with {' and '.join(given) or 'no arguments'}: {error}."
        ) from error
    if not isinstance(made, Renderer):
        raise _no_renderer(name)
    return made


def _no_renderer(name: str) -> CapabilityError:
    return CapabilityError(
        f"{name!r} is not a renderer: it must be a class with `capabilities` whose objects are called with (scene, "
        "cameras, outputs)."
    )
