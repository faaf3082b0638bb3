"""How surfaces become colours: lights, background, normals and samples."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.errors import GradientError

Color = tuple[float, float, float]


def _check_three(value: Color | Tensor, name: str) -> None:
    if isinstance(value, Tensor):
        check_shape(value, "3", name=name)


def _numbers(value: Color | Tensor) -> Color:
    """Tensors as numbers; other values as they are."""
    if not isinstance(value, Tensor):
        return value
    first, second, third = value.tolist()
    return first, second, third


class _Compared:
    """Equality and hash of frozen dataclasses that may hold tensors: of numbers by value, of tensors by identity.

    As torch hashes tensors. An optimiser changes their values in place, and two of the same values are two unknowns.
    """

    def _key(self) -> tuple[object, ...]:
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        return tuple(id(value) if isinstance(value, Tensor) else value for value in values)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DirectionalLight(_Compared):
    """Parallel light in the world.

    Attributes:
        towards: Direction from the scene to the light, world axes, of any length but zero; or a tensor ``[3]``.
        color: Its irradiance on a surface that faces it, linear light; or a tensor ``[3]``.

    Raises:
        ShapeError: A tensor of another shape.
        ValueError: A direction of length zero.
    """

    towards: Color | Tensor
    color: Color | Tensor = (0.7, 0.7, 0.7)

    def __post_init__(self) -> None:
        for name in ("towards", "color"):
            _check_three(getattr(self, name), name)
        towards = _numbers(self.towards)
        if not math.hypot(*towards) > 0:
            raise ValueError(f"towards must be a direction of non-zero length; got {towards}.")


_DEFAULT_LIGHTS = (
    DirectionalLight(towards=(0.4, 0.8, 0.6)),
    DirectionalLight(towards=(-0.7, 0.2, 0.3), color=(0.25, 0.25, 0.25)),
    DirectionalLight(towards=(0.2, -0.4, -0.8), color=(0.2, 0.2, 0.2)),
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Shading(_Compared):
    """How surfaces become colours: the same object for every renderer, so that a swap changes one argument.

    A surface of reflectance ``c`` and unit normal ``n`` has the colour
    ``c * (ambient + sum_i color_i * max(0, n . l_i))`` (Lambert). Surfaces are two-sided: ``n`` is reversed on faces
    that are seen from behind. Nothing is clamped.

    Ambient light, background, and colours and directions of lights may be tensors ``[3]`` on any device, which are read
    whenever something is rendered. They may require a gradient: renderers whose capabilities hold ``"lights"`` carry
    the exact one, all others raise `GradientError`.

    Shadings are equal where their numbers are and their tensors are the same objects.

    Attributes:
        ambient: Light from everywhere, linear.
        lights: Directional lights, at most eight.
        background: Colour behind the scene, linear.
        cull: Which faces are not drawn: ``"none"``, ``"back"`` or ``"front"`` (front: counter-clockwise on screen).
        normals: ``"flat"``, one normal a face, or ``"smooth"``, area-weighted vertex normals, interpolated.
        samples_per_pixel: A square number: a grid of samples that ``rgb`` and ``alpha`` average. The other outputs are
            always those at the pixel's centre.
    """

    ambient: Color | Tensor = (0.3, 0.3, 0.3)
    lights: tuple[DirectionalLight, ...] = _DEFAULT_LIGHTS
    background: Color | Tensor = (1.0, 1.0, 1.0)
    cull: Literal["none", "back", "front"] = "none"
    normals: Literal["flat", "smooth"] = "flat"
    samples_per_pixel: int = 1

    def __post_init__(self) -> None:
        for name in ("ambient", "background"):
            _check_three(getattr(self, name), name)
        check_square(self.samples_per_pixel)
        if len(self.lights) > 8:
            raise ValueError(f"lights must be at most eight; got {len(self.lights)}.")
        if self.cull not in ("none", "back", "front"):
            raise ValueError(f"cull must be 'none', 'back' or 'front'; got {self.cull!r}.")
        if self.normals not in ("flat", "smooth"):
            raise ValueError(f"normals must be 'flat' or 'smooth'; got {self.normals!r}.")

    @property
    def reach(self) -> int:
        """How many rings of faces round a vertex change when it moves: two where neighbours share its normal."""
        return 2 if self.normals == "smooth" else 1

    @property
    def waiting(self) -> list[str]:
        """The names of what requires a gradient, such as ``lights[0].towards``; none where autograd is off."""
        if not torch.is_grad_enabled():
            return []
        return [name for name, value in self._values() if isinstance(value, Tensor) and value.requires_grad]

    def in_numbers(self, renderer: str) -> "Shading":
        """The same without tensors, for a renderer that autograd does not see.

        Args:
            renderer: What users call it.

        Raises:
            GradientError: A tensor requires a gradient.
        """
        if waiting := self.waiting:
            raise GradientError(
                f"{' and '.join(waiting)} require a gradient, and {renderer} gives none by itself. Shade in torch what "
                "it sees: render3d.renderers.DeferredShading(OpenGL(shading)), or render3d.differentiable(OpenGL("
                "shading)) where shapes move too; or render under torch.no_grad()."
            )
        if not any(isinstance(value, Tensor) for _, value in self._values()):
            return self
        lights = [DirectionalLight(towards=_numbers(lamp.towards), color=_numbers(lamp.color)) for lamp in self.lights]
        ambient, background = _numbers(self.ambient), _numbers(self.background)
        return dataclasses.replace(self, ambient=ambient, background=background, lights=tuple(lights))

    def _values(self) -> Iterator[tuple[str, Color | Tensor]]:
        """All that may be a tensor, by name."""
        yield "ambient", self.ambient
        yield "background", self.background
        for number, lamp in enumerate(self.lights):
            yield f"lights[{number}].towards", lamp.towards
            yield f"lights[{number}].color", lamp.color

    @classmethod
    def unlit(cls, *, background: Color | Tensor = (1.0, 1.0, 1.0)) -> "Shading":
        """Reflectances as they are."""
        return cls(ambient=(1.0, 1.0, 1.0), lights=(), background=background)


def check_square(samples_per_pixel: int) -> None:
    """Raise `ValueError` unless the samples of a pixel make a square grid."""
    if samples_per_pixel < 1 or math.isqrt(samples_per_pixel) ** 2 != samples_per_pixel:
        raise ValueError(f"samples_per_pixel must be a square number (1, 4, 9, ...); got {samples_per_pixel}.")
