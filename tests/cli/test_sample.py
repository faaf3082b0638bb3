"""``render3d sample`` of models that are conditioned on a class or on views."""

from pathlib import Path

import numpy as np
import pytest

from render3d.cli import main
from render3d.datasets import PrimitivesSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.experiments.volumes import ContextKind
from render3d.models.training.loop import train
from render3d.scenes import Volume

pytestmark = pytest.mark.usefixtures("small_turntables")

DATA = PrimitivesSettings(size=8, solid_size=4, translation=4, train=12, validation=6, test=6)


def trained(folder: Path, context: ContextKind) -> Path:
    experiment = Volumes(
        steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4, context=context, views=(2, 8, 8)
    )
    training = TrainSettings(updates=1, batch_size=6, validation_examples=6)
    recipe = Recipe(data=DATA, experiment=experiment, training=training)
    train(recipe, folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def given_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("class"), "class")


@pytest.fixture(scope="module")
def given_views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("views"), "views")


def first_sample(run: Path, out: Path, *words: str) -> np.ndarray:  # type: ignore[type-arg]
    assert main(["sample", str(run), "--out", str(out), "--count", "2", *words]) == 0
    return Volume.load(out / "sample_000.npz").values.numpy()


def test_a_class_goes_by_its_name_or_its_number(given_class: Path, tmp_path: Path) -> None:
    by_name = first_sample(given_class, tmp_path / "a", "--label", "Pyramid")
    np.testing.assert_array_equal(first_sample(given_class, tmp_path / "b", "--label", "2"), by_name)
    assert (first_sample(given_class, tmp_path / "c", "--label", "sphere") != by_name).any()
    assert "of class Pyramid" in (tmp_path / "a" / "report.html").read_text()


def test_the_context_of_a_test_example_is_used_and_shown(given_views: Path, tmp_path: Path) -> None:
    first, other = (first_sample(given_views, tmp_path / n, "--example", n) for n in ("0", "3"))
    assert (first != other).any()
    page = (tmp_path / "3" / "report.html").read_text()
    assert "given test example 3" in page and "c2: silhouette" in page


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        ("class", ["--label", "table"], "--label must be a class of the run, by name or number: 0 cube, 1 sphere, "),
        ("class", ["--label", "6"], "got '6'"),
        ("class", ["--label", "-1"], "got '-1'"),
        ("class", [], "The context must be integer labels of shape [16]; got none"),
        ("class", ["--example", "0"], "--example is for a model that is conditioned on views"),
        ("class", ["--example", "0", "--label", "cube"], "give one of them"),
        ("views", ["--example", "6"], "--example must be 0 to 5, the test examples; got 6"),
        ("views", ["--example", "-1"], "--example must be 0 to 5"),
        ("views", ["--label", "cube"], "What is read must have shape [16, 2, 1, 8, 8]"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(
    given_class: Path,
    given_views: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    words: list[str],
    message: str,
) -> None:
    run = given_class if kind == "class" else given_views
    assert main(["sample", str(run), "--out", str(tmp_path / "out"), *words]) == 1
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not (tmp_path / "out").exists()
