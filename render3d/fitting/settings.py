"""What can be chosen about fits."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, Self, final, get_args

from render3d.estimators import SHARP, Estimator, Pixels, default_gradient, estimator_of
from render3d.fitting.levels import Level, Quality, levels_of
from render3d.renderers.base import Renderer
from render3d.settings import check_at_least


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TemplateFitSettings:
    """Settings of `fit_template`. The defaults recover the bunny from 20 silhouettes of 64 x 64 pixels.

    Quantities that decay do so geometrically over the updates, from coarse to fine.

    Attributes:
        updates: Updates of the optimiser.
        gradient: own, the renderer's; edges, of renderers that tell which face a pixel shows; or an estimator:
            local_credit, local_regression, leave_one_out, antithetic, reinforce or spsa; or module:Name for one of your
            own, which is called with the samples and the scale of the noise. By default, the best that the renderer
            allows: see `render3d.estimators.default_gradient`.
        samples: Noisy renderings of each view in an update, for estimators.
        noise: Standard deviation of their noise in the first and in the last update, in pixels on the template.
        learning_rate: Largest move of a coordinate of the preconditioned mesh in the first and in the last update, as a
            fraction of the template's radius. By default 0.05 and 0.02, and for estimators, whose noise small moves
            average, 0.05 and 0.005.
        smoothness: The ``lambda`` of the preconditioner ``I + lambda L``: how far vertices move together. Less follows
            the silhouettes more closely, and crumples the surface between them.
        rgb: Weight of colours beside silhouettes: of the squared difference of sRGB where the views show the object.
            The template must have the object's colours.
        depth: Weight of depth, in shares of the template's radius: of the squared difference, likewise.
        normal: Weight of normals, likewise.
        subdivisions: Subdivisions n of the starting sphere, where no template is given: ``10 * 4**n + 2`` vertices.
        pixels: Pixels along the longer side of a view, at most; larger views are shrunk. Silhouettes need no more.
        evaluate_every: Updates between two measurements of the intersection over union (IoU).
        seed: Seed of the noise.

    Raises:
        ValueError: A value outside its range.
    """

    updates: int = 500
    gradient: str | None = None
    samples: int = 4
    noise: tuple[float, float] = (1.0, 0.2)
    learning_rate: tuple[float, float] | None = None
    smoothness: float = 1.0
    rgb: float = 0.0
    depth: float = 0.0
    normal: float = 0.0
    subdivisions: int = 3
    pixels: int = 128
    evaluate_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, updates=1, samples=2, subdivisions=0, pixels=8, evaluate_every=1, seed=0)
        _check_positive(self, "noise", "learning_rate")
        _check_not_negative(self, "smoothness", "rgb", "depth", "normal")
        self.estimator_at(0)  # raises, if there is none of that name

    def chosen_for(self, renderer: Renderer) -> Self:
        """The same, with the gradient that a renderer gets by default, and the rates for it."""
        gradient = self.gradient or default_gradient(renderer)
        rates = self.learning_rate or ((0.05, 0.02) if gradient in SHARP else (0.05, 0.005))
        return dataclasses.replace(self, gradient=gradient, learning_rate=rates)

    def images(self, renderer: Renderer, views: int) -> int:
        """How many images the optimiser asks for, without those that are measured along the way."""
        samples = 1 if self.chosen_for(renderer).gradient in SHARP else self.samples
        return self.updates * views * samples

    @property
    def one_update(self) -> Self:
        """What needs as much memory as the whole fit."""
        return dataclasses.replace(self, updates=1)

    def estimator_at(self, update: int) -> Estimator | None:
        """The estimator of this update, whose noise is annealed; None if the gradient needs none, or is not chosen."""
        if self.gradient is None:
            return None
        first = estimator_of(self.gradient, self.samples, Pixels(self.noise[0]))
        return first and first.scaled(_decay(self.noise, update / self.updates))

    def learning_rate_at(self, update: int) -> float:
        """Share of the template's radius, at this update of a fit whose rates are chosen."""
        assert self.learning_rate is not None
        return geometric(self.learning_rate, update / self.updates)


_CALM = 0.25  # of the last moves of a level by an estimator: small moves average its noise

Stage = Literal["shape", "colour", "texture"]
Appearance = Literal["texture", "vertices", "none"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of `fit`.

    Attributes:
        quality: draft: images of 256 pixels, half a minute; normal: of 512, two minutes; high: of 1024, ten minutes.
            (40 photographs, two cores.)
        until: The last stage: shape, by silhouettes; colour, the shape by silhouettes and colours; texture, all of it.
            A fit that was stopped after one of them goes on with --resume and a later one.
        appearance: What shows the colours of the mesh at the end: a texture, colours of its vertices, or none.
        gradient: As in `TemplateFitSettings`.
        samples: Likewise.
        noise: Of estimators, in the first and the last update of each level, in pixels.
        depth: Weight of the view set's depth, in shares of the object's radius, beside silhouettes.
        normal: Weight of the view set's normals, likewise.
        seed: Seed of the noise.

    Raises:
        ValueError: A value outside its range.
    """

    quality: Quality = "normal"
    until: Stage = "texture"
    appearance: Appearance = "texture"
    gradient: str | None = None
    samples: int = 4
    noise: tuple[float, float] = (0.5, 0.1)
    depth: float = 0.0
    normal: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, samples=2, seed=0)
        _check_positive(self, "noise")
        _check_not_negative(self, "depth", "normal")
        for name, kind in (("quality", Quality), ("until", Stage), ("appearance", Appearance)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be {', '.join(get_args(kind))}; got {getattr(self, name)!r}.")
        if self.gradient is not None:
            estimator_of(self.gradient, self.samples, Pixels(self.noise[0]))  # raises, if there is none of that name

    def chosen_for(self, renderer: Renderer) -> Self:
        """The same, with the gradient that a renderer gets by default."""
        return dataclasses.replace(self, gradient=self.gradient or default_gradient(renderer))

    @property
    def levels(self) -> Sequence[Level]:
        """Of the stages up to ``until``."""
        return levels_of(self.quality, colors=self.until != "shape")

    @property
    def updates(self) -> int:
        """Of the optimiser, in all levels."""
        return sum(level.updates for level in self.levels)

    def images(self, renderer: Renderer, views: int) -> int:
        """How many images the optimiser asks for, without those that are measured along the way."""
        return sum(self.template_settings(level).images(renderer, views) for level in self.levels)

    def template_settings(self, level: Level, number: int = 0, pixel: float = 0.01) -> TemplateFitSettings:
        """Those of a round of a level.

        Args:
            level: Of these settings; those of the first round of all others are alike but for the rates.
            number: Of the round.
            pixel: Its side, as a share of the mesh's radius.
        """
        updates = level.updates // level.rounds

        def part(ends: tuple[float, float]) -> tuple[float, float]:
            return geometric(ends, number / level.rounds), geometric(ends, (number + 1) / level.rounds)

        calm = 1.0 if self.gradient is None or self.gradient in SHARP else _CALM
        first, last = part((level.rates[0], calm * level.rates[1]))
        return TemplateFitSettings(
            updates=updates,
            gradient=self.gradient,
            samples=self.samples,
            noise=part(self.noise),
            learning_rate=(first * pixel, last * pixel),
            smoothness=level.smoothness,
            rgb=level.rgb,
            depth=self.depth,
            normal=self.normal,
            pixels=level.pixels,
            evaluate_every=updates,
            seed=self.seed,
        )

    @property
    def one_update(self) -> TemplateFitSettings:
        """What needs as much memory as the whole fit."""
        largest = max(self.levels, key=lambda level: level.pixels)
        return dataclasses.replace(self.template_settings(largest), updates=1, subdivisions=5)

    @property
    def lasting(self) -> dict[str, object]:
        """What must stay for a fit to go on: how far it goes, and what its colours are held by, may change."""
        return {name: value for name, value in vars(self).items() if name not in ("until", "appearance")}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeFitSettings:
    """Settings of `fit_volume`. The defaults recover the bunny from 20 silhouettes of 64 x 64 pixels.

    Attributes:
        updates: Updates of the optimiser, as many at each level.
        resolution: Voxels along each axis of the cube at the last level. Views are shrunk until no side has more than
            two pixels for each voxel of the level.
        levels: Grids, from coarse to fine; each has twice the voxels along each axis of the one before.
        learning_rate: Typical move of a logit in the first and in the last update. It decays geometrically.
        total_variation: Weight of `render3d.regularizers.total_variation`, in units of the side of the cube, beside the
            mean squared difference of coverage: how smooth the surface is.
        sparsity: Weight of `render3d.regularizers.sparsity`. It clears what no view shows. Too much of it turns solids
            into fog, which has the same silhouette but no surface.
        views_per_update: Views in an update, drawn anew for each; all of them, if there are no more.
        evaluate_every: Updates between two measurements of the intersection over union (IoU).
        seed: Seed of the choice of views.

    Raises:
        ValueError: A value outside its range.
    """

    updates: int = 120
    resolution: int = 64
    levels: int = 3
    learning_rate: tuple[float, float] = (1.0, 0.1)
    total_variation: float = 1e-3
    sparsity: float = 1e-4
    views_per_update: int = 8
    evaluate_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, updates=1, resolution=4, levels=1, views_per_update=1, evaluate_every=1, seed=0)
        _check_positive(self, "learning_rate")
        _check_not_negative(self, "total_variation", "sparsity")
        if self.resolution >> (self.levels - 1) < 4:
            raise ValueError(
                f"levels must leave the coarsest grid 4 voxels along each axis; got {self.levels} levels up to a "
                f"resolution of {self.resolution}."
            )

    def images(self, renderer: Renderer, views: int) -> int:
        """How many images the optimiser asks for, without those that are measured along the way."""
        return self.updates * min(self.views_per_update, views)

    @property
    def one_update(self) -> Self:
        """What needs as much memory as the whole fit."""
        return dataclasses.replace(self, updates=1)

    def level_at(self, update: int) -> int:
        """The level of the update after ``update`` others; the last update is always one of the last level."""
        return ((update + 1) * self.levels - 1) // self.updates

    def begin_of(self, level: int) -> int:
        """How many updates come before those of a level."""
        return level * self.updates // self.levels

    def resolution_of(self, level: int) -> int:
        """Voxels along each axis."""
        return self.resolution >> (self.levels - 1 - level)

    def learning_rate_at(self, update: int) -> float:
        """Of logits, at this update."""
        return geometric(self.learning_rate, update / self.updates)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseSettings:
    """Settings of `fit_pose`. The defaults find most poses that are up to 80 degrees off in small images.

    Attributes:
        candidates: Poses round the rough one that are rendered first.
        starts: The best of them, from which the search goes on; after each level the better half is kept.
        levels: Sizes of the images, from coarse to fine; each has twice the side of the one before.
        updates: Gauss-Newton updates from every start at each level.
        samples: Noisy poses that an update renders: seven at least, for six numbers and a mean.
        noise: Standard deviation of their noise in the first and in the last update: radians of each turn, and
            fractions of the mesh's radius of each shift. It decays geometrically.
        reach_degrees: The largest turn of a candidate. Turns are spread evenly from zero to it, about any axis.
        shift: Standard deviation of a candidate's shift along each axis, as a share of the mesh's radius.
        seed: Seed of candidates and noise.

    Raises:
        ValueError: A value outside its range.
    """

    candidates: int = 256
    starts: int = 8
    levels: int = 4
    updates: int = 8
    samples: int = 10
    noise: tuple[float, float] = (0.1, 0.005)
    reach_degrees: float = 100.0
    shift: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(self, candidates=1, starts=1, levels=1, updates=1, samples=7, seed=0)
        _check_positive(self, "noise")
        _check_not_negative(self, "shift")
        if self.starts > self.candidates:
            raise ValueError(
                f"starts are the best of the candidates, at most {self.candidates}; got {self.starts}. Take fewer "
                "starts, or more candidates."
            )
        if not 0 <= self.reach_degrees <= 180:
            raise ValueError(f"reach_degrees must lie between 0 and 180; got {self.reach_degrees}.")

    @property
    def renders(self) -> int:
        """How often a fit renders each object, small images counted like large ones, all views at once."""
        kept = [self.starts_at(level) for level in range(self.levels)]
        # Besides the updates: the rough pose, the candidates, and the starts each time they are compared.
        return 1 + self.candidates + (self.updates * self.samples + 1) * sum(kept)

    def starts_at(self, level: int) -> int:
        """How many starts are kept at this level."""
        return max(1, self.starts >> level)

    def noise_at(self, update: int) -> float:
        """Radians, and shares of the radius, at this update of all levels' updates."""
        return geometric(self.noise, update / max(1, self.levels * self.updates - 1))


LoopSettings = TemplateFitSettings | VolumeFitSettings
Settings = FitSettings | LoopSettings


def _check_positive(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) is not None and not all(
            value > 0 and math.isfinite(value) for value in getattr(settings, name)
        ):
            raise ValueError(f"{name} must be two positive numbers, first and last; got {getattr(settings, name)}.")


def _check_not_negative(settings: object, *names: str) -> None:
    for name in names:
        if not (getattr(settings, name) >= 0 and math.isfinite(getattr(settings, name))):
            raise ValueError(f"{name} must be zero or positive; got {getattr(settings, name)}.")


def geometric(ends: tuple[float, float], done: float) -> float:
    """From the first to the last of ``ends``, by equal ratios, when this much is done, from 0 to 1."""
    return ends[0] * _decay(ends, done)


def _decay(ends: tuple[float, float], done: float) -> float:
    """What is left of the first of ``ends`` when this much is done, from 0 to 1: the ratio of both at the end."""
    first, last = ends
    return math.pow(last / first, done)
