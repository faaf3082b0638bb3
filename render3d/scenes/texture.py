"""The texture of a mesh, and where on it the corners of faces lie."""

import dataclasses
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from render3d.batches import Batched, check_same_device, check_shape
from render3d.errors import MeshError
from render3d.precision import exact
from render3d.scenes.repair import merged


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Texture(Batched):
    """An image wrapped round a mesh; one for the whole batch.

    Attributes:
        image: ``[H, W, 3]`` float, linear light, 0-1; row 0 is the top row. Sampled bilinearly, repeated outside. Of
            more than 16384 pixels along a side, it is not rendered; `Mesh.repair` shrinks it.
        uv: ``[T, 2]`` float, coordinates: (0, 0) is the lower left corner of the image, (1, 1) the upper right one, as
            in OBJ files.
        faces: ``[F, 3]`` integers, or None: which row of ``uv`` each corner of each face of the mesh takes, so that a
            vertex on a seam may have several. None: one row a vertex, T = V. See `Mesh.uv_faces`.

    Raises:
        ShapeError: A tensor of another shape.
        DeviceError: Tensors on different devices.
        MeshError: ``faces`` that are not integers, other tensors that are not floating point, or an image without
            pixels.
    """

    event_dims: ClassVar[dict[str, int]] = {"image": 3, "uv": 2}

    image: Tensor
    uv: Tensor
    faces: Tensor | None = None

    def __post_init__(self) -> None:
        check_shape(self.image, "H W 3", name="texture.image")
        check_shape(self.uv, "T 2", name="texture.uv")
        for name in ("image", "uv"):
            check_floating(getattr(self, name), f"texture.{name}")
        if 0 in self.image.shape:
            raise MeshError(f"texture.image must have pixels; got shape {list(self.image.shape)}.")
        check_same_device(image=self.image, uv=self.uv)
        object.__setattr__(self, "image", exact(self.image))
        object.__setattr__(self, "uv", exact(self.uv))
        if self.faces is not None:
            check_same_device(uv=self.uv, faces=self.faces)
            object.__setattr__(self, "faces", checked_faces(self.faces, "texture.faces"))

    def compact(self, faces: Tensor, vertices: int) -> Self:
        """The same with each coordinate once, and, if no vertex has two, with one a vertex and no ``faces``.

        Args:
            faces: ``[F, 3]`` of the mesh.
            vertices: How many vertices the mesh has; those of no face may get any coordinate.
        """
        own = faces if self.faces is None else self.faces
        rows, _, distinct = (numbers.to(self.device) for numbers in merged(own, self.uv))
        uv, inside = self.uv[distinct], (faces >= 0) & (faces < vertices)
        of_vertices = rows.new_zeros(vertices).index_put((faces[inside],), rows[inside])
        if len(uv) and bool((rows[inside] >= 0).all()) and torch.equal(of_vertices[faces[inside]], rows[inside]):
            return dataclasses.replace(self, uv=uv[of_vertices], faces=None)
        return dataclasses.replace(self, uv=uv, faces=rows)


def checked_faces(faces: Tensor, name: str) -> Tensor:
    """``[F, 3]`` int64, or a `ShapeError` or `MeshError` for other shapes and types."""
    check_shape(faces, "F 3", name=name)
    if faces.is_floating_point() or faces.dtype == torch.bool:
        raise MeshError(f"{name} must be integers; got {faces.dtype}.")
    return faces.long()


def check_floating(tensor: Tensor, name: str) -> None:
    """Raise `MeshError` for integers: bytes are no colours of 0-1, and nothing would show it."""
    if not tensor.is_floating_point():
        way = " Divide bytes by 255 and decode them by render3d.color.srgb_to_linear." * (tensor.dtype == torch.uint8)
        raise MeshError(f"{name} must be floating point; got {tensor.dtype}.{way}")
