"""The structure of the package: what every reader may rely on, wherever they look."""

import ast
import collections
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx
import pytest

import render3d

ROOT = Path(render3d.__file__).parent
MOST_PARAMETERS = 8

# A method that loads or saves its own noun knows the files, and the files know the noun.
NOUNS_AND_FILES = {
    "render3d.images.rendering -> render3d.images.files",
    "render3d.scenes.mesh -> render3d.scenes.files.meshes",
    "render3d.scenes.volume -> render3d.scenes.files.volumes",
    "render3d.scenes.volume -> render3d.scenes.voxels.conversion",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, ``models`` and ``datasets`` included, by its path."""
    for folder in (ROOT, ROOT / "models", ROOT / "datasets"):
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


SOURCES = dict(sources())
PACKAGES = [
    "render3d",
    *(name for _, name, is_package in pkgutil.walk_packages([str(ROOT)], "render3d.") if is_package),
]


def test_there_is_no_circle_of_imports_even_for_types() -> None:
    imports = grimp.build_graph("render3d", cache_dir=None)
    graph = networkx.DiGraph()
    for module in imports.modules:
        for imported in imports.find_modules_directly_imported_by(module):
            if f"{module} -> {imported}" not in NOUNS_AND_FILES:
                graph.add_edge(module, imported)
    circles = [sorted(circle) for circle in networkx.strongly_connected_components(graph) if len(circle) > 1]
    assert circles == []


def test_a_class_name_stands_once() -> None:
    names = collections.Counter(
        node.name for tree in SOURCES.values() for node in tree.body if isinstance(node, ast.ClassDef)
    )
    public = {name: count for name, count in names.items() if count > 1 and not name.startswith("_")}
    assert public == {}


def test_no_file_has_a_leading_underscore_but_the_version() -> None:
    names = {Path(path).name for path in SOURCES} - {"__init__.py", "__main__.py", "_version.py"}
    assert [name for name in names if name.startswith("_")] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_is_public(package: str) -> None:
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    assert all(hasattr(module, name) for name in module.__all__)


def test_no_function_of_the_library_has_many_parameters() -> None:
    """Flags of commands are parameters, and as many as there are."""
    many = [
        f"{path}: {node.name} has {count}"
        for path, tree in SOURCES.items()
        if not path.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (count := _parameters(node)) > MOST_PARAMETERS
    ]
    assert many == []


def _parameters(function: ast.FunctionDef) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])
