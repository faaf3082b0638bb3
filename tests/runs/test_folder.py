"""A folder of results: begun once, refused to other runs, resumed by the same."""

import json
import re
from pathlib import Path

import pytest

from render3d.errors import FitError, GenerationError
from render3d.renderers import OpenGL
from render3d.runs.folder import CHECKPOINT, CONFIG, RunConfig, RunFolder

SETTINGS = {"steps": 3, "noise": (1.0, 0.2)}
IDENTITY = {"settings.steps": "3", "views": "ab"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "some" / "where", "fit", FitError)


def test_a_folder_that_is_begun_says_what_it_is_of(folder: RunFolder) -> None:
    assert not folder.is_begun
    folder.begin(SETTINGS, IDENTITY, OpenGL())
    assert folder.is_begun
    assert folder.read() == RunConfig("fit", {"steps": 3, "noise": [1.0, 0.2]}, IDENTITY)
    made_with = json.loads((folder.path / CONFIG).read_text())["made_with"]
    assert made_with["renderer"] == "OpenGL" and "torch" in made_with


def test_it_goes_on_by_the_same_run_and_keeps_what_it_says(folder: RunFolder) -> None:
    folder.begin(SETTINGS, IDENTITY)
    before = (folder.path / CONFIG).read_bytes()
    folder.begin(SETTINGS, IDENTITY)
    assert (folder.path / CONFIG).read_bytes() == before


def test_another_run_is_refused_with_what_changed(folder: RunFolder) -> None:
    folder.begin(SETTINGS, IDENTITY)
    told = r"another run: settings.steps was 3 and is 4; mask was absent and is c; views was ab and is absent\. Resume"
    with pytest.raises(FitError, match=told):
        folder.begin(SETTINGS, {"settings.steps": "4", "mask": "c"})
    with pytest.raises(FitError, match=r"f2 was absent and is 2; f3 was absent and is 3; and 6 more\. Resume with"):
        folder.begin(SETTINGS, {f"f{number}": str(number) for number in range(8)})
    with pytest.raises(GenerationError, match="another run: command was fit and is views. Resume with what it was"):
        RunFolder(folder.path, "views", GenerationError).begin(SETTINGS, IDENTITY)


def test_what_is_there_is_overwritten_by_no_run_and_nothing_is_resumed_that_is_not_there(folder: RunFolder) -> None:
    folder.check_resume(False)
    with pytest.raises(FitError, match="There is nothing to resume in .*: it has no config.json. Start without --resu"):
        folder.check_resume(True)
    assert not folder.path.exists()
    folder.begin(SETTINGS, IDENTITY)
    folder.check_resume(True)
    with pytest.raises(FitError, match="holds a run already. Go on with it by --resume, or write to another folder"):
        folder.check_resume(False)


def test_a_checkpoint_without_its_configuration_belongs_to_an_unknown_run(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / CHECKPOINT).touch()
    with pytest.raises(FitError, match="holds a run already"):
        folder.check_resume(False)
    with pytest.raises(FitError, match="holds no run: it has no config.json, which render3d fit writes"):
        folder.begin(SETTINGS, IDENTITY)
    assert not (folder.path / CONFIG).exists()


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "3", "{}", '{"command": "fit", "settings": {}}', '{"command": "fit", "settings": 1, "identity": {}}'],
)
def test_a_damaged_configuration_is_an_error_that_names_it(folder: RunFolder, content: str) -> None:
    folder.begin(SETTINGS, IDENTITY)
    path = folder.path / CONFIG
    path.write_text(content)
    with pytest.raises(FitError, match=rf"{re.escape(str(path))} is damaged, or of another version .*Put it back"):
        folder.begin(SETTINGS, IDENTITY)
    assert path.read_text() == content


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FitError, match="Could not write to .*inner: (Not a directory|File exists). Make room, or"):
        RunFolder(tmp_path / "file" / "inner", "fit", FitError).begin(SETTINGS, IDENTITY)
