"""Masks of photographs that have none: of an object before clutter, which are known here and not stored."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from torch import Tensor

from render3d import Cameras, Mesh
from render3d.color import linear_to_srgb
from render3d.conventions import to_nerfstudio
from render3d.data import bunny
from render3d.errors import ViewSetError
from render3d.metrics import silhouette_iou
from render3d.renderers import OpenGL, Shading
from render3d.view_sets import agreement, read_views
from render3d.view_sets.agreement import Focus, Hull
from render3d.view_sets.grabcut import DoubtfulMaskWarning

pytest.importorskip("cv2")

PLACE = torch.tensor([0.4, -0.2, 0.3])
VIEWS, SIZE = 10, (72, 96)


def cameras(views: int = VIEWS) -> Cameras:
    """Round an object off the origin, from not quite the same distance."""
    around = Cameras.sphere(views, 3.0, vertical_fov_degrees=46, image_size=SIZE)
    position = PLACE + around.position * torch.linspace(0.9, 1.1, views)[:, None]
    return Cameras.look_at(position, PLACE.expand(views, 3), vertical_fov_degrees=46, image_size=SIZE)


def clutter(generator: torch.Generator) -> Tensor:
    """Rectangles of all colours but that of the object, ``[3, H, W]``."""
    image = torch.full((3, *SIZE), 0.4)
    for _ in range(60):
        row, column = (int(torch.randint(side, (), generator=generator)) for side in SIZE)
        color = torch.rand(3, generator=generator) * torch.tensor([0.5, 1.0, 1.0])
        image[:, row : row + 14, column : column + 18] = color[:, None, None]
    return image


@pytest.fixture(scope="module")
def photographs() -> tuple[Tensor, Tensor]:
    """sRGB ``[views, 3, H, W]``, grainy, of a yellow object; and its coverage."""
    generator = torch.Generator().manual_seed(0)
    found = bunny().normalized()
    mesh = Mesh(found.vertices * 0.8 + PLACE, found.faces, torch.tensor([0.9, 0.7, 0.1]).expand(len(found.vertices), 3))
    rendering = OpenGL(Shading(samples_per_pixel=4, background=(0.0, 0.0, 0.0)))(mesh, cameras())
    behind = torch.stack([clutter(generator) for _ in range(VIEWS)])
    images = linear_to_srgb(rendering.rgb) + (1 - rendering.alpha) * behind
    return (images + 0.03 * torch.randn(images.shape, generator=generator)).clamp(0, 1), rendering.alpha


def store(folder: Path, images: Tensor, seen: Cameras | None = None) -> Path:
    """In nerfstudio's format, without masks."""
    content = to_nerfstudio(seen or cameras())
    for number, (frame, image) in enumerate(zip(content["frames"], images, strict=True), 1):
        frame["file_path"] = f"images/frame_{number:05d}.png"
        trees.save(folder / frame["file_path"], pixels(image))
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def pixels(image: Tensor) -> np.ndarray:
    return (image * 255).round().byte().movedim(0, -1).squeeze(-1).numpy()


def test_the_object_that_the_cameras_look_at_is_found(tmp_path: Path, photographs: tuple[Tensor, Tensor]) -> None:
    images, alpha = photographs
    folder = store(tmp_path, images)
    with pytest.raises(ViewSetError, match="have masks made: --masks grabcut"):
        read_views(folder)
    views = read_views(folder, masks="grabcut")
    assert views.rgb is not None
    found = silhouette_iou(views.alpha, alpha)
    assert found.min() > 0.75
    assert found.mean() > 0.85
    assert torch.equal(read_views(folder, masks="grabcut").alpha, views.alpha)


def test_masks_that_are_there_are_kept_but_for_alpha_that_is_1(
    tmp_path: Path, photographs: tuple[Tensor, Tensor]
) -> None:
    images, alpha = photographs
    folder = store(tmp_path, images)
    trees.save(folder / "masks/frame_00003.png", pixels(alpha[2]))
    trees.save(folder / "images/frame_00005.png", pixels(torch.cat([images[4], torch.ones(1, *SIZE)])))
    found = read_views(folder, masks="grabcut").alpha
    torch.testing.assert_close(found[2], alpha[2], atol=1 / 255, rtol=0)
    assert silhouette_iou(found[4], alpha[4]) > 0.75
    for number in range(VIEWS):
        trees.save(folder / f"masks/frame_{number + 1:05d}.png", pixels(alpha[number]))
    assert torch.equal(read_views(folder, masks="grabcut").alpha, read_views(folder).alpha)


def test_a_view_that_shows_something_else_is_named_and_gets_the_hull_of_the_others(
    tmp_path: Path, photographs: tuple[Tensor, Tensor]
) -> None:
    images, alpha = photographs
    images = images.clone()
    images[3] = clutter(torch.Generator().manual_seed(1))
    folder = store(tmp_path, images)
    with pytest.warns(
        DoubtfulMaskWarning,
        match="than in most views is to be seen, by its colours, in frame_00004: their masks are little more",
    ):
        found = read_views(folder, masks="grabcut").alpha
    assert silhouette_iou(found, alpha).min() > 0.65


def test_the_focus_is_where_the_axes_meet_and_as_large_as_the_images_show() -> None:
    around = Cameras.sphere(12, 3.0, vertical_fov_degrees=40, image_size=(50, 80))
    seen = dataclasses.replace(around, world_to_camera=around.world_to_camera.clone())
    shift = torch.eye(4)
    shift[:3, 3] = -PLACE
    seen = dataclasses.replace(seen, world_to_camera=seen.world_to_camera @ shift)
    focus = Focus.of(seen)
    torch.testing.assert_close(focus.center, PLACE, atol=1e-5, rtol=0)
    assert focus.radius == pytest.approx(3 * math.tan(math.radians(20)), rel=1e-5)
    distances = focus.distances(seen[:1])
    assert distances[24:26, 40].max() < 0.04
    assert distances[0, 39:41].max() == pytest.approx(0.98, abs=0.01)  # the middle of the first row


def test_the_hull_forgives_one_wrong_mask_in_ten_and_leaves_out_what_does_not_belong() -> None:
    seen = Cameras.sphere(20, 3.0, vertical_fov_degrees=46, image_size=(96, 96))
    ball = Mesh.icosphere(3, 0.6)
    apart = Mesh.icosphere(2, 0.15)
    both = Mesh(
        torch.cat([ball.vertices, apart.vertices + torch.tensor([0.9, 0, 0])]),
        torch.cat([ball.faces, apart.faces + len(ball.vertices)]),
    )
    masks = list(OpenGL()(both, seen, ("alpha",)).alpha[:, 0].numpy() > 0.5)
    masks[0], masks[7] = np.zeros_like(masks[0]), np.zeros_like(masks[0])
    hull = Hull.of(seen, masks, torch.zeros(3), 1.2)
    radii = hull.cells.norm(dim=-1)
    assert radii.max() < 0.6 * 1.15
    assert len(hull.cells) * hull.size**3 == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.15)
    alone = OpenGL()(ball, seen[:1], ("alpha",)).alpha[0]
    assert silhouette_iou(torch.from_numpy(hull.shadow(seen[:1]))[None].float(), alone) > 0.9
    masks[3] = np.zeros_like(masks[0])
    with pytest.raises(ViewSetError, match="no point is on the object in nine in ten views"):
        Hull.of(seen, masks, torch.zeros(3), 1.2)


def test_cameras_that_look_at_no_common_point_are_an_error(
    tmp_path: Path, photographs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = photographs[0][:4]
    x = torch.tensor([[-1.0, 0, 3], [-0.5, 0, 3], [0.5, 0, 3], [1, 0, 3]])
    parallel = Cameras.look_at(x, x - torch.tensor([0.0, 0, 1]), image_size=SIZE)
    with pytest.raises(ViewSetError, match=r"the optical axes of all 4 are parallel, or nearly\. Or make masks"):
        read_views(store(tmp_path / "parallel", images, parallel), masks="grabcut")
    apart = Cameras.look_at(x, x + torch.tensor([[-1.0, 0, 1], [-0.5, 0, 1], [0.5, 0, 1], [1, 0, 1]]), image_size=SIZE)
    with pytest.raises(ViewSetError, match=r"is in the images of 0 of 4 views"):
        read_views(store(tmp_path / "apart", images, apart), masks="grabcut")
    monkeypatch.setattr(agreement, "_shares", lambda cameras, masks, points: torch.zeros(len(points)))
    with pytest.raises(ViewSetError, match="no point is on the object in nine in ten views"):
        read_views(store(tmp_path / "nothing", photographs[0]), masks="grabcut")


def test_masks_need_colours_opencv_and_their_right_name(
    tmp_path: Path, photographs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store(tmp_path, photographs[0])
    with pytest.raises(ViewSetError, match="masks must be 'grabcut', or None for those of the files; got 'sam'"):
        read_views(folder, masks="sam")
    trees.save(folder / "images/frame_00002.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(ViewSetError, match=r"frame_00002.png: masks='grabcut' makes masks by colours"):
        read_views(folder, masks="grabcut")
    store(folder, photographs[0])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ViewSetError, match=r"OpenCV is not installed\. Install the extra: pip install .*Or make masks"):
        read_views(folder, masks="grabcut")
