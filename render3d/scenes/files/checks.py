"""What is checked of every file of a scene before it is read or written."""

from collections.abc import Iterable
from pathlib import Path

from render3d.errors import Render3DError
from render3d.scenes.kind import SceneKind


def check_source(path: Path, formats: Iterable[str], error: type[Render3DError], plural: str) -> str:
    """Return the suffix, in lower case, of a file that can be read.

    Raises:
        Render3DError: An ``error``: another suffix than one of ``formats``, no such file, or an empty one.
    """
    suffix = path.suffix.lower()
    if suffix not in (known := tuple(formats)):
        raise error(f"{path}: {plural} are read from {', '.join(known)}; got {suffix or 'no suffix'!r}. Convert it.")
    if not path.is_file():
        raise error(f"{path}: no such file (from {Path.cwd()}).")
    if path.stat().st_size == 0:
        raise error(f"{path}: the file is empty; fetch it again.")
    return suffix


def check_target(path: Path, scene: SceneKind, formats: Iterable[str], error: type[Render3DError], plural: str) -> str:
    """Return the suffix, in lower case, of a file that a scene can be written to.

    Raises:
        Render3DError: An ``error``: another suffix than one of ``formats``, or a batch.
    """
    suffix, kind = path.suffix.lower(), type(scene).__name__.lower()
    if suffix not in (known := tuple(formats)):
        raise error(
            f"{path}: {plural} are written to {', '.join(known)}; got {suffix or 'no suffix'!r}. Choose one of them."
        )
    if scene.batch_shape:
        raise error(
            f"{path}: a file holds one {kind}; got a batch of shape {list(scene.batch_shape)}. Save {kind}[0] and so "
            "on."
        )
    return suffix
