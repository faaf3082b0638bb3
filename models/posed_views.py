"""Pictures of depth from cameras that are known, or found."""

from typing import final

from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import ModelError
from render3d.models.batch import Inferred
from render3d.models.camera_search import CameraSearch, Found
from render3d.models.depth_pictures import DepthPictures
from render3d.models.likelihoods import Likelihood
from render3d.models.projections import volume_of
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Mesh, Volume


@final
class PosedViews(nn.Module):
    """A projection to views of which only the first few have known cameras, the same for all examples.

    The camera of each other view is a latent variable with the prior and the law q of a `CameraSearch`. The search
    looks at the density of the canvas by `EmissionAbsorption`: it has to draw many small pictures, and for that it is
    quick. What it tells only chooses cameras; how probable a view is from there, the projection says.

    Args:
        pictures: What draws the canvas.
        anchors: ``[K]``: cameras of the first K views.
        search: Finds those of the others.
    """

    def __init__(self, pictures: DepthPictures, anchors: Cameras, search: CameraSearch) -> None:
        super().__init__()
        self.pictures, self.anchors, self.search = pictures, anchors, search
        self.look = DepthPictures(EmissionAbsorption())

    def forward(self, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key) -> Tensor:
        """``[N, views, 1, H, W]``, seen by these cameras."""
        if cameras is None:
            raise ModelError("Views cannot be drawn without cameras, and the batch has none. Pass cameras.")
        return self.draw(_canvas(scene), cameras)

    def log_prob(
        self, likelihood: Likelihood, x: Tensor, scene: Inferred, state: Tensor, cameras: Cameras | None, key: Key
    ) -> Tensor:
        """``[N]``, nats: ``log p(x given scene, cameras)``, with ``log p - log q`` of the cameras that are found."""
        if cameras is not None:
            return likelihood.log_prob(x, self.forward(scene, state, cameras, key))
        canvas = _canvas(scene)
        found = self.find(canvas, x[:, self.anchors.views :], key)
        return likelihood.log_prob(x, self.draw(canvas, self.with_anchors(found.cameras))) + found.log_ratio.sum(1)

    def draw(self, canvas: Tensor, cameras: Cameras) -> Tensor:
        """``[N, views, 1, H, W]``."""
        pictures: Tensor = self.pictures(self._volume(canvas), cameras)
        return pictures

    def find(self, canvas: Tensor, views: Tensor, key: Key | None) -> Found:
        """The cameras ``[N, V]`` of views ``[N, V, 1, H, W]``; see `CameraSearch.find`."""
        return self.search.find(self.look, density_of(canvas.detach()), views, key)

    def with_anchors(self, cameras: Cameras) -> Cameras:
        """``[N, K + V]``: the known ones, and then these, ``[N, V]``."""
        known = Cameras.stack([self.anchors.to(cameras.device)] * len(cameras.world_to_camera))
        return Cameras.cat([known, cameras])

    def _volume(self, canvas: Tensor) -> Volume:
        learned = not isinstance(self.pictures.renderer, EmissionAbsorption)
        return volume_of(canvas) if learned else density_of(canvas)


def density_of(canvas: Tensor) -> Volume:
    """The density alone of canvases ``[N, C, D, H, W]``."""
    return volume_of(canvas[:, :1])


def _canvas(scene: Inferred) -> Tensor:
    if isinstance(scene, Mesh):
        raise ModelError("Views of depth are drawn of a canvas; got a mesh. Use a CanvasWriter.")
    return scene
