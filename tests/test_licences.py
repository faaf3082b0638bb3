"""What `pip install 'render3d[all]'` brings may be used by anyone: the licences that its metadata states."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = re.compile(
    r"(the )?("
    r"(new |modified |[23]-clause )?bsd([ -][023]-clause)?( license)?|0bsd|mit(-cmu|-0)?( license)?( \(mit\))?"
    r"|apache([ -](software )?(license )?(version )?2\.0)?( software license)?( with llvm-exception)?"
    r"|mpl[ -]2\.0|mozilla public license 2\.0 \(mpl 2\.0\)|psf-2\.0|python software foundation license"
    r"|isc( license)?( \(iscl\))?|hpnd|zlib|bsl-1\.0|cc0-1\.0|unlicense"
    r")"
)

EXCEPTIONS = {
    # LGPL: imported as it is, never changed or shipped, in the extras `views` and `ray` only. Its worker processes are
    # ended when an object takes too long; concurrent.futures cannot do that.
    "pebble",
    # BSD, as the LICENSE file inside its wheel says; its metadata states none.
    "pyglet",
}

# NVIDIA's own libraries, which a torch built for CUDA brings: whoever installs torch chooses which.
OF_A_CUDA_TORCH = ("nvidia-", "cuda-")


PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
EXTRAS = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]


def installed_with(words: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """What these require, and what that requires, as far as it applies to this machine."""
    waiting = [each for each in map(Requirement, words) if each.name != "render3d"]
    looked_at: set[tuple[str, frozenset[str]]] = set()
    found = {}
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) not in looked_at and not name.startswith(OF_A_CUDA_TORCH):
            looked_at.add((name, extras))
            found[name] = importlib.metadata.distribution(name)
            waiting += requirements_of(found[name], extras)
    return found


def requirements_of(one: importlib.metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for wanted in map(Requirement, one.requires or []):
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield wanted


def licences_of(metadata: importlib.metadata.PackageMetadata) -> list[str]:
    """Every licence that is stated, in small letters, by the most exact of the three ways to state one."""
    if expression := metadata.get("License-Expression"):
        return [word.strip("() ") for word in re.split(r" and | or ", expression.lower())]
    classifiers = [
        words.split("::")[-1].strip().lower()
        for words in metadata.get_all("Classifier") or ()
        if words.startswith("License")
    ]
    if stated := [words for words in classifiers if words != "osi approved"]:
        return stated
    return [metadata.get("License", "").splitlines()[0].strip().lower()] if metadata.get("License") else []


def faults(metadata: importlib.metadata.PackageMetadata) -> list[str]:
    stated = licences_of(metadata)
    return [words for words in stated if not PERMISSIVE.fullmatch(words)] if stated else ["none is stated"]


def test_all_that_is_installed_is_under_a_permissive_licence() -> None:
    found = installed_with([*PROJECT["dependencies"], *EXTRAS])
    assert {
        "torch",
        "pyrender",
        "pyopengl",
        "mitsuba",
        "ray",
        "webdataset",
        "mlxtend",
        "grpcio",
        "opencv-python-headless",
        "xatlas",
        "dracopy",
    } <= found.keys()
    wrong = {name: faults(one.metadata) for name, one in found.items() if faults(one.metadata)}
    assert wrong.keys() == EXCEPTIONS, wrong


def test_the_core_leaves_the_pyopengl_of_its_users_as_it_is() -> None:
    found = installed_with(PROJECT["dependencies"])
    assert "torch" in found
    assert not found.keys() & {"pyopengl", "pyrender", "pyglet", "pebble"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"License-Expression": "Apache-2.0 WITH LLVM-exception AND (MIT OR BSD-3-Clause)"}, []),
        ({"License-Expression": "MIT AND GPL-3.0-or-later"}, ["gpl-3.0-or-later"]),
        ({"License-Expression": "MIT", "License": "GPL"}, []),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "License": "MIT"},
         ["gnu general public license v3 (gplv3)"]),
        ({"Classifier": "License :: OSI Approved", "License": "MIT License\n\nCopyright"}, []),
        ({"License": "LGPL"}, ["lgpl"]),
        ({"License": "Commercial, not MIT"}, ["commercial, not mit"]),
        ({}, ["none is stated"]),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_permissive_licence(lines: dict[str, str], expected: list[str]) -> None:
    from email.message import Message

    metadata = Message()
    for name, words in lines.items():
        metadata[name] = words
    assert faults(metadata) == expected  # type: ignore[arg-type]
