"""Renderers by name, for command lines."""

import importlib
import inspect

from render3d import renderers
from render3d.errors import CapabilityError
from render3d.renderers.base import Renderer, Shading


def known_renderers() -> dict[str, str]:
    """The class of each back end of the package, by the name a command line takes."""
    return {name.lower(): name for name in renderers.renderers_with_output("alpha")}


def names_in(words: str) -> tuple[str, ...]:
    """Names that are written with commas between."""
    return tuple(name.strip() for name in words.split(",") if name.strip())


def renderer_by_name(name: str, shading: Shading | None = None) -> Renderer:
    """Make a renderer with its default settings.

    Args:
        name: A back end of the package in any case, such as ``"opengl"``; or ``"module:Class"`` for one of your own,
            a class that is called without arguments. The module is imported, and so its code is run.
        shading: Given to it as its first argument; None: it is left out.

    Raises:
        CapabilityError: No such back end, module or class, or what it makes is not a `Renderer`.
    """
    module_name, colon, class_name = name.partition(":")
    if not colon:
        known = known_renderers()
        if name.lower() not in known:
            raise CapabilityError(
                f"There is no renderer {name!r}. Known: {', '.join(known)}; or module:Class for one of your own."
            )
        return _make(getattr(renderers, known[name.lower()]), name, shading)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, TypeError, ValueError) as error:  # the latter two for no name, or a relative one
        raise CapabilityError(
            f"The renderer {name!r} is in a module that cannot be imported: {error}. It must be installed, or lie in a "
            "folder on PYTHONPATH."
        ) from error
    if not inspect.isclass(getattr(module, class_name, None)):
        raise CapabilityError(f"The module {module_name!r} has no class {class_name!r} to be a renderer.")
    return _make(getattr(module, class_name), name, shading)


def check_trained(renderer: Renderer, name: str) -> None:
    """Raise `CapabilityError` for a network of the package by its name: a new one, which has not learnt anything."""
    if isinstance(renderer, renderers.LearnedProjection) and ":" not in name:
        raise CapabilityError(
            f"{name} would be a new network, which makes noise. Take emissionabsorption, or module:Class, a class of "
            "yours that loads a trained one."
        )


def _make(kind: type, name: str, shading: Shading | None) -> Renderer:
    try:
        made = kind() if shading is None else kind(shading)
    except TypeError as error:
        given = "without arguments" if shading is None else "with a shading as its only argument"
        raise CapabilityError(f"The renderer {name!r} cannot be made {given}: {error}.") from error
    if not isinstance(made, Renderer):
        raise CapabilityError(
            f"{name!r} is not a renderer: it must have `capabilities` and be called with (scene, cameras, outputs)."
        )
    return made
