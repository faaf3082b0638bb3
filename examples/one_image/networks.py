"""One encoder with two heads. Which of them is taken is the only thing that depends on the renderer."""

import itertools
import math

import torch
from torch import Tensor, nn

from render3d import Mesh, Volume
from render3d.renderers import Renderer
from render3d.scenes.topology import edges_of

Scene = Mesh | Volume


class ToMesh(nn.Module):
    """Features to a ball of 162 vertices on rays, as the paper's meshes are, round a centre.

    Radii are smoothed by ``(I + L)^-1``, with L the Laplacian of the ball: all neighbours learn from what one shows.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.ball = Mesh.icosphere(2)
        self.register_buffer("directions", nn.functional.normalize(self.ball.vertices, dim=-1), persistent=False)
        edges = edges_of(self.ball.faces).ends
        adjacency = torch.zeros(len(self.ball.vertices), len(self.ball.vertices))
        adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1.0
        laplacian = adjacency.sum(0).diag() - adjacency
        self.register_buffer("smooth", torch.linalg.inv(torch.eye(len(laplacian)) + laplacian), persistent=False)
        self.shape = nn.Linear(features, len(self.ball.vertices) + 3)

    def forward(self, features: Tensor) -> Mesh:
        """Meshes ``[N]``."""
        radius, centre = self.shape(features).split([len(self.ball.vertices), 3], dim=-1)
        vertices = 0.6 * torch.exp(radius @ self.smooth)[..., None] * self.directions + 0.1 * centre[..., None, :]
        return self.ball.to(vertices.device).with_vertices(vertices)


class ToVolume(nn.Module):
    """Features to 16^3 voxels of the cube [-1, 1]^3."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.coarse = nn.Linear(features, 32 * 4**3)
        self.fine = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose3d(32, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose3d(16, 1, 4, stride=2, padding=1),
        )

    def forward(self, features: Tensor) -> Volume:
        """Volumes ``[N]``, all but empty before training: an opaque cube lets no gradient in."""
        logits: Tensor = self.fine(self.coarse(features).unflatten(-1, (32, 4, 4, 4)))[:, 0]
        return Volume.from_logits(logits - 3.0)


class ShapeFromImage(nn.Module):
    """An image ``[N, 3, H, W]`` to a scene that ``renderer`` renders."""

    def __init__(self, renderer: Renderer, image_size: int, features: int = 256) -> None:
        super().__init__()
        widths, side = (3, 32, 64, 128), math.ceil(image_size / 8)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            # Without normalisation, images that differ little would make features that hardly differ.
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side**2, features), nn.ReLU())
        self.head = ToMesh(features) if Mesh in renderer.capabilities.scenes else ToVolume(features)

    def forward(self, image: Tensor) -> Scene:
        """Scenes ``[N]``."""
        scene: Scene = self.head(self.encoder(image))
        return scene
