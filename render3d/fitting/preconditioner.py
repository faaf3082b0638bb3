"""Smooth coordinates for meshes: steps in them move neighbouring vertices together.

Source: Nicolet, Jacobson and Jakob, "Large Steps in Inverse Rendering of Geometry", ACM Transactions on Graphics 40(6)
(SIGGRAPH Asia), 2021, equations 8 to 12.
"""

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from render3d.batches import check_shape
from render3d.scenes.topology import edges_of

if TYPE_CHECKING:
    import scipy.sparse


def combinatorial_laplacian(faces: Tensor, vertex_count: int) -> "scipy.sparse.csc_matrix":
    """``L = D - A`` of the graph of edges: symmetric, ``[V, V]``, float64; rows sum to zero."""
    import scipy.sparse  # takes a third of a second, of commands that fit nothing too

    first, second = edges_of(faces.cpu()).ends.numpy().T
    ones = np.ones(len(first))
    half = scipy.sparse.coo_matrix((ones, (first, second)), shape=(vertex_count, vertex_count))
    adjacency = half + half.T
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    return scipy.sparse.csc_matrix(scipy.sparse.diags(degree) - adjacency)


@final
class SmoothCoordinates:
    """The change of variables ``u = (I + lambda L) v`` of the vertices v of one topology.

    Gradient descent on u is descent on v with the gradient smoothed twice by ``(I + lambda L)^-1``: noise of single
    vertices dies out, and what whole regions agree on stays. The matrix is factorised once.

    Args:
        faces: ``[F, 3]``.
        vertex_count: V.
        smoothness: ``lambda >= 0``; 0 leaves the vertices as they are.
    """

    def __init__(self, faces: Tensor, vertex_count: int, smoothness: float) -> None:
        import scipy.sparse.linalg

        identity = scipy.sparse.identity(vertex_count, format="csc")
        self._matrix = scipy.sparse.csc_matrix(identity + smoothness * combinatorial_laplacian(faces, vertex_count))
        self._factors = scipy.sparse.linalg.splu(self._matrix, options={"SymmetricMode": True})

    def from_vertices(self, vertices: Tensor) -> Tensor:
        """The u ``[V, 3]`` of v ``[V, 3]``; not differentiable."""
        check_shape(vertices, f"{self._matrix.shape[0]} 3", name="vertices")
        return torch.from_numpy(self._matrix @ vertices.detach().cpu().double().numpy()).to(vertices)

    def to_vertices(self, coordinates: Tensor) -> Tensor:
        """The v ``[V, 3]`` of u ``[V, 3]``, by a solve. Differentiable once."""
        check_shape(coordinates, f"{self._matrix.shape[0]} 3", name="coordinates")
        return _Solve.apply(coordinates, self)  # type: ignore[no-untyped-call, no-any-return]

    def solve(self, right: Tensor) -> Tensor:
        """``(I + lambda L)^-1 right``, in float64 inside, outside of autograd."""
        solution = self._factors.solve(right.detach().cpu().double().numpy())
        return torch.from_numpy(solution).to(right)


class _Solve(torch.autograd.Function):
    """The matrix is symmetric: the backward pass is the same solve."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, coordinates: SmoothCoordinates) -> Tensor:
        ctx.coordinates = coordinates
        return coordinates.solve(right)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.coordinates.solve(gradient), None
