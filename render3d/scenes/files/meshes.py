"""Meshes in files: `Mesh.load` and `Mesh.save`."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.raw import RawMesh, to_mesh

if TYPE_CHECKING:
    from render3d.scenes.mesh import Mesh

READ = (".obj", ".off", ".ply", ".stl", ".glb", ".gltf")
_COLORS_OF_FORMAT = {
    ".obj": ("colors", "face_colors", "texture"),
    ".off": ("colors", "face_colors"),
    ".ply": ("colors", "face_colors"),
    ".stl": (),
    ".glb": ("colors", "face_colors", "texture"),
}


def load_mesh(path: Path, root: Path | None = None, checksums: dict[str, str] | None = None) -> "Mesh":
    """Read a mesh; see `Mesh.load`.

    Args:
        path: As there.
        root: Likewise.
        checksums: Is filled, whatever becomes of the mesh, with the SHA-256 of each other file that it refers to, such
            as materials and images, by the name by which it does; empty for one that cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in READ:
        raise MeshError(f"{path}: meshes are read from {', '.join(READ)}; got {suffix or 'no suffix'!r}. Convert it.")
    if not path.is_file():
        raise MeshError(f"{path}: no such file (from {Path.cwd()}).")
    if path.stat().st_size == 0:
        raise MeshError(f"{path}: the file is empty; fetch it again.")
    folder = Folder(path, root)
    if checksums is not None:
        folder.checksums = checksums
    try:
        raw = _read(path, folder)
    except MeshError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # readers of broken files fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise MeshError(f"{path}: cannot be read as {suffix}, broken or truncated ({reason}).") from error
    if len(raw.faces) == 0:
        raise MeshError(f"{path}: no faces; points and lines alone cannot be rendered.")
    return to_mesh(raw, path, folder.problems)


def checksums_beside(path: Path, root: Path | None, names: Iterable[str]) -> dict[str, str]:
    """What `load_mesh` says of these files beside a mesh, as they are now.

    Raises:
        MeshError: As `Mesh.load`, of a mesh outside the root.
    """
    folder = Folder(path, root)
    for name in names:
        folder.read(name)
    return folder.checksums


def _read(path: Path, folder: Folder) -> RawMesh:
    # Imported here, so that a mesh of arrays needs no trimesh and an OBJ none of its 0.5 s.
    match path.suffix.lower():
        case ".obj":
            from render3d.scenes.files.obj import read_obj

            return read_obj(path, folder)
        case ".off":
            from render3d.scenes.files.off import read_off

            return read_off(path)
        case ".ply":
            from render3d.scenes.files.ply_stl_gltf import read_ply

            return read_ply(path, folder)
        case ".stl":
            from render3d.scenes.files.ply_stl_gltf import read_stl

            return read_stl(path, folder)
        case _:
            from render3d.scenes.files.ply_stl_gltf import read_gltf

            return read_gltf(path, folder)


def save_mesh(mesh: "Mesh", path: Path) -> None:
    """Write a mesh; see `Mesh.save`."""
    suffix = path.suffix.lower()
    if suffix not in _COLORS_OF_FORMAT:
        raise MeshError(f"{path}: meshes are written to {', '.join(_COLORS_OF_FORMAT)}; got {suffix or 'no suffix'!r}.")
    if mesh.batch_shape:
        raise MeshError(
            f"{path}: a file holds one mesh; got a batch of shape {list(mesh.batch_shape)}. Save mesh[0] and so on."
        )
    for kind in ("colors", "face_colors", "texture"):
        if getattr(mesh, kind) is not None and kind not in _COLORS_OF_FORMAT[suffix]:
            others = ", ".join(other for other, kinds in _COLORS_OF_FORMAT.items() if kind in kinds)
            raise MeshError(
                f"{path}: {suffix} files hold no {kind}, which would be lost. Save as {others}, or save "
                "mesh.without_colors()."
            )
    write_files(path.parent, _contents(mesh, path))


def _contents(mesh: "Mesh", path: Path) -> dict[str, bytes]:
    match path.suffix.lower():
        case ".obj":
            from render3d.scenes.files.obj import write_obj

            return write_obj(mesh, path)
        case ".off":
            from render3d.scenes.files.off import write_off

            return {path.name: write_off(mesh)}
        case suffix:
            from render3d.scenes.files.ply_stl_gltf import write_trimesh

            return {path.name: write_trimesh(mesh, suffix)}


def write_files(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files by name, all or none: under other names first, then renamed in order.

    Raises:
        MeshError: The system refused, for want of space or of permission; what was there before is untouched.
    """
    partial = {name: folder / f".{name}.{os.getpid()}.part" for name in contents}
    try:
        for name, content in contents.items():
            with partial[name].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a full disk may show here only
        for name, path in partial.items():
            path.replace(folder / name)
    except OSError as error:
        names = " and ".join(str(folder / name) for name in contents)
        raise MeshError(f"{names}: not written: {error.strerror}. Free space or choose another folder.") from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
