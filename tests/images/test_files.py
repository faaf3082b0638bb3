"""Images in files, and atomic writing."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Cameras, Mesh
from render3d.atomic import atomic_write
from render3d.color import srgb_to_linear
from render3d.errors import ViewSetError
from render3d.images.files import encode_png, read_image
from render3d.renderers import OpenGL


def test_colours_are_srgb_in_files_and_linear_here(tmp_path: Path) -> None:
    rgb, alpha = torch.rand(3, 5, 7), torch.rand(1, 5, 7)
    (tmp_path / "image.png").write_bytes(encode_png(rgb, alpha))
    stored = np.asarray(Image.open(tmp_path / "image.png"))
    assert stored.shape == (5, 7, 4)
    expected = srgb_to_linear(torch.from_numpy(stored[..., :3].copy()).movedim(-1, 0) / 255)
    back, coverage = read_image(tmp_path / "image.png")
    assert back is not None
    assert coverage is not None
    torch.testing.assert_close(back, expected)
    torch.testing.assert_close(back, rgb, atol=0.01, rtol=0)
    torch.testing.assert_close(coverage, alpha, atol=0.002, rtol=0)


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("1", (False, True)),
        ("L", (False, True)),
        ("LA", (False, True)),
        ("P", (True, False)),
        ("RGB", (True, False)),
        ("RGBA", (True, True)),
    ],
)
def test_modes(tmp_path: Path, mode: str, kinds: tuple[bool, bool]) -> None:
    Image.new(mode, (4, 3)).save(tmp_path / "image.png")
    rgb, alpha = read_image(tmp_path / "image.png")
    assert (rgb is not None, alpha is not None) == kinds
    assert all(image is None or image.shape[-2:] == (3, 4) for image in (rgb, alpha))


def test_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65535, 13107]], np.uint16)).save(tmp_path / "mask.png")
    _, alpha = read_image(tmp_path / "mask.png")
    torch.testing.assert_close(alpha, torch.tensor([[[0.0, 1.0, 0.2]]]))


def test_images_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ViewSetError, match="none.png: no such image"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ViewSetError, match="text.png: cannot be read as an image"):
        read_image(tmp_path / "text.png")
    Image.new("L", (50, 50)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with pytest.raises(ViewSetError, match="large.png: too large to be opened safely"):
        read_image(tmp_path / "large.png")


def test_a_rendering_is_saved_as_files_others_read(tmp_path: Path) -> None:
    mesh = Mesh(torch.tensor([[-0.7, -0.5, 0.4], [0.8, -0.6, 0.3], [0.1, 0.9, 0.2]]), torch.tensor([[0, 1, 2]]))
    cameras = Cameras.sphere(2, 3.0, image_size=(12, 16))
    rendering = OpenGL()(mesh, cameras[None], ("rgb", "alpha", "depth", "normal", "face_index"))
    paths = rendering.save(tmp_path / "out")
    names = [f"{name}_0_{view}.{suffix}" for view in range(2) for name, suffix in
             (("rgb", "png"), ("normal", "png"), ("depth", "npy"), ("face_index", "npy"))]  # fmt: skip
    assert [path.name for path in paths] == names
    np.testing.assert_array_equal(np.load(tmp_path / "out/depth_0_1.npy"), rendering.depth[0, 1].numpy())
    normal = np.asarray(Image.open(tmp_path / "out/normal_0_0.png")).astype(np.float32) / 255 * 2 - 1
    np.testing.assert_allclose(normal.transpose(2, 0, 1), rendering.normal[0, 0].numpy(), atol=0.006)
    OpenGL()(mesh, cameras, ("alpha",)).save(tmp_path / "mask")
    with Image.open(tmp_path / "mask/alpha_1.png") as image:
        assert image.mode == "L"


def test_atomic_writing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path) as stream:
        stream.write(b"first")
    with pytest.raises(RuntimeError), atomic_write(path) as stream:
        stream.write(b"second")
        raise RuntimeError
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o400
    with pytest.raises(OSError, match="nothing was changed: .*none/file"), atomic_write(tmp_path / "none" / "file"):
        pass


def test_png_of_alpha_alone_is_grey() -> None:
    assert Image.open(io.BytesIO(encode_png(None, torch.ones(1, 2, 3)))).mode == "L"
