"""The measuring script for GPUs, on the CPU: its cheapest sections, what it skips, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, module: str = "benchmarks.gpu", **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=False
    )


def measure(out: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return run(*words, "--device", "cpu", "--quick", "--out", str(out), **environment)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run of the two cheapest sections, which tests only read."""
    out = tmp_path_factory.mktemp("results") / "results.jsonl"
    answer = measure(out, "devices", "tiles")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == out.read_text()
    return out


def test_every_line_names_its_section_and_a_closing_line_ends_it(measured: Path) -> None:
    lines = read(measured)
    assert [line["section"] for line in lines if line.get("complete")] == ["devices", "tiles"]
    assert lines[-1]["seconds"] > 0
    assert not any("error" in line for line in lines)
    assert {(line["device"], line["quick"], line["attempt"]) for line in lines} == {("cpu", True, 1)}
    assert [line["section"] for line in lines] == sorted(line["section"] for line in lines)


def test_devices_reports_every_setting_and_what_is_not_measured(measured: Path) -> None:
    lines = [line for line in read(measured) if line["section"] == "devices"]
    settings = [line["cuda_visible_devices"] for line in lines if "cuda_visible_devices" in line]
    assert settings == ["unset", "0", "-1"]
    (used,) = [line for line in lines if line.get("used")]
    assert used["subpixel_bits"] >= 4 and used["most_layers"] >= 256 and used["gl_renderer"]
    assert [line["not_measured"] for line in lines if "not_measured" in line] == [
        "which EGL device belongs to a CUDA device: this run has no CUDA device"
    ]


def test_tiles_compares_pictures(measured: Path) -> None:
    (line,) = [line for line in read(measured) if "pictures" in line]
    assert line["pictures"] == 24
    assert line["other_silhouettes"] <= 24 and line["largest_depth_change"] < 0.1


def test_a_second_run_skips_what_is_complete_and_again_repeats_it(measured: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    cut_short = '{"section": "tiles", "devi'  # as a run leaves it that is killed while it writes
    out.write_text(measured.read_text() + cut_short)
    before = out.read_text()
    answer = measure(out, "devices", "tiles")
    assert answer.returncode == 0 and out.read_text() == before
    assert "devices: already complete" in answer.stderr and "tiles: already complete" in answer.stderr
    assert measure(out, "tiles", "--again").returncode == 0
    added = out.read_text()[len(before) :].splitlines()
    assert added[0] == "" and {json.loads(line)["attempt"] for line in added[1:]} == {2}


def test_a_section_that_fails_is_a_line_and_the_others_go_on(tmp_path: Path) -> None:
    """Without libraries for EGL there is no OpenGL."""
    out = tmp_path / "results.jsonl"
    answer = measure(out, "readback", "tf32", __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path))
    assert answer.returncode == 1 and answer.stderr.startswith("failed: readback.")
    failures = [line for line in read(out) if "error" in line]
    assert [line["section"] for line in failures] == ["readback", "readback", "tf32"]
    assert all("GraphicsError" in line["error"] for line in failures)
    (closing,) = [line for line in read(out) if line.get("complete")]
    assert (closing["section"], closing["errors"]) == ("tf32", 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("tiless", "--out", "results.jsonl", "--device", "cpu"),
            "there is no section tiless; the sections are devices",
        ),
        (("tiles", "--device", "cpu"), "--out"),
        (("tiles", "--out", "results.jsonl", "--device", "gpu"), "--device must be cuda, cuda:N or cpu; got gpu"),
        (("tiles", "--out", "results.jsonl", "--device", "cuda:99"), "torch finds no device cuda:99"),
        (("tiles", "--out", "no/such/folder/results.jsonl", "--device", "cpu"), "folder of --out"),
    ],
)
def test_usage_errors(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert not (ROOT / "results.jsonl").exists()


def test_results_are_printed_as_tables(measured: Path) -> None:
    answer = run(str(measured), module="benchmarks.gpu.table")
    assert answer.returncode == 0
    assert "### devices (cpu, quick)" in answer.stdout and "### tiles (cpu, quick)" in answer.stdout
    assert "| pixels | pictures | other silhouettes |" in answer.stdout
    assert "- not measured: which EGL device" in answer.stdout
    assert run("no such file", module="benchmarks.gpu.table").returncode == 2
