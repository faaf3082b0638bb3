"""Time calls, with the device's work included."""

import time
from collections.abc import Callable

import torch


def wait_for(device: str) -> None:
    """Return when the device has done all that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(call: Callable[[], object], device: str, seconds: float = 0.4, least: int = 3) -> dict[str, float]:
    """Time calls one by one for so many seconds, after one that is not counted.

    Args:
        call: What is timed; the device's work is waited for after each call.
        device: Torch's name of the device.
        seconds: For how long calls are repeated.
        least: Calls at least, whatever they take.

    Returns:
        Milliseconds of the median and of the first and last decile, and the number of calls.
    """
    elapsed(call, device)
    found: list[float] = []
    while len(found) < least or sum(found) < seconds:
        found.append(elapsed(call, device))
    found.sort()
    tenth = len(found) // 10
    picked = {"median_ms": found[len(found) // 2], "low_ms": found[tenth], "high_ms": found[-1 - tenth]}
    return {**{name: 1e3 * value for name, value in picked.items()}, "calls": len(found)}


def elapsed(call: Callable[[], object], device: str) -> float:
    """Return the seconds of one call and of what the device does for it."""
    began = time.perf_counter()
    call()
    wait_for(device)
    return time.perf_counter() - began
