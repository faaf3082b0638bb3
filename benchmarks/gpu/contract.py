"""Run the package's contracts on the device, each renderer's in a pytest process of its own."""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from benchmarks.gpu.results import Recorder
from benchmarks.gpu.sections import ROOT
from render3d.optional import KAOLIN, NVDIFFRAST, PYTORCH3D, Library

_CASES = "benchmarks/gpu/contract_cases.py"


class Contract(NamedTuple):
    """A class of `benchmarks.gpu.contract_cases`, and what it needs."""

    renderer: str
    kind: str
    test_class: str
    library: Library | None = None


CONTRACTS = (
    Contract("OpenGL", "pictures", "TestOpenGL"),
    Contract("DeferredShading(OpenGL)", "pictures", "TestDeferredShading"),
    Contract("Nvdiffrast", "pictures", "TestNvdiffrast", NVDIFFRAST),
    Contract("Kaolin", "pictures", "TestKaolin", KAOLIN),
    Contract("PyTorch3D hard", "pictures", "TestPyTorch3D", PYTORCH3D),
    Contract("DeferredShading(OpenGL)", "gradients", "TestGradientsOfDeferredShading"),
    Contract("Smoothed(OpenGL)", "gradients", "TestGradientsOfSmoothedOpenGL"),
    Contract("PyTorch3D soft", "gradients", "TestGradientsOfPyTorch3D", PYTORCH3D),
)
"""All of them; a quick run leaves out the gradients."""


def measure(recorder: Recorder) -> None:
    """Write a line for each contract, several at a time."""
    chosen = [contract for contract in CONTRACTS if not recorder.quick or contract.kind == "pictures"]
    at_a_time = max(1, min(len(chosen), (os.cpu_count() or 1) // 2))
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        for found in concurrent.futures.as_completed([pool.submit(_run, recorder, each) for each in chosen]):
            recorder.write(**found.result())


def _run(recorder: Recorder, contract: Contract) -> dict[str, object]:
    """Run one contract, and return its line."""
    line: dict[str, object] = {"renderer": contract.renderer, "contract": contract.kind}
    if contract.library is not None and not contract.library.is_installed:
        return {**line, "not_measured": f"{contract.library.name} is not installed"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        try:
            answer = _pytest(contract.test_class, report, recorder)
        except subprocess.TimeoutExpired:
            return {**line, "error": "not done when the section's time was up"}
        if not report.exists():
            text = " ".join((answer.stderr or answer.stdout)[-400:].split())
            return {**line, "error": f"pytest ended with status {answer.returncode}: {text}"}
        return {**line, **_summary(report)}


def _pytest(test_class: str, report: Path, recorder: Recorder) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a class, on one thread: others run beside it."""
    options = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, f"{_CASES}::{test_class}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RENDER3D_BENCHMARK_DEVICE": recorder.device}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=max(1.0, recorder.seconds_left),
        check=False,
    )


def _summary(report: Path) -> dict[str, object]:
    """Return how many tests passed, failed and were skipped, and what failed and why."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failures, skipped, seconds = {}, 0, 0.0
    for case in cases:
        seconds += float(case.get("time", 0))
        skipped += case.find("skipped") is not None
        for kind in ("failure", "error"):
            problem = case.find(kind)
            if problem is not None:
                failures[case.get("name", "?")] = " ".join(problem.get("message", "").split())[:300]
    return {
        "passed": len(cases) - len(failures) - skipped,
        "failed": len(failures),
        "skipped": skipped,
        "test_seconds": round(seconds, 1),
        "failures": failures,
    }
