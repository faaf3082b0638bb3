import importlib.metadata
import platform
import re
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import render3d
from render3d import Cameras, Mesh
from render3d.renderers import OpenGL
from render3d.renderers.base import Capabilities
from render3d.report import provenance


class Plain:
    capabilities = Capabilities(name="Plain", outputs=("alpha",), batched=True, device="cpu", licence="MIT")

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
        raise NotImplementedError


def test_versions_are_those_that_are_installed():
    found = provenance()
    for package in ("torch", "numpy", "scipy", "trimesh", "moderngl", "pyrender"):
        assert found[package] == version(package)
    assert found["render3d"] == render3d.__version__
    assert found["python"] == platform.python_version()


def test_the_date_is_now_with_its_zone():
    date = datetime.fromisoformat(provenance()["date"])
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=10)


def test_the_opengl_that_answered_is_named():
    renderer = OpenGL()
    renderer(Mesh.icosphere(0), Cameras.look_at([0.0, 0.0, 3.0], image_size=(4, 4)))
    found = provenance(renderer)
    assert found["renderer"] == "OpenGL"
    assert found["GL_RENDERER"] == renderer.gl_renderer != ""


def test_other_renderers_are_named_without_opengl():
    found = provenance(Plain())
    assert (found["renderer"], found["GL_RENDERER"]) == ("Plain", "not an OpenGL renderer")
    assert not {"renderer", "GL_RENDERER"} & set(provenance())


def test_no_path_and_no_name_of_the_machine_is_told():
    text = " ".join(provenance(OpenGL()).values())
    assert not re.search(r"(^|\s)(/|~|[A-Za-z]:\\)", text)
    assert len(platform.node()) < 4 or platform.node() not in text


def test_a_package_that_is_missing_is_left_out(monkeypatch):
    def missing(package: str) -> str:
        if package == "pyrender":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", missing)
    found = provenance()
    assert "pyrender" not in found
    assert found["torch"] == "1.0"
