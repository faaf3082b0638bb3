"""Renderers that work on CUDA only, on a machine without it: each reason has an error of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from render3d import Mesh
from render3d.errors import RendererError, ShapeError
from render3d.optional import KAOLIN, NVDIFFRAST, Library
from render3d.renderers import Kaolin, Nvdiffrast, Renderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

RENDERERS = pytest.mark.parametrize(
    ("renderer", "library"), [(Kaolin(), KAOLIN), (Nvdiffrast(), NVDIFFRAST)], ids=["Kaolin", "Nvdiffrast"]
)


def render(renderer: Renderer) -> None:
    renderer(asymmetric_mesh(), uneven_cameras("perspective"))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write packages of the name of a library, in which one part holds some source, and put them on the path."""

    def write(library: Library, part: str, source: str) -> None:
        package = tmp_path / library.module
        package.mkdir()
        (package / "__init__.py").write_text("")
        for module in library.parts:
            (package / f"{module.rpartition('.')[2]}.py").write_text("")
        (package / f"{part}.py").write_text(source)
        for name in [name for name in sys.modules if name.partition(".")[0] == library.module]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(tmp_path))

    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in (KAOLIN.module, NVDIFFRAST.module):
            del sys.modules[name]


@RENDERERS
def test_it_is_made_and_asked_what_it_can_without_its_library(renderer: Renderer, library: Library) -> None:
    able = renderer.capabilities
    assert able.device == "cuda" and able.batched and "silhouette" in able.gradients
    assert able.licence == {"Kaolin": "Apache-2.0", "Nvdiffrast": "LicenseRef-NSCL"}[able.name]
    assert able.name in repr(renderer)


@RENDERERS
def test_one_that_is_not_installed(renderer: Renderer, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "is_installed", False)
    with pytest.raises(RendererError, match=f"^{library.name} is not installed. https://.* says how to install it"):
        render(renderer)


@RENDERERS
def test_one_that_was_built_for_another_torch(renderer: Renderer, library: Library, install: Any) -> None:
    install(library, library.parts[0].rpartition(".")[2], "raise ImportError('_C.so: undefined symbol: _ZN3c10')")
    with pytest.raises(RendererError, match=f"^{library.name} is installed, but was built for another torch.*Build it"):
        render(renderer)


@RENDERERS
def test_one_that_raises_on_import(renderer: Renderer, library: Library, install: Any) -> None:
    install(library, "__init__", "raise RuntimeError('out of luck')")
    with pytest.raises(RendererError, match=f"^{library.name} is installed, but cannot be imported .*out of luck"):
        render(renderer)


def test_nvdiffrast_without_its_compiled_part(install: Any) -> None:
    install(NVDIFFRAST, "torch", "import _nvdiffrast_c")
    with pytest.raises(RendererError, match="cannot be imported .*No module named '_nvdiffrast_c'.*Install it again"):
        render(Nvdiffrast())


@RENDERERS
def test_one_that_works_and_a_machine_without_cuda(
    renderer: Renderer, library: Library, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(library, "another", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RendererError, match=f"^{library.name} rasterises on CUDA, and torch finds no CUDA device; see"):
        render(renderer)


@RENDERERS
def test_one_that_works_and_a_scene_that_lives_elsewhere(
    renderer: Renderer, library: Library, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(library, "another", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    told = rf"^{library.name} rasterises on CUDA; got a scene on cpu. Move it: scene.to\('cuda'\) and .*OpenGL\(\)"
    with pytest.raises(RendererError, match=told):
        render(renderer)


@RENDERERS
def test_what_every_renderer_refuses_is_refused_first(renderer: Renderer, library: Library) -> None:
    mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")
    with pytest.raises(ShapeError, match="do not broadcast"):
        renderer(Mesh.stack([mesh, mesh]), type(cameras).stack([cameras] * 3))
