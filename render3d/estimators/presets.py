"""Estimators by the names people know."""

import inspect
import typing
import warnings
from collections.abc import Callable

from render3d.errors import CapabilityError
from render3d.estimators.estimator import Estimator
from render3d.estimators.noise import Along, Antithetic, Gaussian, Length, Pixels
from render3d.estimators.references import OneByOne, Signs
from render3d.estimators.signal import ControlVariate, LeaveOneOut, Paired, Plain, Regression
from render3d.estimators.support import Everywhere, Rings
from render3d.registry import Registry
from render3d.renderers.base import Renderer

_ONE_PIXEL = Pixels(1.0)


_PRESETS = ("local_credit", "local_regression", "leave_one_out", "antithetic", "reinforce", "spsa")

ESTIMATORS: Registry[Callable[[int, Length], Estimator]] = Registry(
    "estimator", {name: f"{__name__}:{name}" for name in _PRESETS}, error=CapabilityError
)
"""The presets below that need no more than a number of samples and the scale of their noise."""


def estimator_by_name(name: str, samples: int, scale: Length) -> Estimator:
    """Make an estimator of so many samples and noise of this scale.

    Args:
        name: A preset of `ESTIMATORS`; or ``"module:Name"`` of a function ``(samples, scale) -> Estimator`` of one's
            own, annotated as such. Its module is imported, and so its code is run.
        samples: K.
        scale: Of the noise, scene units or `Pixels`.

    Raises:
        CapabilityError: There is no such estimator, or it is no function that returns one.
        ValueError: Samples or a scale that it refuses.
    """
    preset = ESTIMATORS.load(name)
    # A name may come from a file: nothing is called that does not say that it makes estimators.
    if not inspect.isfunction(preset) or typing.get_type_hints(preset).get("return") is not Estimator:
        raise CapabilityError(
            f"{name!r} is not an estimator: it must be a function (samples, scale) that is annotated to return a "
            "render3d.estimators.Estimator."
        )
    made: Estimator = preset(samples, scale)
    return made


def default_estimator_name(renderer: Renderer) -> str:
    """`local_credit` where the renderer says that a pixel depends on near vertices only, else `leave_one_out`."""
    return "leave_one_out" if renderer.capabilities.reach is None else "local_credit"


def default_estimator(renderer: Renderer) -> Estimator:
    """That of `default_estimator_name`."""
    return leave_one_out() if default_estimator_name(renderer) == "leave_one_out" else local_credit()


class NoControlVariateWarning(UserWarning):
    """There is no differentiable renderer to be a control variate: it is leave-one-out instead."""


def reinforce(samples: int = 16, scale: Length = 0.02) -> Estimator:
    """Score-function gradients without a baseline (Williams 1992), for comparison: the noise swamps most scenes."""
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Everywhere(), signal=Plain())


def leave_one_out(samples: int = 16, scale: Length = 0.02) -> Estimator:
    """Multi-sample REINFORCE with a leave-one-out baseline (supplement A.5).

    Source: Mnih and Rezende, "Variational inference for Monte Carlo objectives", 2016; Kool, van Hoof and Welling, "Buy
    4 REINFORCE samples, get a baseline for free!", 2019.

    Args:
        samples: K >= 2 noisy realisations of the mesh, each rendered once.
        scale: Standard deviation of the noise. About the size of a pixel on the surface is a good start: `Pixels(1.0)`,
            or in scene units 0.02 for a unit sphere some 100 pixels across, 0.04 for 50.
    """
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Everywhere(), signal=LeaveOneOut())


def antithetic(samples: int = 16, scale: Length = 0.02) -> Estimator:
    """Score-function gradients from pairs of opposite noise, as in evolution strategies (Salimans et al. 2017).

    Arguments as in `leave_one_out`; the number of samples is even.
    """
    noise = Antithetic(Gaussian(scale=scale))
    return Estimator(samples=samples, noise=noise, support=Everywhere(), signal=Paired())


def control_variate(renderer: Renderer | None, samples: int = 16, scale: Length = 0.02) -> Estimator:
    """`leave_one_out` on what a differentiable renderer leaves unexplained of the black box; see `ControlVariate`.

    Source: Gu et al., "MuProp", 2016; Grathwohl et al., "Backpropagation through the void", 2018.

    Args:
        renderer: The differentiable one. None, or one without gradients: `leave_one_out` with a warning, so that code
            runs where no such renderer is installed.
        samples: As in `leave_one_out`; each is rendered by both.
        scale: As there.
    """
    if renderer is None or not renderer.capabilities.gradients:
        warnings.warn(
            "No differentiable renderer of meshes was given, so there is no control variate: the estimator is "
            "leave_one_out. Pass an adapter such as PyTorch3D, where it is installed.",
            NoControlVariateWarning,
            stacklevel=2,
        )
        return leave_one_out(samples, scale)
    signal = ControlVariate(renderer)
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Everywhere(), signal=signal)


def local_credit(samples: int = 16, scale: Length = _ONE_PIXEL, along: Along = "axes") -> Estimator:
    """`leave_one_out` on the loss of each pixel, credited only to the vertices near it: for meshes of any size.

    Each view draws noise of its own.

    Source: Deliot, Heitz and Belcour, "Transforming a non-differentiable rasterizer into a differentiable one with
    stochastic gradient estimation", I3D 2024, arXiv 2404.09758, who published local credit in screen space first, with
    two renders a step. See `Rings` for what differs.

    Args:
        samples: K >= 2 noisy realisations of the mesh for each view, each rendered once.
        scale: Standard deviation of the noise.
        along: Where noise moves vertices; see `Gaussian`. ``"normals"`` has the least variance where the shape is
            sought, ``"axes"`` is right for poses and for colours that slide along a surface as well.
    """
    noise = Gaussian(scale=scale, along=along, per_view=True)
    return Estimator(samples=samples, noise=noise, support=Rings(), signal=LeaveOneOut())


def local_regression(samples: int = 32, scale: Length = _ONE_PIXEL, along: Along = "normals") -> Estimator:
    """`local_credit`, with the noise of a vertex's neighbours regressed out; its bias is of order 1/K.

    Source: Deliot, Heitz and Belcour 2024 for locality, as in `local_credit`; Berahas et al. 2022 for gradients by
    linear interpolation, as in `Regression`.

    Arguments as in `local_credit`. It takes more samples than a vertex and its neighbours have coordinates to pay: some
    seven along normals, twenty-one along axes.
    """
    noise = Gaussian(scale=scale, along=along, per_view=True)
    return Estimator(samples=samples, noise=noise, support=Rings(), signal=Regression())


def spsa(samples: int = 16, scale: Length = 0.02) -> Estimator:
    """Simultaneous perturbation by signs (Spall 1992), a reference for `antithetic`.

    Args:
        samples: Even: a pair for every direction.
        scale: How far every coordinate moves.
    """
    return Estimator(samples=samples, noise=Antithetic(Signs(scale=scale)), support=Everywhere(), signal=Paired())


def central_difference(vertices: int, scale: Length = 0.02) -> Estimator:
    """Central differences in one coordinate after the other, a reference without noise: six renders a vertex.

    Args:
        vertices: How many the mesh has.
        scale: How far a coordinate moves: enough for pixels to change.
    """
    return Estimator(samples=6 * vertices, noise=OneByOne(scale=scale), support=Everywhere(), signal=Paired())
