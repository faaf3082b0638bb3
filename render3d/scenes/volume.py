"""Volumes: density, and colour, on a grid that fills a cube."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self, final

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes, check_same_device, check_shape
from render3d.cameras import Cameras
from render3d.errors import ShapeError, VolumeError
from render3d.scenes.kind import Role, SceneKind
from render3d.scenes.mesh import Mesh
from render3d.scenes.voxels import Kind

Link = Literal["softplus", "exp", "relu"]
"""How a logit becomes an optical depth: what crossing one voxel takes from the light."""

_LINKS: dict[Link, Callable[[Tensor], Tensor]] = {
    "softplus": torch.nn.functional.softplus,
    "exp": torch.exp,
    "relu": torch.relu,
}

# An occupancy of one would need an infinite density. This much is opaque in eight bits, and leaves a gradient.
_MOST_OPAQUE = 1 - 2.0**-14

# As a share of the largest occupancy: what is thinner does not push the rest out of the middle of an image.
_FAINT = 0.05


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Volume(SceneKind):
    """A batch of grids that fill the cube ``[-extent, extent]^3`` of the world, of leading shape ``[*batch]``.

    Between the centres of voxels, values are interpolated linearly; beyond the outermost centres they fall to zero
    within one voxel, half of it outside the cube. (This is ``grid_sample`` with ``align_corners=False`` and zeros.)

    Attributes:
        values: ``[*batch, C, D, H, W]`` float, axes (z, y, x): ``values[..., 0, 0, 0]`` is the voxel at the lowest z, y
            and x. Channel 0 is the density per unit length; three further ones are the colour, linear light, 0-1; any
            other number of channels is for `LearnedProjection`. Differentiable.
        extent: Half the side of the cube, scene units.
        to_source: ``[*batch, 4, 4]`` or None: takes points of this cube back to the coordinates of the file, as in
            `Mesh`.

    Only shapes are checked here. Values are checked before rendering.

    Raises:
        ShapeError: A tensor of another shape, no channels or no voxels, or batch shapes that do not broadcast.
        DeviceError: Tensors on different devices.
        VolumeError: Values that are not floating point, or an extent that is not positive and finite.
    """

    conversion: ClassVar[str] = "volume.to_mesh()"
    event_dims: ClassVar[dict[str, int]] = {"values": 4, "to_source": 2}

    values: Tensor
    extent: float = 1.0
    to_source: Tensor | None = None

    def __post_init__(self) -> None:
        check_shape(self.values, "*batch C D H W", name="values")
        if 0 in self.values.shape[-4:]:
            raise ShapeError(
                f"values must have a channel and a voxel along each axis; got {list(self.values.shape)}, axes [*batch, "
                "C, D, H, W]. A single channel is values[None]."
            )
        if not self.values.is_floating_point():
            raise VolumeError(
                f"values must be floating point; got {self.values.dtype}. Binary voxels: Volume.from_occupancy(voxels)."
            )
        if not (math.isfinite(self.extent) and self.extent > 0):
            raise VolumeError(f"extent must be positive and finite, half the side of the cube; got {self.extent}.")
        if self.to_source is not None:
            check_shape(self.to_source, "*batch 4 4", name="to_source")
            check_same_device(values=self.values, to_source=self.to_source)
            batch = broadcast_shapes(self.values.shape[:-4], self.to_source.shape[:-2], names=("values", "to_source"))
            object.__setattr__(self, "values", self.values.expand(*batch, *self.values.shape[-4:]))
            object.__setattr__(self, "to_source", self.to_source.expand(*batch, 4, 4))

    # Construction

    @classmethod
    def from_occupancy(cls, occupancy: Tensor, colors: Tensor | None = None, *, extent: float = 1.0) -> Self:
        """The volume of which crossing a voxel takes the share ``occupancy`` of the light.

        Args:
            occupancy: ``[*batch, D, H, W]``, 0-1, of any dtype. Above 1 - 2^-14 it counts as that. Differentiable.
            colors: ``[*batch, 3, D, H, W]``, linear light, or None.
            extent: As in `Volume`.

        Raises:
            VolumeError: Values outside 0-1, or not finite.
        """
        check_shape(occupancy, "*batch D H W", name="occupancy")
        share = occupancy if occupancy.is_floating_point() else occupancy.float()
        if not bool(((share.detach() >= 0) & (share.detach() <= 1)).all()):
            raise VolumeError("occupancy must lie in 0-1. Logits: Volume.from_logits(logits).")
        return cls._from_optical_depth(-torch.log1p(-share.clamp(max=_MOST_OPAQUE)), colors, extent)

    @classmethod
    def from_logits(
        cls, logits: Tensor, colors: Tensor | None = None, *, link: Link = "softplus", extent: float = 1.0
    ) -> Self:
        """The volume of a canvas of logits ``[*batch, D, H, W]``; other arguments as in `from_occupancy`.

        Args:
            logits: Any real numbers. Differentiable.
            colors: As in `from_occupancy`.
            link: ``"softplus"``: crossing a voxel takes ``sigmoid(logit)`` of the light, since
                ``1 - exp(-softplus(x)) = sigmoid(x)``. ``"exp"`` and ``"relu"`` give the optical depth of a voxel.
            extent: As in `Volume`.
        """
        check_shape(logits, "*batch D H W", name="logits")
        if link not in _LINKS:
            raise VolumeError(f"link must be one of {', '.join(_LINKS)}; got {link!r}.")
        return cls._from_optical_depth(_LINKS[link](logits), colors, extent)

    @classmethod
    def _from_optical_depth(cls, depth: Tensor, colors: Tensor | None, extent: float) -> Self:
        side = _voxel_side(depth.shape[-3:], extent)
        density = (depth / side)[..., None, :, :, :]
        if colors is None:
            return cls(density, extent)
        check_shape(colors, "*batch 3 D H W", name="colors")
        check_same_device(density=density, colors=colors)
        if colors.shape[-3:] != density.shape[-3:]:
            raise ShapeError(
                f"colors must have the voxels of the density, {list(density.shape[-3:])}; got {list(colors.shape)}."
            )
        batch = broadcast_shapes(density.shape[:-4], colors.shape[:-4], names=("density", "colors"))
        parts = [part.expand(*batch, *part.shape[-4:]) for part in (density, colors.to(density.dtype))]
        return cls(torch.cat(parts, dim=-4), extent)

    @classmethod
    def from_mesh(cls, mesh: Mesh, resolution: int = 64, *, kind: Kind = "solid", extent: float | None = None) -> Self:
        """Voxelise a mesh: cubes of ``resolution`` along each axis, occupancy 0 or 1. Not differentiable.

        Args:
            mesh: Any mesh, watertight or not; a batch is voxelised one by one.
            resolution: Voxels along each axis.
            kind: ``"solid"``: the centre of the voxel is inside, by the parity of the crossings along the three axes,
                two of three deciding, so that a hole seen along one axis does no harm (Nooruddin and Turk,
                "Simplification and repair of polygonal models using volumetric techniques", TVCG 2003). Where two
                closed parts overlap, parity says outside. ``"surface"``: a triangle touches the voxel (Akenine-Moeller,
                "Fast 3D triangle-box overlap testing", 2001). ``"filled"``: the surface and all that it encloses: for
                parts that overlap, open sheets and walls thinner than a voxel; half a voxel too thick.
            extent: Half the side of the cube, beyond which the mesh is cut off; by default the least that holds the
                mesh, of a batch all of them, with a margin of one voxel.

        Returns:
            Float32, on the device of the mesh, with its batch and its ``to_source``.

        Raises:
            MeshError: No faces, indices out of range, or vertices that are not finite; see `Mesh.check`.
            VolumeError: Nothing of the mesh lies in the cube, or no voxel is inside it; a resolution, kind or extent
                that is none.
        """
        from render3d.scenes.voxels.conversion import voxelize

        occupancy, extent = voxelize(mesh, resolution, kind, extent)
        return dataclasses.replace(cls.from_occupancy(occupancy, extent=extent), to_source=mesh.to_source)

    @classmethod
    def load(cls, path: str | Path) -> "Volume":
        """Read a volume from an ``.npz`` file that `save` wrote, or a ``.binvox`` file.

        The voxels of a binvox file are 0 or 1, see `from_occupancy`. They fill the cube ``[-1, 1]^3``, and
        ``to_source`` takes that to the place and the scale of the file.

        Raises:
            VolumeError: No such file; a format that is not read; an empty, truncated or broken file.
        """
        from render3d.scenes.files.volumes import load_volume

        return load_volume(Path(path))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` or ``.binvox`` file, chosen by the suffix.

        ``.npz`` keeps all there is, exactly; bfloat16 returns as float32. ``.binvox``, which other tools read, keeps
        which voxels are occupied by more than half, and where the cube lies in the coordinates of ``to_source``. Shares
        and colours are lost, and when it is loaded, the cube has the extent 1. A file that cannot be written whole
        leaves what was there before.

        Raises:
            VolumeError: Another suffix; a batch; for binvox, axes of different sizes, a ``to_source`` that turns or
                stretches, or values that could not be rendered; a full disk.
        """
        from render3d.scenes.files.volumes import save_volume

        save_volume(self, Path(path))

    # Facts

    @property
    def channels(self) -> int:
        """The number of channels: 1 is density alone, 4 density and colour."""
        return self.values.shape[-4]

    @property
    def resolution(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        depth, height, width = self.values.shape[-3:]
        return depth, height, width

    @property
    def density(self) -> Tensor:
        """``[*batch, 1, D, H, W]``, per unit length."""
        return self.values[..., :1, :, :, :]

    @property
    def colors(self) -> Tensor | None:
        """``[*batch, 3, D, H, W]``, linear light, or None where there are not three further channels."""
        return self.values[..., 1:, :, :, :] if self.channels == 4 else None

    @property
    def voxel_side(self) -> float:
        """The side of a voxel, scene units; the geometric mean where the axes differ."""
        return _voxel_side(self.resolution, self.extent)

    @property
    def occupancy(self) -> Tensor:
        """``[*batch, 1, D, H, W]``: the share of the light that crossing a voxel takes, 0-1. Differentiable."""
        return -torch.expm1(-self.density * self.voxel_side)

    @property
    def size(self) -> str:
        """Voxels along (z, y, x), in words."""
        return " x ".join(map(str, self.resolution)) + " voxels"

    def check_values(self) -> None:
        """Raise `VolumeError` for values that are not finite, or a density below zero."""
        low, high = torch.aminmax(self.values.detach())  # NaN, if there is one, is both
        if not (math.isfinite(float(low)) and math.isfinite(float(high))):
            raise VolumeError("values of the volume must be finite; got NaN or infinite values.")
        # The lowest value is negative if any density is; colours may be.
        least = float(low) if self.channels == 1 or low >= 0 else float(self.density.detach().amin())
        if least < 0:
            raise VolumeError(f"density must not be negative; got {least:.3g}. Logits: Volume.from_logits(logits).")

    def inputs(self) -> Mapping[str, tuple[Tensor, Role]]:
        """Return the values: their density decides the shape."""
        return {"values": (self.values, "shape")}

    def in_unit_sphere(self, cameras: Cameras) -> tuple[Self, Cameras]:
        """Scale this volume, and move the cameras, so that what is not nearly empty lies in the unit sphere.

        Raises:
            VolumeError: A batch.
        """
        center, radius = self._ball()
        values = torch.cat([self.density * radius, self.values[1:]])
        back = torch.eye(4).to(cameras.world_to_camera)
        back[:3, 3] = -center / radius
        moved = dataclasses.replace(cameras, world_to_camera=cameras.world_to_camera @ back)
        return dataclasses.replace(self, values=values, extent=self.extent / radius), moved

    def _ball(self) -> tuple[Tensor, float]:
        """A centre [3] and a radius within which the volume is; those of the cube if it is empty."""
        if self.batch_shape:
            raise VolumeError(f"One volume fits the unit sphere; got a batch of shape {list(self.batch_shape)}.")
        occupancy = self.occupancy[0]
        places = (occupancy > _FAINT * occupancy.max()).nonzero()
        if len(places) == 0:
            return torch.zeros(3, device=self.device), math.sqrt(3) * self.extent
        sides = 2 * self.extent / torch.tensor(self.resolution, device=self.device)
        centers = (places + 0.5) * sides - self.extent
        middle = (centers.amin(0) + centers.amax(0)) / 2
        # A voxel reaches as far as the centres of its neighbours: in between, values are interpolated.
        return middle.flip(0), float(((centers - middle).abs() + sides).norm(dim=-1).max())

    def to_mesh(self, level: float = 0.5) -> Mesh:
        """The surface where occupancy crosses ``level``, by marching cubes; closed, facing outwards.

        Colours, where there are any, are those at the vertices. Not differentiable.

        Args:
            level: Occupancy, between 0 and 1.

        Raises:
            VolumeError: No voxel lies above the level, or the volume is a batch.
        """
        from render3d.scenes.voxels.conversion import surface  # as in from_mesh

        if self.batch_shape:
            raise VolumeError(f"The surface is that of one volume; got a batch of shape {list(self.batch_shape)}.")
        self.check_values()
        mesh = surface(self.occupancy[0].detach(), self.colors, self.extent, level)
        return dataclasses.replace(mesh, to_source=None if self.to_source is None else self.to_source.detach().float())


def _voxel_side(resolution: tuple[int, ...] | torch.Size, extent: float) -> float:
    return float(2 * extent / math.prod(resolution) ** (1 / 3))
