"""Cut a surface open and lay it flat, so that one image can colour it."""

import numpy as np
import torch
from torch import Tensor

from render3d.color import NEUTRAL_GREY
from render3d.optional import XATLAS
from render3d.scenes.texture import Texture

LARGEST_SIDE = 4096  # texels: what every graphics card takes
_GAP = 4  # texels between charts: bilinear lookup and two levels of mipmaps stay on the chart's own side
_FILLED = 0.5  # the least share of an image that charts fill, where they are many and small


def unwrap(vertices: Tensor, faces: Tensor, texel: float) -> Texture:
    """Return a neutral grey texture of charts that do not overlap; see `render3d.Mesh.unwrapped`."""
    xatlas = XATLAS.load()
    a, b, c = vertices[faces].double().unbind(1)
    area = float(torch.linalg.cross(b - a, c - a).norm(dim=-1).sum()) / 2
    options = xatlas.PackOptions()
    options.bilinear, options.padding = True, _GAP
    options.texels_per_unit = 1 / max(texel, (area / _FILLED) ** 0.5 / LARGEST_SIDE)
    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices.float().numpy(), faces.numpy().astype(np.uint32))
    atlas.generate(xatlas.ChartOptions(), options)
    _, rows, uv = atlas[0]
    image = torch.tensor(NEUTRAL_GREY).expand(atlas.height, atlas.width, 3).clone()
    return Texture(image, torch.from_numpy(uv), torch.from_numpy(rows.astype(np.int64)))
