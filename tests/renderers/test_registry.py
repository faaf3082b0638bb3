"""Renderers by name, as command lines take them."""

import subprocess
import sys
from pathlib import Path

import pytest

from render3d.errors import CapabilityError
from render3d.images import CHANNELS
from render3d.renderers import (
    LearnedProjection,
    MaxProjection,
    OpenGL,
    Pyrender,
    Renderer,
    Shading,
    make_renderer,
    renderers_of_scene,
    renderers_with_output,
)
from render3d.renderers.registry import RENDERERS
from render3d.renderers.table import KNOWN, ready_renderers
from render3d.scenes import Mesh, Volume

SOURCE = """
import subprocess

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
def test_a_renderer_is_known_by_its_name_in_any_case(name, kind):
    assert type(make_renderer(name)) is kind


def test_every_name_makes_a_renderer_of_that_name_or_says_that_it_must_be_trained():
    assert list(RENDERERS) == [title.lower() for title in KNOWN]
    ready = [*ready_renderers("mesh"), *ready_renderers("volume")]
    for title in KNOWN:
        if title.lower() in ready:
            made = make_renderer(title)
            assert isinstance(made, Renderer) and made.capabilities.name == title
        else:
            with pytest.raises(CapabilityError, match=f"^{title} would be a new network, which makes noise. Take"):
                make_renderer(title)
    assert set(KNOWN) - {made for made in KNOWN if made.lower() in ready} == {"LearnedProjection"}


def test_one_renderer_is_imported_and_made_once():
    """In a process of its own: nothing of the others is imported, and no second one is made to look at it."""
    code = """
import sys
from render3d.renderers import Shading, make_renderer
from render3d.renderers.opengl import OpenGL
made, before = [], OpenGL.__init__
def counted(self, *arguments, **options):
    made.append(options)
    before(self, *arguments, **options)
counted.__signature__ = __import__("inspect").signature(before)
OpenGL.__init__ = counted
unlit = Shading.unlit()
assert make_renderer("opengl", unlit).shading is unlit
print(len(made), *sorted(name.split(".")[2] for name in sys.modules if name.startswith("render3d.renderers.")))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, *modules = answer.stdout.split()
    assert count == "1"
    assert "opengl" in modules
    assert {"volumetric", "pyrender", "mitsuba", "kaolin", "nvdiffrast", "pytorch3d"}.isdisjoint(modules)


def test_a_class_of_a_module_on_the_path_is_made(module):
    made = make_renderer(f"{module}:Mine")
    assert made.capabilities.name == "Mine"
    assert type(made).__module__ == module


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    message = "There is no renderer 'opengel'. Did you mean 'opengl'. Known: opengl, pyrender, .*volumes; or module:"
    with pytest.raises(CapabilityError, match=message):
        make_renderer("opengel")


@pytest.mark.parametrize("name", ["no_such_module:Mine", "render3d.no_such_module:Mine"])
def test_a_module_that_is_missing_is_an_error_that_says_where_it_must_lie(name):
    message = rf"'{name}' is in a module that cannot be imported: No module named .* folder on PYTHONPATH"
    with pytest.raises(CapabilityError, match=message):
        make_renderer(name)


@pytest.mark.parametrize("name", ["Other", ""])
def test_what_is_not_in_the_module_is_an_error(module, name):
    with pytest.raises(CapabilityError, match=f"'{module}' has no '{name}' to be a renderer"):
        make_renderer(f"{module}:{name}")


@pytest.mark.parametrize("name", ["make", "ready", "Uncallable", "subprocess.Popen"])
def test_what_is_no_class_of_callable_objects_is_not_called(module, name, monkeypatch):
    """A name may come from a file: what it names is looked at first."""
    sys.modules.pop(module, None)
    loaded = __import__(module)
    monkeypatch.setattr(loaded, "make", lambda: pytest.fail("called"))
    monkeypatch.setattr(loaded.Uncallable, "__init__", lambda self: pytest.fail("called"))
    with pytest.raises(CapabilityError, match=f"'{module}:{name}' is not a renderer: it must be a class with"):
        make_renderer(f"{module}:{name}")


def test_a_class_that_needs_arguments_is_an_error_that_says_which(module):
    message = f"'{module}:Needy' cannot be made with no arguments: .*missing 1 required positional argument: 'path'"
    with pytest.raises(CapabilityError, match=message):
        make_renderer(f"{module}:Needy")


def test_a_class_without_capabilities_is_an_error_that_says_what_it_lacks(module):
    message = f"'{module}:Incapable' is not a renderer: .* `capabilities` whose objects are called with .scene, cameras"
    with pytest.raises(CapabilityError, match=message):
        make_renderer(f"{module}:Incapable")


def test_code_is_imported_for_the_renderer_that_was_named_only(module):
    make_renderer("opengl")
    assert module not in sys.modules


def made_whole(name):
    """A renderer of this name that makes all that its class can."""
    return LearnedProjection(outputs=("rgb", "alpha", "depth")) if "Learned" in name else make_renderer(name)


@pytest.mark.parametrize("name", KNOWN)
def test_the_table_of_renderers_is_that_of_the_classes(name):
    """The table is there so that an error can name renderers without importing them."""
    capabilities = made_whole(name).capabilities
    assert KNOWN[name].outputs == capabilities.outputs
    assert {output for output in CHANNELS if name in renderers_with_output(output)} == set(capabilities.outputs)
    assert {kind for kind in (Mesh, Volume) if name in renderers_of_scene(kind)} == set(capabilities.scenes)


def test_a_shading_is_given_to_those_that_take_one() -> None:
    shading = Shading.unlit()
    for name in ("opengl", "pyrender"):
        made = make_renderer(name, shading)
        assert isinstance(made, OpenGL | Pyrender) and made.shading is shading
    assert make_renderer("maxprojection", Shading()) == MaxProjection()
    with pytest.raises(CapabilityError, match="'maxprojection' takes no shading; leave the shading as it is"):
        make_renderer("maxprojection", shading)
