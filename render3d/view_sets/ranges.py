"""Near and far of cameras whose files tell neither."""

import dataclasses

from render3d.cameras import Cameras

_LARGE, _SMALL = 10.0, 0.1


def in_range(cameras: Cameras) -> Cameras:
    """Return cameras ``[views]`` whose near and far suit the size of their scene.

    They stay what they are where the cameras lie within 0.1 to 10 scene units of their middle. Scenes of other sizes,
    such as those in millimetres, would be cut off: their near and far are multiples of the largest of these distances,
    1/1000 and 10 for large ones, and 1/10 for the near of small ones.
    """
    position = cameras.position
    spread = float((position - position.mean(0)).norm(dim=-1).max())
    if spread > _LARGE:
        return dataclasses.replace(cameras, near=spread / 1000, far=10 * spread)
    if 0 < spread < _SMALL:
        return dataclasses.replace(cameras, near=min(cameras.near, spread / 10))
    return cameras
