"""Volumes, given nothing, a class, or silhouettes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, final

import torch

from render3d.cameras import Cameras
from render3d.datasets import DatasetSettings, Examples, RandomCameras, WithViews
from render3d.datasets.base import size_of_volumes, volumes_of
from render3d.errors import ModelError
from render3d.models.base import Experiment, Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.layers import TransformKind
from render3d.models.parts.likelihoods import Bernoulli
from render3d.models.parts.projections import Identity
from render3d.models.parts.readers import ClassReader, GridReader, NoReader, Reader
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.silhouettes import CameraKind, context_cameras, silhouettes
from render3d.models.parts.writers import CanvasWriter
from render3d.models.study import class_conditional, view_conditional, volumes
from render3d.renderers import MaxProjection

ContextKind = Literal["none", "class", "views"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Volumes(Experiment):
    """Binary volumes as they are: identity projection, Bernoulli likelihood.

    Attributes:
        steps: T. The paper: 2, 6 and 12, and 24 for Primitives.
        latents: Size of z_t. The paper: 10. With 0 the model is a plain network from its context to one volume, trained
            alike: what a model with latents is to be compared with.
        state: Size of the LSTM. The paper: 300.
        context: What the model is conditioned on: ``"none"``, ``"class"``, or ``"views"``, silhouettes.
        views: (views, height, width) of the silhouettes. The paper: 1 to 3, of about 30 pixels. One in which nothing is
            seen is a context, too: an empty picture.
        cameras: Where they are seen from. ``"fixed"``: the same places for all examples, as where the paper shows
            samples "from the same angle as c"; the model, which is told of no camera, learns them. ``"random"``: drawn
            for each example, so that the model has to tell from the picture where it was taken.
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
    views: tuple[int, int, int] = (1, 30, 30)
    cameras: CameraKind = "fixed"
    hidden: int = 256
    features: int = 8
    glimpse: int = 12
    patch: int = 12
    transform: TransformKind = "scale_shift"

    def __post_init__(self) -> None:
        self.check(may_be_zero=("latents",))
        if self.latents == 0 and self.context == "none":
            raise ModelError("latents must be at least 1, or 0 with a context; got 0.")
        if len(self.views) != 3 or min(self.views) < 1:
            raise ModelError(f"views must be (views, height, width), each at least 1; got {self.views}.")

    @property
    def can_be_graphed(self) -> bool:
        """Yes, but for affine transforms: their exponentials and inverses are chosen by the values."""
        return self.transform == "scale_shift"

    def examples(self, dataset: Examples) -> Examples:
        """The volumes, with silhouettes where these are from cameras of their own."""
        if self.context != "views" or self.cameras == "fixed":
            return dataset
        count, height, width = self.views
        return WithViews(volumes_of(dataset), RandomCameras(views=count, image_size=(height, width)), MaxProjection())

    def batch(self, examples: Sequence[Any], device: torch.device | str = "cpu") -> Batch:
        """Volumes ``[N, 1, D, H, W]``, with labels ``[N]`` or silhouettes ``[N, views, 1, H, W]``."""
        x = torch.stack([example.volume for example in examples]).to(device)
        match self.context:
            case "none":
                return Batch(x)
            case "class":
                return Batch(x, torch.tensor([example.label for example in examples], device=device))
            case "views":
                if self.cameras == "fixed":  # in one go, which takes a fifth of the time
                    return Batch(x, silhouettes(x, self.context_cameras.to(device)))
                return Batch(x, torch.stack([example.images["alpha"] for example in examples]).to(device))

    @property
    def context_cameras(self) -> Cameras:
        """``[views]``: where silhouettes are seen from, if the same for all examples."""
        count, height, width = self.views
        return context_cameras(count, (height, width))

    def build(self, data: DatasetSettings, classes: int) -> SequentialModel:
        """As `Experiment.build`."""
        grid, context = (size_of_volumes(data),) * 3, self._context(classes)
        return SequentialModel(
            steps=self.steps,
            latents=self.latents,
            state=self.state,
            context=context,
            posterior=self._posterior(grid, context.size) if self.latents else None,
            writer=CanvasWriter(self.state, grid, patch=self.patch, hidden=self.hidden, transform=self.transform),
            projection=Identity(),
            likelihood=Bernoulli(),
        )

    def volume_size(self, data: DatasetSettings) -> int:
        """As `Experiment.volume_size`."""
        return size_of_volumes(data)

    def baseline(self) -> "Volumes | None":
        """Given views, the same without latents: a network that makes one volume of each context."""
        if self.context != "views" or self.latents == 0:
            return None
        return dataclasses.replace(self, latents=0)

    def varied(self, steps: int, views: int) -> "Volumes":
        """As `Experiment.varied`, with silhouettes."""
        sizes = (max(1, views), *self.views[1:])
        return dataclasses.replace(self, steps=steps, context="views" if views else "none", views=sizes)

    def findings(self, run: Run) -> Findings:
        """Samples and reconstructions, and what comes of the context."""
        found = volumes.find(run)
        match self.context:
            case "none":
                return found
            case "class":
                return class_conditional.find(run).then(found)
            case "views":
                rig = self.context_cameras if self.cameras == "fixed" else None
                return view_conditional.find(run, rig).then(found)

    def _posterior(self, grid: Sequence[int], context: int) -> Posterior:
        reader = GridReader((1, *grid), self.state, **self._reading)
        return Posterior(reader, self.state, context, self.latents, hidden=self.hidden)

    def _context(self, classes: int) -> Reader:
        match self.context:
            case "none":
                return NoReader()
            case "class":
                return ClassReader(classes)
            case "views":
                count, height, width = self.views
                return GridReader((count, 1, height, width), self.state, images=True, **self._reading)

    @property
    def _reading(self) -> dict[str, Any]:
        """How observation and context are read."""
        return {
            "size": self.hidden,
            "features": self.features,
            "glimpse": self.glimpse,
            "transform": self.transform,
        }
