"""The documentation tells the truth: its Python runs, its commands have the flags it names, its API pages are whole."""

import importlib
import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import render3d as r3
from render3d.renderers.table import KNOWN

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GUIDE = ["../README.md", *sorted(path.name for path in DOCS.glob("*.md"))]
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def python_blocks(text: str) -> list[tuple[int, str]]:
    """The ```python blocks of a page, each with the number of its first line."""
    fenced = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, block.start(1)), block.group(1)) for block in fenced]


def run_page(page: Path) -> dict[str, object]:
    """Run the blocks of a page in order, in one namespace; an error shows the page and its line."""
    namespace: dict[str, object] = {"__name__": "page"}
    for first_line, source in python_blocks(page.read_text(encoding="utf-8")):
        exec(compile("\n" * first_line + source, str(page), "exec"), namespace)
    return namespace


def documented() -> set[str]:
    """The full names on the API pages."""
    directive = re.compile(r"^\.\. auto(?:class|function|exception|data):: (\S+)$", re.MULTILINE)
    return {name for page in (DOCS / "api").glob("*.rst") for name in directive.findall(page.read_text("utf-8"))}


def thing(full_name: str) -> object:
    """What a full name stands for, in whichever module it is found."""
    module, _, name = full_name.rpartition(".")
    return getattr(importlib.import_module(module), name)


def commands() -> list[tuple[str, list[str]]]:
    """Every ``$ render3d COMMAND --flag`` of the documentation, and the flags in tables: the command and its flags."""
    pages = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    text = "\n".join(page.read_text(encoding="utf-8").replace("\\\n", " ") for page in pages)
    # the flags of train are those of its recipe
    lines = re.findall(r"^\$ render3d (train \w+|\w+)(.*)$", text, re.MULTILINE)
    tabled = re.findall(r"^\| `--([a-z-]+)", (DOCS / "fitting.md").read_text(encoding="utf-8"), re.MULTILINE)
    return [*((name, re.findall(r"--([a-z-]+)", rest)) for name, rest in lines), ("fit", tabled)]


@pytest.mark.parametrize("name", GUIDE)
def test_the_python_of_a_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RENDER3D_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    run_page(DOCS / name)


def test_the_pages_that_show_code_have_blocks_that_are_found() -> None:
    with_code = {name for name in GUIDE if python_blocks((DOCS / name).read_text(encoding="utf-8"))}
    assert with_code == set(GUIDE)
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(python_blocks(text)) == len(re.findall(r"^\s*```+ *\{?(?:python|py)\b", text, re.MULTILINE))


def test_a_block_that_fails_is_reported_with_its_page_and_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n```\n\nText.\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError) as failure:
        run_page(page)
    assert (str(failure.traceback[-1].path), failure.traceback[-1].lineno) == (str(page), 9)  # counted from zero


def test_every_public_name_of_the_package_is_on_an_api_page() -> None:
    found = documented()
    top = {f"render3d.{name}" for name in r3.__all__ if not inspect.ismodule(getattr(r3, name))} - {
        "render3d.__version__"
    }
    modules = "conventions estimators fitting renderers errors metrics regularizers data spatial renderers.volumetric"
    modules += " datasets datasets.collections view_sets view_sets.formats"
    generation = "engine job local protocols ray run"
    modules += "".join(f" datasets.view_sets.write.{part}" for part in generation.split())
    parts = {f"render3d.{module}.{name}" for module in modules.split() for name in exported(module)}
    there = [thing(name) for name in found]
    missing = {name for name in top | parts if name not in found and all(thing(name) is not one for one in there)}
    assert not missing


def exported(module: str) -> list[str]:
    """The classes and functions of a module of the package that users can import from it."""
    whole = importlib.import_module(f"render3d.{module}")
    names = getattr(whole, "__all__", [name for name in vars(whole) if not name.startswith("_")])
    things = ((name, getattr(whole, name)) for name in names)
    public = [name for name, value in things if inspect.isclass(value) or inspect.isfunction(value)]
    return public if hasattr(whole, "__all__") else [name for name in public if is_own(whole, name)]


def is_own(module: object, name: str) -> bool:
    """Whether a module defines a name, rather than uses it."""
    return getattr(module, name).__module__ == module.__name__  # type: ignore[attr-defined,no-any-return]


def test_the_names_on_api_pages_exist() -> None:
    assert all(thing(name) is not None for name in documented())


def test_every_converter_is_on_the_page_of_conventions() -> None:
    page = (DOCS / "conventions.md").read_text(encoding="utf-8")
    converters = [name for name in exported("conventions") if re.match(r"(to|from)_", name)]
    assert len(converters) >= 20
    assert [name for name in converters if f"`{name}`" not in page] == []


def test_the_table_of_renderers_has_their_outputs() -> None:
    page = (DOCS / "renderers.md").read_text(encoding="utf-8")
    headers, outputs = (re.findall(rf"^\|{word}\|(.*)\|$", page, re.MULTILINE) for word in (" ", " Outputs "))
    named = {
        name.strip(" `"): re.findall(r"`(\w+)`", cell)
        for header, row in zip(headers, outputs, strict=True)  # a table of each kind of scene
        for name, cell in zip(header.split("|"), row.split("|"), strict=True)
    }
    assert named == {name: list(line.outputs) for name, line in KNOWN.items()}


def test_the_picture_of_volumes_is_the_one_its_script_draws() -> None:
    """Up to the outlines, where one OpenGL may round otherwise than another."""
    drawn = runpy.run_path(str(DOCS / "figures" / "volumes.py"))["figure"]()
    with Image.open(DOCS / "images" / "volumes.png") as committed:
        assert committed.size == drawn.size
        difference = np.abs(np.asarray(committed, dtype=float) - np.asarray(drawn, dtype=float))
    assert difference.mean() < 1.0  # of 255


def test_the_commands_of_the_documentation_have_the_flags_it_names(capsys: pytest.CaptureFixture[str]) -> None:
    from render3d.cli import main

    used = commands()
    assert {"doctor", "fit"} <= {name for name, _ in used}
    for name, flags in used:
        for scene in (["--scene", "volume"], []) if name == "fit" else ([],):  # each has flags of its own
            main([*name.split(), *scene, "--help"])
        known = set(re.findall(r"--([a-z-]+)", capsys.readouterr().out))
        assert set(flags) <= known, (name, flags)


def test_the_changelog_keeps_a_changelog() -> None:
    """Version headings in the form of keepachangelog.com, Unreleased first, and its six kinds of change."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= set(SECTIONS)
