"""Fit a volume to silhouettes, through any renderer of volumes."""

import dataclasses
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from render3d import renderers
from render3d.cameras import Cameras
from render3d.errors import CapabilityError, FitError
from render3d.fitting.checkpoint import FitRecord
from render3d.fitting.identity import identity
from render3d.fitting.loop import Measured, Progress, check_renderer, run
from render3d.fitting.optimiser import Adam
from render3d.fitting.settings import VolumeFitSettings
from render3d.fitting.spheres import enclosing_sphere
from render3d.fitting.targets import named, pixel_at, prepared, shrunk
from render3d.randomness import Key
from render3d.regularizers import sparsity, total_variation
from render3d.renderers.base import Renderer
from render3d.scenes import Volume
from render3d.view_sets import ViewSet

_DEFAULTS = VolumeFitSettings()

# The first canvas: thin enough for each voxel to matter to the rays that meet many of them, and below the level of
# surfaces, so that what no view shows becomes none.
_FIRST_LOGIT = -1.0
# Beyond this no image changes, gradients die, and densities become numbers that processors are slow at.
_LARGEST_LOGIT = 10.0


@final
@dataclasses.dataclass(frozen=True)
class VolumeFitResult(Measured):
    """What `fit_volume` found.

    Attributes:
        volume: Density alone, in a cube round what the silhouettes enclose. Its ``to_source`` takes points of the cube
            to the world of the views: ``volume.to_mesh().restored()`` is a mesh of that world, and `in_volume_frame`
            takes cameras of that world to the cube.
        records: One for each update, in order.
    """

    volume: Volume
    records: tuple[FitRecord, ...]

    @property
    def scene(self) -> Volume:
        """The volume: what was fitted, as `TemplateFitResult.scene`."""
        return self.volume


def in_volume_frame(cameras: Cameras, volume: Volume) -> Cameras:
    """Cameras of the world that ``volume.to_source`` leads to, as they stand to the cube of the volume.

    Args:
        cameras: ``[*batch, views]``.
        volume: One volume. Without a ``to_source``, the cameras stay as they are.

    Raises:
        CameraError: A ``to_source`` that scales or stretches.
    """
    return cameras if volume.to_source is None else _moved(cameras, volume.to_source)


def fit_volume(
    views: ViewSet,
    renderer: Renderer | None = None,
    settings: VolumeFitSettings = _DEFAULTS,
    *,
    held_out: ViewSet | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> VolumeFitResult:
    """Find a volume whose silhouettes are those of ``views``.

    A canvas of logits (`Volume.from_logits`) is optimised by `Adam` against the mean squared difference of coverage,
    with total variation and sparsity as priors, on grids from coarse to fine. The cube is that of the
    `enclosing_sphere` of the views, and a little larger.

    Args:
        views: Silhouettes and cameras of one object, at least one view.
        renderer: Any `Renderer` of volumes that carries gradients; by default `EmissionAbsorption`. The parameters of a
            `LearnedProjection` stay as they are.
        settings: Everything else.
        held_out: Views that are measured along the way and never fitted.
        folder: As in `fit_template`.
        progress: Called with the `FitRecord` of every update.

    Returns:
        A `VolumeFitResult`.

    Raises:
        CapabilityError: A renderer of meshes, or one without gradients.
        FitError: Views that nothing can be learned from, or a folder as in `fit_template`.
        KeyboardInterrupt: Passed on, after saving.
    """
    renderer = renderer or renderers.EmissionAbsorption()
    check_renderer(renderer, Volume)
    if "silhouette" not in renderer.capabilities.gradients:
        raise CapabilityError(
            f"A volume is fitted by the gradients of its renderer, and {renderer.capabilities.name} gives none of "
            "silhouettes. Fit through EmissionAbsorption."
        )
    views, held_out = prepared(views, held_out, 2 * settings.resolution)
    task = _Task(views, held_out, renderer, settings)
    state, records = run(task, folder, progress)
    return VolumeFitResult(task.scene(state.parameters), tuple(records))


@final
class _Task:
    """What stays the same in all updates; see `render3d.fitting.loop.FitProblem`. Its views stand to the cube."""

    def __init__(
        self, views: ViewSet, held_out: ViewSet | None, renderer: Renderer, settings: VolumeFitSettings
    ) -> None:
        self.to_source, self.extent = _cube(views)
        self.views = self._in_cube(views)
        self.held_out = None if held_out is None else self._in_cube(held_out)
        self.renderer, self.settings = renderer, settings
        self.identity = identity("volume", vars(settings), renderer, views, held_out)

    def _in_cube(self, views: ViewSet) -> ViewSet:
        return dataclasses.replace(views, cameras=_moved(views.cameras, self.to_source))

    def start(self, count: int = 0) -> Adam:
        """The same logit everywhere, on the grid of the last of ``count`` updates."""
        shape = (self.settings.resolution_of(self.settings.level_at(max(0, count - 1))),) * 3
        return Adam.start(torch.full(shape, _FIRST_LOGIT, device=self.views.alpha.device))

    def scene(self, parameters: Tensor) -> Volume:
        """The volume of a canvas."""
        return dataclasses.replace(Volume.from_logits(parameters, extent=self.extent), to_source=self.to_source)

    @torch.enable_grad()
    def step(self, state: Adam) -> tuple[Adam, float]:
        """The state after one update, and the squared difference before it."""
        level = self.settings.level_at(state.count)
        resolution, begin = self.settings.resolution_of(level), self.settings.begin_of(level)
        if len(state.parameters) != resolution:
            state = Adam.start(_resized(state.parameters, resolution), begin)
        logits = state.parameters.clone().requires_grad_()
        volume = self.scene(logits)
        drawn = shrunk(self._drawn(state.count), 2 * resolution)
        difference = (self.renderer(volume, drawn.cameras, ("alpha",)).alpha - drawn.alpha).square().mean()
        # Not backward(): the parameters of a renderer are not ours to give gradients to.
        (gradient,) = torch.autograd.grad(difference + self._priors(volume), logits)
        state = state.step(gradient, self.settings.learning_rate_at(state.count), since=begin)
        bounded = state.parameters.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
        return dataclasses.replace(state, parameters=bounded), float(difference.detach())

    def _drawn(self, step: int) -> ViewSet:
        """The views that this update looks at."""
        generator = torch.Generator().manual_seed(Key(self.settings.seed).fold_in(step).seed)
        order = torch.randperm(len(self.views), generator=generator)
        return self.views.select(order[: self.settings.views_per_update].sort().values.tolist())

    def _priors(self, volume: Volume) -> Tensor:
        side = 2 * self.extent
        variation = self.settings.total_variation * total_variation(volume) / side**2
        return variation + self.settings.sparsity * sparsity(volume)


def _moved(cameras: Cameras, to_world: Tensor) -> Cameras:
    """Cameras of a world, in the frame from which ``to_world`` [4, 4] leads to it."""
    # In double precision, for the world's origin may be far away.
    poses = cameras.world_to_camera.double() @ to_world.to(cameras.device).double()
    return dataclasses.replace(cameras, world_to_camera=poses.to(cameras.world_to_camera.dtype))


def _cube(views: ViewSet) -> tuple[Tensor, float]:
    """Where the cube stands, as a shift ``[4, 4]`` from it to the world, and half its side."""
    sphere = enclosing_sphere(views)
    to_source = torch.eye(4, device=views.alpha.device)
    to_source[:3, 3] = torch.tensor(sphere.center)
    _check_visible(views, to_source[:3, 3], sphere.radius)
    # The sphere was found from the centres of pixels, of which there were at most 64 a side.
    pixel = pixel_at(shrunk(views, 64).cameras, to_source[:3, 3])
    return to_source, 1.05 * sphere.radius + pixel


def _check_visible(views: ViewSet, center: Tensor, radius: float) -> None:
    """Raise `FitError` if the sphere is beyond a view's depths: there would be no gradient from it."""
    cameras = views.cameras
    depth = cameras.to_camera_space(center[None])[:, 0, 2]
    unseen = (depth + radius <= cameras.near) | (depth - radius >= cameras.far)
    if bool(unseen.any()):
        raise FitError(
            f"What the silhouettes enclose lies behind, or outside near and far of, {named(views, unseen)} "
            f"({int(unseen.sum())} of {cameras.views} views). Check the poses (OpenCV: z forward), near and far."
        )


def _resized(logits: Tensor, resolution: int) -> Tensor:
    grid = logits[None, None]
    return torch.nn.functional.interpolate(grid, (resolution,) * 3, mode="trilinear", align_corners=False)[0, 0]
