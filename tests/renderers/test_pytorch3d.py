"""PyTorch3D's adapters where that library is not needed; with it, tests/conformance holds them to the contract."""

import sys
from pathlib import Path

import pytest

from render3d import Cameras, Mesh, Volume
from render3d.errors import CapabilityError, RendererError
from render3d.optional import PYTORCH3D
from render3d.renderers import PyTorch3D, PyTorch3DVolumes, SoftEdges, make_renderer


def test_they_can_be_made_and_asked_without_the_library() -> None:
    soft, hard = PyTorch3D(), PyTorch3D(soft=None)
    assert "silhouette" in soft.capabilities.gradients
    assert hard.capabilities.gradients == {"colors", "lights", "interior", "pose"}
    assert hard.capabilities.licence == "BSD-3-Clause"
    assert isinstance(make_renderer("pytorch3d"), PyTorch3D)
    assert make_renderer("pytorch3dvolumes").capabilities.scenes == (Volume,)


@pytest.mark.skipif(PYTORCH3D.is_installed, reason="PyTorch3D is installed")
def test_without_it_the_first_picture_says_how_to_install_it() -> None:
    cameras = Cameras.orbit(1, 3.0, image_size=(8, 8))
    with pytest.raises(
        RendererError, match="^PyTorch3D is not installed. https://github.com/facebookresearch/pytorch3d"
    ):
        PyTorch3D()(Mesh.icosphere(1), cameras)


def test_a_broken_one_leaves_the_rest_working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytorch3d").mkdir()
    (tmp_path / "pytorch3d" / "__init__.py").write_text("")
    (tmp_path / "pytorch3d" / "_C.py").write_text("raise ImportError('_C.so: undefined symbol: _ZN3c10')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytorch3d"]:
        monkeypatch.delitem(sys.modules, name)
    cameras = Cameras.orbit(1, 3.0, image_size=(8, 8))
    with pytest.raises(RendererError, match="built for another torch"):
        PyTorch3D()(Mesh.icosphere(1), cameras)
    with pytest.raises(CapabilityError, match="PyTorch3D renders Mesh; got Volume"):
        PyTorch3D()(Volume.from_mesh(Mesh.icosphere(1), 4), cameras)


@pytest.mark.parametrize("name", ["sigma", "gamma", "faces_per_pixel"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_edges_of_no_width_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive and finite; got"):
        SoftEdges(**{name: value})  # type: ignore[arg-type]


def test_one_point_makes_no_step() -> None:
    with pytest.raises(ValueError, match="points must be at least 2"):
        PyTorch3DVolumes(points=1)
