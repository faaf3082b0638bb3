"""Pictures inside a page, as data of the page itself."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import torch
from PIL import Image
from torch import Tensor

from render3d.batches import check_shape
from render3d.color import srgb_bytes, srgb_of_hex, srgb_to_linear
from render3d.errors import ShapeError
from render3d.report.html import Html

_BOTH, _MISSING, _EXTRA = "#c9ced6", "#1f6fd1", "#e8710a"


def gallery(rows: Mapping[str, Tensor], captions: Sequence[str], *, width: int = 84) -> Html:
    """Small pictures: one column of them for each caption, one below the other in the order of ``rows``.

    Args:
        rows: Images ``[N, 3 or 1, H, W]`` float, linear light, by what they are.
        captions: N of them.
        width: Of a picture on the page, in pixels, at least; as many stand in a row as there is room for.
    """
    for name, images in rows.items():
        if images.dim() != 4 or len(images) != len(captions):
            raise ShapeError(f"{name!r} must be {len(captions)} images, one a caption; got {list(images.shape)}.")
    figures = []
    for index, caption in enumerate(captions):
        pictures = "".join(
            f'<img src="{picture(images[index])}" alt="{escape(f"{caption}: {name}")}">'
            for name, images in rows.items()
        )
        figures.append(f"<figure>{pictures}<figcaption>{escape(caption)}</figcaption></figure>")
    return Html(f'<div class="gallery" style="--width: {int(width)}px">\n' + "\n".join(figures) + "\n</div>")


def animation(frames: Tensor, alt: str, *, frames_per_second: float = 15.0) -> Html:
    """Frames ``[N, 3, H, W]`` float, linear light, as one WebP picture that runs for ever."""
    check_shape(frames, "N 3 H W", name="frames")
    first, *rest = [image_of(frame) for frame in frames]
    stream = io.BytesIO()
    milliseconds = round(1000 / frames_per_second)
    first.save(stream, "WEBP", save_all=True, append_images=rest, duration=milliseconds, loop=0, quality=80)
    return Html(f'<figure class="animation"><img src="{_uri("webp", stream)}" alt="{escape(alt)}"></figure>')


def silhouette_difference(target: Tensor, found: Tensor) -> Tensor:
    """Where two silhouettes ``[..., 1, H, W]`` agree and where not, ``[..., 3, H, W]``, linear light.

    Grey where both cover, white where neither does, blue where ``found`` lacks what ``target`` covers, orange where it
    covers what ``target`` does not.
    """
    wanted, got = target > 0.5, found > 0.5
    image = torch.ones_like(target).expand(*target.shape[:-3], 3, *target.shape[-2:])
    for where, color in ((wanted & got, _BOTH), (wanted & ~got, _MISSING), (got & ~wanted, _EXTRA)):
        image = torch.where(where, srgb_to_linear(srgb_of_hex(color))[:, None, None].to(image), image)
    return image


def difference_key(target: str = "target", found: str = "fit") -> Html:
    """What the colours of `silhouette_difference` mean."""
    meanings = {_BOTH: "both", _MISSING: f"{target} only", _EXTRA: f"{found} only"}
    items = "".join(
        f'<span><i style="background:{color}"></i>{escape(text)}</span>' for color, text in meanings.items()
    )
    return Html(f'<div class="key">{items}</div>')


def image_of(image: Tensor) -> Image.Image:
    """``[3 or 1, H, W]`` linear light as a picture in sRGB."""
    encoded = srgb_bytes(image)
    return Image.fromarray((encoded[0] if len(encoded) == 1 else encoded.movedim(0, -1).contiguous()).numpy())


def picture(image: Tensor) -> str:
    """``[3 or 1, H, W]`` linear light as the address of a picture that is inside the page."""
    stream = io.BytesIO()
    image_of(image).save(stream, "PNG", optimize=True)
    return _uri("png", stream)


def _uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
