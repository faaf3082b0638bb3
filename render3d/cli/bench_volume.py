"""``render3d bench volume``: rays through volumes, spatial transformers, and a step of the generative model.

Each beside a plain version by torch's ``grid_sample``, forward and backward. The rays of the plain renderer are clipped
to the cube as well, and ours has as many points as are needed for an error no larger than the plain one's, both against
4,096 points a ray.
"""

import torch
from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.cli.timing import Comparison, race
from render3d.models.batch import Batch
from render3d.models.readers import GridReader
from render3d.models.sequential import SequentialModel
from render3d.models.settings import ModelSettings, build_model
from render3d.models.writers import CanvasWriter
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Volume
from render3d.spatial import Affine, ScaleShift, read, write

_SMALL = False  # for tests: the same on tiny sizes
_PIXELS, _BATCH = 64, 16


def compare(rounds: int) -> list[Comparison]:
    """All comparisons."""
    resolutions, points = ((8,), (16,)) if _SMALL else ((32, 64), (64, 128))
    found = [_rays(n, count, colored, rounds) for n in resolutions for count in points for colored in (False, True)]
    found += [_transformer(n, rounds) for n in resolutions]
    return [*found, _model_step(rounds)]


# Rays


def _rays(resolution: int, points: int, colored: bool, rounds: int) -> Comparison:
    batch, pixels = (2, 8) if _SMALL else (_BATCH, _PIXELS)
    volume = _blob(resolution, colored)
    occupied = float((volume.density > 0).float().mean())
    values = volume.values.expand(batch, *volume.values.shape).clone().requires_grad_()
    cameras = Cameras.sphere(batch, 3.0, vertical_fov_degrees=46, image_size=(pixels, pixels))[:, None]
    with torch.no_grad():
        truth = torch.cat([plain_rays(values[i : i + 1], cameras[i : i + 1], 4096) for i in range(min(4, batch))])
        theirs = _error(plain_rays(values[:4], cameras[:4], points), truth)
        samples, ours = 0, float("inf")
        while ours > theirs and samples < 8:
            samples += 1
            ours = _error(_ours(values[:4], cameras[:4], samples), truth)
    rates = race(
        lambda: _ours(values, cameras, samples).square().sum().backward(),  # type: ignore[no-untyped-call]
        lambda: plain_rays(values, cameras, points).square().sum().backward(),  # type: ignore[no-untyped-call]
        batch,
        rounds,
    )
    kind = "rgb and alpha" if colored else "alpha"
    return Comparison(
        case=f"EmissionAbsorption, {kind}, {resolution}^3, {points} points a ray",
        unit="images/s",
        ours=rates[0],
        peer="grid_sample",
        theirs=rates[1],
        floor=2.0,
        note=f"{samples} samples a voxel; error {ours:.1e} against {theirs:.1e}; {occupied:.0%} of voxels occupied",
    )


def _blob(resolution: int, colored: bool) -> Volume:
    """A lopsided ball with a soft edge, empty at the border of the cube."""
    axis = (2 * torch.arange(resolution) + 1) / resolution - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    edge = (0.55 - ((x - 0.1) ** 2 + (1.2 * y) ** 2 + z**2).sqrt()) * 16
    occupancy = torch.where(edge > -4, 0.3 * torch.sigmoid(edge), 0.0)
    colors = torch.stack([x, y, z]) / 2 + 0.5
    return Volume.from_occupancy(occupancy, colors if colored else None)


def _ours(values: Tensor, cameras: Cameras, samples: int) -> Tensor:
    outputs = ("alpha",) if values.shape[1] == 1 else ("alpha", "rgb")
    rendering = EmissionAbsorption(samples_per_voxel=samples)(Volume(values), cameras, outputs)
    return torch.cat([rendering.stored(name) for name in outputs], dim=-3)[:, 0]


def plain_rays(values: Tensor, cameras: Cameras, points: int) -> Tensor:
    """Emission and absorption by trilinear ``grid_sample`` at even points of every ray within the cube.

    ``[N, 1 or 4, H, W]`` of values ``[N, 1 or 4, D, H, W]`` in [-1, 1]^3 and cameras ``[N, 1]``.
    """
    origins, directions = (part.flatten(1, 3) for part in cameras.rays())
    faces = torch.stack([(-1 - origins) / directions, (1 - origins) / directions])
    begin, end = faces.amin(0).amax(-1), faces.amax(0).amin(-1)
    step = (end - begin).clamp(min=0) / points
    distance = begin[..., None] + (torch.arange(points) + 0.5) * step[..., None]
    grid = origins[..., None, :] + distance[..., None] * directions[..., None, :]
    found = nn.functional.grid_sample(values, grid[:, :, :, None], align_corners=False)[..., 0]
    depth = found[:, 0] * step[..., None]
    size = cameras.image_size
    if values.shape[1] == 1:
        return -torch.expm1(-depth.sum(-1)).unflatten(-1, size)[:, None]  # type: ignore[no-untyped-call, no-any-return]
    passed = torch.exp(-depth.cumsum(-1))
    weights = torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], dim=-1) - passed
    color = (weights[:, None] * found[:, 1:]).sum(-1) + passed[:, None, :, -1]
    return torch.cat([1 - passed[:, None, :, -1], color], dim=1).reshape(len(values), 4, *size)


def _error(found: Tensor, truth: Tensor) -> float:
    return float((found[: len(truth)] - truth).square().mean().sqrt())


# Spatial transformers


def _transformer(resolution: int, rounds: int) -> Comparison:
    batch = 2 if _SMALL else 64
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(batch, 1, *[resolution] * 3, generator=generator).requires_grad_()
    scale = (0.5 + torch.rand(batch, 3, generator=generator)).requires_grad_()
    shift = (0.1 * torch.randn(batch, 3, generator=generator)).requires_grad_()
    size = (resolution,) * 3

    def separable() -> None:
        read(values, ScaleShift(scale, shift), size).square().sum().backward()  # type: ignore[no-untyped-call]

    def general() -> None:
        read(values, ScaleShift(scale, shift).to_affine(), size).square().sum().backward()  # type: ignore[no-untyped-call]

    rates = race(separable, general, batch, rounds)
    return Comparison(
        case=f"VST, separable, {resolution}^3, batch {batch}",
        unit="volumes/s",
        ours=rates[0],
        peer="affine_grid + grid_sample",
        theirs=rates[1],
        floor=3.0,
    )


# The model


class _General(nn.Module):
    """The places of another head as affine transforms, which are read and written by ``grid_sample``."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, state: Tensor) -> Affine:
        """As `TransformHead`."""
        place: ScaleShift = self.head(state)
        return place.to_affine()


class _StepByStep(nn.Module):
    """A writer that adds one patch after the other to the canvas, as DRAW is often written."""

    def __init__(self, writer: CanvasWriter) -> None:
        super().__init__()
        self.writer = writer

    def forward(self, states: Tensor) -> Tensor:
        """As `CanvasWriter`."""
        writer = self.writer
        canvas = writer.start.expand(len(states), -1, *writer.size)
        for state in states.unbind(1):
            patch = writer.content(state).reshape(len(state), *writer.patch)
            canvas = canvas + write(patch, writer.place(state), writer.size)
        return canvas


def _model_step(rounds: int) -> Comparison:
    steps, size, batch = (2, 10, 2) if _SMALL else (12, 30, 32)
    settings = ModelSettings(steps=steps)
    torch.manual_seed(0)
    ours, plain = (build_model(settings, size, 1, (1, 8, 8)) for _ in range(2))
    plain.load_state_dict(ours.state_dict())
    assert isinstance(plain.writer, CanvasWriter) and isinstance(plain.posterior.reader, GridReader)
    plain.posterior.reader.place = _General(plain.posterior.reader.place)  # type: ignore[assignment]
    plain.writer.place = _General(plain.writer.place)  # type: ignore[assignment]
    plain.writer = _StepByStep(plain.writer)
    x = (torch.rand(batch, 1, size, size, size) < 0.05).float()

    def step(model: SequentialModel) -> None:
        model.zero_grad()
        model(Batch(x), Key(0)).total.mean().backward()

    rates = race(lambda: step(ours), lambda: step(plain), batch, rounds)
    return Comparison(
        case=f"training step of the model, T = {steps}, {size}^3, batch {batch}",
        unit="volumes/s",
        ours=rates[0],
        peer="step by step, grid_sample",
        theirs=rates[1],
        floor=2.0,
    )
