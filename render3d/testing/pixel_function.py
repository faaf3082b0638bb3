"""A black box whose gradients are known in closed form: what estimators are tested on."""

import dataclasses
from collections.abc import Sequence
from typing import final

from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.images import CHANNELS, Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities
from render3d.scenes import Mesh, Scene


@final
@dataclasses.dataclass(frozen=True)
class PixelFunction:
    """A `Renderer` whose pixels are polynomials of the camera-space vertices.

    Pixel p is ``w_p . x + curvature * (w_p . x)**2``, x being the flattened camera-space vertices. Being torch code it
    is also differentiable by autograd, which its capabilities hide.

    Attributes:
        weights: ``[H * W, V * 3]``, one row w_p a pixel.
        image_size: ``(height, width)``.
        curvature: How far it is from linear.
    """

    weights: Tensor
    image_size: tuple[int, int]
    curvature: float = 0.0

    capabilities = Capabilities(
        name="PixelFunction", outputs=("rgb", "alpha"), batched=True, device="cpu", licence="MIT"
    )

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Images ``[*batch, views, C, H, W]``, all channels alike."""
        if not isinstance(scene, Mesh):
            raise TypeError(f"PixelFunction takes one Mesh; got {type(scene).__name__}.")
        linear = cameras.to_camera_space(scene.vertices).flatten(-2) @ self.weights.to(scene.vertices).mT
        image = (linear + self.curvature * linear**2).reshape(*linear.shape[:-1], 1, *self.image_size)
        return Rendering({name: image.expand(*image.shape[:-3], CHANNELS[name], -1, -1) for name in outputs})
