"""Runs of views that cost next to nothing: pictures of noise, made in this process."""

import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from render3d import Cameras
from render3d.datasets import PosedSettings, PosedShards
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.read import shards
from render3d.datasets.view_sets.write.engine import Job, Limits, Outcome
from render3d.datasets.view_sets.write.protocols import CameraProtocol, R2N2Cameras, Random
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import OUTPUTS, ViewsSettings
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities
from render3d.scenes import Scene

Many = tuple[Path, list[CollectionObject]]

ALPHA = PosedSettings(outputs=("alpha",), views=1)
SMALL = Random(views=4, image_size=(5, 7), near=0.5, far=6.0)
LONG = f"{'r' * 100}/{'s' * 100}/{'t' * 100}"  # an id of more than USTAR has room for
R2N2_VIEWS = R2N2Cameras(views=3, far=4.0)


class Noise:
    """A renderer whose pictures are noise, but keep the rules of `Rendering`."""

    capabilities = Capabilities(name="Noise", outputs=OUTPUTS, batched=False, device="cpu", licence="MIT")

    def __call__(
        self, scene: Scene, cameras: Cameras, outputs: Sequence[str] = ("rgb", "alpha"), *, generator: Key | None = None
    ) -> Rendering:
        draw = np.random.Generator(np.random.Philox(key=[0 if generator is None else generator.seed, 0]))
        size = (cameras.views, 1, *cameras.image_size)
        covered = draw.random(size) < 0.6
        normal = draw.standard_normal((cameras.views, 3, *cameras.image_size))
        images = {
            "rgb": draw.random(normal.shape),
            "alpha": covered,
            "depth": draw.uniform(cameras.near, cameras.far, size) * covered,
            "normal": normal / np.linalg.norm(normal, axis=1, keepdims=True) * covered,
            "face_index": np.where(covered, draw.integers(0, 4, size), -1),
        }
        kinds = {"face_index": torch.int64}
        return Rendering({name: torch.from_numpy(images[name]).to(kinds.get(name, torch.float32)) for name in outputs})


class Here:
    """An engine of no workers."""

    def run(self, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        return (job(item) for item in objects)


def make_objects(folder: Path, ids: Sequence[str]) -> list[CollectionObject]:
    """Tetrahedra; the first part of an id is its class, and every third object is a test."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tetrahedron.off"
    path.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n")
    splits = ("train", "train", "test")
    return [
        CollectionObject(name, path, folder, name.split("/")[0] if "/" in name else "", splits[number % 3])
        for number, name in enumerate(ids)
    ]


def views_settings(format: str, protocol: CameraProtocol = SMALL, outputs: tuple[str, ...] = OUTPUTS) -> ViewsSettings:
    return ViewsSettings(protocol=protocol, outputs=outputs, format=format, renderer="pictures:Noise", seed=3)


def run_views(
    folder: Path, objects: Sequence[CollectionObject], settings: ViewsSettings, *, resume: bool = False
) -> Path:
    # The page takes longer than all else, and sync waits for whatever the machine writes.
    with mock.patch("os.sync"), mock.patch("render3d.datasets.view_sets.write.run.views_report", return_value=""):
        result = generate(objects, settings, folder, Here(), resume=resume)
    assert not result.failures, result.failures
    return folder


def stream(folder: Path, **options: Any) -> PosedShards:
    options = {"settings": ALPHA, "buffer": 4, "rank": 0, "world_size": 1} | options
    return PosedShards(folder, options.pop("settings"), **options)


def ids_of(dataset: PosedShards) -> list[str]:
    return [example.id for example in dataset]


def at_epoch(dataset: PosedShards, epoch: int) -> PosedShards:
    dataset.set_epoch(epoch)
    return dataset


class InWorker:
    """Makes the dataset believe that it is in a worker of a loader."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def __call__(self, number: int, count: int) -> None:
        info = types.SimpleNamespace(id=number, num_workers=count)
        self._patch.setattr(shards, "get_worker_info", lambda: info)
