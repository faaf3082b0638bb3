"""What stands behind the renderers that are compared."""

import dataclasses
import importlib.metadata
import re
from typing import Self, final

from render3d.optional import LIBRARIES
from render3d.renderers.base import Renderer
from render3d.renderers.by_name import check_ready, known_renderers, renderer_by_name

_LIBRARIES = {"opengl": "moderngl", "pyrender": "pyrender"}  # the rest of the package's own stand on torch
_LIBRARIES |= {library.name.lower(): library.module for library in LIBRARIES}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class BackEnd:
    """A renderer in words.

    Attributes:
        name: What it was asked for by.
        title: What it calls itself.
        library: What stands behind it, with the version.
        licence: Of that, by its SPDX name.
        device: Where it works, with the OpenGL that answered.
        gradients: What it carries gradients to by itself; see `render3d.renderers.Capabilities`. Empty for a black box.
        outputs: The images it makes.
    """

    name: str
    title: str
    library: str
    licence: str
    device: str
    gradients: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, name: str, renderer: Renderer) -> Self:
        """That of a renderer that was asked for by ``name``."""
        able = renderer.capabilities
        answered = getattr(renderer, "gl_renderer", None)
        return cls(
            name=name,
            title=able.name,
            library=_library(name, renderer),
            licence=able.licence,
            device=able.device + (f": {answered}" if answered else ""),
            gradients=tuple(sorted(able.gradients)),
            outputs=tuple(able.outputs),
        )

    @property
    def gradient_kinds(self) -> str:
        """For people."""
        return ", ".join(self.gradients) or "none: by an estimator"


def make_renderer(name: str) -> Renderer:
    """The renderer of that name, ready to render; see `renderer_by_name`.

    Raises:
        CapabilityError: No such renderer, or a network that has not learnt anything.
        BackEndError: What stands behind it is missing or broken.
    """
    made = renderer_by_name(name)
    check_ready(made, name)
    return made


def folder_name(name: str) -> str:
    """A name as that of a folder: never a path, and another one for each of the package's own and each class."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name if ":" in name else name.lower())


def _library(name: str, renderer: Renderer) -> str:
    """Distribution and version; the module, where it belongs to none."""
    if ":" in name:
        module = type(renderer).__module__
        distribution = next(iter(importlib.metadata.packages_distributions().get(module.partition(".")[0], [])), None)
    else:
        module = distribution = _LIBRARIES.get(name.lower(), "torch")
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}" if distribution else module
    except importlib.metadata.PackageNotFoundError:
        return module


def names_for(kind: type) -> tuple[str, ...]:
    """The names of all back ends of the package for scenes of this kind, `Mesh` or `Volume`, installed or not."""
    from render3d.renderers import renderers_of_scene

    able = set(renderers_of_scene(kind)) - {"LearnedProjection"}
    return tuple(name for name, title in known_renderers().items() if title in able)
