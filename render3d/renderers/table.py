"""The renderers of the package, one line each: what must be known of them before they are imported."""

import dataclasses
from typing import final

from render3d.optional import KAOLIN, MITSUBA, NVDIFFRAST, PYRENDER, PYTORCH3D, Library
from render3d.scenes.kind import SCENES, SceneKind


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownRenderer:
    """A renderer of the package.

    Attributes:
        module: Where its class is, in `render3d.renderers`.
        scene: The kind of scene that it renders, by its name in `SCENES`.
        outputs: The images that it makes.
        library: What it stands on: an optional library, or a distribution that is installed with the package.
        untrained: Why a new one is of no use, and what to take instead; empty if it is ready when it is made.
    """

    module: str
    scene: str = "mesh"
    outputs: tuple[str, ...] = ("rgb", "alpha", "depth", "normal", "face_index", "barycentric")
    library: Library | str = "torch"
    untrained: str = ""

    @property
    def distribution(self) -> str:
        """The distribution that it stands on."""
        return self.library if isinstance(self.library, str) else self.library.module


_LIGHT = ("rgb", "alpha", "depth")

KNOWN = {
    "OpenGL": KnownRenderer(module="opengl", library="moderngl"),
    "Pyrender": KnownRenderer(module="pyrender", library=PYRENDER),
    "Kaolin": KnownRenderer(module="kaolin", library=KAOLIN),
    "Nvdiffrast": KnownRenderer(module="nvdiffrast", library=NVDIFFRAST),
    "PyTorch3D": KnownRenderer(module="pytorch3d", library=PYTORCH3D),
    "Mitsuba": KnownRenderer(module="mitsuba", library=MITSUBA),
    "EmissionAbsorption": KnownRenderer(module="volumetric", scene="volume", outputs=_LIGHT),
    "MaxProjection": KnownRenderer(module="volumetric", scene="volume", outputs=("alpha",)),
    "LearnedProjection": KnownRenderer(
        module="volumetric",
        scene="volume",
        outputs=_LIGHT,
        untrained="would be a new network, which makes noise. Take emissionabsorption, or module:Class, a class of "
        "yours that loads a trained one.",
    ),
    "PyTorch3DVolumes": KnownRenderer(
        module="volumetric.pytorch3d_volumes", scene="volume", outputs=_LIGHT, library=PYTORCH3D
    ),
}
"""By the names of their classes; in lower case these are the names that command lines take."""


def renderers_with_output(output: str) -> list[str]:
    """Return the class names of the renderers that make ``output``."""
    return [title for title, line in KNOWN.items() if output in line.outputs]


def renderers_of_scene(kind: type[SceneKind]) -> list[str]:
    """Return the class names of the renderers of this kind of scene, such as `Mesh`; none for one from elsewhere."""
    return [title for title, line in KNOWN.items() if line.scene == SCENES.short_name_of(kind)]


def ready_renderers(scene: str) -> tuple[str, ...]:
    """Return the names, for command lines, of what renders this kind of scene as soon as it is made.

    Args:
        scene: A name in `SCENES`, such as ``"mesh"``.
    """
    return tuple(title.lower() for title, line in KNOWN.items() if line.scene == scene and not line.untrained)


RENDERER_HELP = "; ".join(f"for a {scene}: {', '.join(ready_renderers(scene))}" for scene in SCENES)
"""The names that a flag for a renderer takes, for its help."""
