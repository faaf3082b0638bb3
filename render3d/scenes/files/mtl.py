"""MTL, the materials of OBJ files, read: diffuse colours and diffuse images."""

import dataclasses
import math
import re
from typing import final

import torch

from render3d.color import NEUTRAL_GREY, srgb_to_linear
from render3d.scenes.files.folder import Folder

_OPTIONS = re.compile(r"^(-[a-zA-Z]+(\s+(on|off|[-+]?[\d.]+))*\s+)+")


@final
@dataclasses.dataclass
class Material:
    """A colour in linear light, or the name of an image, which then stands for it.

    The format says that the two are multiplied, but exporters write any colour beside an image, and Blender,
    PyTorch3D and trimesh use the image alone.
    """

    color: tuple[float, ...] = NEUTRAL_GREY
    image_name: str | None = None


def read_materials(text: str, folder: Folder) -> dict[str, Material]:
    """The materials of a file by name; what is not understood is noted in ``folder.problems``."""
    materials: dict[str, Material] = {}
    name = ""
    for line in text.splitlines():
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        rest = rest.strip()
        if key == "newmtl":
            name = rest
            materials[name] = Material()
        elif name in materials:
            try:
                _read_property(materials[name], name, key.lower(), rest, folder)
            except (ValueError, IndexError):
                folder.problems.append(f"Material {name!r} has a line that cannot be read: {line.strip()!r}.")
    return materials


def _read_property(material: Material, name: str, key: str, rest: str, folder: Folder) -> None:
    if key == "kd":
        encoded = [float(word) for word in rest.split()]
        if len(encoded) not in (1, 3) or not all(map(math.isfinite, encoded)):
            raise ValueError(rest)
        material.color = tuple(srgb_to_linear(torch.tensor((encoded * 3)[:3], dtype=torch.float64)).tolist())
    elif key == "map_kd":
        options = _OPTIONS.match(rest)
        if options:
            folder.problems.append(f"Material {name!r} has texture options, which are not applied: {rest!r}.")
        material.image_name = rest[options.end() if options else 0 :]
    elif key == "d" and float(rest.rsplit(maxsplit=1)[-1]) < 1:
        folder.problems.append(f"Material {name!r} is transparent; drawn opaque.")
