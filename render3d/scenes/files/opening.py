"""A scene of any kind from a file."""

from pathlib import Path

from render3d.errors import CapabilityError
from render3d.scenes.files.meshes import READ as MESHES
from render3d.scenes.files.volumes import FORMATS as VOLUMES
from render3d.scenes.kind import SCENES, SceneKind

SUFFIXES = {**dict.fromkeys(MESHES, "mesh"), **dict.fromkeys(VOLUMES, "volume")}
"""The kind of scene that a file holds, by its suffix in lower case."""


def open_scene(path: Path, kind: str | None = None) -> SceneKind:
    """Read a scene.

    Args:
        path: The file.
        kind: A name in `SCENES`, or ``"module:Class"`` for a kind of your own, whose ``load`` is given the path. None:
            that of the suffix.

    Raises:
        CapabilityError: No such kind, or a suffix that tells none.
        Render3DError: As ``load`` of that kind.
    """
    if kind is None:
        kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise CapabilityError(f"{path} is of no known kind of scene. Known suffixes: {', '.join(SUFFIXES)}.")
    return SCENES.load(kind).load(path)
