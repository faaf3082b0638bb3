"""What can be chosen about a model of volumes."""

import dataclasses
from typing import Literal, final

from render3d.errors import ModelError
from render3d.models.layers import TransformKind
from render3d.models.likelihoods import Bernoulli
from render3d.models.projections import Identity
from render3d.models.readers import ClassReader, GridReader, NoReader, Reader
from render3d.models.sequential import Posterior, SequentialModel
from render3d.models.writers import CanvasWriter

ContextKind = Literal["none", "class", "views"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A model of binary volumes: identity projection, Bernoulli likelihood.

    Attributes:
        steps: T. The paper: 2, 6 and 12, and 24 for Primitives.
        latents: Size of z_t. The paper: 10.
        state: Size of the LSTM. The paper: 300.
        context: What the model is conditioned on: ``"none"``, ``"class"``, or ``"views"``, silhouettes.
        hidden: Size of hidden layers and summaries. The paper does not say.
        features: Channels of convolutions. The paper does not say.
        glimpse: Cells along each side of what f_r sees at a step. The paper does not say; as many as are written.
        patch: Cells along each side of what is written at a step. The paper does not say; the largest solid's size.
        transform: What spatial transformers may do: ``"scale_shift"`` is quicker; rotated patches want ``"affine"``.
            The paper does not say which it used.

    Raises:
        ModelError: A number below one, or a choice that there is not.
    """

    steps: int = 12
    latents: int = 10
    state: int = 300
    context: ContextKind = "none"
    hidden: int = 256
    features: int = 8
    glimpse: int = 12
    patch: int = 12
    transform: TransformKind = "scale_shift"

    def __post_init__(self) -> None:
        for name in ("steps", "latents", "state", "hidden", "features", "glimpse", "patch"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if self.context not in ("none", "class", "views"):
            raise ModelError(f"context must be 'none', 'class' or 'views'; got {self.context!r}.")


def build_model(settings: ModelSettings, size: int, classes: int, views: tuple[int, int, int]) -> SequentialModel:
    """A model of volumes of ``size`` voxels a side, with new parameters from torch's generator.

    Args:
        settings: What to build.
        size: Voxels along each side.
        classes: Labels that a class context has.
        views: (views, height, width) that a context of views has.
    """
    context = _context(settings, classes, views)
    reader = GridReader(
        (1, size, size, size),
        settings.state,
        size=settings.hidden,
        features=settings.features,
        glimpse=settings.glimpse,
        transform=settings.transform,
    )
    return SequentialModel(
        steps=settings.steps,
        latents=settings.latents,
        state=settings.state,
        context=context,
        posterior=Posterior(reader, settings.state, context.size, settings.latents, hidden=settings.hidden),
        writer=CanvasWriter(
            settings.state,
            (size, size, size),
            patch=settings.patch,
            hidden=settings.hidden,
            transform=settings.transform,
        ),
        projection=Identity(),
        likelihood=Bernoulli(),
    )


def _context(settings: ModelSettings, classes: int, views: tuple[int, int, int]) -> Reader:
    match settings.context:
        case "none":
            return NoReader()
        case "class":
            return ClassReader(classes)
        case "views":
            count, height, width = views
            return GridReader(
                (count, 1, height, width),
                settings.state,
                images=True,
                size=settings.hidden,
                features=settings.features,
                glimpse=settings.glimpse,
                transform=settings.transform,
            )
