"""f_write, equation 4: from states to the inferred scene h_T."""

from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor, nn

from render3d.fitting.preconditioner import combinatorial_laplacian
from render3d.models.parts.batch import Inferred
from render3d.models.parts.layers import TransformHead, TransformKind, cell_for_cell, mlp
from render3d.precision import exact
from render3d.scenes import Mesh
from render3d.spatial import superpose

_REACH = 1.5  # radii are within a factor of e^1.5 of that of the first sphere


class Writer(Protocol):
    """From the states of all steps to what they make together.

    A state never depends on what was written, so that all steps are written at once.
    """

    def __call__(self, states: Tensor) -> Inferred:
        """States ``[N, T, S]`` to scenes of batch ``[N]``."""
        ...


@final
class CanvasWriter(nn.Module):
    """Patches placed on a canvas of logits by a spatial transformer: ``h_t = h_{t-1} + VST(g1(s_t), g2(s_t))``.

    Args:
        state: Size of the states.
        channels: Of the canvas: the logits of occupancy, then features for a `LearnedProjection`.
        size: ``(D, H, W)`` of the canvas.
        patch: Cells of a patch along each axis. It begins cell for cell, and is moved and scaled from there.
        hidden: Size of the hidden layer of g1.
        transform: What g2 may do.
        empty: The logit of h_0: most of a volume is empty.
    """

    def __init__(
        self,
        state: int,
        size: Sequence[int],
        *,
        channels: int = 1,
        patch: int = 12,
        hidden: int = 256,
        transform: TransformKind = "scale_shift",
        empty: float = -4.0,
    ) -> None:
        super().__init__()
        self.size = tuple(size)
        self.patch = (channels, patch, patch, patch)
        self.content = mlp(state, hidden, channels * patch**3)
        self.place = TransformHead(state, cell_for_cell(self.patch[1:], self.size), transform)
        self.start = nn.Parameter(torch.tensor([empty] + [0.0] * (channels - 1))[:, None, None, None])

    def forward(self, states: Tensor) -> Tensor:
        """The canvas h_T: ``[N, C, D, H, W]``."""
        patches = self.content(states).reshape(*states.shape[:2], *self.patch)
        return self.start + superpose(patches, self.place(states), self.size)


@final
class MeshWriter(nn.Module):
    """A mesh whose vertices move on rays from the centre: a fully connected network of s_T.

    Args:
        state: Size of the states.
        hidden: Size of the hidden layer.
        subdivisions: Of the icosahedron; the paper's 162 vertices are two.
        radius: Of the sphere that it starts as.
        colored: Whether vertices have colours. They want a renderer that carries gradients to them.
        smooth: Whether the logarithms of the radii are smoothed by ``(I + L)^-1``, L being the Laplacian of the graph
            of edges: all neighbours learn from what one shows, and estimates of gradients lose their noise.
    """

    def __init__(
        self,
        state: int,
        *,
        hidden: int = 256,
        subdivisions: int = 2,
        radius: float = 0.6,
        colored: bool = False,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        sphere = Mesh.icosphere(subdivisions)
        count = len(sphere.vertices)
        self.radius, self.values = radius, 4 if colored else 1
        self.rays: Tensor
        self.faces: Tensor
        self.mixing: Tensor
        self.register_buffer("rays", sphere.vertices, persistent=False)
        self.register_buffer("faces", sphere.faces, persistent=False)
        self.register_buffer("mixing", _smoothing(sphere) if smooth else torch.eye(count), persistent=False)
        self.content = mlp(state, hidden, self.values * count)
        with torch.no_grad():  # begin with spheres, nearly
            self.content[-1].weight.mul_(0.1)  # type: ignore[operator]

    def forward(self, states: Tensor) -> Mesh:
        """Meshes of batch ``[N]``."""
        values = self.content(states[:, -1]).reshape(len(states), -1, self.values)
        length = self.radius * torch.exp(_REACH * torch.tanh(exact(self.mixing @ values[..., :1]) / _REACH))
        colors = torch.sigmoid(exact(values[..., 1:])) if self.values == 4 else None
        return Mesh(length * self.rays, self.faces, colors=colors)


def _smoothing(mesh: Mesh) -> Tensor:
    """``(I + L)^-1``, ``[V, V]``."""
    count = len(mesh.vertices)
    laplacian = torch.from_numpy(combinatorial_laplacian(mesh.faces, count).toarray())
    inverse: Tensor = torch.linalg.inv(torch.eye(count) + laplacian).float()
    return inverse
