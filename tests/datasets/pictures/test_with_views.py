"""Pictures of volumes: which scene a renderer is given, which cameras, and how random they are."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Generator
from torch.utils.data import DataLoader

from render3d import Cameras, Key, Mesh, Rendering, Volume, collate
from render3d.datasets import (
    MNIST3D,
    MNIST3DSettings,
    NeckerCubes,
    NeckerSettings,
    Primitives,
    PrimitivesSettings,
    RandomCameras,
    WithViews,
    class_colors,
)
from render3d.datasets.base import OF_CAMERAS, OF_RENDERING
from render3d.errors import CapabilityError, DatasetError, ShapeError
from render3d.renderers import Capabilities, OpenGL
from render3d.scenes import Scene

FRONT = Cameras.look_at([0.0, 0.0, 8.0], image_size=(30, 30)).to_orthographic(2.0)


class SumAlongZ:
    """Volumes summed along z, whatever the camera: how deep they are in voxels, and their colour; with some noise."""

    def __init__(self, scenes: tuple[type, ...] = (Volume, Mesh)) -> None:
        self.capabilities = Capabilities(
            name="sum", outputs=("rgb", "depth"), batched=True, device="cpu", licence="MIT", scenes=scenes
        )
        self.keys: list[Key] = []

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("depth",),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        assert isinstance(scene, Volume)
        assert isinstance(generator, Key)
        assert not torch.is_grad_enabled()
        self.keys.append(generator)
        solid = scene.occupancy > 0.5
        images = {"depth": solid.sum(-3).flip(-2).float()}
        if scene.colors is not None:
            images["rgb"] = (scene.colors * solid).amax(-3).flip(-2)
        return Rendering({name: images[name].expand(cameras.views, -1, -1, -1) for name in outputs})


def test_a_renderer_of_volumes_is_given_the_volume_in_the_colour_of_its_class() -> None:
    primitives = Primitives("test")
    colors = class_colors(6)
    dataset = WithViews(primitives, RandomCameras(views=3), SumAlongZ(), ("depth", "rgb"), colors=colors)
    assert len(dataset) == len(primitives)
    assert dataset.classes == primitives.classes
    for index in (4, -1):
        example = dataset[index]
        assert torch.equal(example.volume, primitives[index].volume)
        assert example.label == primitives[index].label
        assert set(example.images) == {"depth", "rgb"}
        depth = example.volume.sum(1).flip(-2)
        assert torch.equal(example.images["depth"], depth.expand(3, 1, 30, 30))
        expected = colors[example.label][:, None, None] * (depth > 0)
        torch.testing.assert_close(example.images["rgb"], expected.expand(3, 3, 30, 30))
        assert example.cameras.leading_shape == (3,)
    assert len(set(map(tuple, colors.tolist()))) == 6


def test_a_renderer_of_meshes_is_given_the_surface_where_the_volume_is() -> None:
    settings = MNIST3DSettings(rotations="none", translation=0)
    digits = MNIST3D("test", settings=settings)
    dataset = WithViews(digits, FRONT, OpenGL(), ("alpha", "depth", "rgb"), colors=class_colors(10))
    for index in (2, 4, 7):  # none of them is its own mirror image
        example = dataset[index]
        # Seen from +z through parallel rays, a pixel is a column of voxels. The surface is that of the level 1/2.
        silhouette = example.volume[0].amax(0).flip(-2)
        alpha = example.images["alpha"][0, 0]
        assert (alpha - silhouette).abs().sum() <= 0.05 * silhouette.sum()
        assert (alpha - silhouette.flip(-1)).abs().sum() >= 0.5 * silhouette.sum()
        depth = example.images["depth"][0, 0][(alpha > 0) & (silhouette > 0)]
        assert depth.median() == pytest.approx(8 - 2.5 * 2 / 30, abs=1.5 / 30)
        hue = example.images["rgb"][0][:, (alpha > 0)].amax(-1)
        torch.testing.assert_close(hue / hue.max(), class_colors(10)[example.label] / 0.8, atol=0.02, rtol=0)


def test_cameras_depend_on_index_epoch_and_seed_only() -> None:
    def places(seed: int = 0, split: str = "train", epoch: int = 0, order: Sequence[int] = range(5)) -> torch.Tensor:
        dataset = WithViews(Primitives(split), RandomCameras(views=2), SumAlongZ(), ("depth",), seed=seed)  # type: ignore[arg-type]
        dataset.set_epoch(epoch)
        return torch.stack([dataset[index].cameras.position for index in order])

    assert torch.equal(places(), places())
    assert torch.equal(places(order=[3, 1]), places()[[3, 1]])
    assert torch.equal(places(split="test"), places(split="test", epoch=1))
    groups = [places(), places(seed=1), places(epoch=1), places(split="test"), places(split="validation")]
    assert len(set(map(tuple, torch.cat(groups).flatten(0, 1).tolist()))) == 5 * 5 * 2


def test_one_seed_gives_volumes_cameras_and_noise_that_are_independent() -> None:
    seeds = []
    for split in ("train", "validation", "test"):
        dataset = NeckerCubes(split)
        for epoch in (0, 1) if split == "train" else (0,):
            dataset.set_epoch(epoch)
            seeds += [
                dataset.stream(seed, purpose).seed for seed in (0, 1) for purpose in (0, OF_CAMERAS, OF_RENDERING)
            ]
    assert len(set(seeds)) == 4 * 2 * 3


def test_random_renderers_get_a_key_for_each_example() -> None:
    keys = []
    for _ in range(2):
        renderer = SumAlongZ()
        dataset = WithViews(NeckerCubes("train"), FRONT, renderer, ("depth",))
        for index in (0, 1, 2):
            dataset[index]
        keys.append([key.seed for key in renderer.keys])
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 3


def test_directions_are_uniform_over_the_sphere_and_seen_upright() -> None:
    # Each test rejects a right sampler with probability 1e-4; the seed is fixed.
    cameras = RandomCameras(views=4000, distance=3.0, image_size=(20, 30))(np.random.default_rng(0))
    assert cameras.image_size == (20, 30)
    place = cameras.position.double().numpy()
    np.testing.assert_allclose(np.linalg.norm(place, axis=1), 3, rtol=1e-5)
    for axis in place.T:  # Archimedes: each coordinate of a uniform direction is uniform
        assert stats.kstest(axis / 3, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    middle = cameras.project(torch.zeros(1, 3))
    torch.testing.assert_close(middle, torch.tensor([15.0, 10.0]).expand(4000, 1, 2), atol=1e-3, rtol=0)
    above = cameras.project(torch.tensor([[0.0, 0.1, 0.0]]))
    assert bool((above[..., 1] <= 10 + 1e-3).all())


def test_elevations_stay_in_their_zone_and_the_whole_cube_in_the_image() -> None:
    cameras = RandomCameras(views=500, elevation_degrees=(10, 30))(np.random.default_rng(0))
    elevation = torch.rad2deg(torch.asin(cameras.position[:, 1] / cameras.position.norm(dim=-1)))
    assert 10 - 1e-3 <= float(elevation.min()) < 11
    assert 29 < float(elevation.max()) <= 30 + 1e-3
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    anywhere = RandomCameras(views=2000)(np.random.default_rng(0)).project(corners)
    assert bool(((anywhere >= 0) & (anywhere <= 30)).all())


def test_batches_hold_pictures_and_cameras() -> None:
    dataset = WithViews(Primitives("test"), RandomCameras(views=2), SumAlongZ(), ("depth",))
    batch = next(iter(DataLoader(dataset, batch_size=4, collate_fn=collate)))
    assert batch.volume.shape == (4, 1, 30, 30, 30)
    assert batch.label.tolist() == [0, 1, 2, 3]
    assert batch.images["depth"].shape == (4, 2, 1, 30, 30)
    assert batch.cameras.leading_shape == (4, 2)


def test_a_fingerprint_tells_how_pictures_are_made() -> None:
    volumes = NeckerCubes("test")
    base = WithViews(volumes, FRONT, SumAlongZ(), ("depth",))
    others = [
        WithViews(NeckerCubes("test", NeckerSettings(thickness=2)), FRONT, SumAlongZ(), ("depth",)),
        WithViews(volumes, FRONT.resize(20, 20), SumAlongZ(), ("depth",)),
        WithViews(volumes, RandomCameras(), SumAlongZ(), ("depth",)),
        WithViews(volumes, RandomCameras(distance=5), SumAlongZ(), ("depth",)),
        WithViews(volumes, FRONT, OpenGL(), ("depth",)),
        WithViews(volumes, FRONT, SumAlongZ(), ("depth", "rgb")),
        WithViews(volumes, FRONT, SumAlongZ(), ("depth",), colors=class_colors(1)),
        WithViews(volumes, FRONT, SumAlongZ(), ("depth",), seed=1),
    ]
    assert base.fingerprint() == WithViews(NeckerCubes("test"), FRONT, SumAlongZ(), ("depth",)).fingerprint()
    assert len({str(dataset.fingerprint()) for dataset in [base, *others]}) == 9


def test_what_cannot_be_is_refused() -> None:
    volumes = Primitives("test", PrimitivesSettings(test=6))
    with pytest.raises(CapabilityError, match="must render volumes or meshes; sum renders int"):
        WithViews(volumes, FRONT, SumAlongZ((int,)), ("depth",))
    with pytest.raises(CapabilityError, match="sum has no output alpha; it has rgb, depth"):
        WithViews(volumes, FRONT, SumAlongZ())
    with pytest.raises(CapabilityError, match="must be a tuple of names"):
        WithViews(volumes, FRONT, SumAlongZ(), "depth")
    with pytest.raises(ShapeError, match=r"cameras must be of shape \[views\]; got \[1, 1\]"):
        WithViews(volumes, FRONT[None], SumAlongZ(), ("depth",))
    with pytest.raises(ShapeError, match=r"cameras must be of shape \[views\]"):
        WithViews(volumes, lambda generator: FRONT[None], SumAlongZ(), ("depth",))[0]
    with pytest.raises(ShapeError, match=r"colors must have shape \[6, 3\]; got \[5, 3\]"):
        WithViews(volumes, FRONT, SumAlongZ(), ("depth",), colors=class_colors(5))
    with pytest.raises(DatasetError, match="seed must be from 0"):
        WithViews(volumes, FRONT, SumAlongZ(), ("depth",), seed=-1)
    with pytest.raises(IndexError, match="index 6 is out of range: there are 6"):
        WithViews(volumes, FRONT, SumAlongZ(), ("depth",))[6]
    for elevation in ((10.0, 5.0), (-91.0, 0.0), (0.0, math.nan)):
        with pytest.raises(DatasetError, match="elevation_degrees must be"):
            RandomCameras(elevation_degrees=elevation)
    with pytest.raises(DatasetError, match="views must be at least 1"):
        RandomCameras(views=0)
    with pytest.raises(DatasetError, match="distance must be positive"):
        RandomCameras(distance=0)
