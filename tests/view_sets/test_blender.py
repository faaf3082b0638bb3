"""The three files of NeRF-synthetic are one view set, and say themselves what is held out."""

import json
from pathlib import Path

import pytest
import torch
import trees

from render3d import Cameras, Mesh, cli
from render3d.cli.fit import task_of
from render3d.datasets import PosedObjects
from render3d.errors import ViewSetError
from render3d.fitting import TemplateFitSettings
from render3d.view_sets import read_cameras, read_views, write_views

SEEN = trees.cameras()


def test_views_of_all_splits_are_read_in_their_order(tmp_path: Path) -> None:
    views = read_views(trees.blender(tmp_path, SEEN))
    torch.testing.assert_close(views.cameras.world_to_camera, SEEN.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(views.cameras.intrinsics, SEEN.intrinsics)
    assert torch.equal(views.alpha, trees.rendered(SEEN).alpha)
    assert views.rgb is not None
    assert views.names == ("train/r_0", "train/r_1", "train/r_2", "val/r_0", "test/r_0")
    assert views.splits == ("train", "train", "train", "val", "test")


def test_what_is_held_out_is_what_the_files_say_unless_a_number_is_given(tmp_path: Path) -> None:
    views = read_views(trees.blender(tmp_path, SEEN))
    task = task_of(views, None, None, TemplateFitSettings())
    assert task.held_out is not None
    assert (len(task.views), task.held_out.names) == (3, ("val/r_0", "test/r_0"))
    given = task_of(views, 1, None, TemplateFitSettings())
    assert given.held_out is not None
    assert (len(given.views), given.held_out.names) == (4, ("train/r_2",))
    assert task_of(views, 0, None, TemplateFitSettings()).held_out is None


def test_files_of_one_split_leave_the_choice_open(tmp_path: Path) -> None:
    views = read_views(trees.blender(tmp_path, SEEN, (5, 0, 0)))
    assert not views.knows_split
    task = task_of(views, None, None, TemplateFitSettings())
    assert task.held_out is not None
    assert (len(task.views), len(task.held_out)) == (4, 1)
    with pytest.raises(ViewSetError, match="held_out must be a number: the files of these views do not say"):
        views.split()


@pytest.mark.usefixtures("small_turntables")
def test_the_command_fits_what_is_for_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trees.blender(tmp_path / "views", SEEN)
    Mesh.icosphere(1).save(tmp_path / "ball.obj")
    flags = ("--template", str(tmp_path / "ball.obj"), "--updates", "1", "--samples", "2")
    assert cli.main(["fit", str(folder), "--out", str(tmp_path / "fit"), *flags]) == 0
    assert "3 views, 2 held out" in capsys.readouterr().err


def test_a_folder_of_such_scenes_is_a_dataset(tmp_path: Path) -> None:
    for name in ("lego", "ship"):
        trees.blender(tmp_path / name, SEEN)
    dataset = PosedObjects(tmp_path)
    assert dataset.ids == ("lego", "ship")
    assert torch.equal(dataset[1].images["alpha"], trees.rendered(SEEN).alpha)


def test_it_is_read_only(tmp_path: Path) -> None:
    with pytest.raises(ViewSetError, match="The format blender is read only. Write nerfstudio"):
        write_views(tmp_path, SEEN, trees.rendered(SEEN), format="blender")
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = trees.blender(tmp_path, SEEN)
    (folder / "val/r_0.png").unlink()
    with pytest.raises(ViewSetError, match=r"view 3: .*val/r_0: no such file"):
        read_views(folder)
    frame = {"file_path": "a\0b", "transform_matrix": [[0.0]]}
    (folder / "transforms_train.json").write_text(json.dumps({"camera_angle_x": 1, "frames": [frame]}))
    with pytest.raises(ViewSetError, match="a\0b: cannot be read .embedded null byte."):
        read_views(folder)
    trees.blender(tmp_path, SEEN)
    (folder / "transforms_test.json").write_text('{"camera_angle_x": 1, "frames": [{"transform_matrix": []}]}')
    with pytest.raises(ViewSetError, match=r"transforms_test.json: frames\[0\] must have a file_path"):
        read_views(folder)


def test_splits_of_a_large_scene_share_near_and_far(tmp_path: Path) -> None:
    """In millimetres, near and far follow from how far apart the cameras of each split are."""
    folder = trees.blender(tmp_path, Cameras.sphere(9, 3.0, image_size=(20, 28)), (4, 2, 3))
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            frame["transform_matrix"] = [[*row[:3], 1000 * row[3]] for row in frame["transform_matrix"][:3]] + [
                [0, 0, 0, 1]
            ]
        path.write_text(json.dumps(content))
    found = read_cameras(folder)
    apart = [found.position[part] for part in (slice(0, 4), slice(4, 6), slice(6, 9))]
    spreads = [float((each - each.mean(0)).norm(dim=-1).max()) for each in apart]
    assert (found.near, found.far) == pytest.approx((min(spreads) / 1000, 10 * max(spreads)), rel=1e-5)
