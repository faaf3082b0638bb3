"""Which vertices share a face."""

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def neighbours(faces: Tensor, vertices: int) -> tuple[Tensor, Tensor]:
    """``[V, R]`` int64: each vertex, then those it shares a face with, then itself again; and which are not that.

    It is remembered while the tensor ``faces`` ``[F, 3]`` lives.
    """
    known = _known.get(faces)  # type: ignore[no-untyped-call]
    if known is None or known[0] != (faces._version, vertices):
        known = _known[faces] = ((faces._version, vertices), _neighbours(faces, vertices))
    found: tuple[Tensor, Tensor] = known[1]
    return found


def _neighbours(faces: Tensor, vertices: int) -> tuple[Tensor, Tensor]:
    itself = torch.arange(vertices, device=faces.device)
    first, second = faces.repeat_interleave(3, 1).reshape(-1), faces.repeat(1, 3).reshape(-1)
    pairs = torch.unique(torch.stack([first, second])[:, first != second], dim=1)
    count = torch.bincount(pairs[0], minlength=vertices)
    start = count.cumsum(0) - count
    column = torch.arange(pairs.shape[1], device=faces.device) - start[pairs[0]] + 1
    table = itself[:, None].repeat(1, 1 + int(count.max()) if len(faces) else 1)
    table[pairs[0], column] = pairs[1]
    real = torch.arange(table.shape[1], device=faces.device) <= count[:, None]
    return table, real
