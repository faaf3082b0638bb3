"""The table of bounds: what is trained, what is compared with what, and that nothing is done twice."""

import dataclasses
import json
from pathlib import Path

import pytest
from scipy import stats

from render3d.cli import main
from render3d.cli.bounds import bounds
from render3d.datasets import PrimitivesSettings
from render3d.errors import DatasetError, DeviceError, TrainingError
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.study import table as tables
from render3d.models.study.table import PAPER, RunBound, TableCase, differences, over_seeds
from render3d.models.study.table_report import table_metrics, table_report
from render3d.models.training.run import load_run

DATA = PrimitivesSettings(size=8, solid_size=4, translation=4, train=24, validation=6, test=12)
MODEL = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4, views=(1, 6, 7))


TINY = f"{__name__}:tiny"
TRAINING = TrainSettings(batch_size=4, learning_rate=(1e-3, 3e-4), validation_examples=6)


def tiny(*, training: TrainSettings = TRAINING) -> Recipe:
    return Recipe(data=DATA, experiment=MODEL, training=training)


def of_files(*, path: Path) -> Recipe:
    return tiny()


def found(total: float) -> RunBound:
    return RunBound(total=total, tight=total - 1, kl=2.0, samples=5, examples=7, seconds=60.0, held_out=((10, total),))


def test_the_table_is_filled_once_and_can_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"bounds {TINY} --steps 1 2 --seeds 0 3 --evaluation-samples 2 --json --out"
    flags = [*words.split(), str(tmp_path)]
    assert main([*flags, "--updates", "2", "--views", "0"]) == 0
    first = json.loads(capsys.readouterr().out)
    trained, original = list[Path](), tables.train_to_folder

    def noted(recipe: Recipe, out: Path, **named: object) -> object:
        trained.append(out)
        return original(recipe, out, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "train_to_folder", noted)
    assert main([*flags, "--updates", "2", "--views", "0", "2"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in trained) == sorted(f"T{t}-views2-seed{s}" for t in (1, 2) for s in (0, 3))
    assert {name: second["bounds"][name] for name in first["bounds"]} == first["bounds"]
    run = load_run(tmp_path / "T2-views2-seed3")
    assert run.recipe.experiment == dataclasses.replace(MODEL, context="views", views=(2, 6, 7))
    assert run.recipe.training == dataclasses.replace(TRAINING, updates=2, seed=3)
    metrics = json.loads((tmp_path / "T2-views2-seed3" / "metrics.json").read_text())
    assert second["bounds"]["T2-views2"]["total"]["seeds"][1] == metrics["test"]["negative_bound_nats"]
    assert "<html" in (tmp_path / "report.html").read_text()
    assert main([*flags, "--updates", "3", "--views", "0"]) == 1
    assert "another run: training.updates was 2 and is 3" in capsys.readouterr().err


def test_differences_are_paired_by_seed() -> None:
    table = {
        TableCase(2, 0): [found(10.0), found(20.0), found(33.0)],
        TableCase(6, 0): [found(8.0), found(17.0), found(31.0)],
        TableCase(6, 2): [found(7.0), found(17.5), found(29.5)],
    }
    changes = differences(table, "total")
    assert list(changes) == ["T = 6 less T = 2, no views", "2 views less none, T = 6"]
    more = changes["T = 6 less T = 2, no views"]
    # -2, -3, -2: their mean, and Student's t with two degrees of freedom times the standard error of 1/3
    assert more.mean == pytest.approx(-7 / 3)
    assert more.high - more.mean == pytest.approx(stats.t.ppf(0.975, 2) / 3)
    assert changes["2 views less none, T = 6"].mean == pytest.approx((-1 + 0.5 - 1.5) / 3)
    assert over_seeds(table[TableCase(2, 0)], "tight").mean == pytest.approx(20.0)
    assert table_metrics(table)["bounds"]["T6-views2"]["total"]["seeds"] == [7.0, 17.5, 29.5]


def test_the_page_has_the_papers_figure_beside_ours() -> None:
    table = {TableCase(12, views): [found(400.5), found(401.5)] for views in (0, 3)}
    page = table_report("mnist3d", tiny(), table)
    assert str(PAPER["mnist3d"][12][3]) in page and "401.0" in page


def test_what_makes_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no row of '.*:tiny': say which T"):
        bounds(TINY, out=tmp_path)
    with pytest.raises(TrainingError, match="at least two different ones, for intervals; got \\[1, 1\\]"):
        bounds(TINY, out=tmp_path, steps=(1,), seeds=(1, 1), updates=1)
    with pytest.raises(TrainingError, match=":tiny' cannot be made with --path: .*unexpected keyword"):
        bounds(TINY, out=tmp_path, steps=(1,), path=tmp_path)
    with pytest.raises(TrainingError, match=":of_files' cannot be made without --path: .*'path'"):
        bounds(f"{__name__}:of_files", out=tmp_path, steps=(1,))
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_known_before_the_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        bounds("mnist3d", out=tmp_path / "out", steps=(1,), path=tmp_path / "nowhere", device="cpu")
    with pytest.raises(DeviceError, match="Nothing can be computed on the device 'abacus'"):
        bounds("mnist3d", out=tmp_path / "out", steps=(1,), device="abacus")
    assert not (tmp_path / "out").exists()


def test_measures_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(TrainingError, match="not of a run of this version"):
        RunBound.read(tmp_path / "metrics.json")
