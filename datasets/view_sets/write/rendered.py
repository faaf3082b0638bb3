"""What is known of one shape once it is rendered."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject
from render3d.images import Rendering


@final
@dataclasses.dataclass(frozen=True, eq=False)
class RenderedObject:
    """Pictures of one shape.

    Attributes:
        shape: What is seen.
        cameras: ``[views]``, in the frame of the mesh as it was rendered: normalised, where it was.
        rendering: ``[views]``.
        facts: How it was made, for the record, as JSON has it: source, normalisation, shading, seed, versions.
    """

    shape: CollectionObject
    cameras: Cameras
    rendering: Rendering
    facts: Mapping[str, Any]
