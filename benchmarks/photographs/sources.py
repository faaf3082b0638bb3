"""The same photographs from several sources, which are to make the same mesh."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.findings import Cell, Measurements, Results
from benchmarks.photographs.compare import Fitting
from benchmarks.photographs.storing import PHOTOGRAPHS, TRUTH
from benchmarks.timing import Comparison
from render3d.atomic import json_by_lines
from render3d.cameras import Cameras
from render3d.conventions.common import OPENGL_AXES
from render3d.fitting.figures import FitFigures
from render3d.images import Rendering
from render3d.optional import OPENCV
from render3d.scenes import Mesh
from render3d.view_sets import read_views, write_views
from render3d.view_sets.files import FolderFiles, read_json
from render3d.view_sets.sparse_model import read_images

_Floats = NDArray[np.float64]

LENS = {"k1": 0.05, "p1": 0.001}
"""By which photographs are distorted."""

_SAME = 1e-3  # of the radius: how far apart two meshes of the same photographs may be, on average
_WORSE = 1.05  # how much larger the chamfer distance of distorted photographs may be
_NEIGHBOURS = 16  # faces, of which one is the nearest


def compare_sources(folder: Path, fitting: Fitting) -> Results:
    """One object from nerfstudio, COLMAP binary and text, and from distorted photographs.

    Args:
        folder: As of `benchmarks.photographs.compare.compare`.
        fitting: How all are fitted.
    """
    truth = Mesh.load(folder / TRUTH)
    sources = {PHOTOGRAPHS: folder / PHOTOGRAPHS, **written(folder)}
    figures: dict[str, FitFigures] = {}
    meshes: dict[str, Mesh] = {}
    for name, source in sources.items():
        out = folder / f"fit-of-{name}"
        figures[name] = fitting.run(read_views(source), truth, out)
        meshes[name] = Mesh.load(out / "mesh.glb").merged()
    first = figures[PHOTOGRAPHS].truth["fit"]
    apart = {name: distances(mesh, meshes[PHOTOGRAPHS]) / first.radius for name, mesh in meshes.items()}
    rows: list[dict[str, Cell]] = [
        {
            "source": name,
            "chamfer": (seen := figures[name].truth["fit"].visible) and seen.chamfer,
            "IoU": figures[name].measures["fit"].held_out_iou,
            "vertices": float(len(meshes[name].vertices)),
            "from the first": f"{apart[name].mean():.2g}",
            "at most": f"{apart[name].max():.2g}",
        }
        for name in sources
    ]
    colmap = [_same(name, float(apart[name].mean())) for name in sources if name.startswith("colmap")]
    chamfer = [(seen := figures[name].truth["fit"].visible) and 1 / seen.chamfer for name in ("distorted", PHOTOGRAPHS)]
    bent = Comparison(
        *(each or 0.0 for each in chamfer),
        case="distorted",
        unit="1 / chamfer",
        peer="undistorted",
        floor=1 / _WORSE,
    )
    table = Measurements(title="One object from several sources", rows=rows, note=_NOTE)
    return Results(comparisons=[*colmap, bent], tables=[table])


_NOTE = (
    "From the first: the mean distance from a vertex to the surface of the first mesh, and the largest, in shares of "
    "the radius. Poses are written in float64: a difference of 1e-7 grows to 1e-3 while the surface is made anew."
)


def _same(name: str, apart: float) -> Comparison:
    return Comparison(
        1 / max(apart, 1e-9), 1 / _SAME, case=name, unit="radii / distance", peer=f"{_SAME:g} radii", floor=1.0
    )


def written(folder: Path) -> dict[str, Path]:
    """Write the photographs of an object in the other formats, beside `PHOTOGRAPHS`, and distorted."""
    names = ("colmap-binary", "colmap-text", "distorted")
    found = {name: folder / name for name in names}
    for path in found.values():
        shutil.rmtree(path, ignore_errors=True)
    views = read_views(folder / PHOTOGRAPHS)
    assert views.rgb is not None
    seen = Rendering({"rgb": views.rgb, "alpha": views.alpha})
    write_views(found["colmap-binary"], with_stored_poses(views.cameras, folder / PHOTOGRAPHS), seen, format="colmap")
    as_text(found["colmap-binary"], found["colmap-text"])
    distort(folder / PHOTOGRAPHS, found["distorted"])
    return found


def with_stored_poses(cameras: Cameras, folder: Path) -> Cameras:
    """Cameras with the poses that nerfstudio's file has, in float64: what float32 drops makes another mesh."""
    frames = read_json(FolderFiles(folder), "transforms.json")["frames"]
    poses = torch.tensor([frame["transform_matrix"] for frame in frames], dtype=torch.float64)
    poses = torch.linalg.inv(poses @ OPENGL_AXES.double())
    return dataclasses.replace(cameras, world_to_camera=poses, intrinsics=cameras.intrinsics.double())


def as_text(binary: Path, text: Path) -> None:
    """Copy a folder of COLMAP's, its model in the other form, without points."""
    shutil.copytree(binary, text, ignore=shutil.ignore_patterns("sparse"))
    images = read_images(FolderFiles(binary), "sparse/0")
    lenses = list(dict.fromkeys(image.lens for image in images))
    cameras = [
        [number, "PINHOLE", *reversed(lens.image_size), *map(repr, lens.pinhole)]
        for number, lens in enumerate(lenses, 1)
    ]
    poses = [
        [number, *map(repr, (*image.qvec, *image.tvec)), lenses.index(image.lens) + 1, image.name]
        for number, image in enumerate(images, 1)
    ]
    model = text / "sparse" / "0"
    model.mkdir(parents=True)
    model.joinpath("cameras.txt").write_text(_lines(cameras))
    model.joinpath("images.txt").write_text(_lines(poses, "\n"))  # an image's second line is of its points
    model.joinpath("points3D.txt").write_text("")


def _lines(rows: Sequence[Sequence[object]], after: str = "") -> str:
    return "".join(" ".join(map(str, row)) + "\n" + after for row in rows)


def distort(source: Path, folder: Path) -> None:
    """Write photographs and masks of nerfstudio's as a camera with the distortion `LENS` would have taken them."""
    files = FolderFiles(source)
    transforms = read_json(files, "transforms.json")
    cameras = read_views(source).cameras
    for frame, matrix in zip(transforms["frames"], cameras.intrinsics.double().numpy(), strict=True):
        where = undistorted(matrix, cameras.image_size)
        for name in (frame["file_path"], frame["mask_path"]):
            pixels = np.asarray(Image.open(source / name))
            bent = OPENCV.load().remap(pixels, *where, OPENCV.load().INTER_CUBIC)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(bent).save(folder / name, quality=98)  # JPEG lost enough before; PNG has no quality
    (folder / "transforms.json").write_bytes(json_by_lines({**transforms, "camera_model": "OPENCV", **LENS}))


def undistorted(matrix: _Floats, image_size: tuple[int, int]) -> NDArray[np.float32]:
    """``[2, H, W]``: for each pixel of a distorted photograph, x and y in that of a pinhole camera, OpenCV's pixels."""
    cv2: Any = OPENCV.load()
    matrix = matrix.copy()
    matrix[:2, 2] -= 0.5  # OpenCV counts from the centre of the first pixel
    height, width = image_size
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 1, 2).astype(np.float64)
    lens = np.array([LENS["k1"], 0.0, LENS["p1"], 0.0, 0.0])
    found = cv2.undistortPoints(pixels, matrix, lens, None, None, matrix)
    return np.asarray(found, np.float32).reshape(height, width, 2).transpose(2, 0, 1)


def distances(mesh: Mesh, other: Mesh) -> _Floats:
    """``[V]``: how far each vertex of a mesh is from the surface of the other, scene units."""
    import trimesh
    from scipy.spatial import cKDTree

    vertices = mesh.vertices.double().numpy()
    corners = other.vertices.double().numpy()[other.faces.numpy()]
    count = min(_NEIGHBOURS, len(corners))
    _, near = cKDTree(corners.mean(1)).query(vertices, count)
    every = np.repeat(vertices, count, 0)
    nearest = trimesh.triangles.closest_point(  # type: ignore[no-untyped-call]
        corners[near.reshape(-1)], every
    )
    found: _Floats = np.linalg.norm(nearest - every, axis=-1).reshape(-1, count).min(1)
    return found
