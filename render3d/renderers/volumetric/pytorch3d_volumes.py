"""PyTorch3D's volume renderer behind the seam."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.optional import PYTORCH3D
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.drawing import RendersOneByOne
from render3d.renderers.pytorch3d import their_cameras
from render3d.renderers.shading import Color
from render3d.renderers.volumetric.emission import check_channels
from render3d.scenes import Volume


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PyTorch3DVolumes(RendersOneByOne):
    """A volume renderer on PyTorch3D's ``VolumeRenderer``, wherever the volume lives.

    The same light as of `EmissionAbsorption`, by another rule: points at equal distances on every ray of the sphere
    round the cube, whose density is turned into the opacity of one step in the grid, before it is interpolated.

    Attributes:
        background: Colour behind the scene, linear light.
        points: Points on a ray, in the sphere round the cube.

    Raises:
        RendererError: When first called: PyTorch3D is not installed, broken or built for another torch.
        ValueError: Fewer than two points.

    Differentiable in values; of poses as far as the points move with them.
    """

    background: Color = (1.0, 1.0, 1.0)
    points: int = 128

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points must be at least 2, for a step between them; got {self.points}.")

    @property
    def capabilities(self) -> Capabilities:
        """Volumes of density, or of density and colour."""
        return Capabilities(
            name="PyTorch3DVolumes",
            outputs=("rgb", "alpha", "depth"),
            gradients=FULL_GRADIENTS - {"lights"},
            batched=False,
            device="any",
            licence="BSD-3-Clause",
            scenes=(Volume,),
        )

    def draw(self, volume: Volume, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersOneByOne.draw`."""
        PYTORCH3D.load()
        check_channels(volume, self.capabilities.name)
        radius = math.sqrt(3) * volume.extent
        distance = cameras.position.detach().norm(dim=-1)
        near = max(cameras.near, float(distance.min()) - radius)
        far = max(near + 1e-3, min(cameras.far, float(distance.max()) + radius))
        light, bundle = self._march(volume, cameras, near, far)
        color, lengths, alpha = torch.split(light, [3, 1, 1], dim=-1)
        cosine = (bundle.directions * cameras.rotation[:, None, None, 2]).sum(-1, keepdim=True)
        behind = torch.tensor(self.background).to(alpha)
        covered = alpha > 0
        depth = torch.where(covered, lengths / torch.where(covered, alpha, 1.0) * cosine, 0.0)
        images = {"rgb": color + (1 - alpha) * behind, "alpha": alpha, "depth": depth}
        return {name: images[name].movedim(-1, -3) for name in outputs}

    def _march(self, volume: Volume, cameras: Cameras, near: float, far: float) -> tuple[Tensor, Any]:
        """``[views, H, W, 5]``: colour and distance, weighted by what is absorbed, and alpha; and the rays."""
        from pytorch3d.renderer import EmissionAbsorptionRaymarcher, NDCMultinomialRaysampler, VolumeRenderer
        from pytorch3d.structures import Volumes

        height, width = cameras.image_size
        size = {"image_width": width, "image_height": height, "n_pts_per_ray": self.points}
        sampler = NDCMultinomialRaysampler(**size, min_depth=near, max_depth=far, unit_directions=True)
        step = (far - near) / (self.points - 1)
        opacity = -torch.expm1(-volume.density * step)
        color = volume.colors
        if color is None:
            color = torch.tensor(NEUTRAL_GREY).to(opacity)[:, None, None, None]
        volumes = Volumes(
            densities=opacity.expand(cameras.views, -1, -1, -1, -1),
            features=color.expand(cameras.views, 3, *opacity.shape[1:]),
            voxel_size=[2 * volume.extent / count for count in reversed(volume.resolution)],
        )
        march = EmissionAbsorptionRaymarcher()

        def with_distance(rays_densities: Tensor, rays_features: Tensor, ray_bundle: Any, **rest: Any) -> Tensor:
            points = torch.cat([rays_features, ray_bundle.lengths[..., None]], dim=-1)
            found: Tensor = march(rays_densities, points, ray_bundle=ray_bundle, **rest)
            return found

        seen_by = their_cameras(cameras, (cameras.views,))
        light, bundle = VolumeRenderer(sampler, with_distance)(cameras=seen_by, volumes=volumes)
        return light, bundle
