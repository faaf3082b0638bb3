"""Meshes from single images."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, final

import torch

from render3d.datasets.base import DatasetSettings, ImageSettings
from render3d.datasets.pictures.colored import SHADING
from render3d.errors import ModelError
from render3d.models.base import Experiment, Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.likelihoods import GaussianLikelihood
from render3d.models.parts.readers import GridReader, NoReader
from render3d.models.parts.sampled import SampledRendering, model_estimator
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.turn_search import TurnSearch
from render3d.models.parts.writers import MeshWriter
from render3d.models.study import single_images
from render3d.renderers import OpenGL, make_renderer

OrientationKind = Literal["searched", "of_state"]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SingleImages(Experiment):
    """Single images of solids, explained by a mesh, its colours and its orientation through a renderer.

    Attributes:
        renderer: What renders the meshes, in the light of the images: a name as of
            `render3d.renderers.make_renderer`.
        gradient: Estimates the gradient through it: local_credit, leave_one_out or another estimator, module:Name for
            one of your own, vimco, own or edges; see `SampledRendering`.
        orientation: ``"searched"`` for, as a latent variable of its own (`TurnSearch`), or a function ``"of_state"``.
        samples: K. The paper does not say.
        noise: Of the vertices, pixels. The paper: "small".
        sigma: Of the Gaussian likelihood, in units of linear light. The paper does not say.
        steps: T; the paper: 1.
        latents: Size of z_t. The paper: 10.
        state: Size of the LSTM. The paper: 300.
        hidden: Size of hidden layers and summaries. The paper does not say.
        features: Channels of convolutions. The paper does not say.
        glimpse: Pixels along each side of what f_r sees at a step.

    Raises:
        ModelError: A number out of its range, or an unknown gradient.
    """

    renderer: str = "opengl"
    gradient: str = "local_credit"
    orientation: OrientationKind = "searched"
    samples: int = 4
    noise: float = 0.5
    sigma: float = 0.1
    steps: int = 1
    latents: int = 10
    state: int = 300
    hidden: int = 256
    features: int = 32
    glimpse: int = 16

    def __post_init__(self) -> None:
        self.check()
        model_estimator(self.gradient, self.samples, self.noise)  # raises, if there is none

    def batch(self, examples: Sequence[Any], device: torch.device | str = "cpu") -> Batch:
        """Images ``[N, 1, 3, H, W]``.

        Raises:
            ModelError: An image without a pixel of its object.
        """
        for example in examples:
            if not example.alpha.any():
                raise ModelError(
                    "A picture shows nothing of its object, so that nothing can be inferred of it. Bring the camera "
                    "nearer, or leave the picture out."
                )
        return Batch(torch.stack([example.image for example in examples])[:, None].to(device))

    def build(self, data: DatasetSettings, classes: int) -> SequentialModel:
        """As `Experiment.build`."""
        data, context = _of_images(data), NoReader()
        shape = (1, 3, data.image_size, data.image_size)
        reader = GridReader(
            shape, self.state, images=True, size=self.hidden, features=self.features, glimpse=self.glimpse
        )
        projection = SampledRendering(
            make_renderer(self.renderer, SHADING),
            data.camera,
            self.state,
            gradient=self.gradient,
            samples=self.samples,
            noise=self.noise,
            search=TurnSearch() if self.orientation == "searched" else None,
            search_renderer=OpenGL(SHADING),
        )
        return SequentialModel(
            steps=self.steps,
            latents=self.latents,
            state=self.state,
            context=context,
            posterior=Posterior(reader, self.state, context.size, self.latents, hidden=self.hidden),
            writer=MeshWriter(self.state, hidden=self.hidden, colored=True, smooth=True),
            projection=projection,
            likelihood=GaussianLikelihood(self.sigma),
        )

    def findings(self, run: Run) -> Findings:
        """Silhouettes from seen and unseen sides, colours and orientations."""
        return single_images.find(run, _of_images(run.recipe.data))


def _of_images(data: DatasetSettings) -> ImageSettings:
    if not isinstance(data, ImageSettings):
        raise ModelError(f"Single pictures are those of ImageSettings; got {type(data).__name__}.")
    return data
