"""Primitives in their places in the scene."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from render3d.scenes.files.gltf.primitives import Primitive
from render3d.scenes.files.raw import Floats, RawMesh


def placed(raw: RawMesh, transforms: Floats) -> RawMesh:
    """A mesh once for each of ``transforms [M, 4, 4]``; a mirror turns its faces over (section 3.7.4)."""
    count = len(transforms)
    vertices = raw.vertices @ transforms[:, :3, :3].transpose(0, 2, 1) + transforms[:, None, :3, 3]
    copies = dataclasses.replace(raw, vertices=vertices.reshape(-1, 3))
    if count > 1:
        faces = raw.faces + len(raw.vertices) * np.arange(count)[:, None, None]
        copies = dataclasses.replace(
            copies,
            faces=faces.reshape(-1, 3),
            vertex_colors=None if raw.vertex_colors is None else np.tile(raw.vertex_colors, (count, 1)),
            face_colors=None if raw.face_colors is None else np.tile(raw.face_colors, (count, 1)),
            corner_uv=None if raw.corner_uv is None else np.tile(raw.corner_uv, (count, 1, 1)),
            face_image=None if raw.face_image is None else np.tile(raw.face_image, count),
        )
    mirrored = np.linalg.det(transforms[:, :3, :3]) < 0
    return _turned(copies, np.repeat(mirrored, len(raw.faces))) if mirrored.any() else copies


def bent(primitive: Primitive, joints: Floats) -> RawMesh:
    """A mesh where the joints ``[J, 4, 4]`` of its skin move it."""
    assert primitive.binding is not None
    vertices, mirrored = primitive.binding.moved(primitive.raw.vertices, joints)
    moved = dataclasses.replace(primitive.raw, vertices=vertices)
    return _turned(moved, np.ones(len(moved.faces), dtype=bool)) if mirrored else moved


def _turned(raw: RawMesh, which: NDArray[np.bool_]) -> RawMesh:
    faces, corner_uv = raw.faces.copy(), raw.corner_uv
    faces[which] = faces[which, ::-1]
    if corner_uv is not None:
        corner_uv = corner_uv.copy()
        corner_uv[which] = corner_uv[which, ::-1]
    return dataclasses.replace(raw, faces=faces, corner_uv=corner_uv)
