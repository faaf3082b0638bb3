"""Small meshes of known properties."""

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Mesh

_CUBE_QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


@pytest.fixture
def cube():
    """A closed cube of 8 vertices and 12 faces, outwards, from 0 to 1."""
    corners = torch.tensor([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
    faces = [triangle for a, b, c, d in _CUBE_QUADS for triangle in ((a, b, c), (a, c, d))]
    return Mesh(corners, torch.tensor(faces))


@pytest.fixture
def write(tmp_path):
    """Writes a file of text and returns its path."""

    def write_text(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_text


@pytest.fixture
def write_png(tmp_path):
    """Writes an image of 8 bits, ``[H, W, C]``, and returns its path."""

    def write_image(name, pixels):
        path = tmp_path / name
        Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
        return path

    return write_image


@pytest.fixture(scope="session")
def bilinear():
    """The colours of an image ``[H, W, 3]`` at coordinates ``[N, 2]``, by the definition of `Texture`."""

    def sample(image, uv):
        height, width = image.shape[:2]
        image, uv = image.double(), uv.double()
        x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
        left, top = x.floor(), y.floor()
        total = torch.zeros(len(uv), 3, dtype=torch.float64)
        for column, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
            for row, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
                total += (share_x * share_y)[:, None] * image[row.long() % height, column.long() % width]
        return total

    return sample
