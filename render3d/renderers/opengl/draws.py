"""From meshes and cameras to draws: which mesh and which camera belong to each tile."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import final

import torch
from torch import Size, Tensor

from render3d.renderers.base import mesh_list
from render3d.scenes import Mesh, Scene

_MOST_VERTICES = 2**18
"""Vertices that go into one upload.

They take 8 MiB of positions and normals, which buffers keep. Mesa's software renderer keeps far more of what it was
given to draw at once: up to 36 MiB for each 100,000 triangles or so that it had not come to yet, until it has as much
to draw again. With it, more at once is no quicker.
"""


@final
@dataclasses.dataclass(frozen=True)
class Segment:
    """Tiles that show meshes of one topology and colouring.

    Attributes:
        mesh: The meshes, with one flat batch dimension ``[M]``.
        places: ``[tiles]``: where each tile's image belongs in the flattened result.
        mesh_of_tile: ``[tiles]`` indices into ``mesh``.
        camera_of_tile: ``[tiles]`` indices into the flattened cameras.
    """

    mesh: Mesh
    places: Tensor
    mesh_of_tile: Tensor
    camera_of_tile: Tensor

    @property
    def tiles(self) -> int:
        """How many tiles."""
        return len(self.places)

    @property
    def vertices(self) -> int:
        """How many vertices a tile draws, at most."""
        seams = self.mesh.seams
        return self.mesh.vertices.shape[-2] if seams is None else len(seams.of_vertices)

    @property
    def coloring(self) -> str:
        """Where reflectance comes from, as in `ProgramKey`."""
        mesh = self.mesh
        kinds = {"vertex": mesh.colors, "face": mesh.face_colors, "texture": mesh.texture}
        return next((kind for kind, value in kinds.items() if value is not None), "reflectance")

    def part(self, start: int, stop: int) -> "Segment":
        """Some of the tiles."""
        names = ("places", "mesh_of_tile", "camera_of_tile")
        return dataclasses.replace(self, **{name: getattr(self, name)[start:stop] for name in names})


def plan_segments(scene: Scene, camera_shape: Size, leading: Size) -> list[Segment]:
    """One segment a mesh of the list, or one for a `Mesh` with its whole batch.

    Args:
        scene: What is rendered.
        camera_shape: ``[*batch, views]`` of the cameras.
        leading: ``[*batch, views]`` of the result.
    """
    places = torch.arange(leading.numel()).reshape(leading)
    cameras = torch.arange(camera_shape.numel()).reshape(camera_shape).expand(leading)
    if isinstance(scene, Mesh):
        batch = scene.batch_shape
        meshes = torch.arange(batch.numel()).reshape(*batch, 1).expand(leading)
        return [Segment(_flatten(scene), *(of_tile.reshape(-1) for of_tile in (places, meshes, cameras)))]
    of_tiles = (places, torch.zeros_like(places), cameras)
    return [
        Segment(_flatten(mesh), *(of_tile[..., number, :].reshape(-1) for of_tile in of_tiles))
        for number, mesh in enumerate(mesh_list(scene))
    ]


def _flatten(mesh: Mesh) -> Mesh:
    def flat(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().reshape(-1, *tensor.shape[-2:])

    return Mesh(
        flat(mesh.vertices),  # type: ignore[arg-type]  # vertices are never None
        mesh.faces,
        colors=flat(mesh.colors),
        face_colors=flat(mesh.face_colors),
        texture=mesh.texture,
    )


def frames(segments: list[Segment], capacity: int) -> Iterator[list[Segment]]:
    """Cut and pack segments into lists that fit a framebuffer of ``capacity`` tiles and an upload."""
    frame: list[Segment] = []
    tiles = vertices = 0
    for segment in segments:
        count = segment.vertices
        start = 0
        while start < segment.tiles:
            room = min(capacity - tiles, max(_MOST_VERTICES - vertices, 0) // count)
            if room < 1 and frame:
                yield frame
                frame, tiles, vertices = [], 0, 0
                continue
            stop = min(start + max(room, 1), segment.tiles)
            frame.append(segment.part(start, stop))
            tiles, vertices = tiles + stop - start, vertices + (stop - start) * count
            start = stop
    if frame:
        yield frame


def groups(frame: list[Segment]) -> Iterator[list[Segment]]:
    """Runs of segments that one program with one set of buffers can draw."""
    # Each texture needs a draw of its own.
    for _, run in itertools.groupby(frame, lambda segment: (segment.coloring, segment.mesh.texture and id(segment))):
        yield list(run)
