"""`OnDevice` takes scenes to a renderer's device and brings the images back."""

import pytest
import torch

from render3d import Cameras, Mesh
from render3d.batches import Batched
from render3d.errors import DeviceError
from render3d.testing.devices import OnDevice
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


def test_all_that_lives_on_the_cpu_is_taken_there(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[type, str]] = []

    def to(self: Batched, device: str) -> Batched:
        taken.append((type(self), str(device)))
        return self

    monkeypatch.setattr(Batched, "to", to)
    mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")[:1].resize(12, 20)
    renderer = OnDevice(NumpyRenderer(), "cuda")
    one, two = renderer(mesh, cameras, ("depth",)), renderer([mesh, mesh], cameras, ("depth",))
    there = [kind for kind, device in taken if device == "cuda"]
    assert there == [Mesh, Cameras, Mesh, Mesh, Cameras]
    assert (one.depth == NumpyRenderer()(mesh, cameras, ("depth",)).depth).all()
    assert two.leading_shape == (2, 1)


def test_what_lives_in_two_places_is_passed_on() -> None:
    with pytest.raises(DeviceError, match="got scene on meta, cameras on cpu"):
        OnDevice(NumpyRenderer(), "cuda")(asymmetric_mesh().to("meta"), uneven_cameras("perspective"))


def test_images_of_another_place_than_the_scene_are_not_taken_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = OnDevice(NumpyRenderer(), "cuda")
    monkeypatch.setattr(Batched, "to", lambda self, device: self)
    monkeypatch.setattr("render3d.images.Rendering.device", torch.device("meta"))
    with pytest.raises(AssertionError, match="images came back on meta"):
        renderer(asymmetric_mesh(), uneven_cameras("perspective")[:1].resize(6, 8), ("depth",))
