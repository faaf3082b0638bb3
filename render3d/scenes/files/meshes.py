"""Meshes in files: `Mesh.load` and `Mesh.save`."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from render3d.errors import MeshError
from render3d.registry import Registry
from render3d.scenes.files.checks import check_source, check_target
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.raw import COARSE, RawMesh, to_mesh
from render3d.scenes.mesh import Mesh

_HERE = "render3d.scenes.files"
# Imported when asked for: a mesh of arrays needs none of them, and only writers need trimesh, which takes 0.5 s.
_READERS: Registry[Callable[[Path, Folder], RawMesh]] = Registry(
    "reader of meshes",
    {
        ".obj": f"{_HERE}.obj:read_obj",
        ".off": f"{_HERE}.off:read_off",
        ".ply": f"{_HERE}.ply:read_ply",
        ".stl": f"{_HERE}.stl:read_stl",
        ".glb": f"{_HERE}.gltf.reader:read_gltf",
        ".gltf": f"{_HERE}.gltf.reader:read_gltf",
    },
    error=MeshError,
)
_WRITERS: Registry[Callable[[Mesh, Path], dict[str, bytes]]] = Registry(
    "writer of meshes",
    {
        ".obj": f"{_HERE}.obj:write_obj",
        ".off": f"{_HERE}.off:write_off",
        **dict.fromkeys((".ply", ".stl", ".glb"), f"{_HERE}.trimesh_writer:write_trimesh"),
    },
    error=MeshError,
)
READ = tuple(_READERS)
_OF_FLOAT32 = (".ply", ".stl", ".glb")  # as trimesh writes them
_COLORS_OF_FORMAT = {
    ".obj": ("colors", "face_colors", "texture"),
    ".off": ("colors", "face_colors"),
    ".ply": ("colors", "face_colors"),
    ".stl": (),
    ".glb": ("colors", "face_colors", "texture"),
}


def load_mesh(path: Path, root: Path | None = None, checksums: dict[str, str] | None = None) -> Mesh:
    """Read a mesh; see `Mesh.load`.

    Args:
        path: As there.
        root: Likewise.
        checksums: Is filled, whatever becomes of the mesh, with the SHA-256 of each other file that it refers to, such
            as materials and images, by the name by which it does; empty for one that cannot be read.
    """
    suffix = check_source(path, READ, MeshError, "meshes")
    folder = Folder(path, root)
    if checksums is not None:
        folder.checksums = checksums
    try:
        raw = _READERS.load(suffix)(path, folder)
        if len(raw.faces) == 0:
            raise MeshError(f"{path}: no faces; points and lines alone cannot be rendered.")
        return to_mesh(raw, path, folder.problems)
    except (MeshError, MemoryError):
        raise
    except Exception as error:  # readers of broken files fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise MeshError(f"{path}: cannot be read as {suffix}, broken or truncated ({reason}).") from error


def checksums_beside(path: Path, root: Path | None, names: Iterable[str]) -> dict[str, str]:
    """What `load_mesh` says of these files beside a mesh, as they are now.

    Raises:
        MeshError: As `Mesh.load`, of a mesh outside the root.
    """
    folder = Folder(path, root)
    for name in names:
        folder.read(name)
    return folder.checksums


def save_mesh(mesh: Mesh, path: Path) -> None:
    """Write a mesh; see `Mesh.save`."""
    suffix = check_target(path, mesh, _WRITERS, MeshError, "meshes")
    for kind in ("colors", "face_colors", "texture"):
        if getattr(mesh, kind) is not None and kind not in _COLORS_OF_FORMAT[suffix]:
            others = ", ".join(other for other, kinds in _COLORS_OF_FORMAT.items() if kind in kinds)
            raise MeshError(
                f"{path}: {suffix} files hold no {kind}, which would be lost. Save as {others}, or save "
                "mesh.without_colors()."
            )
    if suffix in _OF_FLOAT32 and (lost := _rounding(mesh)):
        raise MeshError(
            f"{path}: {suffix} files hold float32, which would move these vertices by up to {lost:.2g}. Save as .obj "
            "or .off, or save the mesh as it was loaded, before restored()."
        )
    write_files(path.parent, _WRITERS.load(suffix)(mesh, path))


def _rounding(mesh: Mesh) -> float:
    """How far float32 would move vertices; 0 where that is next to nothing beside the size of the mesh."""
    vertices = mesh.vertices.detach()
    rounding = float((vertices.float().double() - vertices.double()).abs().amax())
    size = float((vertices.amax(0) - vertices.amin(0)).amax())
    return rounding if rounding > COARSE * size else 0.0


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
