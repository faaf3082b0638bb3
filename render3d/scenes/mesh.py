"""Triangle meshes of one topology over a batch."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes, check_same_device, check_shape
from render3d.cameras import Cameras
from render3d.errors import MeshError, ShapeError
from render3d.precision import exact, without_autocast
from render3d.scenes.kind import Role, SceneKind
from render3d.scenes.repair import Kept, MeshProblems, merged, problems_of, repaired
from render3d.scenes.texture import Texture, check_floating, checked_faces
from render3d.scenes.topology import Split, split_at_seams
from render3d.scenes.unwrapping import unwrap
from render3d.scenes.values import LARGEST_SIDE, bad_rows, check_inputs, mended_colors, mended_uv, shrunk_to


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Mesh(SceneKind):
    """A batch of triangle meshes that share their faces, of leading shape ``[*batch]``.

    Attributes:
        vertices: ``[*batch, V, 3]`` float, world, scene units. Differentiable.
        faces: ``[F, 3]`` integers, indices of vertices, counter-clockwise when seen from outside.
        colors: ``[*batch, V, 3]`` float or None: reflectance of each vertex, linear light, 0-1, interpolated.
        face_colors: ``[*batch, F, 3]`` float or None: reflectance of each face.
        texture: One `Texture` for the batch, or None. At most one of the three may be given; a mesh with none of them
            is of a neutral grey.
        to_source: ``[*batch, 4, 4]`` or None: what `normalized` undid. It takes these vertices back to the coordinates
            of the file. It is float64, and there already after `load`, where float32 cannot hold those coordinates.
        source: The file it was loaded from, for messages.
        problems: What was wrong with that file and could not be kept, such as a missing material; see `check`.

    Only shapes are checked here. Values (indices out of range, NaN) are checked by `check` and before rendering. What
    comes in half precision, as networks make it inside ``torch.autocast``, is kept as float32.

    Raises:
        ShapeError: A tensor of another shape, or batch shapes that do not broadcast.
        DeviceError: Tensors on different devices.
        MeshError: More than one kind of colour, faces that are not integers, or other tensors that are.
    """

    conversion: ClassVar[str] = "Volume.from_mesh(mesh)"
    event_dims: ClassVar[dict[str, int]] = {"vertices": 2, "colors": 2, "face_colors": 2, "to_source": 2}

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    face_colors: Tensor | None = None
    texture: Texture | None = None
    to_source: Tensor | None = None
    source: Path | None = None
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_shape(self.vertices, "*batch V 3", name="vertices")
        object.__setattr__(self, "faces", checked_faces(self.faces, "faces"))
        check_floating(self.vertices, "vertices")
        for name in ("colors", "face_colors"):
            if (colors := getattr(self, name)) is not None:
                check_floating(check_shape(colors, "*batch N 3", name=name), name)
        self._check_colors()
        texture = {"texture.image": self.texture.image} if self.texture else {}
        check_same_device(faces=self.faces, **self._tensors(), **texture)
        batch = torch.Size([])
        for name, tensor in self._tensors().items():
            batch = broadcast_shapes(batch, tensor.shape[:-2], names=("the mesh", name))
        for name, tensor in self._tensors().items():
            object.__setattr__(self, name, exact(tensor).expand(*batch, *tensor.shape[-2:]))

    def _check_colors(self) -> None:
        kinds = {"colors": self.colors, "face_colors": self.face_colors, "texture": self.texture}
        given = [name for name, value in kinds.items() if value is not None]
        if len(given) > 1:
            raise MeshError(
                f"A mesh takes one kind of colour; got {' and '.join(given)}. Pass one and leave out the rest."
            )
        vertices, faces, texture = self.vertices.shape[-2], self.faces.shape[0], self.texture
        of_vertices = texture.uv if texture is not None and texture.faces is None else None
        for name, tensor, count, more in (
            ("colors", self.colors, vertices, ""),
            ("face_colors", self.face_colors, faces, ""),
            ("texture.faces", texture.faces if texture is not None else None, faces, ""),
            ("texture.uv", of_vertices, vertices, " If a vertex has several, say in texture.faces which is whose."),
        ):
            if tensor is not None and tensor.shape[-2] != count:
                shape = list(tensor.shape)
                raise ShapeError(f"{name} must have one row for each of {count}; got shape {shape}.{more}")

    @classmethod
    def load(cls, path: str | Path, root: str | Path | None = None) -> Self:
        """Read a mesh from an OBJ (with MTL), OFF, PLY, STL, GLB or GLTF file.

        Scenes become one mesh, each part in its place. Polygons become triangles. The colours of files are sRGB (the
        vertex and base colours of glTF are linear); those of the mesh are linear light, float32. Materials become
        colours of faces or, if one has an image, one texture. Vertices of STL that are equal are merged; otherwise the
        vertices are those of the file. Those on the seams of a texture are split if the file splits them, as GLB must
        and OBJ need not: see `merged`.

        What is missing, unreadable or cannot be kept does not stop it: it is listed in ``problems``. So are images of
        more pixels than Pillow's limit, 89 million by default, which are left out, and of more than 16384 pixels along
        a side, which are shrunk. Colours that are not finite become neutral grey; others are clipped to 0-1.

        Vertices are float32. Where that would round them by more than a share of 2**-16 of the size of the mesh, as at
        coordinates of maps, they are first centred, in float64: this is listed, and `restored` undoes it.

        Args:
            path: The file.
            root: A folder; nothing outside it is read, whatever the file refers to. None: the folder of ``path``.

        Raises:
            MeshError: No such file, or one outside the root; a format that is not read; an empty, truncated or broken
                file; no faces.
        """
        from render3d.scenes.files.meshes import load_mesh

        return load_mesh(Path(path), None if root is None else Path(root))

    def save(self, path: str | Path) -> None:
        """Write an OBJ (with MTL and PNG beside it), OFF, PLY, STL or GLB file, chosen by the suffix.

        Colours become sRGB of 8 bits, except: those of an OBJ are decimals, and vertex colours of a GLB are linear as
        glTF demands. A GLB has no colours of faces: their vertices are split, as are those on the seams of a texture.
        A file that cannot be written whole leaves what was there before.

        Raises:
            MeshError: A suffix that is not written; colours that the format has no place for; vertices of float64 that
                PLY, STL and GLB, which have float32, would move; a batch; a full disk.
        """
        from render3d.scenes.files.meshes import save_mesh

        save_mesh(self, Path(path))

    @classmethod
    def icosphere(cls, subdivisions: int = 3, radius: float = 1.0) -> Self:
        """A sphere of ``20 * 4**subdivisions`` nearly equal triangles round the origin, vertices float32.

        Raises:
            ValueError: A radius that is not above zero, or subdivisions outside 0-8 (over a million faces).
        """
        import trimesh  # takes half a second to import

        if not 0 <= subdivisions <= 8:
            raise ValueError(f"subdivisions must be from 0 to 8; got {subdivisions}.")
        if not radius > 0:
            raise ValueError(f"radius must be above zero; got {radius}.")
        sphere = trimesh.creation.icosphere(subdivisions, radius)
        return cls(torch.tensor(sphere.vertices, dtype=torch.float32), torch.tensor(sphere.faces))

    def check(self) -> MeshProblems:
        """What is wrong with this mesh; print it."""
        problems = problems_of(self.vertices, self._faces_with_uv, self.source, self.problems)
        return dataclasses.replace(problems, **self._bad_values())

    def _bad_values(self) -> dict[str, Any]:
        """How many values are not finite or too large, by the names that they have in `MeshProblems`."""
        bad = {name: bad_rows(name, tensor) for name, (tensor, _) in self.inputs().items()}
        colors = [counts for name, counts in bad.items() if name not in ("vertices", "texture.uv")]
        return {
            "far_vertices": bad["vertices"][1],
            "nonfinite_colors": sum(nonfinite for nonfinite, _ in colors),
            "colors_far_outside_0_to_1": sum(far for _, far in colors),
            "unusable_texture_coordinates": sum(bad.get("texture.uv", ())),
            "oversized_textures": int(self.texture is not None and max(self.texture.image.shape) > LARGEST_SIDE),
        }

    def check_values(self) -> None:
        """Raise `MeshError` for a mesh that could not be rendered as it is.

        It has no faces, or indices out of range; its vertices, colours or texture are not finite or absurdly large
        (vertices beyond 1e10, colours beyond 10, texture coordinates beyond 2**20); or an image has more than 16384
        pixels along a side.
        """
        if self.faces.shape[0] == 0:
            raise MeshError(f"The mesh{self._where} has no faces: there is nothing to render.")
        self._check_indices()
        check_inputs({name: tensor for name, (tensor, _) in self.inputs().items()}, self._where)
        if self.texture is not None and max(self.texture.image.shape) > LARGEST_SIDE:
            raise MeshError(
                f"texture.image must have at most {LARGEST_SIDE} pixels along a side, the limit of OpenGL; got "
                f"shape {list(self.texture.image.shape)}{self._where}. mesh.repair() shrinks it."
            )

    def _check_indices(self) -> None:
        self._check_range("faces", self.faces, self.vertices.shape[-2], "vertices")
        if self.texture is not None and self.texture.faces is not None:
            self._check_range("texture.faces", self.texture.faces, len(self.texture.uv), "rows of texture.uv")

    def _check_range(self, name: str, faces: Tensor, count: int, what: str) -> None:
        low, high = (int(bound) for bound in torch.aminmax(faces)) if len(faces) else (0, -1)
        if low < 0 or high >= count:
            raise MeshError(
                f"{name} must index {count} {what}{self._where}; got indices from {low} to {high}. "
                "mesh.repair() drops such faces."
            )

    @property
    def uv_faces(self) -> Tensor:
        """``[F, 3]`` int64: which row of ``texture.uv`` each corner of each face takes, whichever way that is stored.

        Raises:
            MeshError: No texture.
        """
        if self.texture is None:
            raise MeshError(f"{self._name} has no texture, so no texture coordinates.")
        return self.faces if self.texture.faces is None else self.texture.faces

    @property
    def seams(self) -> Split | None:
        """How vertices must be split to have one texture coordinate each; None if they have.

        For renderers and formats that know no other: positions and normals of vertices are taken by
        ``seams.of_vertices``, coordinates by ``seams.of_uv``. It is remembered while the faces live. Indices out of
        range make no sense of it; see `check_values`.
        """
        if self.texture is None or self.texture.faces is None:
            return None
        return split_at_seams(self.faces, self.texture.faces)

    @property
    def _faces_with_uv(self) -> Tensor:
        """``[F, 3]``: the faces, with -1 at corners whose texture coordinate does not exist."""
        if self.texture is None or self.texture.faces is None:
            return self.faces
        rows = self.texture.faces
        return torch.where((rows >= 0) & (rows < len(self.texture.uv)), self.faces, -1)

    def inputs(self) -> Mapping[str, tuple[Tensor, Role]]:
        """Return the vertices, which decide the shape, and what holds the colours."""
        texture = {"texture.image": self.texture.image, "texture.uv": self.texture.uv} if self.texture else {}
        colors = {"colors": self.colors, "face_colors": self.face_colors, **texture}
        given: dict[str, tuple[Tensor, Role]] = {
            k: (value, "colors") for k, value in colors.items() if value is not None
        }
        return {"vertices": (self.vertices, "shape"), **given}

    def in_unit_sphere(self, cameras: Cameras) -> tuple[Self, Cameras]:
        """Return this mesh, `normalized`, and the cameras as they are."""
        return self.normalized(), cameras

    @property
    def size(self) -> str:
        """The number of faces."""
        return f"{len(self.faces):,} faces"

    def repair(self) -> Self:
        """This mesh without what `check` found, as far as that can be mended.

        Faces with indices out of range, vertices that are not finite or no area are dropped, as are faces in the place
        of an earlier one, and then vertices of no face. Faces are flipped so that neighbours agree on a side, most
        keeping theirs, and so that closed surfaces face outwards. Colours and texture stay with what they belong to; if
        any are not finite or far outside 0-1, they become neutral grey or are clipped. Texture coordinates that no
        renderer could use become 0, and an image too large is shrunk. Holes stay.

        Raises:
            MeshError: Nothing that can be rendered is left.
        """
        kept = repaired(self.vertices, self._faces_with_uv)
        if kept is None:
            raise MeshError(f"{self._name}: nothing that can be rendered is left.\n{self.check()}")
        return self._with_sound_values()._select(kept)

    def _with_sound_values(self) -> Self:
        """This mesh with colours and a texture that renderers take; those that they take stay as they are."""
        colors: dict[str, Any] = {
            name: mended_colors(tensor)
            for name, tensor in (("colors", self.colors), ("face_colors", self.face_colors))
            if tensor is not None and any(bad_rows(name, tensor))
        }
        texture = self.texture
        if texture is not None:
            image = texture.image
            if any(bad_rows("texture.image", image)):
                image = mended_colors(image)
            texture = dataclasses.replace(texture, image=shrunk_to(image), uv=mended_uv(texture.uv))
        return dataclasses.replace(self, texture=texture, **colors)

    def merged(self) -> Self:
        """This mesh with vertices that are exactly equal, in position and colour, as one.

        Files split vertices where faces have normals of their own, and on the seams of a texture; deforming such a mesh
        would tear it. Corners of faces keep their texture coordinates: see ``faces`` of `Texture`.
        """
        values = (self.vertices,) if self.colors is None else (self.vertices, self.colors)
        texture = self.texture and dataclasses.replace(self.texture, faces=self.uv_faces)
        welded = dataclasses.replace(self, texture=texture)._select(merged(self.faces, *values))
        if texture is not None:
            texture = texture.compact(welded.faces, welded.vertices.shape[-2])
        return dataclasses.replace(welded, texture=texture)

    def split(self) -> Self:
        """This mesh with one texture coordinate a vertex: those on seams come once for each; `merged` undoes it.

        For what knows no other. Deforming such a mesh may tear it, and smooth normals end at seams. A mesh without
        ``texture.faces`` is returned as it is; of others, vertices of no face are left out.

        Raises:
            MeshError: Indices out of range.
        """
        self._check_indices()
        texture, seams = self.texture, self.seams
        if texture is None or seams is None:
            return self
        return dataclasses.replace(
            self,
            vertices=self.vertices[..., seams.of_vertices, :],
            faces=seams.faces,
            texture=dataclasses.replace(texture, uv=texture.uv[seams.of_uv], faces=None),
        )

    def unwrapped(self, texel: float) -> Self:
        """This mesh with a texture of its own, neutral grey, for `render3d.fitting.fit_colors` to fill.

        The surface is cut along edges into charts that lie flat without overlap (xatlas, the extra ``fit``). Vertices
        and faces stay as they are: see ``faces`` of `Texture`. Colours are dropped. Charts are drawn to scale, four
        texels apart.

        Ten thousand faces of a smooth surface take about a second. A rough one falls into many charts and takes longer:
        smooth it first.

        Args:
            texel: The side of a texel on the surface, scene units, such as
                `render3d.fitting.pixel_size` gives. The image has at most about 4096 x 4096 texels; larger ones take
                over where it would have more.

        Raises:
            MeshError: No faces, indices out of range, or vertices that are not finite.
            RendererError: xatlas is not installed.
            ShapeError: A batch.
            ValueError: A texel that is not above zero.

        Not differentiable.
        """
        if not 0 < texel < math.inf:
            raise ValueError(f"texel must be above zero and finite; got {texel}.")
        if self.batch_shape:
            raise ShapeError(
                f"Only one mesh can be unwrapped; got a batch of shape {list(self.batch_shape)}. Index it."
            )
        self.check_values()
        texture = unwrap(self.vertices.detach().cpu(), self.faces.cpu(), texel).to(self.device)
        return dataclasses.replace(self.without_colors(), texture=texture)

    def _select(self, kept: Kept) -> Self:
        """The mesh of some vertices and faces, and what belongs to either."""
        faces, of_corners, of_vertices = (numbers.to(self.device) for numbers in kept)
        texture = self.texture
        if texture is not None and texture.faces is not None:
            texture = dataclasses.replace(texture, faces=texture.faces.reshape(-1)[of_corners])
        elif texture is not None:
            texture = dataclasses.replace(texture, uv=texture.uv[of_vertices])
        return dataclasses.replace(
            self,
            vertices=self.vertices[..., of_vertices, :],
            faces=faces,
            colors=None if self.colors is None else self.colors[..., of_vertices, :],
            face_colors=None if self.face_colors is None else self.face_colors[..., of_corners[:, 0] // 3, :],
            texture=texture,
        )

    @without_autocast
    def normalized(self) -> Self:
        """This mesh with the centre of its bounding box at the origin and its farthest vertex at distance 1.

        Each element of a batch by itself; only vertices of faces count. ``to_source`` takes it back. The shift and the
        scale are constants to autograd.

        Raises:
            MeshError: The vertices of the faces are not finite or all in one place, faces have indices out of range, or
                there are no faces.
        """
        self._check_indices()
        vertices = self.vertices
        used = vertices.detach()[..., self.faces.reshape(-1), :]
        if used.shape[-2] == 0:
            raise MeshError(f"{self._name} has no faces, so no size to normalize.")
        center, radius = _sphere(used)
        if _is_coarse(center, radius):
            vertices = vertices.double()
            center, radius = _sphere(used.double())
        if not bool((radius > 0).all() and radius.isfinite().all()):
            raise MeshError(
                f"{self._name} cannot be normalized: its vertices are not finite or all in one place. mesh.repair() "
                "drops such faces."
            )
        back = torch.eye(4, dtype=center.dtype, device=center.device) * radius
        back[..., :3, 3:] = center.mT
        back[..., 3, 3] = 1
        if self.to_source is not None:
            dtype = torch.promote_types(back.dtype, self.to_source.dtype)
            back = self.to_source.to(dtype) @ back.to(dtype)
        moved = ((vertices - center) / radius).to(self.vertices.dtype)
        return dataclasses.replace(self, vertices=moved, to_source=back)

    @without_autocast
    def restored(self) -> Self:
        """This mesh in the coordinates of its file: undoes `normalized`, however often it was applied.

        Its vertices have the dtype of ``to_source``: float64 where float32 could not hold them.
        """
        if self.to_source is None:
            return self
        linear, shift = self.to_source[..., :3, :3], self.to_source[..., :3, 3]
        dtype = torch.promote_types(self.vertices.dtype, self.to_source.dtype)
        vertices = self.vertices.to(dtype) @ linear.mT.to(dtype) + shift[..., None, :]
        return dataclasses.replace(self, vertices=vertices, to_source=None)

    def without_colors(self) -> Self:
        """The shape alone."""
        return dataclasses.replace(self, colors=None, face_colors=None, texture=None)

    @property
    def _name(self) -> str:
        return str(self.source or "The mesh")

    @property
    def _where(self) -> str:
        return f" in {self.source}" if self.source else ""

    def with_vertices(self, vertices: Tensor) -> Self:
        """The same topology and colours with other vertices, ``[*batch, V, 3]``, of any batch that broadcasts."""
        return dataclasses.replace(self, vertices=vertices)

    def face_normals(self) -> Tensor:
        """``[*batch, F, 3]``: unit normals of the faces, zero where a face has no area. Differentiable."""
        return torch.nn.functional.normalize(self._face_cross(), dim=-1)

    def vertex_normals(self) -> Tensor:
        """``[*batch, V, 3]``: unit normals of the vertices, faces weighted by their area. Differentiable.

        Vertices of no face get zero.
        """
        cross = self._face_cross().repeat_interleave(3, dim=-2)
        sums = torch.zeros_like(self.vertices).index_add(-2, self.faces.reshape(-1), cross)
        return torch.nn.functional.normalize(sums, dim=-1)

    def _face_cross(self) -> Tensor:
        a, b, c = (self.vertices[..., self.faces[:, corner], :] for corner in range(3))
        cross: Tensor = torch.linalg.cross(b - a, c - a)
        return cross


def _sphere(points: Tensor) -> tuple[Tensor, Tensor]:
    """The centre ``[*batch, 1, 3]`` of the box round points ``[*batch, N, 3]``, and the largest distance from it."""
    low, high = points.amin(-2, keepdim=True), points.amax(-2, keepdim=True)
    center = (low + high) / 2
    return center, (points - center).norm(dim=-1).amax(-1)[..., None, None]


def _is_coarse(center: Tensor, radius: Tensor) -> bool:
    """Whether float32 rounds the centre by more than a share of 2**-16 of the radius, or cannot square the radius."""
    rounded = (center.abs().amax(-1, keepdim=True) > 2**8 * radius).any()
    return bool(rounded or (radius < 1e-15).any() or (radius > 1e15).any())
