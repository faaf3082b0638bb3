"""Images in files: the only place where sRGB is decoded and encoded."""

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from render3d.atomic import atomic_write
from render3d.color import linear_to_srgb, srgb_to_linear
from render3d.errors import ViewsError
from render3d.images import Rendering

_AS_ARRAYS = ("depth", "face_index", "barycentric")


def encode_png(rgb: Tensor | None, alpha: Tensor | None) -> bytes:
    """A PNG of 8 bits a channel: grey for alpha alone, RGB, or RGBA.

    Args:
        rgb: ``[3, H, W]`` float, linear light, or None; stored as sRGB, clipped to 0-1. With alpha it is stored as it
            is: composited over the background.
        alpha: ``[1, H, W]`` float, 0-1, or None.
    """
    channels = [linear_to_srgb(rgb.detach().clamp(0, 1))] if rgb is not None else []
    if alpha is not None:
        channels.append(alpha.detach().clamp(0, 1).to(alpha.dtype))
    pixels = (torch.cat(channels) * 255 + 0.5).byte().movedim(0, -1).cpu().numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, format="PNG")
    return stream.getvalue()


def read_image(path: Path) -> tuple[Tensor | None, Tensor | None]:
    """The colours and the coverage in an image file.

    Returns:
        ``rgb`` ``[3, H, W]`` float32 in linear light, or None for greyscale files; ``alpha`` ``[1, H, W]`` float32, or
        None for files without an alpha channel. A greyscale file is a mask: its values are the alpha, as they are.

    Raises:
        ViewsError: A file that is missing, no image, truncated, or larger than Pillow thinks safe.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                wide = image.mode.startswith(("I", "F"))
                mode = image.mode if wide else _plain_mode(image)
                pixels = np.array(image if wide else image.convert(mode), dtype=np.float32)
    except FileNotFoundError:
        raise ViewsError(f"{path}: no such image.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ViewsError(f"{path}: too large to be opened safely ({error}). Resize it.") from error
    except Exception as error:  # broken files fail in any way
        raise ViewsError(f"{path}: cannot be read as an image, broken or truncated ({error}).") from error
    values = torch.from_numpy(pixels) / (65535 if mode.startswith("I") else 1 if mode == "F" else 255)
    if values.dim() == 2:
        return None, values[None]
    values = values.movedim(-1, 0)
    if mode == "LA":
        return None, values[1:]
    return srgb_to_linear(values[:3]), values[3:] if mode == "RGBA" else None


def _plain_mode(image: Image.Image) -> str:
    transparent = "A" in image.mode or "transparency" in image.info
    if image.mode in ("1", "L", "LA"):
        return "LA" if transparent else "L"
    return "RGBA" if transparent else "RGB"


def save_rendering(rendering: Rendering, folder: Path) -> list[Path]:
    """Write each image of a rendering and return the paths.

    Colours and alpha go into one PNG (``rgb``, RGBA where both are there; ``alpha`` alone is grey), normals into a PNG
    as ``(n + 1) / 2``, and depth, face_index and barycentric into ``.npy`` files as they are: depth is camera z, in
    scene units. Names carry the leading index: ``rgb_1_0.png``.

    Raises:
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = rendering.detach().to("cpu").as_dict()
    written = []
    for index in itertools.product(*(range(size) for size in rendering.leading_shape)):
        suffix = "_".join(str(number) for number in index)
        one = {name: image[index] for name, image in images.items()}
        files: dict[str, bytes] = {}
        if "rgb" in one or "alpha" in one:
            name = "rgb" if "rgb" in one else "alpha"
            files[f"{name}_{suffix}.png"] = encode_png(one.get("rgb"), one.get("alpha"))
        if "normal" in one:
            # Normals are no colours: what is stored must come back by a straight line.
            as_alpha = [encode_png(None, (channel[None] + 1) / 2) for channel in one["normal"]]
            files[f"normal_{suffix}.png"] = _merge(as_alpha)
        for name in _AS_ARRAYS:
            if name in one:
                stream = io.BytesIO()
                np.save(stream, one[name].numpy(), allow_pickle=False)
                files[f"{name}_{suffix}.npy"] = stream.getvalue()
        for name, content in files.items():
            with atomic_write(folder / name) as stream_out:
                stream_out.write(content)
            written.append(folder / name)
    return written


def _merge(channels: list[bytes]) -> bytes:
    stream = io.BytesIO()
    Image.merge("RGB", [Image.open(io.BytesIO(channel)) for channel in channels]).save(stream, format="PNG")
    return stream.getvalue()
