"""``python -m benchmarks volume``: rays through volumes, spatial transformers, and a step of the generative model.

Each beside a plain version by torch's ``grid_sample``, forward and backward; rays beside PyTorch3D as well, where it is
installed. The rays of the plain renderer are clipped to the cube as well, and ours has as many points as are needed
for an error no larger than the peer's, both against 4,096 points a ray.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.findings import Results
from benchmarks.timing import Comparison, race
from benchmarks.volume_pytorch3d import is_installed, pytorch3d_rays
from render3d.cameras import Cameras
from render3d.comparison.costs import peak_memory
from render3d.datasets import PrimitivesSettings
from render3d.models.experiments import Volumes
from render3d.models.parts.batch import Batch
from render3d.models.parts.readers import GridReader, Observed
from render3d.models.parts.sequential import SequentialModel
from render3d.models.parts.writers import CanvasWriter
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Volume
from render3d.spatial import Affine, ScaleShift, read

RenderRays = Callable[[Tensor, Cameras, int], Tensor]

_SMALL = False  # for tests: the same on tiny sizes


def compare(rounds: int) -> Results:
    """All comparisons."""
    if _SMALL:
        rays = [_Rays(8, 16, colored, 2, 8) for colored in (False, True)]
    else:
        rays = [
            _Rays(n, points, colored, 16, 64) for n in (32, 64) for points in (64, 128) for colored in (False, True)
        ]
        rays += [_Rays(128, 128, colored, 4, 128) for colored in (False, True)]
    peers: dict[str, RenderRays] = {"grid_sample": plain_rays}
    if is_installed():
        peers["PyTorch3D"] = pytorch3d_rays
    found = [_race_rays(each, name, render, rounds) for each in rays for name, render in peers.items()]
    found += [_transformer(n, rounds) for n in ((8,) if _SMALL else (32, 64))]
    return Results(comparisons=[*found, _model_step(rounds)])


# Rays


class _Rays(NamedTuple):
    """Views of one volume each."""

    resolution: int
    points: int  # of the plain renderer
    colored: bool
    batch: int
    pixels: int

    def values(self) -> Tensor:
        """``[batch, C, D, H, W]`` that require a gradient."""
        values = _blob(self.resolution, self.colored).values
        return values.expand(self.batch, *values.shape).clone().requires_grad_()

    def cameras(self) -> Cameras:
        """``[batch, 1]``."""
        size = self.pixels, self.pixels
        return Cameras.sphere(self.batch, 3.0, vertical_fov_degrees=46, image_size=size)[:, None]

    def __str__(self) -> str:
        kind = "rgb and alpha" if self.colored else "alpha"
        return f"{kind}, {self.batch} of {self.pixels} x {self.pixels} from {self.resolution}^3, {self.points} points"


def _race_rays(rays: _Rays, name: str, render: RenderRays, rounds: int) -> Comparison:
    samples, ours, theirs = _equally_exact(rays, render)
    own, peer = (rays, _ours, samples), (rays, render, rays.points)
    rates = race(_both_passes(*own), _both_passes(*peer), rays.batch, rounds)
    memory = [peak_memory(_once, _both_passes, *each) for each in (own, peer)]
    occupied = float((_blob(rays.resolution, False).density > 0).float().mean())
    return Comparison(
        *rates,
        case=f"EmissionAbsorption, {rays}",
        unit="images/s",
        peer=name,
        floor=2.0,
        note=f"{samples:g} samples a voxel; error {ours:.1e} against {theirs:.1e}; {occupied:.0%} of voxels occupied; "
        f"peak memory {memory[0]:.0f} against {memory[1]:.0f} MiB",
    )


def _equally_exact(rays: _Rays, render: RenderRays) -> tuple[float, float, float]:
    """Our fewest samples a voxel, in quarters, whose error is no larger than theirs, and both errors."""
    count = min(4, rays.batch)
    values, cameras = rays.values().detach()[:count], rays.cameras()[:count]
    truth = torch.cat([plain_rays(values[i : i + 1], cameras[i : i + 1], 4096) for i in range(count)])
    theirs = _error(render(values, cameras, rays.points), truth)
    for quarters in range(4, 33):
        ours = _error(_ours(values, cameras, quarters / 4), truth)
        if ours <= theirs:
            break
    return quarters / 4, ours, theirs


def _both_passes(rays: _Rays, render: Callable[[Tensor, Cameras, Any], Tensor], points: float) -> Callable[[], None]:
    """Forward and backward, with so many points a ray or samples a voxel."""
    values, cameras = rays.values(), rays.cameras()
    return lambda: render(values, cameras, points).square().sum().backward()  # type: ignore[no-untyped-call]


def _once(make: Callable[..., Callable[[], None]], *arguments: object) -> None:
    make(*arguments)()


def _blob(resolution: int, colored: bool) -> Volume:
    """A lopsided ball with a soft edge, empty at the border of the cube."""
    axis = (2 * torch.arange(resolution) + 1) / resolution - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    edge = (0.55 - ((x - 0.1) ** 2 + (1.2 * y) ** 2 + z**2).sqrt()) * 16
    occupancy = torch.where(edge > -4, 0.3 * torch.sigmoid(edge), 0.0)
    colors = torch.stack([x, y, z]) / 2 + 0.5
    return Volume.from_occupancy(occupancy, colors if colored else None)


def _ours(values: Tensor, cameras: Cameras, samples: float) -> Tensor:
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
        plain_read(values, ScaleShift(scale, shift).to_affine(), size).square().sum().backward()  # type: ignore[no-untyped-call]

    rates = race(separable, general, batch, rounds)
    case = f"VST, separable, {resolution}^3, batch {batch}"
    return Comparison(*rates, case=case, unit="volumes/s", peer="affine_grid + grid_sample", floor=3.0)


def plain_read(values: Tensor, place: Affine, size: Sequence[int]) -> Tensor:
    """`render3d.spatial.read` as it is often written: ``[N, C, *size]`` of ``[N, C, D, H, W]``."""
    grid = nn.functional.affine_grid(place.matrix, [*values.shape[:2], *size], align_corners=False)
    return nn.functional.grid_sample(values, grid, align_corners=False)


# The model


class _PlainReader(nn.Module):
    """The glimpse of another reader by ``grid_sample``."""

    def __init__(self, reader: GridReader) -> None:
        super().__init__()
        self.reader, self.size = reader, reader.size

    def prepare(self, observed: Tensor | None, count: int) -> Observed:
        """As `GridReader`."""
        return self.reader.prepare(observed, count)

    def forward(self, prepared: Observed, state: Tensor) -> Tensor:
        """As `GridReader`."""
        reader, place = self.reader, self.reader.place(state)
        assert isinstance(place, ScaleShift)
        glimpse = plain_read(prepared.grids[:, 0], place.to_affine(), reader.glimpse).flatten(1)
        summary: Tensor = reader.summary(torch.cat([glimpse, prepared.whole, state], dim=-1))
        return summary


class _PlainWriter(nn.Module):
    """A writer that adds one patch after the other to the canvas by ``grid_sample``, as DRAW is often written."""

    def __init__(self, writer: CanvasWriter) -> None:
        super().__init__()
        self.writer = writer

    def forward(self, states: Tensor) -> Tensor:
        """As `CanvasWriter`."""
        writer = self.writer
        canvas = writer.start.expand(len(states), -1, *writer.size)
        for state in states.unbind(1):
            patch, place = writer.content(state).reshape(len(state), *writer.patch), writer.place(state)
            assert isinstance(place, ScaleShift)
            canvas = canvas + plain_read(patch, place.inverse().to_affine(), writer.size)
        return canvas


def _model_step(rounds: int) -> Comparison:
    steps, size, batch = (2, 10, 2) if _SMALL else (12, 30, 32)
    rates = race(_our_step(steps, size, batch), _their_step(steps, size, batch), batch, rounds)
    memory = [peak_memory(_once, _our_step, count, size, batch) for count in (steps, 2 * steps)]
    theirs = peak_memory(_once, _their_step, steps, size, batch)
    return Comparison(
        *rates,
        case=f"training step of the model, T = {steps}, {size}^3, batch {batch}",
        unit="volumes/s",
        peer="step by step, grid_sample",
        floor=2.0,
        note=f"peak memory {memory[0]:.0f} MiB, at T = {2 * steps} {memory[1]:.0f} MiB, against {theirs:.0f} MiB",
    )


def _our_step(steps: int, size: int, batch: int) -> Callable[[], None]:
    return _training_step(_model(steps, size), size, batch)


def _their_step(steps: int, size: int, batch: int) -> Callable[[], None]:
    return _training_step(_plain(_model(steps, size)), size, batch)


def _plain(model: SequentialModel) -> SequentialModel:
    """The same parameters and numbers by other means."""
    assert isinstance(model.writer, CanvasWriter) and model.posterior is not None
    assert isinstance(model.posterior.reader, GridReader)
    model.posterior.reader, model.writer = _PlainReader(model.posterior.reader), _PlainWriter(model.writer)
    return model


def _model(steps: int, size: int) -> SequentialModel:
    torch.manual_seed(0)
    return Volumes(steps=steps).build(PrimitivesSettings(size=size), 1)


def _training_step(model: SequentialModel, size: int, batch: int) -> Callable[[], None]:
    x = (torch.rand(batch, 1, size, size, size, generator=torch.Generator().manual_seed(0)) < 0.05).float()

    def step() -> None:
        model.zero_grad()
        model(Batch(x), Key(0)).total.mean().backward()

    return step
