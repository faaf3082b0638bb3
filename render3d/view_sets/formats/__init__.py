"""How view sets lie on disk: one file a format, which reads it and writes it."""

from pathlib import Path

from render3d.errors import ViewSetError
from render3d.registry import Registry
from render3d.view_sets.formats.format import Format, StoredObject, StoredViews

__all__ = ["FORMATS", "Format", "StoredObject", "StoredViews", "format_at", "format_by_name"]

FORMATS: Registry[type[Format]] = Registry(
    "format of view sets",
    {
        "nerfstudio": "render3d.view_sets.formats.nerfstudio:Nerfstudio",
        "blender": "render3d.view_sets.formats.blender:Blender",
        "colmap": "render3d.view_sets.formats.colmap:Colmap",
        "r2n2": "render3d.view_sets.formats.r2n2:R2N2",
        "shards": "render3d.datasets.view_sets.formats.shards:Shards",
    },
    base=Format,
    error=ViewSetError,
)


def format_by_name(name: str) -> Format:
    """Make a format.

    Args:
        name: Of `FORMATS`, or ``module:Class`` of one of your own.

    Raises:
        ViewSetError: There is none of that name.
    """
    return FORMATS.load(name)()


def format_at(folder: Path) -> Format:
    """Recognise the format of a folder that holds the views of one object.

    Raises:
        ViewSetError: No format fits.
    """
    for name in FORMATS:
        if (found := format_by_name(name)).fits(folder):
            return found
    marks = ", ".join(f"{name} by {FORMATS.load(name).marker}" for name in FORMATS)
    raise ViewSetError(f"{folder}: holds no view set, which is recognised by its files: {marks}. Give such a folder.")
