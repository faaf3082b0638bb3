"""Facts about a mesh's faces that do not change when its vertices move."""

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_closed: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def is_closed(faces: Tensor) -> bool:
    """Whether every edge of ``faces`` ``[F, 3]`` is used as often in one direction as in the other.

    Such a surface has no border, wherever its vertices are. Any line then crosses as many front as back faces, so
    drawing the front faces alone covers exactly the same pixels. The answer is remembered while the tensor lives.
    """
    known = _closed.get(faces)  # type: ignore[no-untyped-call]
    if known is None or known[0] != faces._version:
        known = _closed[faces] = (faces._version, _count_directed_edges(faces.detach()))
    return bool(known[1])


def _count_directed_edges(faces: Tensor) -> bool:
    start, end = faces[:, [0, 1, 2]].reshape(-1), faces[:, [1, 2, 0]].reshape(-1)
    sign = (start < end).long() - (start > end).long()
    code = torch.minimum(start, end) * (int(faces.max()) + 1) + torch.maximum(start, end)
    edges, inverse = torch.unique(code, return_inverse=True)
    return not bool(torch.zeros_like(edges).index_add(0, inverse, sign).any())
