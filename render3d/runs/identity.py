"""What must be the same for a run to go on, as words by name."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def changes_between(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs, for a message; nothing if it is the same."""
    return [
        f"{name} was {was.get(name, 'absent')} and is {now.get(name, 'absent')}"
        for name in dict.fromkeys([*now, *was])
        if was.get(name) != now.get(name)
    ]


def fingerprint(*tensors: Tensor, note: str = "") -> str:
    """Return sixteen hexadecimal digits that change with any of the values, shapes included."""
    digest = hashlib.sha256(note.encode())
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # NumPy has no bfloat16
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()[:16]
