"""Which axis of the files of a collection points up."""

import dataclasses
from typing import Literal

from render3d.scenes import Mesh

Up = Literal["y", "z"]


def upright(mesh: Mesh, up: Up) -> Mesh:
    """The mesh turned so that this axis becomes +y, and +x stays; ``to_source`` takes it back.

    Args:
        mesh: In the axes of its file, or normalised.
        up: ``"y"`` as in ShapeNet and in glTF, which leaves it as it is; ``"z"`` as in ModelNet.
    """
    if up == "y":
        return mesh
    vertices = mesh.vertices[..., [0, 2, 1]] * mesh.vertices.new_tensor([1, 1, -1])
    back = mesh.vertices.new_tensor([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    if mesh.to_source is not None:
        back = mesh.to_source @ back.to(mesh.to_source)
    return dataclasses.replace(mesh, vertices=vertices, to_source=back)
