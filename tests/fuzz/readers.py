"""How each kind of input is read, as the arrays that come of it: `READERS`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from render3d import Cameras, Mesh, Volume
from render3d.datasets import PosedSettings, PosedShards
from render3d.datasets.collections.archives import extract
from render3d.errors import DatasetError, FitError, TrainingError
from render3d.images.files import read_image
from render3d.renderers import OpenGL
from render3d.runs import Checkpoint, RunFolder
from render3d.view_sets import read_views

Values = dict[str, NDArray[Any]]

_EYE = Cameras.sphere(1, 3.0, image_size=(16, 16))
_UNIT = ("colors", "face_colors", "image", "rgb", "alpha", "occupancy")  # that are from 0 to 1
_SLACK = 1 / 255  # by which they may be off: a step of what is displayed
_MOST_BYTES = 10_000_000


@dataclasses.dataclass(frozen=True)
class Record:
    """As a run keeps them."""

    update: int
    loss: float


RECORDS = [Record(1, 0.5), Record(2, 0.25)]
TENSORS = {"weights": torch.zeros(2, 3), "steps": torch.zeros(3, dtype=torch.int64)}


def checkpoint_at(path: Path) -> Checkpoint[Record]:
    """The file of a run that keeps `TENSORS`."""
    return Checkpoint(path, Record, TrainingError)


def check(values: Values) -> None:
    """Raise AssertionError unless all is finite, and what is a share is from 0 to 1."""
    for name, array in values.items():
        assert np.isfinite(array).all(), f"{name} is not finite"
        if name.rpartition(" ")[2] in _UNIT and array.size:
            low, high = array.min(), array.max()
            assert -_SLACK <= low <= high <= 1 + _SLACK, f"{name} is from {low} to {high}"


def read_mesh(path: Path) -> Values:
    """What a mesh holds that is right, and its image, by OpenGL."""
    mesh = Mesh.load(path)
    mesh.check_values()
    found = {"vertices": mesh.vertices, "faces": mesh.faces, "colors": mesh.colors, "face_colors": mesh.face_colors}
    found["corners"] = mesh.vertices[mesh.faces]
    if mesh.texture is not None:
        found |= {"image": mesh.texture.image, "uv": mesh.texture.uv[mesh.uv_faces]}
    values = _arrays(found)
    check(values)
    drawn = OpenGL()(mesh.normalized(), _EYE, ("rgb", "alpha", "depth"))
    # Lights together may exceed 1, so that what is seen may be brighter than the reflectance.
    return values | {"radiance": drawn.rgb.numpy(), "drawn alpha": drawn.alpha.numpy(), "depth": drawn.depth.numpy()}


def _read_image(path: Path) -> Values:
    rgb, alpha = read_image(path)
    return _arrays({"rgb": rgb, "alpha": alpha})


def _read_views(path: Path) -> Values:
    views = read_views(path)
    cameras = {"world_to_camera": views.cameras.world_to_camera, "intrinsics": views.cameras.intrinsics}
    return _arrays({"rgb": views.rgb, "alpha": views.alpha, **cameras})


def _read_shards(path: Path) -> Values:
    # With checksums, nothing that is changed would come as far as the readers of images and of JSON.
    settings = PosedSettings(outputs=("alpha",), verify=False)
    found: Values = {}
    for example in PosedShards(path, settings, rank=0, world_size=1):
        found |= {f"{example.id} {name}": image.numpy() for name, image in example.images.items()}
        found[f"{example.id} intrinsics"] = example.cameras.intrinsics.numpy()
    return found


def _read_archive(path: Path) -> Values:
    before = set(path.parent.iterdir())
    folder = path.parent / "unpacked"
    try:
        extract(path, folder, most_bytes=_MOST_BYTES, most_members=100)
    except DatasetError:
        assert set(path.parent.iterdir()) == before, "something is left of an archive that is refused"
        raise
    files = [file for file in folder.rglob("*") if not file.is_dir()]
    assert all(file.is_file() and not file.is_symlink() for file in files), "something else than files"
    assert set(path.parent.iterdir()) == before | {folder}, "something lies beside the folder"
    contents = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
    return {f"{name} bytes": np.frombuffer(content, np.uint8) for name, content in contents.items()}


def _read_checkpoint(path: Path) -> Values:
    saved = checkpoint_at(path).load(lambda updates, records: TENSORS)
    assert {name: (t.dtype, t.shape) for name, t in saved.tensors.items()} == {
        name: (t.dtype, t.shape) for name, t in TENSORS.items()
    }
    assert all(isinstance(record.update, int) and isinstance(record.loss, int | float) for record in saved.records)
    # Any number may be a weight, and a loss may be NaN: they are given back, and a run that goes on looks at them.
    losses = np.array([record.loss for record in saved.records], np.float64)
    return {"weights": np.nan_to_num(saved.tensors["weights"].numpy()), "losses": np.nan_to_num(losses)}


def _read_config(path: Path) -> Values:
    config = RunFolder(path, "fit", FitError).read()
    return {"settings": np.array(len(config.settings)), "identity": np.array(len(config.identity))}


def _read_volume(path: Path) -> Values:
    volume = Volume.load(path)
    volume.check_values()
    found = {"values": volume.values, "extent": torch.tensor(volume.extent), "to_source": volume.to_source}
    return _arrays(found | {"occupancy": volume.occupancy})


def _arrays(tensors: dict[str, Any]) -> Values:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items() if tensor is not None}


READERS: dict[str, Callable[[Path], Values]] = {
    **dict.fromkeys(("obj", "off", "ply", "stl", "gltf", "glb"), read_mesh),
    **dict.fromkeys(("png", "jpeg", "webp"), _read_image),
    **dict.fromkeys(("nerfstudio", "blender", "colmap", "colmap text", "r2n2"), _read_views),
    "shards": _read_shards,
    **dict.fromkeys(("zip", "tar"), _read_archive),
    "checkpoint": _read_checkpoint,
    "config": _read_config,
    **dict.fromkeys(("npz", "binvox"), _read_volume),
}
