"""What stands behind the renderers that are compared."""

import dataclasses
import importlib.metadata
import re
from collections.abc import Sequence
from typing import Self, final

from render3d.optional import version_of
from render3d.renderers.base import Renderer
from render3d.renderers.table import KNOWN

_DISTRIBUTIONS = {title.lower(): line.distribution for title, line in KNOWN.items()}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class RendererFacts:
    """A renderer in words.

    Attributes:
        name: What it was asked for by.
        title: What it calls itself.
        library: What stands behind it, with the version; the class as well, if it is not of the package.
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
        """Describe a renderer that was asked for by ``name``."""
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


def labels_of(names: Sequence[str]) -> dict[str, str]:
    """Return short names for tables and pages: of ``module:Class`` the class, unless two would have the same."""
    short = {name: name.rpartition(":")[2] for name in names}
    return {name: label if list(short.values()).count(label) == 1 else name for name, label in short.items()}


def folder_name(name: str) -> str:
    """Return a name as that of a folder: never a path, and another for each renderer of the package and each class."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name if ":" in name else name.lower())


def _library(name: str, renderer: Renderer) -> str:
    """Distribution and version."""
    if ":" not in name:
        return _versioned(_DISTRIBUTIONS[name.lower()])
    package = type(renderer).__module__.partition(".")[0]
    found = importlib.metadata.packages_distributions().get(package, ())
    return ", ".join([name, *(_versioned(distribution) for distribution in found[:1])])


def _versioned(distribution: str) -> str:
    return " ".join(filter(None, (distribution, version_of(distribution))))
