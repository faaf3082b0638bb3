"""Batches for a ``DataLoader``."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data._utils.collate import collate as collate_by
from torch.utils.data._utils.collate import default_collate_fn_map

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.scenes import Mesh, Volume


def _stack(items: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    return type(items[0]).stack(items)


_NOUNS: dict[Any, Any] = {Cameras: _stack, Mesh: _stack, Rendering: _stack, Volume: _stack}


def collate(batch: Sequence[Any]) -> Any:
    """The default collation of torch, which knows `Cameras`, `Mesh`, `Rendering` and `Volume` too.

    They get a new first dimension.

    Use it as ``DataLoader(dataset, collate_fn=render3d.collate)``. Meshes of one batch must share their faces, and
    volumes their resolution and extent; keep others in a list of their own by a collate function of yours.

    Raises:
        ShapeError: Items that do not fit together.
    """
    return collate_by(list(batch), collate_fn_map={**default_collate_fn_map, **_NOUNS})
