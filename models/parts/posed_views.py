"""Pictures of depth from cameras that are known, or found."""

import math
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import ModelError
from render3d.models.parts.batch import Inferred
from render3d.models.parts.camera_search import CameraSearch
from render3d.models.parts.depth_pictures import DepthPictures
from render3d.models.parts.likelihoods import GaussianLikelihood, Likelihood
from render3d.models.parts.projections import volume_of
from render3d.randomness import Key
from render3d.scenes import Mesh, Volume

_ANYTHING = GaussianLikelihood(0.5)  # what pictures of anything scatter like
_OF_VIEWS = 1


@final
class PosedViews(nn.Module):
    """A projection to views of which only the first few have known cameras, or all.

    The cameras of a batch are those of its first views. The camera of each other view is a latent variable with the
    prior and the law q of a `CameraSearch`, for which the canvas is drawn by the projection itself, in small pictures.

    A view from a camera that is not known may also be of something else: with a small probability it is any picture,
    Gaussian noise round black. So a view that the canvas does not explain yet does not spoil what others have taught;
    it counts as soon as it fits.

    Args:
        pictures: What draws the canvas.
        search: Finds cameras; None where all of them are known.
        outliers: The probability that a view is of something else.
        drawn: In training, only so many views are drawn, those of known cameras first. If others are left out, those
            that are drawn, the same of all examples, stand for them: the mean of the bound stays as it is. None draws
            all.

    Raises:
        ModelError: A probability that is not between 0 and 1, or no view to be drawn.
    """

    def __init__(
        self,
        pictures: DepthPictures,
        search: CameraSearch | None,
        *,
        outliers: float = 0.05,
        drawn: int | None = None,
    ) -> None:
        super().__init__()
        if not 0 < outliers < 1 or (drawn is not None and drawn < 1):
            raise ModelError(
                f"outliers must lie between 0 and 1, and drawn be at least 1 or None; got {outliers} and {drawn}."
            )
        self.pictures, self.search = pictures, search
        self.outliers, self.drawn = outliers, drawn

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``[N, views, 1, H, W]``, seen by these cameras."""
        if cameras is None:
            raise ModelError("Views cannot be drawn without cameras, and the batch has none. Pass cameras.")
        return self.draw(_canvas(scene), cameras)

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """``[N]``, nats: ``log p(x given scene, cameras)``, with ``log p - log q`` of the cameras that are found."""
        canvas, views, known = _canvas(scene), x.shape[1], 0 if cameras is None else cameras.views
        if known > views or (known < views and self.search is None):
            raise ModelError(f"There are {views} views, and cameras of {known}. Pass one for each view.")
        anchored = known if known < views else 0
        kept, share = self._kept(views, anchored, key)
        others = x[:, anchored:][:, kept]
        if self.search is None or known == views:
            assert cameras is not None
            each = _by_view(likelihood, others, self.draw(canvas, cameras[:, kept]))
            return share * each.sum(1)
        found = self.search.find(lambda places: self.draw(canvas, places), others, key)
        seen_by = found.cameras if cameras is None else Cameras.cat([cameras, found.cameras])
        drawn = self.draw(canvas, seen_by)
        each = _by_view(likelihood, others, drawn[:, anchored:]) + found.log_ratio
        anything = _by_view(_ANYTHING, others, torch.zeros_like(others))
        each = torch.logaddexp(math.log1p(-self.outliers) + each, math.log(self.outliers) + anything)
        return likelihood.log_prob(x[:, :anchored], drawn[:, :anchored]) + share * each.sum(1)

    def _kept(self, views: int, anchored: int, key: Key) -> tuple[Tensor, float]:
        """Which of the views after the anchored ones are drawn, and how many each of them stands for."""
        count = views - anchored
        if not self.training or self.drawn is None or self.drawn >= views:
            return torch.arange(count), 1.0
        wanted = max(1, self.drawn - anchored)
        order = np.random.default_rng(key.fold_in(_OF_VIEWS).seed).permutation(count)
        return torch.from_numpy(order[:wanted]), count / wanted

    def draw(self, canvas: Tensor, cameras: Cameras) -> Tensor:
        """``[N, views, 1, H, W]``."""
        volume = volume_of(canvas) if self.pictures.learned else density_of(canvas)
        pictures: Tensor = self.pictures(volume, cameras)
        return pictures


def density_of(canvas: Tensor) -> Volume:
    """The density alone of canvases ``[N, C, D, H, W]``."""
    return volume_of(canvas[:, :1])


def _by_view(likelihood: Likelihood, x: Tensor, x_hat: Tensor) -> Tensor:
    """``[N, views]``, nats."""
    return likelihood.log_prob(x.flatten(0, 1), x_hat.flatten(0, 1)).reshape(x.shape[:2])


def _canvas(scene: Inferred) -> Tensor:
    if isinstance(scene, Mesh):
        raise ModelError("Views of depth are drawn of a canvas; got a mesh. Use a CanvasWriter.")
    return scene
