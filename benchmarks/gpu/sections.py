"""List the sections and how long each may take."""

import importlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.gpu.results import Recorder

ROOT = Path(__file__).resolve().parents[2]
"""The checkout's root, in which every process runs."""

SECONDS: dict[str, float] = {
    "devices": 40.0,
    "contract": 110.0,
    "forward": 110.0,
    "fit": 80.0,
    "readback": 30.0,
    "waits": 70.0,
    "views": 50.0,
    "tf32": 20.0,
    "tiles": 20.0,
}
"""Each section, in the order they run, and after how many seconds it is ended: 530 in all."""


def load(section: str) -> Callable[[Recorder], None]:
    """Import the function that measures a section: ``measure`` of the module of that name."""
    measure: Callable[[Recorder], None] = importlib.import_module(f"benchmarks.gpu.{section}").measure
    return measure
