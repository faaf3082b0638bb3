"""The learned projection: a camera that a network has learnt."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Generator, Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import VolumeError
from render3d.images import CHANNELS, Rendering
from render3d.precision import exact
from render3d.randomness import Key
from render3d.renderers.base import FULL_GRADIENTS, Capabilities, check_call
from render3d.renderers.drawing import one_volume
from render3d.renderers.volumetric.warps import Warp, depth_range, warp_to_view
from render3d.scenes import Scene, Volume

_POSE = 12
_EMPTY = -3.0  # the logit of one in twenty


@final
class _Conv3d(nn.Conv3d):
    """A 3D convolution that keeps channels last on a CPU, which is quicker where they are few.

    The weights are turned at each call, and stay as they are in ``state_dict``: safetensors saves contiguous ones only.
    """

    def forward(self, input: Tensor) -> Tensor:
        """As `torch.nn.Conv3d`."""
        layout = torch.channels_last_3d if input.device.type == "cpu" else torch.contiguous_format
        convolved: Tensor = self._conv_forward(input, self.weight.contiguous(memory_format=layout), self.bias)
        return convolved


@final
class LearnedProjection(nn.Module):
    """A `Renderer` of volumes that is learnt (Rezende et al. 2016, supplement A.4).

    A spatial transformer brings the volume into the frame of the camera; 3D convolutions look at it there; its planes
    become channels, and 2D convolutions make the image. Every view of a call goes through the same parameters. The
    gradient is full: in volume, parameters, poses and intrinsics, so that cameras can be inferred.

    Channel 0 of the volume, its density, is seen as the occupancy of a voxel; further channels as they are. ``alpha``
    and ``rgb`` lie in 0-1; ``depth`` is a camera z weighted by alpha. Images may be of any size.

    Args:
        channels: Of the volumes: 1 for density alone, 4 with colour, or 1 and any number of features.
        outputs: What it makes, of ``"rgb"``, ``"alpha"`` and ``"depth"``.
        features: Channels of the 3D convolutions.
        planes: Cells along the line of sight; best as many as the volume has voxels.
        warp: ``"affine"``, the paper's; ``"frustum"``, which follows perspective; ``"none"``, for comparison: the
            volume in its own frame, with the camera's pose as further channels. See `render3d.renderers.volumetric`.

    Raises:
        ValueError: A number below one, or an output or warp that there is not.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        outputs: Sequence[Literal["rgb", "alpha", "depth"]] = ("alpha",),
        features: int = 8,
        planes: int = 32,
        warp: Warp = "affine",
    ) -> None:
        super().__init__()
        if min(channels, features, planes) < 1:
            raise ValueError(f"channels, features and planes must be at least 1; got {channels}, {features}, {planes}.")
        if not outputs or not set(outputs) <= {"rgb", "alpha", "depth"}:
            raise ValueError(f"outputs may hold 'rgb', 'alpha' and 'depth'; got {tuple(outputs)}.")
        if warp not in ("affine", "frustum", "none"):
            raise ValueError(f"warp must be 'affine', 'frustum' or 'none'; got {warp!r}.")
        self.channels, self.planes, self.warp = channels, planes, warp
        self.outputs = tuple(dict.fromkeys([*outputs, "alpha"]))
        given = channels + (_POSE if warp == "none" else 0)
        self.space = nn.Sequential(
            _Conv3d(given, features, 3, padding=1), nn.SiLU(), _Conv3d(features, features, 3, padding=1), nn.SiLU()
        )
        made = sum(CHANNELS[name] for name in self.outputs)
        self.image = nn.Sequential(
            nn.Conv2d(features * planes, 4 * features, 1),
            nn.SiLU(),
            nn.Conv2d(4 * features, 4 * features, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4 * features, made, 3, padding=1),
        )
        self._start_empty()

    @torch.no_grad()
    def _start_empty(self) -> None:
        """Let ``alpha`` begin near zero.

        Images of objects are mostly background, and a network that has to find that out first learns worse for long
        after (Lin et al., "Focal loss for dense object detection", 2017, section 4.1).
        """
        before = self.outputs[: self.outputs.index("alpha")]
        last = self.image[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        last.bias[sum(CHANNELS[name] for name in before)] = _EMPTY

    @property
    def capabilities(self) -> Capabilities:
        """Volumes of its number of channels."""
        return Capabilities(
            name="LearnedProjection",
            outputs=self.outputs,
            gradients=FULL_GRADIENTS - {"lights"},
            batched=True,
            device="any",
            licence="MIT",
            scenes=(Volume,),
        )

    def forward(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("alpha",),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` is not used: nothing here is random.

        Raises:
            VolumeError: A volume of another number of channels.
            CameraError: The affine warp, and a perspective camera inside the volume, or with its centre behind it.
        """
        check_call(self.capabilities, scene, cameras, outputs)
        scene = one_volume(scene)
        if scene.channels != self.channels:
            raise VolumeError(
                f"This LearnedProjection takes volumes of {self.channels} channels; got {scene.channels}. Make one "
                f"with channels={scene.channels}."
            )
        scene = dataclasses.replace(scene, values=exact(scene.values))
        seen = torch.cat([scene.occupancy, scene.values[..., 1:, :, :, :]], dim=-4)
        volume = Volume(seen, scene.extent)
        grid = warp_to_view(volume, cameras, self.planes, self.warp)
        leading = grid.shape[:-4]
        if self.warp == "none":
            pose = cameras.world_to_camera[..., :3, :].flatten(-2)[..., None, None, None]
            grid = torch.cat([grid, pose.to(grid).expand(*leading, -1, *grid.shape[-3:])], dim=-4)
        features = self.space(grid.flatten(0, len(leading) - 1))
        drawn = exact(self.image(features.flatten(1, 2)))
        images = drawn.reshape(*leading, *drawn.shape[-3:])
        return self._rendering(images, scene.extent, cameras, outputs)

    def _rendering(self, images: Tensor, extent: float, cameras: Cameras, outputs: Sequence[str]) -> Rendering:
        channels = torch.split(images, [CHANNELS[name] for name in self.outputs], dim=-3)
        parts = dict(zip(self.outputs, channels, strict=True))
        alpha = torch.sigmoid(parts["alpha"])
        found = {"alpha": alpha}
        if "rgb" in outputs:
            found["rgb"] = torch.sigmoid(parts["rgb"])
        if "depth" in outputs:
            near, far = (end[..., None, None, None] for end in depth_range(extent, cameras))
            found["depth"] = alpha * (near + (far - near) * torch.sigmoid(parts["depth"]))
        return Rendering({name: found[name] for name in outputs})
