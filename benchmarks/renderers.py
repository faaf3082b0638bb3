"""``python -m benchmarks render --renderers A B``: images a second of several renderers, on the same meshes in one run.

The grid is that of PyTorch3D's own benchmark of its rasteriser: spheres of 5,120 to 81,920 faces, 64 to 512 pixels a
side, 1 to 64 images a call; and smaller spheres of 1,280 faces.
"""

import itertools
from collections.abc import Callable, Sequence

import torch

from benchmarks.findings import Cell, Measurements, Results
from render3d.cameras import Cameras
from render3d.comparison.costs import rate
from render3d.errors import Render3DError
from render3d.estimators import differentiable
from render3d.renderers import Renderer, make_renderer
from render3d.scenes import Mesh

SUBDIVISIONS, SIZES, BATCHES = (3, 4, 5, 6), (64, 256, 512), (1, 16, 64)
PATIENCE = 20.0  # seconds that a call may take
_LONG = 2.0  # seconds of a call that is not repeated

_Call = Callable[[], object]


def compare_renderers(names: Sequence[str], rounds: int) -> Results:
    """Images a second, forwards and with the backward pass, of the renderers of these names."""
    timed = [_Timed(name, make_renderer(name), rounds) for name in names]
    rows: list[dict[str, Cell]] = []
    for subdivisions, size, batch in itertools.product(SUBDIVISIONS, SIZES, BATCHES):
        row: dict[str, Cell] = {"faces": 20.0 * 4**subdivisions, "pixels": float(size), "images": float(batch)}
        for each in timed:
            row |= each.rates(subdivisions, size, batch)
        rows.append(row)
    unavailable = [f"{each.name}: {each.failure}" for each in timed if each.failure]
    note = " ".join([_NOTE, *unavailable])
    return Results(comparisons=[], tables=[Measurements(title="Images a second", rows=rows, note=note)])


_NOTE = (
    "rgb and alpha of different meshes, each seen by one camera, all in one call; then the same with the gradient of "
    "alpha in the vertices: a renderer's own or, for a black box, that of its default estimator, whose samples are not "
    f"counted as images. '-': a call would have taken more than {PATIENCE:.0f} s, or failed."
)


class _Timed:
    """One renderer and what is known of its speed."""

    def __init__(self, name: str, renderer: Renderer, rounds: int) -> None:
        self.name, self.failure = name, ""
        self._renderer, self._rounds = renderer, rounds
        self._known: dict[tuple[str, int, int], float] = {}

    def rates(self, subdivisions: int, size: int, batch: int) -> dict[str, Cell]:
        """Images a second, forwards and both ways."""
        ball = Mesh.icosphere(subdivisions)
        sizes = torch.linspace(0.9, 1.1, batch)[:, None, None]
        meshes = ball.with_vertices(ball.vertices * sizes)
        camera = Cameras.orbit(1, 3.0, vertical_fov_degrees=46.0, image_size=(size, size))
        smooth = differentiable(self._renderer, "local_credit")  # black boxes; the others keep theirs

        def forward() -> None:
            with torch.no_grad():
                self._renderer(meshes, camera, ("rgb", "alpha"))

        def both_ways() -> None:
            vertices = meshes.vertices.clone().requires_grad_()
            alpha = smooth(meshes.with_vertices(vertices), camera, ("alpha",)).alpha
            torch.autograd.grad(alpha.square().sum(), vertices)

        return {
            self.name: self._rate(("forward", subdivisions, size), forward, batch),
            f"{self.name}, both ways": self._rate(("both ways", subdivisions, size), both_ways, batch),
        }

    def _rate(self, case: tuple[str, int, int], call: _Call, batch: int) -> float | None:
        # A larger case is not quicker: what is known of smaller ones tells what a call will take at least.
        way, subdivisions, size = case
        smaller = [known for (w, s, p), known in self._known.items() if w == way and s <= subdivisions and p <= size]
        if any(batch / known > PATIENCE for known in smaller):
            return None
        try:
            found = _images_a_second(call, batch, self._rounds)
        except (Render3DError, MemoryError) as error:
            self.failure = str(error)
            return None
        self._known[case] = found
        return found


def _images_a_second(call: _Call, batch: int, rounds: int) -> float:
    """The best of the rounds, after a call that is not counted unless it takes long."""
    first = rate(call, batch, 0.0)
    return first if batch / first >= _LONG else max(rate(call, batch, 0.0) for _ in range(max(1, rounds)))
