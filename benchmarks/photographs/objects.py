"""What is photographed: objects of Debian's sweethome3d-furniture, and where they stand."""

from collections.abc import Sequence
from pathlib import Path

import torch

from render3d.datasets.collections import DEBIAN_FURNITURE, furniture
from render3d.scenes import Mesh

OBJECTS = {
    "jar": "Scopia/old_jar",  # one handle
    "kettle": "Blend_Swap_CC-BY/espressokettle",  # a handle that is open below
    "basket": "Scopia/shopping-basket",  # a handle
    "lamp": "Scopia/desk_lamp1",  # a thin arm
    "chair": "Blend_Swap_CC-0/chair",  # thin legs
    "bear": "Blend_Swap_CC-0/teddyBear",
    "bulldog": "Blend_Swap_CC-BY/bulldog",
}
"""By the names that the benchmark gives them; others go by their ids."""

CENTER = (0.3, -0.2, 0.4)
RADIUS = 0.35
_UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))  # +Y of a mesh is +Z of the world


def placed(mesh: Mesh) -> Mesh:
    """A mesh whose +Y is up, upright in a world whose +Z is up, of radius `RADIUS` round `CENTER`."""
    vertices = mesh.normalized().vertices @ (RADIUS * torch.tensor(_UPRIGHT)).T + torch.tensor(CENTER)
    return mesh.with_vertices(vertices)


def load(names: Sequence[str], folder: Path) -> dict[str, Mesh]:
    """Furniture by names of `OBJECTS` or by ids, placed; ``folder`` is where the libraries are unpacked to.

    Raises:
        DatasetError: The package sweethome3d-furniture is not installed.
        KeyError: A name of nothing.
    """
    found = {item.id: item for item in furniture(DEBIAN_FURNITURE, folder)}
    return {name: placed(found[OBJECTS.get(name, name)].load()) for name in names}
