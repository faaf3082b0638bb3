"""Which gradient a renderer is given: one of its own, that of edges, or an estimate."""

from collections.abc import Sequence

from render3d.errors import CapabilityError
from render3d.estimators.estimator import Estimator
from render3d.estimators.noise import Length, Pixels
from render3d.estimators.presets import default_estimator_name, estimator_by_name
from render3d.estimators.smoothed import Smoothed
from render3d.renderers.base import Renderer
from render3d.renderers.edge_gradient import EdgeGradient, tells_faces

SHARP = ("own", "edges")
"""Gradients without noise, by their names. The others are those of estimators."""


def estimator_of(gradient: str, samples: int, scale: Length, others: Sequence[str] = ()) -> Estimator | None:
    """Make the estimator of a gradient by its name; None for those that need none.

    Args:
        gradient: A name of `SHARP`, of ``others``, or of an estimator as of `estimator_by_name`.
        samples: K.
        scale: Of the noise, scene units or `Pixels`.
        others: Names of gradients that the caller makes itself.

    Raises:
        CapabilityError: There is no such gradient.
        ValueError: Samples or a scale that the estimator refuses.
    """
    without = (*SHARP, *others)
    if gradient in without:
        return None
    try:
        return estimator_by_name(gradient, samples, scale)
    except CapabilityError as error:
        raise CapabilityError(f"gradient must be {', '.join(without)} or an estimator. {error}") from error


def default_gradient(renderer: Renderer) -> str:
    """The name of the gradient that a renderer gets by default.

    ``"own"`` if it has one to silhouettes; else ``"edges"`` if it tells which face a pixel shows, as `OpenGL` and
    `Pyrender` do; else ``"own"`` if it has any; else ``"local_credit"`` if its pixels depend on near vertices only;
    else ``"leave_one_out"``.
    """
    own = renderer.capabilities.gradients
    if "silhouette" not in own and tells_faces(renderer):
        return "edges"
    return "own" if own else default_estimator_name(renderer)


def differentiable(renderer: Renderer, gradient: str | Estimator | None = None) -> Renderer:
    """A renderer that carries gradients.

    Args:
        renderer: Any renderer.
        gradient: ``"own"``: the renderer itself, which must have gradients. ``"edges"``: `EdgeGradient`, sharp and
            without noise. The name of an estimator, such as ``"local_credit"``, for 16 samples and noise of one pixel;
            or an `Estimator`: `Smoothed` by it.
            By default as of `default_gradient`. A renderer with gradients of its own stays as it is, whatever
            estimator is given.

    Raises:
        CapabilityError: ``"own"`` of a black box; ``"edges"`` of a renderer that does not tell which face a pixel
            shows; a name that is none of these.
    """
    able = renderer.capabilities
    name = gradient or default_gradient(renderer)
    if name == "edges":
        return EdgeGradient(renderer)
    estimator = estimator_of(name, 16, Pixels(1.0)) if isinstance(name, str) else name
    if estimator is not None:
        return renderer if able.gradients else Smoothed(renderer, estimator)
    if not able.gradients:
        raise CapabilityError(
            f"gradient='own' is for renderers that have one, and {able.name} has none. Take "
            f"{default_gradient(renderer)!r}, or leave gradient out."
        )
    return renderer
