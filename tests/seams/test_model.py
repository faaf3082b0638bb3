"""A dataset, an experiment and a recipe from outside the package go where the package's own go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from render3d.cli import main
from render3d.scenes import Volume

pytestmark = pytest.mark.usefixtures("small_turntables")

HERE = Path(__file__).parent
RECIPE = "model_parts:recipe"

# The flags of the commands, in one place.
OUT, RESUME, UPDATES, STEPS, STATE = "--out", "--resume", "--updates", "--steps", "--state"
COUNT, ITERATIONS, VIEWS, SEEDS, SAMPLES = "--count", "--iterations", "--views", "--seeds", "--evaluation-samples"


def does(*words: str | Path) -> None:
    """A command that must succeed, in this process."""
    assert main([*map(str, words)]) == 0


def started(*words: str | Path) -> None:
    """A command that must succeed, in a process of its own; the parts are on its path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "render3d", *map(str, words)]
    found = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    started("train", RECIPE, OUT, folder, STATE, "9", SAMPLES, "1")
    return folder


def test_it_is_trained_and_its_configuration_names_its_classes(run: Path) -> None:
    stored = json.loads((run / "config.json").read_text())["settings"]
    assert stored["data"]["class"] == "model_parts:BoxesSettings" and stored["data"]["sides"] == [2, 4]
    assert stored["experiment"]["class"] == "model_parts:Boxed" and stored["experiment"]["state"] == 9
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["examples"] == 8 and metrics["findings"]["parameters"] > 100
    page = (run / "report.html").read_text()
    assert "A generative model of boxed" in page and "Boxes, T = 2" in page


def test_it_goes_on(run: Path) -> None:
    does("train", RECIPE, OUT, run, STATE, "9", SAMPLES, "2", RESUME)
    assert json.loads((run / "metrics.json").read_text())["test"]["importance_weighted"]["samples"] == 2


def test_it_is_sampled(run: Path, tmp_path: Path) -> None:
    does("sample", run, OUT, tmp_path, COUNT, "2")
    assert Volume.load(tmp_path / "sample_001.npz").values.shape == (1, 6, 6, 6)


def test_it_is_completed(run: Path, tmp_path: Path) -> None:
    does("complete", run, OUT, tmp_path, COUNT, "2", ITERATIONS, "8")
    assert json.loads((tmp_path / "metrics.json").read_text())["training_volumes"] == 12


def test_its_bounds_fill_a_table(tmp_path: Path) -> None:
    does("bounds", RECIPE, OUT, tmp_path, STEPS, "1", SEEDS, "0", "1", UPDATES, "1", SAMPLES, "1", VIEWS, "0")
    assert list(json.loads((tmp_path / "metrics.json").read_text())["bounds"]) == ["T1-views0"]


def test_what_it_cannot_do_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bounds", RECIPE, OUT, str(tmp_path / "out"), STEPS, "1", VIEWS, "0", "1"]) == 1
    assert "Boxed takes no views as its context; got 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
