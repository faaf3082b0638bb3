"""``python -m benchmarks.photographs [--check]``, from the root of a checkout."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.bench import tell
from benchmarks.photographs.compare import Fitting, compare
from benchmarks.photographs.objects import OBJECTS, load
from benchmarks.photographs.sources import compare_sources
from benchmarks.photographs.storing import PHOTOGRAPHS, store
from benchmarks.photographs.studio import cameras_round, traced
from render3d.fitting import FitSettings
from render3d.fitting.levels import Quality
from render3d.renderers import make_renderer

_VIEWS, _IMAGE_SIZE = 40, (400, 500)


def photographs(
    *,
    out: Path = Path("out/photographs"),
    objects: tuple[str, ...] = tuple(OBJECTS),
    folder: tuple[Path, ...] = (),
    renderer: str = "opengl",
    quality: Quality = "normal",
    sources: bool = False,
    check: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Fit meshes to path-traced photographs of furniture whose shape is known, and print how near they come to it.

    Objects are those of Debian's package sweethome3d-furniture (make furniture). Photographs that OUT has are not taken
    again, so that renderers can be compared on the same ones.

    Args:
        out: Where photographs and fits are written to, a folder for each object.
        objects: Names of benchmarks.photographs.objects, or ids of the furniture.
        folder: Folders of photographs to fit instead, each with nerfstudio/ and truth.ply.
        renderer: What is fitted through.
        quality: Of the fits.
        sources: Fit the first object alone, from several formats and from distorted photographs.
        check: Exit with 1 if a fit is farther from the truth than the visual hull, or sources make different meshes.
        as_json: Print JSON instead of tables.
    """
    folders = {path.name: path for path in folder} or _taken(objects[:1] if sources else objects, out)
    fitting = Fitting(renderer=renderer, settings=FitSettings(quality=quality))
    found = compare_sources(next(iter(folders.values())), fitting) if sources else compare(folders, fitting)
    return tell("photographs", found, make_renderer("opengl"), check=check, as_json=as_json)


def _taken(objects: tuple[str, ...], out: Path) -> dict[str, Path]:
    """The folders of objects, which are photographed first where they were not yet."""
    folders = {name: out / name.replace("/", "-") for name in objects}
    missing = [name for name, path in folders.items() if not (path / PHOTOGRAPHS / "transforms.json").is_file()]
    for name, mesh in (load(missing, out / "furniture") if missing else {}).items():
        cameras = cameras_round(_VIEWS, _IMAGE_SIZE)
        store(folders[name], mesh, cameras, traced(mesh, cameras))
    return folders


if __name__ == "__main__":
    sys.exit(tyro.cli(photographs, prog="python -m benchmarks.photographs"))
