"""Libraries that are not there, are broken, or were built against another torch: each says which it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from render3d.errors import RendererError
from render3d.optional import LIBRARIES, Library


def library(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, part: str | None = None) -> Library:
    """One that is a package of this source, in a folder on the path."""
    name = f"pretended_{folder.name}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)
    if part is not None:
        (folder / name / "_C.py").write_text(part)
    monkeypatch.syspath_prepend(str(folder))
    return Library("Pretended", name, "https://example.org/install", (f"{name}._C",))


def test_one_that_is_not_there() -> None:
    missing = Library("Nothing", "no_such_module_at_all", "https://example.org/install")
    assert not missing.is_installed
    with pytest.raises(RendererError, match="^Nothing is not installed. https://example.org/install says how to"):
        missing.load()


def test_one_that_an_extra_installs_names_it() -> None:
    missing = Library("Nothing", "no_such_module_at_all", "https://example.org/install", extra="more")
    with pytest.raises(RendererError, match=r"^Nothing is not installed\. .*: pip install 'render3d\[more\]'\.$"):
        missing.require()


def test_one_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library(tmp_path, monkeypatch, "answer = 42", "").load().answer == 42


@pytest.mark.parametrize(
    "failure",
    [
        "_C.so: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jS2_",
        "libtorch_cuda.so: cannot open shared object file: No such file or directory",
        "libcudart.so.12: cannot open shared object file: No such file or directory",
    ],
)
def test_one_that_was_built_for_another_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    found = library(tmp_path, monkeypatch, "", f"raise ImportError({failure!r})")
    with pytest.raises(RendererError, match="was built for another torch than .*Build it again .*example.org"):
        found.load()


@pytest.mark.parametrize("raised", ["RuntimeError('out of luck')", "KeyError('LD')", "AttributeError('np.infty')"])
def test_one_that_raises_on_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str) -> None:
    with pytest.raises(RendererError, match="^Pretended is installed, but cannot be imported .*Install it again:"):
        library(tmp_path, monkeypatch, f"raise {raised}", "").load()


def test_one_whose_compiled_part_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RendererError, match=r"cannot be imported \(ModuleNotFoundError: No module named '.*\._C'\)"):
        library(tmp_path, monkeypatch, "").load()


def test_asking_needs_nothing_but_python() -> None:
    code = "import sys, render3d.optional as o; [l.is_installed for l in o.LIBRARIES]; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
    assert len({each.module for each in LIBRARIES}) == len(LIBRARIES)
