"""How a scene is compared."""

import dataclasses
import math
from typing import final

from render3d.cameras import Cameras
from render3d.settings import check_at_least


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """How a scene is seen, and how long it is timed.

    Attributes:
        views: Cameras, spread evenly over a sphere round the scene, so far away that all of it is in the image.
        image_size: Height and width in pixels.
        vertical_fov_degrees: Angle between the top and the bottom edge of an image.
        rounds: Of timing; the best counts.

    Raises:
        ValueError: A value outside its range.
    """

    views: int = 4
    image_size: tuple[int, int] = (256, 256)
    vertical_fov_degrees: float = 40.0
    rounds: int = 3

    def __post_init__(self) -> None:
        check_at_least(self, views=1, rounds=1)
        self.cameras()  # raises, if there can be none

    def cameras(self) -> Cameras:
        """``[views]``, round the unit sphere."""
        height, width = self.image_size
        if min(height, width) < 1:
            raise ValueError(f"image_size must be a height and a width of at least one pixel; got {height} {width}.")
        if not 0 < self.vertical_fov_degrees < 180:
            raise ValueError(f"vertical_fov_degrees must lie between 0 and 180; got {self.vertical_fov_degrees}.")
        slope = math.tan(math.radians(self.vertical_fov_degrees) / 2)
        narrow = math.atan(slope * min(1.0, width / height))  # the smaller of the two half angles
        return Cameras.sphere(
            self.views,
            1.05 / math.sin(narrow),
            vertical_fov_degrees=self.vertical_fov_degrees,
            image_size=self.image_size,
        )
