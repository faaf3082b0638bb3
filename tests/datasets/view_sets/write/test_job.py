"""One object: what is stored is what was rendered, and reads back as published formats say."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Cameras, Mesh, Shading, __version__
from render3d.color import linear_to_srgb
from render3d.datasets.collections import CollectionObject, MeshCollection
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.engine import Failed, Finished
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.protocols import Given, Random, Sphere
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import GraphicsError, RendererError
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.renderers import OpenGL
from render3d.view_sets import read_views


@pytest.fixture
def made(tmp_path: Path, objects: MeshCollection, settings: ViewsSettings) -> Path:
    (tmp_path / "out").mkdir()
    outcome = RenderObject(settings, tmp_path / "out")(objects[1])
    assert isinstance(outcome, Finished)
    assert list(outcome.seconds) == ["loading", "rendering", "writing"]
    return tmp_path / "out" / "objects" / objects[1].id


def facts_of(made: Path) -> dict:
    return json.loads((made / "object.json").read_text())


def direct(made: Path, item: CollectionObject, settings: ViewsSettings):
    """What a renderer gives for the mesh of the file and the cameras of the facts, written down independently."""
    cameras = facts_of(made)["cameras"]
    poses, matrices = (torch.tensor(cameras[name]) for name in ("world_to_camera", "intrinsics"))
    seen = Cameras(poses, matrices, tuple(cameras["image_size"]), cameras["near"], cameras["far"])
    mesh = Mesh.load(item.path)
    low, high = mesh.vertices.amin(0), mesh.vertices.amax(0)
    moved = mesh.vertices - (low + high) / 2
    mesh = mesh.with_vertices(moved / moved.norm(dim=-1).max())
    return seen, OpenGL(settings.shading)(mesh, seen, settings.outputs)


def test_images_are_those_of_a_direct_render(made: Path, objects: MeshCollection, settings: ViewsSettings) -> None:
    _, expected = direct(made, objects[1], settings)
    for number in range(3):
        pixels = np.asarray(Image.open(made / f"images/{number:04d}.png")).astype(float)
        srgb = linear_to_srgb(expected.rgb[number].clamp(0, 1)).movedim(0, -1).numpy() * 255
        assert np.abs(pixels[..., :3] - srgb).max() <= 0.502  # half a level
        assert (pixels[..., 3] == 255 * expected.alpha[number, 0].numpy()).all()
        normals = np.asarray(Image.open(made / f"normals/{number:04d}.png")).astype(float) / 255 * 2 - 1
        assert np.abs(normals - expected.normal[number].movedim(0, -1).numpy()).max() <= 1.01 / 255
        faces = np.load(made / f"face_index/{number:04d}.npy", allow_pickle=False)
        assert (faces == expected.face_index[number, 0].numpy()).all()
        assert 0 < (faces >= 0).sum() < faces.size


def test_depth_is_off_by_half_a_unit_at_most(made: Path, objects: MeshCollection, settings: ViewsSettings) -> None:
    _, expected = direct(made, objects[1], settings)
    transforms = json.loads((made / "transforms.json").read_text())
    unit = transforms["depth_unit_scale_factor"]
    assert unit == facts_of(made)["depth"]["unit"] == 10.0 / 65535
    for number, frame in enumerate(transforms["frames"]):
        image = Image.open(made / frame["depth_file_path"])
        assert image.mode == "I;16"
        depth = np.asarray(image).astype(float) * unit
        there = expected.depth[number, 0].numpy() > 0
        assert (depth[~there] == 0).all()
        assert np.abs(depth - expected.depth[number, 0].numpy())[there].max() <= unit * 0.501
        assert there.any()


def test_a_reader_written_from_the_description_of_nerfstudio_finds_the_same_rays(
    made: Path, objects: MeshCollection, settings: ViewsSettings
) -> None:
    """Camera to world, OpenGL axes (x right, y up, looking along -z), focal lengths and centre in pixels."""
    cameras, _ = direct(made, objects[1], settings)
    rays = cameras.rays()
    for number, frame in enumerate(json.loads((made / "transforms.json").read_text())["frames"]):
        to_world = np.array(frame["transform_matrix"])
        v, u = np.mgrid[0 : frame["h"], 0 : frame["w"]] + 0.5
        along = [(u - frame["cx"]) / frame["fl_x"], -(v - frame["cy"]) / frame["fl_y"], -np.ones_like(u)]
        directions = np.stack(along, axis=-1) @ to_world[:3, :3].T
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        np.testing.assert_allclose(directions, rays.directions[number].numpy(), atol=2e-6)
        np.testing.assert_allclose(to_world[:3, 3], rays.origins[number, 0, 0].numpy(), atol=2e-6)


def test_read_views_and_fit_take_the_folder_of_an_object(
    made: Path, objects: MeshCollection, settings: ViewsSettings
) -> None:
    cameras, expected = direct(made, objects[1], settings)
    views = read_views(made)
    assert torch.equal(views.alpha, expected.alpha)
    torch.testing.assert_close(views.cameras.world_to_camera, cameras.world_to_camera, atol=1e-5, rtol=0)
    assert (views.cameras.near, views.cameras.far) == (0.1, 10.0)
    quick = TemplateFitSettings(updates=1, samples=2, subdivisions=1)
    assert fit_template(views, None, OpenGL(), quick).mesh.vertices.isfinite().all()


def test_the_facts_tell_what_it_is_and_where_it_came_from(
    made: Path, objects: MeshCollection, settings: ViewsSettings
) -> None:
    facts = facts_of(made)
    assert (facts["id"], facts["label"], facts["split"], facts["seed"]) == ("flat/disc", "flat", "", 0)
    assert facts["source"] == {"path": "flat/disc.ply", "sha256": sha256_of(objects[1].path), "files": {}}
    assert (facts["creator"], facts["licence"], facts["problems"]) == ("", "", [])
    assert facts["outputs"] == list(settings.outputs)
    assert facts["normal_space"] == "world"
    assert facts["depth"]["kind"] == "camera z, 0 where nothing is"
    cameras = facts["cameras"]
    assert cameras["convention"].startswith("OpenCV: x right, y down, z forward")
    assert (cameras["near"], cameras["far"], cameras["image_size"]) == (0.1, 10.0, [24, 32])
    assert len(cameras["intrinsics"]) == len(cameras["world_to_camera"]) == 3
    assert facts["shading"] == json.loads(json.dumps(dataclasses.asdict(settings.shading)))
    assert facts["shading"]["lights"]
    assert facts["made_with"] == {
        "render3d": __version__,
        "renderer": "OpenGL",
        "GL_RENDERER": OpenGL().gl_renderer,
    }
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == {*facts["files"], "object.json"}
    assert all(sha256_of(made / name) == expected for name, expected in facts["files"].items())


@pytest.mark.parametrize("radius", [0.5, 1.0, None])
def test_the_transform_takes_what_was_rendered_back_to_the_file(
    tmp_path: Path, objects: MeshCollection, radius: float | None
) -> None:
    """Points seen, from depth and cameras, lie on the mesh of the file: an ellipsoid round (3, 0, -1)."""
    near = Sphere(views=4, distance=8.0 if radius is None else 3.0, vertical_fov_degrees=60.0, far=12.0)
    settings = ViewsSettings(protocol=near, radius=radius)
    RenderObject(settings, tmp_path)(objects[1])
    made = tmp_path / "objects" / objects[1].id
    facts, views = facts_of(made), read_views(made)
    depth = (
        np.stack([np.asarray(Image.open(path)) for path in sorted((made / "depth").iterdir())]) * facts["depth"]["unit"]
    )
    rays = views.cameras.rays()
    axis = views.cameras.rotation[:, None, None, 2]
    along = torch.from_numpy(depth).float() / (rays.directions * axis).sum(-1)
    points = (rays.origins + along[..., None] * rays.directions)[torch.from_numpy(depth > 0)]
    back = facts["normalisation"]["to_source"]
    if radius is None:
        assert back is None
    else:
        matrix = torch.tensor(back)
        points = points @ matrix[:3, :3].T + matrix[:3, 3]
    radii = ((points - torch.tensor([3.0, 0.0, -1.0])) / torch.tensor([1.0, 0.2, 1.0])).norm(dim=-1)
    assert len(points) > 50
    assert 0.7 < float(radii.min()) <= float(radii.max()) < 1.01  # a sphere of 80 faces, within and on it


def test_alpha_alone_is_stored_as_masks(tmp_path: Path, objects: MeshCollection) -> None:
    RenderObject(ViewsSettings(protocol=Sphere(views=2, image_size=(16, 16)), outputs=("alpha",)), tmp_path)(objects[1])
    with Image.open(tmp_path / "objects" / objects[1].id / "images" / "0001.png") as image:
        assert image.mode == "L"
    assert read_views(tmp_path / "objects" / objects[1].id).rgb is None


def test_randomness_depends_on_seed_and_id_alone(tmp_path: Path, objects: MeshCollection) -> None:
    def poses(item: CollectionObject, seed: int, folder: str) -> list:
        (tmp_path / folder).mkdir(exist_ok=True)
        settings = ViewsSettings(protocol=Random(views=2, image_size=(8, 8)), outputs=("alpha",), seed=seed)
        RenderObject(settings, tmp_path / folder)(item)
        return facts_of(tmp_path / folder / "objects" / item.id)["cameras"]["world_to_camera"]

    first = poses(objects[1], 0, "a")
    assert poses(objects[2], 0, "a") != first
    assert poses(objects[1], 1, "b") != first
    assert poses(objects[1], 0, "c") == first
    renamed = CollectionObject("other", objects[1].path, objects[1].root)
    assert poses(renamed, 0, "a") != first


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


BAD = {
    "nothing.obj": ("", "the file is empty"),
    "torn.off": ("OFF\n8 6 0\n0 0 0\n", "cannot be read as .off|truncated"),
    "points.obj": ("v 0 0 0\nv 1 0 0\n", "no faces"),
    "far.obj": ("v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "cannot be normalized|finite"),
    "beyond.obj": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "must index|cannot be normalized|indices"),
    "point.obj": ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "all in one place"),
    "picture.jpg": ("x", "meshes are read from"),
}


@pytest.mark.parametrize("name", BAD)
def test_meshes_that_cannot_be_used_fail_as_input(tmp_path: Path, name: str, settings: ViewsSettings) -> None:
    text, message = BAD[name]
    item = CollectionObject("bad", write(tmp_path / name, text), tmp_path)
    outcome = RenderObject(settings, tmp_path)(item)
    assert isinstance(outcome, Failed)
    assert outcome.kind == "input"
    assert any(part in outcome.reason for part in message.split("|")), outcome.reason
    assert "Traceback" in outcome.trace
    assert not (tmp_path / "objects").exists()


def test_a_file_that_is_gone_fails_as_input(tmp_path: Path, settings: ViewsSettings) -> None:
    outcome = RenderObject(settings, tmp_path)(CollectionObject("gone", tmp_path / "gone.obj", tmp_path))
    assert isinstance(outcome, Failed)
    assert outcome.kind == "input"


def test_an_object_outside_all_views_is_no_success(tmp_path: Path, objects: MeshCollection) -> None:
    away = Given.of(Cameras.look_at([[0.0, 0.0, 50.0], [0.0, 50.0, 0.0]], [0.0, 99.0, 99.0], image_size=(8, 8)))
    outcome = RenderObject(ViewsSettings(protocol=away), tmp_path)(objects[1])
    assert isinstance(outcome, Failed)
    assert outcome.kind == "input"
    assert "No view shows anything of it" in outcome.reason


def test_a_view_that_shows_nothing_is_told(tmp_path: Path, objects: MeshCollection) -> None:
    some = Given.of(
        Cameras.look_at([[0.0, 0.0, 5.0], [0.0, 5.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 9.0, 9.0]], image_size=(24, 24))
    )
    assert isinstance(RenderObject(ViewsSettings(protocol=some), tmp_path)(objects[1]), Finished)
    assert facts_of(tmp_path / "objects" / objects[1].id)["empty_views"] == [1]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (GraphicsError("no EGL"), "output"),
        (RendererError("gone"), "output"),
        (ValueError("?"), "crash"),
    ],
)
def test_what_the_renderer_raises_has_its_kind(
    tmp_path: Path, objects: MeshCollection, monkeypatch, error, kind
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(OpenGL, "__call__", refuse)
    outcome = RenderObject(ViewsSettings(protocol=Sphere(views=1), shading=Shading(cull="back")), tmp_path)(objects[1])
    assert isinstance(outcome, Failed)
    assert outcome.kind == kind
