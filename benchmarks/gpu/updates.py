"""Watch some updates of a fit from its progress callback: time, waits of the host, kernels and copies."""

import collections
import contextlib
import time
import warnings
from pathlib import Path
from typing import Any, final

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.sections import ROOT
from benchmarks.gpu.timing import wait_for
from render3d.fitting import FitRecord

_WARM, _TIMED, _WAITS, _PROFILED = 3, 10, 3, 5
UPDATES = _WARM + _TIMED + _WAITS + _PROFILED + 1
"""Updates of a fit that is watched."""

_MOST_PLACES = 8


@final
class Watched:
    """Call it with every record of a fit of `UPDATES` updates; ``line`` then holds what was measured.

    Waits are the warnings of ``torch.cuda.set_sync_debug_mode``. Kernels and copies are what torch's profiler saw on
    the device. Both need CUDA and are left out elsewhere.
    """

    def __init__(self, device: str) -> None:
        self.line: dict[str, object] = {}
        self._device, self._on_cuda = device, device.startswith("cuda")
        self._began = 0.0
        self._waits: list[warnings.WarningMessage] = []
        self._profile: Any = None
        self._watching = contextlib.ExitStack()

    def __enter__(self) -> "Watched":
        return self

    def __exit__(self, *error: object) -> None:
        self._watching.close()

    def __call__(self, record: FitRecord) -> None:
        """Begin and end what is measured, between updates."""
        done = record.update - _WARM
        if done == 0:
            wait_for(self._device)
            self._began = time.perf_counter()
        elif done == _TIMED:
            wait_for(self._device)
            self.line["ms_per_update"] = 1e3 * (time.perf_counter() - self._began) / _TIMED
            if self._on_cuda:
                self._watch_waits()
        elif done == _TIMED + _WAITS and self._on_cuda:
            self._watching.close()
            self.line |= _summary_of_waits(self._waits)
            self._watch_kernels()
        elif done == _TIMED + _WAITS + _PROFILED and self._on_cuda:
            wait_for(self._device)
            self._watching.close()
            self.line |= _summary_of_events(self._profile.key_averages())

    def _watch_waits(self) -> None:
        """Collect a warning for every wait from now on."""
        self._waits = self._watching.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        self._watching.callback(torch.cuda.set_sync_debug_mode, "default")
        torch.cuda.set_sync_debug_mode("warn")

    def _watch_kernels(self) -> None:
        """Profile from now on."""
        activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        self._profile = self._watching.enter_context(profile(activities=activities))


def _summary_of_waits(found: list[warnings.WarningMessage]) -> dict[str, object]:
    """Return the waits of an update, and the lines of code that wait most."""
    waits = [each for each in found if "synchronizing" in str(each.message)]
    places = collections.Counter(f"{_short(each.filename)}:{each.lineno}" for each in waits)
    most = {place: count / _WAITS for place, count in places.most_common(_MOST_PLACES)}
    return {"waits_per_update": len(waits) / _WAITS, "waits_by_line": most}


def _short(filename: str) -> str:
    """Return the path of a file below the checkout, or its name if it is elsewhere."""
    path = Path(filename)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def _summary_of_events(rows: Any) -> dict[str, object]:
    """Return the kernels and copies of an update, and how long the device was busy with both."""
    on_device = [row for row in rows if row.device_type.name == "CUDA" and not _is_annotation(row)]
    moves = [row for row in on_device if row.key.startswith(("Memcpy", "Memset"))]
    kernels = sum(row.count for row in on_device) - sum(row.count for row in moves)
    return {
        "kernels_per_update": kernels / _PROFILED,
        "copies_per_update": {row.key: row.count / _PROFILED for row in moves},
        "copies_ms_per_update": sum(row.self_device_time_total for row in moves) / 1e3 / _PROFILED,
        "device_busy_ms_per_update": sum(row.self_device_time_total for row in on_device) / 1e3 / _PROFILED,
    }


def _is_annotation(row: Any) -> bool:
    """Return whether a row is a label of the profiler's rather than work; older versions of torch do not say."""
    return bool(getattr(row, "is_user_annotation", False))
