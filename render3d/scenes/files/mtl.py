"""MTL, the materials of OBJ files, read: diffuse colours and diffuse images."""

import dataclasses
import math
import re
from typing import final

import numpy as np

from render3d.color import NEUTRAL_GREY
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.raw import linear_light, unit_colors
from render3d.scenes.files.text import rest_of

_VALUE = r"(?:on|off|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_OPTION = re.compile(rf"(-[a-zA-Z]+)((?:\s+{_VALUE})*)\s+")
# What leaves a diffuse image as it is.
_IDENTITY: dict[str, tuple[float | str, ...]] = {
    "-s": (1, 1, 1),
    "-o": (0, 0, 0),
    "-t": (0, 0, 0),
    "-mm": (0, 1),
    "-blendu": ("on",),
    "-blendv": ("on",),
    "-clamp": ("off",),
    "-cc": ("off",),
}


@final
@dataclasses.dataclass
class Material:
    """A colour in linear light, or the name of an image, which then stands for it.

    The format says that the two are multiplied, but exporters write any colour beside an image, and Blender,
    PyTorch3D and trimesh use the image alone.
    """

    color: tuple[float, ...] = NEUTRAL_GREY
    image_name: str | None = None


@final
@dataclasses.dataclass
class _Properties:
    """What the lines of one material say."""

    kd: list[float] | None = None
    image_name: str | None = None
    dissolve: float | None = None
    transparency: float = 0.0
    has_mask: bool = False

    @property
    def is_transparent(self) -> bool:
        """``d`` counts where it is given: some exporters write ``Tr 1`` beside it for what is opaque."""
        opacity = 1 - self.transparency if self.dissolve is None else self.dissolve
        return self.has_mask or opacity < 1


def read_materials(text: str, folder: Folder) -> dict[str, Material]:
    """The materials of a file by name; what is not understood is noted in ``folder.problems``."""
    read: dict[str, _Properties] = {}
    name = ""
    for line in text.split("\n"):
        key, rest = "".join(line.split(maxsplit=1)[:1]).lower(), rest_of(line)
        if key == "newmtl":
            name = rest
            read[name] = _Properties()
        elif name in read:
            try:
                _read_property(read[name], name, key, rest, folder)
            except (ValueError, IndexError):
                folder.problems.append(f"Material {name!r} has a line that cannot be read: {line.strip()!r}.")
    transparent = [name for name, properties in read.items() if properties.is_transparent]
    folder.problems += [f"Material {name!r} is transparent; drawn opaque." for name in transparent]
    materials = {name: Material(image_name=properties.image_name) for name, properties in read.items()}
    colored = {name: properties.kd for name, properties in read.items() if properties.kd is not None}
    encoded = unit_colors(np.array(list(colored.values())).reshape(-1, 3), folder.problems)
    for name, color in zip(colored, linear_light(encoded).tolist(), strict=True):
        materials[name].color = tuple(color)
    return materials


def _read_property(properties: _Properties, name: str, key: str, rest: str, folder: Folder) -> None:
    if key == "kd":
        encoded = [float(word) for word in rest.partition("#")[0].split()]
        if len(encoded) not in (1, 3) or not all(map(math.isfinite, encoded)):
            raise ValueError(rest)
        properties.kd = (encoded * 3)[:3]
    elif key == "map_kd":
        properties.image_name, changed = _without_options(rest)
        if changed:
            folder.problems.append(f"Material {name!r} has texture options, which are not applied: {rest!r}.")
    elif key == "d":
        properties.dissolve = float(rest.partition("#")[0].split()[-1])  # ``-halo`` may stand before it
    elif key == "tr":
        properties.transparency = float(rest.partition("#")[0].split()[-1])
    elif key in ("map_d", "map_tr", "map_opacity"):
        properties.has_mask = True


def _without_options(rest: str) -> tuple[str, bool]:
    """The name of an image without the options before it, and whether these change anything."""
    start, changed = 0, False
    while option := _OPTION.match(rest, start):
        start = option.end()
        values = tuple(word if word in ("on", "off") else float(word) for word in option[2].split())
        changed |= values != _IDENTITY.get(option[1].lower(), ())[: len(values)] or not values
    return rest[start:], changed
