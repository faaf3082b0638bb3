"""The comparison of gradients at equal seconds, at a tiny size."""

import dataclasses
import json
from pathlib import Path

import pytest
import single_images

from render3d.datasets import ColoredSolidsSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import SingleImages

DATA = ColoredSolidsSettings(image_size=16, train=24, validation=6, test=6)


def tiny(experiment: SingleImages, training: TrainSettings) -> Recipe:
    training = dataclasses.replace(training, batch_size=6, validation_examples=6)
    return Recipe(data=DATA, experiment=experiment, training=training)


def test_each_gradient_gets_its_updates_and_what_was_made_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = SingleImages(latents=3, state=12, hidden=12, features=4, glimpse=4, samples=2)
    quicker = dataclasses.replace(
        small, orientation="of_state"
    )  # a search takes most of the time of a model this small
    monkeypatch.setattr(single_images, "METHODS", {"local_credit": small, "other": quicker})
    monkeypatch.setattr(single_images, "meshes", tiny)
    costs = iter([0.5, 1.0])
    monkeypatch.setattr(single_images, "seconds_per_update", lambda recipe: next(costs))
    single_images.run(tmp_path, seconds=2.0, methods=("local_credit", "other"))
    first = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert [each["updates"] for each in first["methods"].values()] == [4, 2]
    single_images.run(tmp_path, seconds=2.0, methods=("local_credit", "other"))  # no cost is left to be asked for
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["methods"] == first["methods"]
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert "the best that is fixed" in table[-1] and all(line.count("|") == 7 for line in table)


def test_the_seconds_of_an_update_are_measured_by_updates() -> None:
    experiment = SingleImages(latents=3, state=12, hidden=12, features=4, glimpse=4, samples=2)
    assert 0 < single_images.seconds_per_update(tiny(experiment, TrainSettings()), least=0.01) < 60
