"""The package as it is installed: what a wheel holds, what an import loads, and names that belong to others."""

import importlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("trimesh", "moderngl", "pyrender", "OpenGL", "scipy", "PIL", "rich", "tyro", "safetensors")


def run_python(code: str, folder: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a folder, with another folder first on the path."""
    code = f"import sys; sys.path.insert(0, {str(path)!r}); {code}" if path else code
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, built from a copy of it."""
    copy = tmp_path_factory.mktemp("tree") / "render3d"
    parts = ("render3d", "models", "datasets", "pyproject.toml", "README.md", "LICENSE")
    for part in parts:
        source, target = ROOT / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((copy / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_a_wheel_holds_one_package_and_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"render3d"}
    held = {
        "py.typed",
        "models/__init__.py",
        "datasets/__init__.py",
        "data/bunny.ply",
        "data/teapot.ply",
        "data/chicken/chicken.obj",
        "data/chicken/chicken.mtl",
        "data/chicken/chicken.jpg",
        "data/CREDITS.md",
        "data/teapot_photographs/transforms.json",
        "data/teapot_photographs/images/frame_00001.jpg",
        "data/teapot_photographs/masks/frame_00001.png",
        "renderers/pyrender_shaders/mesh.vert",
        "renderers/pyrender_shaders/mesh.frag",
    }
    assert {f"render3d/{name}" for name in held} <= set(names)
    modules = {
        f"render3d/{path.relative_to(ROOT / 'render3d').as_posix()}" for path in (ROOT / "render3d").rglob("*.py")
    }
    assert modules <= set(names)


def test_what_was_installed_renders_with_both_renderers(installed: Path, tmp_path: Path) -> None:
    code = (
        "import render3d as r3; from render3d.data import bunny, chicken; from render3d import models, datasets;"
        "camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(16, 16));"
        "print(r3.__file__, [bool(kind()(mesh().normalized(), camera).alpha.any())"
        " for kind in (r3.renderers.OpenGL, r3.renderers.Pyrender) for mesh in (bunny, chicken)])"
    )
    done = run_python(code, tmp_path, installed)
    assert str(installed) in done.stdout, done.stderr
    assert "[True, True, True, True]" in done.stdout


@pytest.mark.parametrize("name", ["models", "datasets"])
def test_folders_at_the_root_refuse_their_bare_names(name: str) -> None:
    done = run_python(f"import {name}", ROOT)
    assert f"This folder is imported as render3d.{name}" in done.stderr
    assert run_python(f"import render3d.{name}", ROOT).returncode == 0


PLACES = ("the folder above a clone", "/", "the checkout", "the tests")
FROM_ANYWHERE = "import render3d; print(render3d.errors.MeshError.__name__, render3d.__file__)"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Folders to start Python in; the first holds one that is called like the package and is none."""
    (tmp_path / "render3d" / "render3d").mkdir(parents=True)
    return dict(zip(PLACES, (tmp_path, Path("/"), ROOT, ROOT / "tests"), strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_the_package_is_imported_from_anywhere(places: dict[str, Path], place: str) -> None:
    done = run_python(FROM_ANYWHERE, places[place])
    assert done.stdout.split() == ["MeshError", str(ROOT / "render3d" / "__init__.py")], done.stderr
    command = [sys.executable, "-m", "render3d", "--version"]
    done = subprocess.run(command, cwd=places[place], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("render3d "), done.stderr


def test_the_package_is_imported_from_above_its_own_checkout() -> None:
    done = run_python(FROM_ANYWHERE, ROOT.parent)
    assert done.stdout.startswith("MeshError "), done.stderr


@pytest.mark.parametrize("place", PLACES[:2])
def test_an_installed_package_is_imported_from_anywhere(places: dict[str, Path], installed: Path, place: str) -> None:
    code = f"import sys; sys.path.insert(1, {str(installed)!r}); {FROM_ANYWHERE}"
    done = run_python(code, places[place])
    assert done.stdout.split() == ["MeshError", str(installed / "render3d" / "__init__.py")], done.stderr


def test_an_installed_package_claims_no_other_name(installed: Path, tmp_path: Path) -> None:
    without_the_checkout = f"sys.path = [place for place in sys.path if place != {str(ROOT)!r}]"
    done = run_python(f"{without_the_checkout}; import models", tmp_path, installed)
    assert "No module named 'models'" in done.stderr


def test_importing_the_package_loads_nothing_but_itself() -> None:
    """Not even torch: `render3d doctor` must start where torch is broken."""
    code = f"import render3d; print([name for name in {('torch', 'numpy', *HEAVY)} if name in sys.modules])"
    assert run_python("import sys; " + code, ROOT).stdout.strip() == "[]"


def test_cameras_and_meshes_load_torch_and_numpy_alone() -> None:
    code = (
        "import sys, render3d as r3; r3.Cameras.sphere(3, 2.0); r3.Mesh, r3.Shading, r3.renderers, r3.estimators;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = run_python(code, ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_datasets_and_workers_of_views_load_nothing_that_they_do_not_need() -> None:
    code = (
        "import sys, render3d.datasets, render3d.models, render3d.datasets.view_sets.write.guarded;"
        "print('torch' in sys.modules);"
        "import render3d.datasets.view_sets.write.job;"
        f"print([name for name in {('trimesh', 'moderngl', 'scipy', 'rich', 'tyro')} if name in sys.modules])"
    )
    done = run_python(code, ROOT)
    assert done.stdout.split("\n")[:2] == ["False", "[]"], done.stderr


LAZY = ("render3d", "render3d.datasets", "render3d.datasets.view_sets.write", "render3d.models")


@pytest.mark.parametrize("name", LAZY)
def test_every_name_that_is_promised_is_there(name: str) -> None:
    package = importlib.import_module(name)
    for each in package.__all__:
        assert getattr(package, each) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        _ = package.nothing
