"""``render3d train``, ``sample`` and ``complete``: folders that explain themselves, and failures in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from render3d.cli import main
from render3d.datasets import PrimitivesSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.scenes import Volume

pytestmark = pytest.mark.usefixtures("small_turntables")

DATA = PrimitivesSettings(size=8, solid_size=4, translation=4, train=24, validation=12, test=12)
MODEL = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4)


def tiny(*, updates: int = 12, seed: int = 0) -> Recipe:
    """A recipe of one's own."""
    training = TrainSettings(updates=updates, batch_size=6, validate_every=6, validation_examples=6, seed=seed)
    return Recipe(data=DATA, experiment=MODEL, training=training)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small trained model."""
    out = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        assert main(["train", "test_train:tiny", "--out", str(out), "--updates", "8", "--device", "cpu"]) == 0
    return out


def test_a_run_leaves_all_that_explains_it(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names >= {"config.json", "checkpoint.safetensors", "metrics.json", "report.html", "tensorboard"}
    assert any((run / "tensorboard").iterdir())
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["training"]["updates"] == 8 and config["settings"]["data"]["size"] == 8
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["examples"] == 12 and metrics["updates"] == 8
    assert metrics["test"]["negative_bound_nats"] > metrics["test"]["kl_nats"] > 0
    page = (run / "report.html").read_text()
    importance = metrics["test"]["importance_weighted"]
    assert (metrics["test"]["split"], metrics["test"]["samples"], importance["samples"]) == ("test", 1, 10)
    assert importance["interval_95"][0] < importance["negative_bound_nats"] < metrics["test"]["negative_bound_nats"]
    assert importance["gain_over_one_sample"]["nats"] == pytest.approx(
        metrics["test"]["negative_bound_nats"] - importance["negative_bound_nats"]
    )
    assert "10 samples take from one, paired by example" in page
    assert "T = 2" in page and "data:image/png" in page and "http://" not in page


def test_a_finished_run_is_evaluated_anew_with_more_samples(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    before = json.loads((run / "metrics.json").read_text())
    for name in ("config.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    again = ["train", "test_train:tiny", "--out", str(tmp_path), "--updates", "8", "--device", "cpu", "--resume"]
    assert main([*again, "--evaluation-samples", "0"]) == 1
    assert "--evaluation-samples must be at least 1; got 0" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()
    assert main([*again, "--evaluation-samples", "25", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "metrics.json").read_text())["test"]
    few, many = before["test"].pop("importance_weighted"), shown.pop("importance_weighted")
    assert shown == before["test"] and many["samples"] == 25
    assert many["negative_bound_nats"] < few["negative_bound_nats"]
    assert main([*again, "--evaluation-samples", "1"]) == 0
    assert "by 1 sample: " in capsys.readouterr().out


def test_a_finished_run_is_not_overwritten(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert main(["train", "primitives", "--out", str(run)]) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert main(["train", "primitives", "--out", str(run), "--resume", "--seed", "3"]) == 1
    message = capsys.readouterr().err
    assert "another run: " in message and "data.size was 8 and is 30; " in message and " more. Resume with" in message
    assert before == {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_help_lists_recipes_and_their_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 2
    assert main(["train", "--help"]) == 0
    assert "primitives, mnist3d, necker" in capsys.readouterr().out
    assert main(["train", "mnist3d", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--path" in shown and "--steps" in shown and "--out" in shown
    assert main(["train", "minst3d", "--out", "nowhere"]) == 1
    assert "Did you mean 'mnist3d'?" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_samples_are_files_that_other_tools_read(run: Path, tmp_path: Path) -> None:
    assert main(["sample", str(run), "--out", str(tmp_path / "a"), "--count", "3", "--seed", "5"]) == 0
    assert main(["sample", str(run), "--out", str(tmp_path / "b"), "--count", "2", "--seed", "5"]) == 0
    volumes = [Volume.load(tmp_path / "a" / f"sample_{number:03d}.npz") for number in range(3)]
    assert volumes[0].resolution == (8, 8, 8) and not np.array_equal(volumes[0].values, volumes[1].values)
    again = Volume.load(tmp_path / "b" / "sample_001.npz")
    np.testing.assert_allclose(again.values, volumes[1].values, atol=1e-5)
    assert "data:image/png" in (tmp_path / "a" / "report.html").read_text()


def test_completion_is_measured_and_shown(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[:, :, :4] = True
    np.save(tmp_path / "mask.npy", mask)
    common = [str(run), "--count", "4", "--iterations", "10", "--chains", "2", "--json"]
    assert main(["complete", *common, "--out", str(tmp_path / "half")]) == 0
    half = json.loads(capsys.readouterr().out)
    assert main(["complete", *common, "--out", str(tmp_path / "mask"), "--missing", str(tmp_path / "mask.npy")]) == 0
    by_mask = json.loads(capsys.readouterr().out)
    assert {**half, "missing": ""} == {**by_mask, "missing": ""}  # the left half is that of low x
    assert half["examples"] == 4 and half["iterations"] == 10 and half["training_volumes"] == 24
    page = (tmp_path / "half" / "report.html").read_text()
    assert "after step 8" in page and "after step 10" in page and "R-hat" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "{run}", "--out", "{run}"], "holds another run: command was train and is sample"),
        (["sample", "{run}", "--out", "{new}", "--count", "0"], "--count must be at least 1"),
        (["sample", "{run}", "--out", "{new}", "--label", "1"], "takes no context"),
        (["sample", "{new}", "--out", "{new}x"], "holds no run: it has no config.json"),
        (["complete", "{run}", "--out", "{new}", "--missing", "middle"], "--missing must be one of left, right"),
        (["complete", "{run}", "--out", "{new}", "--iterations", "3"], "--iterations 8"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    new = tmp_path / "new"
    assert main([word.format(run=run, new=new) for word in words]) == 1
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not new.exists()


def test_a_mask_of_another_kind_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "mask.npy", np.zeros((8, 8, 7), dtype=bool))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    for name, message in (("mask.npy", "must hold a bool array of shape [8, 8, 8]"), ("broken.npy", "is damaged")):
        missing = str(tmp_path / name)
        assert main(["complete", str(run), "--out", str(tmp_path / "out"), "--missing", missing]) == 1
        assert message in capsys.readouterr().err


def test_a_configuration_of_another_run_is_noticed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("config.json", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    text = (run / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"steps": 2', '"steps": 3'))
    assert main(["sample", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "experiment.steps was 2 and is 3" in capsys.readouterr().err
    (tmp_path / "config.json").write_text(text[:40])
    assert main(["sample", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is damaged" in capsys.readouterr().err
