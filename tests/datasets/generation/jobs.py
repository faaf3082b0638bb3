"""Jobs for tests of engines: in a module that workers can import."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np

from render3d.datasets.generation.engine import Finished, Outcome
from render3d.datasets.shapes import Shape


@dataclasses.dataclass(frozen=True)
class Hostile:
    """Does to its process what the shape's label says."""

    def __call__(self, shape: Shape) -> Outcome:
        begin = time.perf_counter()
        match shape.label:
            case "sleeps":
                time.sleep(60)
            case "spins":
                while True:
                    pass
            case "allocates":
                kept = []
                while True:
                    kept.append(np.ones(2**22))
                    time.sleep(0.01)
            case "exits":
                os._exit(3)
            case "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "raises":
                raise RuntimeError("a fault of the job")
            case "has no memory":
                raise MemoryError
        return Finished(shape, {"loading": time.perf_counter() - begin})


@dataclasses.dataclass(frozen=True)
class Noted:
    """Leaves a file for each shape it begins with."""

    folder: Path

    def __call__(self, shape: Shape) -> Outcome:
        (self.folder / shape.id).touch()
        time.sleep(0.05)
        return Finished(shape, {})
