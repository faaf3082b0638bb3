"""Nodes: which meshes the scene places, and where (sections 3.5 and 3.7.3 of the specification)."""

import dataclasses
from typing import final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.gltf.accessors import decoded, fractions, stored
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Floats

_VISIBILITY, _INSTANCING = "KHR_node_visibility", "EXT_mesh_gpu_instancing"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class NodeTree:
    """What the scene draws.

    Attributes:
        transforms: ``[N, 4, 4]``, from the coordinates of each node of the file to those of the scene.
        placed: The nodes that hold a mesh, parents first, each with its transform ``[4, 4]``.
    """

    transforms: Floats
    placed: list[tuple[Entry, Floats]]


def read_nodes(document: Document) -> NodeTree:
    """Read the default scene, in time linear in the number of nodes.

    A file that names no scene is read as its first one. One without scenes is all its nodes, and one without nodes all
    its meshes as they stand.

    Raises:
        MeshError: Nodes that form no trees, or that cannot be read.
    """
    nodes = document.all("nodes")
    children = [node.integers("children") for node in nodes]
    parents = _parents(document, children)
    order = _parents_first(children, parents)
    transforms = np.tile(np.eye(4), (len(nodes), 1, 1))
    drawn = np.zeros(len(nodes), dtype=bool)
    drawn[_roots(document, parents)] = True
    for index in order:
        transforms[index] = _local(nodes[index])
        if (parent := parents[index]) >= 0:
            transforms[index] = transforms[parent] @ transforms[index]
            drawn[index] |= drawn[parent]
        drawn[index] &= _is_visible(nodes[index])
    placed = [(nodes[index], transforms[index]) for index in order if drawn[index] and nodes[index].has("mesh")]
    if not nodes and document.all("meshes"):
        document.note("No node places its meshes; they are drawn as they stand.")
        placed = [(Entry({"mesh": index}, mesh.where), np.eye(4)) for index, mesh in enumerate(document.all("meshes"))]
    return NodeTree(transforms, placed)


def instances(document: Document, node: Entry) -> Floats | None:
    """The transforms ``[M, 4, 4]`` of a node's instances (EXT_mesh_gpu_instancing), or None if it has none.

    Raises:
        MeshError: Attributes that cannot be read, or not equally many of each.
    """
    extension = node.extension(_INSTANCING)
    if extension is None:
        return None
    attributes = extension.entry("attributes")
    found = {}
    for name, kind in (("TRANSLATION", "VEC3"), ("ROTATION", "VEC4"), ("SCALE", "VEC3")):
        if attributes.has(name):
            accessor = document.item("accessors", attributes.integer(name))
            # Rotations may be integers, which are fractions whether they say so or not.
            values = stored(document, accessor, kind)
            found[name] = fractions(values) if name == "ROTATION" else decoded(document, accessor, kind)
    if "ROTATION" in found and not found["ROTATION"].any(1).all():
        raise MeshError(f"{attributes.where}.ROTATION must be unit quaternions; got zeros")
    counts = {len(values) for values in found.values()}
    if len(counts) != 1:
        raise MeshError(f"{extension.where} must have equally many of each of its attributes; got {sorted(counts)}")
    (count,) = counts
    return _composed(
        found.get("TRANSLATION", np.zeros((count, 3))),
        found.get("ROTATION", np.tile([0.0, 0, 0, 1], (count, 1))),
        found.get("SCALE", np.ones((count, 3))),
    )


def _parents(document: Document, children: list[list[int]]) -> list[int]:
    """The parent of each node, -1 where it has none."""
    parents = [-1] * len(children)
    for parent, own in enumerate(children):
        for child in own:
            document.item("nodes", child)
            if parents[child] >= 0:
                raise MeshError(
                    f"node {child} is a child of nodes {parents[child]} and {parent}; nodes must form trees"
                )
            parents[child] = parent
    return parents


def _parents_first(children: list[list[int]], parents: list[int]) -> list[int]:
    """All nodes, each after its parent, else in the order of the file."""
    waiting = [index for index in reversed(range(len(parents))) if parents[index] < 0]
    order = []
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(children[order[-1]]))
    if len(order) < len(parents):
        lost = sorted(set(range(len(parents))) - set(order))
        raise MeshError(f"nodes {', '.join(map(str, lost[:5]))} are among their own ancestors; nodes must form trees")
    return order


def _roots(document: Document, parents: list[int]) -> list[int]:
    scenes = document.all("scenes")
    if not scenes and not document.root.has("scene"):
        return [index for index, parent in enumerate(parents) if parent < 0]
    scene = document.item("scenes", document.root.integer("scene", 0))
    if len(scenes) > 1:
        document.note(f"It has {len(scenes)} scenes; {scene.where} is read.")
    roots = scene.integers("nodes")
    for root in roots:
        document.item("nodes", root)
    return roots


def _is_visible(node: Entry) -> bool:
    visibility = node.extension(_VISIBILITY)
    return visibility is None or visibility.values.get("visible") is not False


def _local(node: Entry) -> Floats:
    """``[4, 4]``, from the coordinates of a node to those of its parent."""
    if node.has("matrix"):
        return node.vector("matrix", np.eye(4).reshape(-1).tolist()).reshape(4, 4).T  # stored by columns
    translation, scale = node.vector("translation", (0, 0, 0)), node.vector("scale", (1, 1, 1))
    rotation = node.vector("rotation", (0, 0, 0, 1))
    if not rotation.any():
        raise MeshError(f"{node.where}.rotation must be a unit quaternion; got zeros")
    local: Floats = _composed(translation[None], rotation[None], scale[None])[0]
    return local


def _composed(translations: Floats, quaternions: Floats, scales: Floats) -> Floats:
    """``[M, 4, 4]`` that scale, then turn, then move; quaternions are x, y, z, w."""
    x, y, z, w = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result = np.tile(np.eye(4), (len(scales), 1, 1))
    result[:, :3, :3] = np.array(rows).transpose(2, 0, 1) * scales[:, None, :]
    result[:, :3, 3] = translations
    return result
