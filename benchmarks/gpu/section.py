"""Measure one section in this process; `benchmarks.gpu.__main__` starts it."""

import argparse
import sys
import time
import traceback
import warnings
from pathlib import Path

from benchmarks.gpu.results import Recorder, Results, described
from benchmarks.gpu.sections import SECONDS, load

ERROR_WRITTEN = 3
"""The exit status of a section that failed, or measured nothing, and has written its errors."""

_SPARE = 0.15  # share of a section's time in which its last case may end


def main() -> int:
    """Measure, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.section", description=__doc__)
    parser.add_argument("section", choices=list(SECONDS))
    parser.add_argument("--device", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    recorder = Recorder(
        results=Results(options.out),
        section=options.section,
        device=options.device,
        quick=options.quick,
        attempt=options.attempt,
        deadline=time.monotonic() + (1 - _SPARE) * SECONDS[options.section],
    )
    warnings.simplefilter("ignore")  # of software OpenGL and the like: lines say what was measured
    try:
        load(options.section)(recorder)
    except Exception as error:
        traceback.print_exc()
        recorder.write(error=described(error))
        return ERROR_WRITTEN
    errors, measurements = recorder.results.errors(recorder.section, recorder.attempt)
    return ERROR_WRITTEN if errors and not measurements else 0


if __name__ == "__main__":
    sys.exit(main())
