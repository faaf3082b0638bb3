"""Renderers by name, as command lines take them."""

import sys
from pathlib import Path

import pytest

from render3d import renderers
from render3d.errors import CapabilityError
from render3d.images import CHANNELS
from render3d.renderers import (
    LearnedProjection,
    OpenGL,
    Pyrender,
    Renderer,
    Shading,
    renderers_of_scene,
    renderers_with_output,
)
from render3d.renderers.registry import known_renderers, renderer_by_name
from render3d.scenes import Mesh, Volume

SOURCE = """
from render3d.renderers.base import Capabilities


class Mine:
    capabilities = Capabilities(name="Mine", outputs=("alpha",), batched=True, device="cpu", licence="MIT")

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
        raise NotImplementedError


class Needy(Mine):
    def __init__(self, path):
        self.path = path


class Uncallable:
    capabilities = Mine.capabilities


class Incapable:
    def __call__(self, scene, cameras):
        raise NotImplementedError


def make():
    return Mine()


ready = Mine()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module on the path."""
    (tmp_path / "a_module_of_ones_own.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_module_of_ones_own", raising=False)
    yield "a_module_of_ones_own"
    sys.modules.pop("a_module_of_ones_own", None)


@pytest.mark.parametrize(
    ("name", "kind"), [("opengl", OpenGL), ("OpenGL", OpenGL), ("OPENGL", OpenGL), ("pyRender", Pyrender)]
)
def test_a_back_end_is_known_by_its_name_in_any_case(name, kind):
    assert type(renderer_by_name(name)) is kind


def test_every_back_end_that_makes_silhouettes_is_known():
    known = known_renderers()
    assert list(known.values()) == renderers_with_output("alpha")
    for name, kind in known.items():
        made = renderer_by_name(name)
        assert isinstance(made, Renderer)
        assert made.capabilities.name == kind


def test_a_class_of_a_module_on_the_path_is_made(module):
    made = renderer_by_name(f"{module}:Mine")
    assert made.capabilities.name == "Mine"
    assert type(made).__module__ == module


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    message = "There is no renderer 'opengel'. Known: opengl, pyrender, .*emissionabsorption.*; or module:Class for one"
    with pytest.raises(CapabilityError, match=message):
        renderer_by_name("opengel")


@pytest.mark.parametrize("name", ["no_such_module:Mine", "render3d.no_such_module:Mine"])
def test_a_module_that_is_missing_is_an_error_that_says_where_it_must_lie(name):
    message = rf"'{name}' is in a module that cannot be imported: No module named .* folder on PYTHONPATH"
    with pytest.raises(CapabilityError, match=message):
        renderer_by_name(name)


@pytest.mark.parametrize("name", ["Other", "", "make", "ready"])
def test_what_is_no_class_of_the_module_is_an_error(module, name):
    with pytest.raises(CapabilityError, match=f"'{module}' has no class '{name}' to be a renderer"):
        renderer_by_name(f"{module}:{name}")


def test_a_class_that_needs_arguments_is_an_error_that_says_which(module):
    message = f"'{module}:Needy' cannot be made without arguments: .*missing 1 required positional argument: 'path'"
    with pytest.raises(CapabilityError, match=message):
        renderer_by_name(f"{module}:Needy")


@pytest.mark.parametrize("name", ["Uncallable", "Incapable"])
def test_a_class_that_is_no_renderer_is_an_error_that_says_what_it_lacks(module, name):
    message = f"'{module}:{name}' is not a renderer: it must have `capabilities` and be called with .scene, cameras"
    with pytest.raises(CapabilityError, match=message):
        renderer_by_name(f"{module}:{name}")


def test_code_is_imported_for_the_renderer_that_was_named_only(module):
    renderer_by_name("opengl")
    assert module not in sys.modules


def made_whole(name):
    """A renderer of this name that makes all that its class can."""
    return LearnedProjection(outputs=("rgb", "alpha", "depth")) if "Learned" in name else renderer_by_name(name)


@pytest.mark.parametrize("name", renderers._BACK_ENDS)
def test_the_table_of_back_ends_is_that_of_the_classes(name):
    """The table is there so that an error can name back ends without importing them."""
    capabilities = made_whole(name).capabilities
    assert renderers._BACK_ENDS[name].outputs == capabilities.outputs
    assert {output for output in CHANNELS if name in renderers_with_output(output)} == set(capabilities.outputs)
    assert {kind for kind in (Mesh, Volume) if name in renderers_of_scene(kind)} == set(capabilities.scenes)


def test_a_shading_is_given_to_those_that_take_one() -> None:
    shading = Shading.unlit()
    for name in ("opengl", "pyrender"):
        made = renderer_by_name(name, shading)
        assert isinstance(made, OpenGL | Pyrender) and made.shading is shading
    with pytest.raises(CapabilityError, match="'maxprojection' cannot be made with a shading"):
        renderer_by_name("maxprojection", shading)
