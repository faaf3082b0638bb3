"""Noise: what is perturbed, by which law, and how much."""

import abc
import dataclasses
import math
from typing import ClassVar, Literal, Self, final

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.randomness import Key, standard_normal
from render3d.scenes import Mesh

Along = Literal["axes", "normals", "screen"]
"""Where noise moves a vertex: anywhere, along its normal, or in the plane of the image."""


@final
@dataclasses.dataclass(frozen=True)
class Pixels:
    """A length that is so many pixels where a vertex is: less in scene units the nearer it is to the camera.

    For noise that all views share, it is the mean over the views.
    """

    number: float

    def __mul__(self, factor: float) -> "Pixels":
        return Pixels(self.number * factor)


Length = float | Pixels
"""Scene units, or `Pixels`."""


@final
@dataclasses.dataclass(frozen=True)
class Draw:
    """Displacements of vertices, in d coordinates each. W is the number of views, or 1 for noise that they share.

    Attributes:
        coordinates: ``[K, *batch, W, V, d]``.
        score: The gradient, in their mean, of the log-density of the coordinates; same shape.
        scale: ``[*batch, W, V or 1, 1]``: scene units for one unit of a coordinate; any dimension may be 1.
        directions: ``[*batch, W, V or 1, d, 3]`` orthonormal, world axes, any leading dimension may be 1; or None where
            the coordinates are along those axes.
    """

    coordinates: Tensor
    score: Tensor
    scale: Tensor
    directions: Tensor | None = None

    @property
    def displacements(self) -> Tensor:
        """``[K, *batch, W, V, 3]``, scene units, world axes."""
        return self._to_world(self.coordinates * self.scale)

    def extremes(self) -> "Draw":
        """Samples between which all others lie, vertex by vertex: the two ends of a line, or all of them."""
        if self.coordinates.shape[-1] > 1:
            return self
        ends = torch.stack(self.coordinates.aminmax(dim=0))
        return dataclasses.replace(self, coordinates=ends)

    def world_gradient(self, gradient: Tensor) -> Tensor:
        """``[*batch, views, V, 3]``: the gradient in vertices, of that in the coordinates ``[*batch, views, V, d]``."""
        return self._to_world(gradient / self.scale)

    def _to_world(self, along: Tensor) -> Tensor:
        if self.directions is None:
            return along
        parts = [along[..., number, None] * self.directions[..., number, :] for number in range(along.shape[-1])]
        return sum(parts[1:], start=parts[0])


class Noise(abc.ABC):
    """What is perturbed, and by which law. The seam for laws of one's own: subclass it, or `VertexNoise`.

    `render3d.estimators.Rings` is unbiased for laws under which vertices move independently of one another.

    Attributes:
        paired: Whether the second half of the samples is the first, mirrored: only pairs are independent then.
    """

    paired: ClassVar[bool] = False

    @abc.abstractmethod
    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """Displacements of the vertices of a mesh that these cameras see; their batches broadcast."""

    @abc.abstractmethod
    def scaled(self, factor: float) -> Self:
        """The law of displacements that are ``factor`` times as long: how noise is annealed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VertexNoise(Noise):
    """A law of independent coordinates of vertices: a subclass says how one is drawn, and no more.

    Attributes:
        scale: Length of a coordinate of 1, such as the standard deviation. It is a setting, not a parameter: no
            gradient reaches it.
        along: ``"axes"``: anywhere, three coordinates. ``"normals"``: along the normals of the vertices, one
            coordinate. The shape of a smooth surface changes by no other motion (Hadamard 1907), so that little is
            lost, and the variance falls with the number of coordinates; but colours that slide along a surface are not
            seen. ``"screen"``: across the ray of each vertex, two coordinates, for silhouettes, which do not change
            along rays: nothing is estimated there.
        per_view: Whether each view draws noise of its own. A vertex is then not credited with what other vertices did
            to other views; the objective must be a sum over views, which is what `expected_loss` takes.

    Raises:
        ValueError: A scale that is not positive, or noise in the screen that views share.
    """

    scale: Length = 0.02
    along: Along = "axes"
    per_view: bool = False

    def __post_init__(self) -> None:
        size = self.scale.number if isinstance(self.scale, Pixels) else self.scale
        if not (size > 0 and math.isfinite(size)):
            raise ValueError(f"scale must be a positive number of scene units, or of Pixels; got {self.scale}.")
        if self.along not in ("axes", "normals", "screen"):
            raise ValueError(f"along must be 'axes', 'normals' or 'screen'; got {self.along!r}.")
        if self.along == "screen" and not self.per_view:
            raise ValueError("Noise along the screen differs from view to view: it needs per_view=True.")

    @abc.abstractmethod
    def sample(self, key: Key, samples: int, examples: int, event: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Coordinates and their scores, ``[samples, examples, *event]`` each.

        Args:
            key: Of the draws: a sample is a function of (key, example, number), as in
                `render3d.randomness.standard_normal`.
            samples: K.
            examples: Meshes.
            event: ``(W, V, d)``, as in `Draw`.
        """

    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """See `Noise`. If views share it, batch dimensions that the mesh lacks are 1."""
        batch = mesh.batch_shape
        if self.per_view:
            batch = broadcast_shapes(batch, cameras.batch_shape, names=("scene", "cameras"))
        else:
            batch = torch.Size([*[1] * max(0, len(cameras.batch_shape) - len(batch)), *batch])
        dimensions = {"axes": 3, "normals": 1, "screen": 2}[self.along]
        event = (cameras.views if self.per_view else 1, mesh.vertices.shape[-2], dimensions)
        drawn = self.sample(key, samples, batch.numel(), event)
        coordinates, score = (part.reshape(samples, *batch, *event).to(mesh.vertices) for part in drawn)
        return Draw(coordinates, score, self._scale(mesh, cameras), self._directions(mesh, cameras))

    def scaled(self, factor: float) -> Self:
        """See `Noise`."""
        return dataclasses.replace(self, scale=self.scale * factor)

    def _scale(self, mesh: Mesh, cameras: Cameras) -> Tensor:
        if not isinstance(self.scale, Pixels):
            return mesh.vertices.new_tensor(self.scale).reshape(1, 1, 1)
        size = self.scale.number * pixel_sizes(mesh, cameras)[..., None]
        return size if self.per_view else size.mean(-3, keepdim=True)

    def _directions(self, mesh: Mesh, cameras: Cameras) -> Tensor | None:
        if self.along == "normals":
            return mesh.detach().vertex_normals()[..., None, :, None, :]
        return _across_rays(mesh.vertices.detach(), cameras.detach()) if self.along == "screen" else None


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian(VertexNoise):
    """Independent normal noise on vertices, of standard deviation ``scale`` in each coordinate; see `VertexNoise`."""

    def sample(self, key: Key, samples: int, examples: int, event: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """See `VertexNoise`."""
        normal = standard_normal(key, samples, examples, event)
        return normal, normal


@final
@dataclasses.dataclass(frozen=True)
class Antithetic(Noise):
    """Pairs of samples displaced by opposite amounts: what is even in the noise cancels exactly.

    At equal renders it has up to twice the variance of independent samples where the loss is nearly linear over the
    noise, and less where it is not.

    Attributes:
        noise: The law of one of a pair. One that is not symmetric about zero makes the gradient biased.
    """

    noise: Noise

    paired: ClassVar[bool] = True

    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """See `Noise`.

        Raises:
            ValueError: An odd number of samples.
        """
        if samples % 2:
            raise ValueError(f"samples must be even for antithetic noise, which comes in pairs; got {samples}.")
        half = self.noise.draw(key, samples // 2, mesh, cameras)
        coordinates, score = (torch.cat([part, -part]) for part in (half.coordinates, half.score))
        return dataclasses.replace(half, coordinates=coordinates, score=score)

    def scaled(self, factor: float) -> Self:
        """See `Noise`."""
        return dataclasses.replace(self, noise=self.noise.scaled(factor))


def _across_rays(vertices: Tensor, cameras: Cameras) -> Tensor:
    """``[*batch, views, V, 2, 3]``, world axes: for each vertex, right and down in the image, across its ray.

    Across the optical axis would not do: what moves along that moves in the image, unless it is on it.
    """
    right, down, _ = cameras.rotation[..., None, :, :].unbind(-2)  # [*batch, views, 1, 3]
    if cameras.projection == "orthographic":
        return torch.stack([right, down], dim=-2)
    ray = torch.nn.functional.normalize(vertices[..., None, :, :] - cameras.position[..., None, :], dim=-1)
    right = torch.nn.functional.normalize(right - (right * ray).sum(-1, keepdim=True) * ray, dim=-1)
    return torch.stack([right, torch.linalg.cross(ray, right)], dim=-2)


def pixel_sizes(mesh: Mesh, cameras: Cameras) -> Tensor:
    """``[*batch, views, V]``: the scene units that a pixel spans at the depth of each vertex; no gradient."""
    seen = cameras.detach()
    focal = seen.focal.prod(-1, keepdim=True).sqrt()
    if cameras.projection == "orthographic":
        return (1 / focal).expand(*focal.shape[:-1], mesh.vertices.shape[-2])
    depth = seen.to_camera_space(mesh.vertices.detach())[..., 2]
    return depth.clamp(min=cameras.near) / focal
