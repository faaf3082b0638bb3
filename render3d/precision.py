"""Places and cameras need the 24 bits of float32: with the eight of autocast, images would be off by pixels.

Networks are trained inside ``torch.autocast``, and renderers are called there. So what multiplies matrices of the scene
or of the cameras is `without_autocast`, and what networks made in half precision is taken as `exact`.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def exact(values: Tensor) -> Tensor:
    """In float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def without_autocast(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """``function`` with products in the dtype of its tensors, inside ``torch.autocast`` too."""

    @functools.wraps(function)
    def exactly(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with contextlib.ExitStack() as stack:
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            return function(*args, **kwargs)

    return exactly
