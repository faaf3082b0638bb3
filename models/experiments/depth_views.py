"""Many views at once, learnt from pictures of depth alone."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Literal, final

import torch
import tyro

from render3d.cameras import Cameras
from render3d.datasets import DatasetSettings, Examples, FixedThenRandom, RandomCameras
from render3d.datasets.base import volumes_of
from render3d.errors import ModelError
from render3d.models.base import Experiment, Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.camera_search import CameraSearch
from render3d.models.parts.depth_pictures import DepthExample, DepthPictures, DepthPicturesOf
from render3d.models.parts.likelihoods import GaussianLikelihood
from render3d.models.parts.posed_views import PosedViews
from render3d.models.parts.readers import GridReader
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.writers import CanvasWriter
from render3d.models.study import depth_views
from render3d.renderers import EmissionAbsorption, LearnedProjection

ProjectionKind = Literal["learned", "emission_absorption"]
CameraKind = Literal["inferred", "known"]


_EMPTY = -4.0
_MIST = -1.5  # a learned projection learns to see sooner where occupancies are not yet saturated


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthViews(Experiment):
    """Pictures of depth from cameras anywhere, given a few from fixed ones; no volume is ever seen.

    ``x`` is the random views. The cameras of the first of them are known, which anchors the frame; those of the others
    are latent variables (`PosedViews`), or known as well.

    Attributes:
        steps: T. The paper does not say.
        given: How many views the model is conditioned on, from fixed cameras. The paper: 3.
        views: How many random views are reproduced at once. The paper: 10.
        anchored: How many of them have known cameras, while those of the others are inferred.
        cameras: ``"inferred"``, or ``"known"``, all of them.
        projection: ``"learned"``, or ``"emission_absorption"``, with nothing to learn.
        image: Pixels along each side. The paper: about 30.
        vertical_fov_degrees: Of all cameras. At 45 degrees nothing of a volume is ever cut off.
        elevation_degrees: (least, most) elevation of random cameras.
        sigma: Of the Gaussian likelihood, in brightness. The paper does not say; a twentieth is the depth of a tenth of
            the ball round a volume.
        canvas: Cells along each side of the canvas; 20 are about a pixel each, where the paper's 30 would be finer.
        channels: Of the canvas: density, and features for the learned projection. The paper does not say.
        latents: Size of z_t. The paper: 10.
        state: Size of the LSTM. The paper: 300.
        hidden: Size of hidden layers and summaries.
        features: Channels of convolutions that read.
        glimpse: Cells along each side of what is read at a step.
        patch: Cells along each side of what is written at a step.
        camera_features: Channels of the learned projection.
        planes: Cells of the learned projection along the line of sight.
        drawn: Views of each object that a step of training draws, anchored ones first, to stand for all.

    Raises:
        ModelError: A number below one, more anchored than given views, or a choice that there is not.
    """

    steps: int = 4
    given: int = 3
    views: int = 10
    anchored: int = 1
    cameras: CameraKind = "inferred"
    projection: ProjectionKind = "learned"
    image: Annotated[int, tyro.conf.arg(name="size")] = 24
    vertical_fov_degrees: Annotated[float, tyro.conf.arg(name="fov")] = 45.0
    elevation_degrees: tuple[float, float] = (-90.0, 90.0)
    sigma: float = 0.07
    canvas: int = 20
    channels: int = 4
    latents: int = 10
    state: int = 300
    hidden: int = 256
    features: int = 8
    glimpse: int = 12
    patch: int = 16
    camera_features: int = 3
    planes: int = 12
    drawn: int = 2

    def __post_init__(self) -> None:
        self.check()
        if self.anchored > self.views:
            raise ModelError(f"anchored views are some of {self.views}; got {self.anchored}.")

    @property
    def viewpoints(self) -> FixedThenRandom:
        """The cameras of an example."""
        random = RandomCameras(
            views=self.views,
            elevation_degrees=self.elevation_degrees,
            vertical_fov_degrees=self.vertical_fov_degrees,
            image_size=(self.image, self.image),
        )
        return FixedThenRandom(fixed=self.given, random=random)

    @property
    def search(self) -> CameraSearch:
        """How cameras are found."""
        return CameraSearch(places=self.viewpoints.random, pixels=-(-self.image // 2))

    def examples(self, dataset: Examples) -> "DepthPicturesOf":
        """Pictures of the volumes."""
        return DepthPicturesOf(volumes_of(dataset), self.viewpoints, self.given)

    def batch(self, examples: Sequence[DepthExample], device: torch.device | str = "cpu") -> Batch:
        """Views ``[N, views, 1, H, W]``, given ``[N, 1, given, H, W]``, and the cameras of the first views.

        The given views come from fixed cameras, so that each of them means something of its own: they are the channels
        of one picture.
        """
        views = torch.stack([example.views for example in examples])
        known = self.views if self.cameras == "known" else self.anchored
        cameras = Cameras.stack([example.cameras[self.given : self.given + known] for example in examples])
        return Batch(views[:, self.given :], views[:, : self.given].transpose(1, 2), cameras).to(device)

    def build(self, data: DatasetSettings, classes: int) -> SequentialModel:
        """As `Experiment.build`."""
        context, reader = self._reader(1, self.given), self._reader(self.views, 1)
        posterior = Posterior(reader, self.state, context.size, self.latents, hidden=self.hidden)
        with torch.no_grad():  # begin near the prior: pictures would otherwise drown the divergence at first
            posterior.moments[-1].weight.mul_(0.05)  # type: ignore[operator]
        return SequentialModel(
            steps=self.steps,
            latents=self.latents,
            state=self.state,
            context=context,
            posterior=posterior,
            writer=CanvasWriter(
                self.state,
                (self.canvas,) * 3,
                channels=self.channels,
                patch=self.patch,
                hidden=self.hidden,
                empty=_MIST if self.projection == "learned" else _EMPTY,
            ),
            projection=self._projection(),
            likelihood=GaussianLikelihood(self.sigma),
        )

    def _reader(self, views: int, channels: int) -> GridReader:
        return GridReader(
            (views, channels, self.image, self.image),
            self.state,
            images=True,
            size=self.hidden,
            features=self.features,
            glimpse=self.glimpse,
        )

    def _projection(self) -> PosedViews:
        learned = self.projection == "learned"
        renderer = (
            LearnedProjection(
                self.channels,
                outputs=("alpha", "depth"),
                features=self.camera_features,
                planes=self.planes,
                warp="frustum",
            )
            if learned
            else EmissionAbsorption()
        )
        search = self.search if self.cameras == "inferred" else None
        return PosedViews(DepthPictures(renderer, learned=learned), search, drawn=self.drawn)

    def findings(self, run: Run) -> Findings:
        """How good novel views of held-out objects are, and how well cameras are found."""
        return depth_views.find(run, self.viewpoints)
