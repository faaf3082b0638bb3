"""How the pictures of objects lie on disk: one file a layout."""

import importlib

from render3d.datasets.base import check_choice
from render3d.datasets.view_sets.formats.base import Layout

LAYOUTS = {
    "nerfstudio": "render3d.datasets.view_sets.formats.nerfstudio:Nerfstudio",
    "r2n2": "render3d.datasets.view_sets.formats.r2n2:R2N2",
    "shards": "render3d.datasets.view_sets.formats.shards:Shards",
}
"""Each by its name: a class that is called without arguments, imported when it is asked for."""


def layout_by_name(name: str) -> Layout:
    """Make a layout.

    Raises:
        DatasetError: There is none of that name.
    """
    check_choice("layout", name, tuple(LAYOUTS))
    module, kind = LAYOUTS[name].split(":")
    made: Layout = getattr(importlib.import_module(module), kind)()
    return made
