"""Distortion is undone: points that a lens displaces are found where a pinhole camera sees them."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import trees
from numpy.typing import NDArray

from render3d import Cameras
from render3d.errors import ViewSetError
from render3d.view_sets import read_cameras, read_views
from render3d.view_sets.lenses import Lens, common_size, resized

HEIGHT, WIDTH = 300, 400
FX, FY, CX, CY = 340.0, 320.0, 206.3, 143.8
SIGMA = 2.0

BROWN = {
    "SIMPLE_RADIAL": (2, [-0.12]),
    "RADIAL": (3, [-0.15, 0.06]),
    "OPENCV": (4, [0.08, -0.05, 0.004, -0.006]),
    "FULL_OPENCV": (6, [-0.2, 0.05, 0.003, 0.002, 0.02, 0.03, -0.01, 0.005]),
}
FISHEYE = {
    "OPENCV_FISHEYE": (5, [0.05, -0.02, 0.01, -0.004]),
    "SIMPLE_RADIAL_FISHEYE": (8, [0.04]),
    "RADIAL_FISHEYE": (9, [0.04, -0.03]),
}


def brown(x: NDArray[np.float64], y: NDArray[np.float64], coefficients: Sequence[float]) -> list[NDArray[np.float64]]:
    """The equations of OpenCV's page on calibration."""
    k1, k2, p1, p2, k3, k4, k5, k6 = [*coefficients, *[0.0] * (8 - len(coefficients))]
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return [
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
    ]


def fisheye(x: NDArray[np.float64], y: NDArray[np.float64], coefficients: Sequence[float]) -> list[NDArray[np.float64]]:
    """The equations of OpenCV's page on the fisheye model."""
    k1, k2, k3, k4 = [*coefficients, *[0.0] * (4 - len(coefficients))]
    r = np.hypot(x, y)
    a = np.arctan(r)
    factor = a * (1 + k1 * a**2 + k2 * a**4 + k3 * a**6 + k4 * a**8) / r
    return [x * factor, y * factor]


def photograph(
    coefficients: Sequence[float], is_fisheye: bool, focal: float = FY
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Soft dots where the lens puts points, ``[H, W]``, and where a pinhole sees these, ``[P, 2]``, corner origin."""
    u, v = (each.ravel() for each in np.meshgrid(np.arange(20.3, WIDTH - 15, 45), np.arange(15.6, HEIGHT - 15, 44)))
    x, y = (fisheye if is_fisheye else brown)((u - CX) / FX, (v - CY) / focal, coefficients)
    dots = np.stack([FX * x + CX, focal * y + CY], -1)
    inside = ((dots > 4 * SIGMA) & (dots < np.array([WIDTH, HEIGHT]) - 4 * SIGMA)).all(-1)
    assert inside.sum() > 20
    assert np.hypot(*(dots[inside] - np.stack([u, v], -1)[inside]).T).max() > 3  # there is something to undo
    row, column = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    squared = (column - dots[inside, 0, None, None]) ** 2 + (row - dots[inside, 1, None, None]) ** 2
    image = np.exp(-squared / (2 * SIGMA**2)).sum(0).clip(0, 1)
    return np.round(255 * image).astype(np.uint8), np.stack([u, v], -1)[inside]


def errors(alpha: torch.Tensor, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far from where they should be the dots of an image ``[H, W]`` are, in pixels."""
    found = []
    for u, v in expected:
        rows, columns = slice(int(v) - 8, int(v) + 9), slice(int(u) - 8, int(u) + 9)
        weights = alpha[rows, columns].double().numpy()
        row, column = np.mgrid[rows, columns] + 0.5
        found.append([(weights * column).sum() / weights.sum() - u, (weights * row).sum() / weights.sum() - v])
    return np.linalg.norm(found, axis=-1)


def camera(focal: float = FY) -> Cameras:
    matrix = torch.tensor([[FX, 0, CX], [0, focal, CY], [0, 0, 1]])
    return Cameras(torch.eye(4)[None], matrix[None], (HEIGHT, WIDTH))


@pytest.mark.parametrize("model", [*BROWN, *FISHEYE])
def test_points_are_found_where_a_pinhole_sees_them(tmp_path: Path, model: str) -> None:
    number, coefficients = (BROWN | FISHEYE)[model]
    focal = FX if "RADIAL" in model else FY  # these have one focal length
    image, expected = photograph(coefficients, model in FISHEYE, focal)
    trees.colmap(tmp_path, camera(focal), model=model, number=number, distortion=coefficients, images=False)
    trees.save(tmp_path / "images/frame_00000.png", image)
    views = read_views(tmp_path)
    torch.testing.assert_close(views.cameras.intrinsics, camera(focal).intrinsics)
    assert errors(views.alpha[0, 0], expected).max() < 0.05


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("model", ["OPENCV", "OPENCV_FISHEYE"])
def test_coefficients_of_nerfstudio_are_undone_in_images_and_masks_alike(tmp_path: Path, model: str, own: bool) -> None:
    coefficients = [0.05, -0.02, 0.01, -0.004] if "FISHEYE" in model else [0.08, -0.05, 0.004, -0.006, 0.03]
    names = ("k1", "k2", "k3", "k4") if "FISHEYE" in model else ("k1", "k2", "p1", "p2", "k3")
    image, expected = photograph(coefficients, "FISHEYE" in model)
    trees.save(tmp_path / "a.png", np.repeat(image[..., None], 3, -1))
    trees.save(tmp_path / "masks/a.png", image)
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    lens = dict(zip(names, coefficients, strict=True))
    content = {"camera_model": model, "fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT}
    content |= {"frames": [frame | lens]} if own else lens | {"frames": [frame]}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    views = read_views(tmp_path)
    assert views.rgb is not None
    assert errors(views.alpha[0, 0], expected).max() < 0.05
    assert errors(views.rgb[0, 1], expected).max() < 0.05


def test_what_the_photograph_does_not_show_is_nothing() -> None:
    """With a lens that draws corners outwards, the corners of the pinhole's image lie beyond the photograph."""
    lens = Lens((HEIGHT, WIDTH), (FX, FY, CX, CY), (0.4,))
    seen = lens.undistorted(torch.ones(3, HEIGHT, WIDTH))
    assert (seen[:, 0, 0] == 0).all()
    assert (seen[:, 40:-40, 60:-60] == 1).all()
    labels = lens.undistorted(torch.full((1, HEIGHT, WIDTH), 2**40 + 1), nearest=True, outside=-1)
    assert labels.dtype == torch.int64
    assert set(labels.unique().tolist()) == {-1, 2**40 + 1}


EDGE = math.sqrt(1 / 0.9)


@pytest.mark.parametrize(
    ("distortion", "is_fisheye", "largest"),
    [((-0.3,), False, EDGE), ((0.0, 0.0, 0.0, 0.0, 0.0, -0.25), False, 2.0), ((-0.3,), True, math.tan(EDGE))],
)
def test_a_lens_is_not_believed_beyond_where_its_polynomial_turns_back(
    distortion: tuple[float, ...], is_fisheye: bool, largest: float
) -> None:
    """r - 0.3 r^3 grows up to sqrt(1 / 0.9), r / (1 - r^2 / 4) up to its pole, and a fisheye's like the first."""
    size, focal = (201, 201), 36.0
    lens = Lens(size, (focal, focal, 100.5, 100.5), distortion, is_fisheye)
    ramp = torch.arange(201.0).expand(1, 201, 201) + 1
    row = lens.undistorted(ramp)[0, 100]
    radius = (torch.arange(201) - 100.0).abs() / focal
    assert (row[radius > largest + 0.01] == 0).all()
    assert (row[100:][radius[100:] < largest - 0.05][:20] > 0).all()


def test_undistorted_views_of_several_sizes_are_resized() -> None:
    lenses = [Lens((30, 40), (50.0, 50, 20, 15)), Lens((15, 20), (25.0, 25, 10, 7.5)), Lens((61, 80), (1.0, 1, 1, 1))]
    assert common_size(Path("views"), lenses) == (15, 20)
    assert lenses[0].scaled((15, 20)) == lenses[1]
    image = torch.arange(30.0)[:, None].expand(1, 30, 40)
    assert torch.equal(resized(image, (30, 40)), image)
    torch.testing.assert_close(resized(image, (15, 20))[0, 3, 3], torch.tensor(6.5))
    assert resized(image, (15, 20), nearest=True)[0, :3, 0].tolist() == [1.0, 3.0, 5.0]
    with pytest.raises(ViewSetError, match="views: all images .* must have one size, or one aspect; got 15 x 20 "):
        common_size(Path("views"), [*lenses, Lens((40, 30), (1.0, 1, 1, 1))])


def test_without_opencv_only_distorted_views_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    straight = trees.colmap(tmp_path / "straight", trees.off_centre(), model="OPENCV", number=4, distortion=[0.0] * 4)
    assert len(read_views(straight)) == 5
    bent = trees.colmap(tmp_path / "bent", trees.off_centre(), model="OPENCV", number=4, distortion=[0.1, 0, 0, 0])
    assert read_cameras(bent).views == 5
    with pytest.raises(ViewSetError, match=r"frame_00000.png: its lens is distorted.*pip install 'render3d\[fit\]'"):
        read_views(bent)
