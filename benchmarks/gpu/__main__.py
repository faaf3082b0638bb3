"""Run the sections that are not complete yet, one process each."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.results import Recorder, Results
from benchmarks.gpu.section import ERROR_WRITTEN
from benchmarks.gpu.sections import ROOT, SECONDS


def main(words: Sequence[str] | None = None) -> int:
    """Measure, and return 0, or 1 if a section failed."""
    options = _parse(words)
    results = Results(options.out.resolve())
    chosen = [name for name in SECONDS if name in options.sections] or list(SECONDS)
    failed = [name for name in chosen if not _measure(name, results, options)]
    if failed:
        print(f"failed: {', '.join(failed)}. The same command runs them again.", file=sys.stderr)
    return 1 if failed else 0


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a usage error exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    names = ", ".join(SECONDS)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one or more of {names}; by default all")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, appended to")
    parser.add_argument("--quick", action="store_true", help="a few small cases only")
    parser.add_argument("--again", action="store_true", help="also run sections that are complete in OUT")
    options = parser.parse_args(words)
    unknown = [name for name in options.sections if name not in SECONDS]
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}; the sections are {names}")
    if problem := _problem_of(options.device):
        parser.error(problem)
    if not options.out.resolve().parent.is_dir():
        parser.error(f"the folder of --out {options.out} does not exist")
    return options


def _problem_of(device: str) -> str:
    """Return what is wrong with the device, or nothing."""
    kind, _, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or (":" in device and not number.isdigit())):
        return f"--device must be cuda, cuda:N or cpu; got {device}"
    if kind == "cuda":
        import torch

        if torch.cuda.device_count() <= int(number or 0):
            return f"torch finds no device {device}; --device cpu --quick tries the script without one"
    return ""


def _measure(name: str, results: Results, options: argparse.Namespace) -> bool:
    """Run one section unless it is complete; return whether it is complete now."""
    if not options.again and results.is_complete(name, options.device, options.quick):
        print(f"{name}: already complete in {results.path}; --again runs it again", file=sys.stderr)
        return True
    attempt, began = results.next_attempt(name), time.monotonic()
    recorder = Recorder(
        results=results, section=name, device=options.device, quick=options.quick, attempt=attempt, deadline=began
    )
    status = _status(_command(recorder), SECONDS[name])
    seconds = round(time.monotonic() - began, 1)
    if status == 0:
        recorder.write(complete=True, seconds=seconds, errors=results.errors(name, attempt)[0])
    elif status is None:
        recorder.write(error=f"ended after {SECONDS[name]:.0f} s", seconds=seconds)
    elif status != ERROR_WRITTEN:
        recorder.write(error=f"the section's process ended with status {status}", seconds=seconds)
    return status == 0


def _command(recorder: Recorder) -> list[str]:
    """Return the command that measures a section."""
    command = [sys.executable, "-m", "benchmarks.gpu.section", recorder.section, "--device", recorder.device]
    command += ["--out", str(recorder.results.path), "--attempt", str(recorder.attempt)]
    return [*command, "--quick"] if recorder.quick else command


def _status(command: Sequence[str], seconds: float) -> int | None:
    """Run a command and what it starts; return its exit status, or None if it was ended for taking too long."""
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing of its group is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the section is ended as well
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on with the section that was interrupted")
