"""PLY and STL, read and written through trimesh, and glTF, written through it."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from PIL import Image as PillowImage
from trimesh.visual.color import ColorVisuals
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from render3d.color import srgb_bytes, srgb_to_linear, to_bytes
from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder, encode_image, quiet_about_bombs
from render3d.scenes.files.raw import Floats, Image, RawMesh, join
from render3d.scenes.mesh import Mesh
from render3d.scenes.repair import unique_rows


def read_ply(path: Path, folder: Folder) -> RawMesh:
    """Read a PLY file, of text or binary; its colours are sRGB."""
    scene = _load(path, folder)
    for geometry in scene.geometry.values():
        for name, element in geometry.metadata.get("_ply_raw", {}).items():
            rows = element.get("data")
            if isinstance(rows, dict):
                rows = next(iter(rows.values()), [])
            if element["length"] and (rows is None or len(rows) < element["length"]):
                have = 0 if rows is None else len(rows)
                raise MeshError(f"{path}: truncated: {have} of {element['length']} {name} rows; fetch the file again.")
    return join(_parts(scene, path, folder, linear=False))


def read_stl(path: Path, folder: Folder) -> RawMesh:
    """Read an STL file, of text or binary. Its triangles share no vertices; those that are equal become one."""
    scene = _load(path, folder)
    # trimesh finds nothing in a binary file whose length is wrong, nor in one of text without its end.
    if not scene.geometry:
        raise MeshError(f"{path}: no whole triangles in it: truncated or broken; fetch it again.")
    raw = join(_parts(scene, path, folder, linear=False))
    first, inverse = unique_rows(raw.vertices)
    return RawMesh(vertices=raw.vertices[first], faces=inverse[raw.faces])


def _load(path: Path, folder: Folder) -> Any:
    resolver: Any = folder
    file = io.BytesIO(path.read_bytes())
    with quiet_about_bombs():
        return trimesh.load_scene(file, file_type=path.suffix[1:].lower(), resolver=resolver, process=False)


def _parts(scene: Any, path: Path, folder: Folder, *, linear: bool) -> list[RawMesh]:
    """The meshes of a scene, each in its place; ``linear`` says whether its colours are."""
    parts = []
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        geometry = scene.geometry[name]
        if not isinstance(geometry, trimesh.Trimesh):
            continue
        part = _part(geometry, folder, linear=linear)
        vertices = part.vertices @ transform[:3, :3].T + transform[:3, 3]
        part = dataclasses.replace(part, vertices=vertices)
        parts.append(_turned(part) if np.linalg.det(transform[:3, :3]) < 0 else part)
    if not parts:
        raise MeshError(f"{path}: no faces; points and lines alone cannot be rendered.")
    return parts


def _turned(raw: RawMesh) -> RawMesh:
    """Faces turned over, which a mirror left inside out."""
    corner_uv = None if raw.corner_uv is None else raw.corner_uv[:, ::-1]
    return dataclasses.replace(raw, faces=raw.faces[:, ::-1].copy(), corner_uv=corner_uv)


def _part(geometry: Any, folder: Folder, *, linear: bool) -> RawMesh:
    vertices = np.array(geometry.vertices, dtype=np.float64)
    faces = np.array(geometry.faces, dtype=np.int64)
    visual = geometry.visual
    if not isinstance(visual, TextureVisuals):
        return RawMesh(
            vertices=vertices,
            faces=faces,
            vertex_colors=_unit(visual.vertex_colors, linear=linear) if visual.kind == "vertex" else None,
            face_colors=_unit(visual.face_colors, linear=linear) if visual.kind == "face" else None,
        )
    factor, image = _material(visual.material, folder)
    colors = visual.vertex_attributes.get("color")
    vertex_colors = None if colors is None else _unit(colors, linear=linear) * (1 if factor is None else factor)
    raw = RawMesh(
        vertices=vertices,
        faces=faces,
        vertex_colors=vertex_colors,
        face_colors=None if factor is None else np.tile(factor, (len(faces), 1)),
    )
    if image is None:
        return raw
    is_white = vertex_colors is not None and bool((vertex_colors == factor).all())
    return dataclasses.replace(
        raw,
        vertex_colors=None if is_white else vertex_colors,
        corner_uv=None if visual.uv is None else np.array(visual.uv, dtype=np.float64)[faces],
        face_image=np.zeros(len(faces), dtype=np.int64),
        images=(image,),
    )


def _material(material: Any, folder: Folder) -> tuple[Floats | None, Image | None]:
    """The colour of a material, linear light, and its image multiplied by it."""
    if not isinstance(material, PBRMaterial):
        return None, _decoded(getattr(material, "image", None), "texture", folder)
    # glTF: a material that names no colour is white.
    factor = np.array([255, 255, 255, 255] if material.baseColorFactor is None else material.baseColorFactor) / 255
    if material.alphaMode == "BLEND" and factor[3] < 1:
        folder.problems.append(f"Material {material.name!r} is transparent; drawn opaque.")
    image = _decoded(material.baseColorTexture, str(material.name), folder)
    return factor[:3], None if image is None else image * factor[:3].astype(np.float32)


def _decoded(image: PillowImage.Image | None, name: str, folder: Folder) -> Image | None:
    return None if image is None else folder.decode(name, lambda: image)


def _unit(colors: NDArray[Any], *, linear: bool) -> Floats:
    """Linear light ``[N, 3]`` of colours of any type, whole numbers being fractions of their largest."""
    values = np.array(colors[..., :3], dtype=np.float64)
    if np.issubdtype(colors.dtype, np.unsignedinteger):
        values /= np.iinfo(colors.dtype).max
    decoded: Floats = values if linear else srgb_to_linear(torch.from_numpy(values)).numpy()
    return decoded


def write_trimesh(mesh: Mesh, path: Path) -> dict[str, bytes]:
    """The content of a ``.ply``, ``.stl`` or ``.glb`` file, by its name."""
    suffix = path.suffix.lower()
    if suffix == ".glb":
        mesh = mesh.split() if mesh.face_colors is None else _unshared(mesh)
    geometry = trimesh.Trimesh(_array(mesh.vertices), mesh.faces.cpu().numpy(), process=False)
    if suffix == ".ply" and mesh.colors is not None:
        geometry.visual = ColorVisuals(geometry, vertex_colors=_opaque(srgb_bytes(mesh.colors)))
    if suffix == ".ply" and mesh.face_colors is not None:
        geometry.visual = ColorVisuals(geometry, face_colors=_opaque(srgb_bytes(mesh.face_colors)))
    if suffix == ".glb" and mesh.colors is not None:
        visual = _matte()
        visual.vertex_attributes["color"] = _opaque(to_bytes(mesh.colors))
        geometry.visual = visual
    if suffix == ".glb" and mesh.texture is not None:
        image = PillowImage.open(io.BytesIO(encode_image(mesh.texture.image)))
        geometry.visual = _matte(uv=_array(mesh.texture.uv), image=image)
    content = geometry.export(file_type=suffix[1:])
    assert isinstance(content, bytes)
    return {path.name: content}


def _matte(uv: NDArray[Any] | None = None, image: PillowImage.Image | None = None) -> Any:
    material = PBRMaterial(baseColorTexture=image, metallicFactor=0, roughnessFactor=1)  # type: ignore[no-untyped-call]
    return TextureVisuals(uv=uv, material=material)  # type: ignore[no-untyped-call]


def _unshared(mesh: Mesh) -> Mesh:
    """Three vertices for each face, in its colour: glTF has no colours of faces."""
    assert mesh.face_colors is not None
    corners = mesh.faces.reshape(-1)
    return Mesh(
        mesh.vertices[corners],
        torch.arange(len(corners)).reshape(-1, 3),
        colors=mesh.face_colors.repeat_interleave(3, dim=0),
    )


def _opaque(colors: torch.Tensor) -> NDArray[np.uint8]:
    """``[N, 4]``."""
    return np.pad(_array(colors), ((0, 0), (0, 1)), constant_values=255)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
