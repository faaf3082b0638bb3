"""Normal noise that neighbouring vertices share."""

import dataclasses
import math
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from render3d.cameras import Cameras
from render3d.estimators.noise import Draw, Gaussian
from render3d.randomness import Key
from render3d.regularizers import unique_edges
from render3d.scenes import Mesh

_MOST = 10_000  # vertices: a matrix of 800 MB

_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Correlated:
    """Coloured noise: vertices move with their neighbours, as regions do.

    Of ``noise``, z, the displacements are ``e = L z`` with ``L = S (I + smoothness * Laplacian)^-1``, the Laplacian
    being that of the graph of edges, and S the diagonal matrix that gives each vertex the standard deviation it has in
    ``noise``, exactly. Regions of about ``sqrt(smoothness)`` edges move as one. With ``C = L L^T``, the score is
    ``C^-1 e = L^-T z = S^-1 (I + smoothness * Laplacian) z``, and credit times it is an unbiased gradient of
    ``E l(x + e)``: of the loss smoothed by this law, which is not that of independent noise.

    Credit may be local all the same. The score of a vertex v is ``q r``, where ``q = (C^-1)_vv`` and
    ``r = e_v - E[e_v | all other e]`` is its own part, normal and independent of all other vertices. A pixel that v
    cannot change when the others are held is independent of r, and adds nothing to the gradient in v, however far it
    goes with v's neighbours. `render3d.estimators.Rings` says which boxes keep that exact.

    What it costs: q is greater than 1, and so is the variance of the score. Memory is a matrix of V x V numbers, made
    once for each tensor of faces, in time of order V^3.

    Attributes:
        noise: The law without correlations.
        smoothness: 0 leaves ``noise`` as it is. Neighbours in an icosphere of 642 vertices have a correlation of 0.16
            at 0.1, of 0.34 at 0.3 and of 0.60 at 1.

    Raises:
        ValueError: A smoothness that is negative or not finite; noise that is not `Gaussian`; when drawn, a mesh of
            more than 10,000 vertices.
    """

    noise: Gaussian
    smoothness: float

    paired: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (self.smoothness >= 0 and math.isfinite(self.smoothness)):
            raise ValueError(f"smoothness must be zero or positive; got {self.smoothness}.")
        if not isinstance(self.noise, Gaussian):
            raise ValueError(
                f"Correlated is made of Gaussian noise; got {type(self.noise).__name__}. Pairs of it are "
                "Antithetic(Correlated(noise=Gaussian(...)))."
            )

    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """See `render3d.estimators.noise.Noise`."""
        white = self.noise.draw(key, samples, mesh, cameras)
        law = _law_of(mesh.faces, mesh.vertices.shape[-2], self.smoothness)
        z = white.coordinates.movedim(-2, 0)
        rows = z.flatten(1)
        coordinates = law.factor.to(rows) @ rows
        score = (rows + self.smoothness * _laplacian(rows, law.edges)) / law.size.to(rows)[:, None]
        own = score / law.precision.to(rows)[:, None]
        coordinates, score, own = (part.reshape(z.shape).movedim(0, -2) for part in (coordinates, score, own))
        return Draw(coordinates, score, white.scale, white.directions, own)


class _Law(NamedTuple):
    """What the noise of one topology is made with, float64.

    Attributes:
        factor: L ``[V, V]``.
        edges: ``[E, 2]``.
        size: The diagonal of S ``[V]``.
        precision: The diagonal of ``C^-1`` ``[V]``.
    """

    factor: Tensor
    edges: Tensor
    size: Tensor
    precision: Tensor


def _law_of(faces: Tensor, vertices: int, smoothness: float) -> _Law:
    """It is remembered while the tensor ``faces`` ``[F, 3]`` lives."""
    if vertices > _MOST:
        raise ValueError(
            f"Correlated noise keeps a matrix of V x V numbers and is for at most {_MOST:,} vertices; got "
            f"{vertices:,}. Use its Gaussian noise alone."
        )
    state = faces._version, vertices, smoothness
    known = _known.get(faces)  # type: ignore[no-untyped-call]
    if known is None or known[0] != state:
        known = _known[faces] = (state, _law(faces, vertices, smoothness))
    found: _Law = known[1]
    return found


def _law(faces: Tensor, vertices: int, smoothness: float) -> _Law:
    edges = unique_edges(faces)
    identity = torch.eye(vertices, dtype=torch.float64, device=faces.device)
    matrix = identity + smoothness * _laplacian(identity, edges)
    smooth = torch.cholesky_inverse(torch.linalg.cholesky(matrix))
    size = 1 / smooth.norm(dim=1)
    return _Law(size[:, None] * smooth, edges, size, matrix.square().sum(1) / size.square())


def _laplacian(values: Tensor, edges: Tensor) -> Tensor:
    """``(D - A) values`` for values ``[V, N]``, with the degrees D and the adjacency A of a graph."""
    first, second = edges.unbind(-1)
    apart = values[first] - values[second]
    return torch.zeros_like(values).index_add(0, first, apart).index_add(0, second, apart, alpha=-1)
