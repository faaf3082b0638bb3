"""Skins: vertices moved by joints (section 3.7.3.3 of the specification)."""

import dataclasses
from typing import final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.gltf.accessors import decoded
from render3d.scenes.files.gltf.attributes import Attributes
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.raw import Floats, Integers


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Binding:
    """Which joints move a vertex: ``joints [V, K]`` of the skin, and ``weights [V, K]``, which sum to 1."""

    joints: Integers
    weights: Floats

    def moved(self, vertices: Floats, matrices: Floats) -> tuple[Floats, bool]:
        """Vertices ``[V, 3]`` where joints ``[J, 4, 4]`` move them, and whether that turns them inside out.

        Raises:
            MeshError: A joint that the skin does not have.
        """
        if self.joints.size and int(self.joints.max()) >= len(matrices):
            raise MeshError(f"its vertices are moved by joint {self.joints.max()} of a skin of {len(matrices)}")
        moved, volume = np.zeros_like(vertices), 0.0
        sides = np.linalg.det(matrices[:, :3, :3])
        for joint, weight in zip(self.joints.T, self.weights.T, strict=True):
            rows = matrices[joint]
            moved += weight[:, None] * (np.einsum("vij,vj->vi", rows[:, :3, :3], vertices) + rows[:, :3, 3])
            volume += float((weight * sides[joint]).sum())
        return moved, volume < 0


def read_binding(attributes: Attributes) -> Binding | None:
    """Read the joints of the vertices of a primitive, all sets of four side by side, or None without any.

    Weights are made to sum to 1. A vertex without any is moved by its first joint.

    Raises:
        MeshError: Joints or weights that cannot be read.
    """
    joints: list[Integers] = []
    weights: list[Floats] = []
    while attributes.has(f"JOINTS_{len(joints)}") and attributes.has(f"WEIGHTS_{len(joints)}"):
        weights.append(attributes.values(f"WEIGHTS_{len(joints)}", "VEC4"))
        joints.append(attributes.joints(f"JOINTS_{len(joints)}"))
    if not joints:
        return None
    weight = np.hstack(weights)
    sums = weight.sum(1, keepdims=True)
    weight = np.divide(weight, sums, out=np.zeros_like(weight), where=sums > 0)
    weight[sums[:, 0] <= 0, 0] = 1
    return Binding(np.where(weight > 0, np.hstack(joints), 0), weight)


def joint_matrices(document: Document, index: int, transforms: Floats) -> Floats:
    """The matrices ``[J, 4, 4]`` of the joints of a skin, from the mesh as it is stored to the scene.

    Args:
        document: The file.
        index: The skin.
        transforms: ``[N, 4, 4]`` of all nodes.

    Raises:
        MeshError: Joints that are no nodes, or fewer inverse bind matrices than joints.
    """
    skin = document.item("skins", index)
    joints = skin.integers("joints")
    for joint in joints:
        document.item("nodes", joint)
    if not skin.has("inverseBindMatrices"):
        return transforms[joints]
    inverse = decoded(document, document.item("accessors", skin.integer("inverseBindMatrices")), "MAT4")
    if len(inverse) < len(joints):
        raise MeshError(f"{skin.where} has {len(joints)} joints and {len(inverse)} inverse bind matrices")
    matrices: Floats = transforms[joints] @ inverse[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)
    return matrices
