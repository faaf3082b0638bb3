"""PLY, STL and glTF, written through trimesh."""

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

from render3d.color import srgb_bytes, to_bytes
from render3d.scenes.files.folder import encode_image
from render3d.scenes.mesh import Mesh


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
