"""Numbers as colours, and the bar that says which is which."""

import dataclasses
import math
from html import escape
from typing import final

import torch
from torch import Tensor

from render3d.color import srgb_of_hex, srgb_to_linear
from render3d.report.html import Html

# Viridis, by Stéfan van der Walt and Nathaniel Smith (CC0), at even steps.
_VIRIDIS = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Colours for the numbers from ``low`` to ``high``; what lies beyond has the colour of the nearer end.

    Attributes:
        low: Dark blue.
        high: Yellow.
        unit: Of the numbers, for the bar.
        logarithmic: Whether equal ratios, rather than equal differences, are equal steps of colour. ``low`` must be
            positive then, and should be a power of ten, as should ``high``.
    """

    low: float
    high: float
    unit: str = ""
    logarithmic: bool = False

    def colors(self, values: Tensor, where: Tensor) -> Tensor:
        """``[..., 1, H, W]`` as ``[..., 3, H, W]``, linear light; white where not ``where``."""
        position = self._position(values.nan_to_num(self.low)).clamp(0, 1) * (len(_VIRIDIS) - 1)
        left = position.floor().long().clamp(max=len(_VIRIDIS) - 2)
        anchors = torch.stack([*map(srgb_of_hex, _VIRIDIS)])
        share = position - left
        # Between two colours as a browser goes, in the values of files.
        encoded = torch.lerp(anchors[left], anchors[left + 1], share[..., None].expand(*share.shape, 3))
        mixed = srgb_to_linear(encoded).movedim(-1, -4).squeeze(-3)
        return mixed.where(where, 1.0)

    def bar(self) -> Html:
        """The colours with numbers under them."""
        labels = "".join(f"<span>{escape(label)}</span>" for label in self._labels())
        unit = f"<small>{escape(self.unit)}</small>" if self.unit else ""
        colors = ", ".join(_VIRIDIS)
        return Html(
            f'<div class="scale"><i style="background: linear-gradient(to right, {colors})"></i>'
            f"<div>{labels}</div>{unit}</div>"
        )

    def _position(self, values: Tensor) -> Tensor:
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            return (values.clamp(min=self.low).log() - low) / (high - low)
        return (values - self.low) / max(self.high - self.low, 1e-12)

    def _labels(self) -> list[str]:
        if not self.logarithmic:
            return [f"{value:.3g}" for value in (self.low, (self.low + self.high) / 2, self.high)]
        low, high = round(math.log10(self.low)), round(math.log10(self.high))
        middle = [] if (high - low) % 2 else [(low + high) // 2]
        return [f"{10.0**power:g}" for power in (low, *middle, high)]
