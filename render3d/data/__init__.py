"""Models and photographs that come with the package; ``CREDITS.md`` beside them says whose they are."""

from pathlib import Path

from render3d.scenes import Mesh

__all__ = ["bunny", "chicken", "teapot", "teapot_photographs"]

_FOLDER = Path(__file__).parent


def bunny() -> Mesh:
    """The Stanford bunny: 3,674 faces, closed, no colours, upright along +Y, about 10 units wide."""
    return Mesh.load(_FOLDER / "bunny.ply")


def teapot() -> Mesh:
    """The Utah teapot: 992 faces, open where the lid rests, no colours, upright along +Y, 32 units long."""
    return Mesh.load(_FOLDER / "teapot.ply")


def chicken() -> Mesh:
    """A chicken with a texture of 512 x 512: 2,724 faces, upright along +Y, its head towards +Z, 45 units tall."""
    return Mesh.load(_FOLDER / "chicken" / "chicken.obj")


def teapot_photographs() -> Path:
    """The folder of 20 photographs of another teapot, 500 x 400 pixels, with cameras and masks; nerfstudio's format.

    They were made by a path tracer: grainy, before clutter, with masks that are wrong by about 1.5 pixels. The world is
    upright along +Z, and the teapot's radius is 0.35.
    """
    return _FOLDER / "teapot_photographs"
