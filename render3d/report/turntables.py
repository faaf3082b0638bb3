"""A scene from all round, for `animation`."""

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError
from render3d.renderers import Renderer, make_renderer, renderers_of_scene
from render3d.scenes import SceneKind


def turntable(scene: SceneKind, renderer: Renderer | None = None, *, views: int = 48, size: int = 320) -> Tensor:
    """Images of a mesh or a volume from cameras on a circle round it, which sees it whole, for `animation`.

    A volume is seen as its renderer sees it: `lit` gives it colours that show its shape.

    Args:
        scene: One scene, no batch. What of a volume is nearly empty need not be in the image.
        renderer: By default `OpenGL` for meshes and `EmissionAbsorption` for volumes; scenes of another kind need one.
            One that makes no ``rgb`` shows ``alpha``.
        views: How many, evenly spaced.
        size: Pixels a side; each is the mean of four.

    Returns:
        ``[views, 3, size, size]``, linear light, without a gradient.

    Raises:
        MeshError: The mesh has no size; see `Mesh.normalized`.
        VolumeError: A batch of volumes.
        CapabilityError: A renderer of other scenes, or none for a scene that is no mesh and no volume.
    """
    if renderer is None:
        known = renderers_of_scene(type(scene))
        if not known:
            raise CapabilityError(f"The package renders no {type(scene).__name__}. Pass a renderer that does.")
        renderer = make_renderer(known[0])
    cameras = Cameras.orbit(views, 3.2, elevation_degrees=15, vertical_fov_degrees=38, image_size=(2 * size, 2 * size))
    output = "rgb" if "rgb" in renderer.capabilities.outputs else "alpha"
    placed, cameras = scene.detach().in_unit_sphere(cameras.to(scene.device))
    with torch.no_grad():  # one by one, for the memory that volumes need
        frames = [renderer(placed, cameras[view : view + 1], (output,)).as_dict()[output] for view in range(views)]
    return torch.nn.functional.avg_pool2d(torch.cat(frames), 2).expand(-1, 3, -1, -1)
