"""What the choice of the renderer did: figures, curves and images."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from one_image.objects import Objects
from one_image.training import Settings, Trained
from render3d import report
from render3d.renderers import Renderer

_SHOWN = range(6)  # solids: one of each class
_FROM = 3  # a view that the network does not see
_SEEN, _TRUE = "the image it sees", "truth, another view"

Runs = Mapping[str, tuple[Renderer, Trained]]
"""By the renderer's label."""


def summary(runs: Runs) -> dict[str, Any]:
    """What metrics.json says."""
    return {
        name: {"scene": trained.network.head.__class__.__name__.removeprefix("To").lower()}
        | {"iou": trained.curve[-1][2], "seconds": trained.curve[-1][1], "curve": trained.curve, **trained.facts}
        for name, (_, trained) in runs.items()
    }


def page(runs: Runs, test: Objects, settings: Settings) -> str:
    """A whole page."""
    rows = [
        [name, each["scene"], each["gradients"], each["licence"], each["iou"], f"{each['seconds']:.0f}"]
        for name, each in summary(runs).items()
    ]
    lead = (
        f"One network that predicts a solid from one picture, trained through {len(runs)} renderers; all else is "
        f"equal. IoU of {len(test)} other solids in {test.alpha.shape[1] - 1} views that the network does not see."
    )
    heads = ("renderer", "scene", "gradients of its own", "licence", "IoU", "seconds")
    shown = pictures(runs, test)
    solids = [
        report.Row(f"solid {number}", row)
        for number, row in zip(_SHOWN, zip(*shown.values(), strict=True), strict=False)
    ]
    return report.page(
        "Swapping the renderer",
        lead,
        report.section("Figures", report.table(heads, rows)),
        report.section("Progress", report.columns(curves_by_updates(runs), curves_by_seconds(runs))),
        report.section(
            "Pictures",
            report.paragraph("Each solid from a view that the network does not see, as the renderer itself draws it."),
            report.grid(list(shown), solids),
        ),
        report.how_made(dataclasses.asdict(settings)),
    )


def curves_by_updates(runs: Runs) -> report.Html:
    """What as many steps bring."""
    series = {name: ([n for n, _, _ in run.curve], [iou for *_, iou in run.curve]) for name, (_, run) in runs.items()}
    return report.curves("At equal steps", x_label="updates", y_label="IoU of unseen views", series=series)


def curves_by_seconds(runs: Runs) -> report.Html:
    """What as much time brings; the logarithm, as renderers differ by more than a factor of ten."""
    series = {
        name: ([math.log10(s) for _, s, _ in run.curve[1:]], [iou for *_, iou in run.curve[1:]])
        for name, (_, run) in runs.items()
    }
    return report.curves(
        "At equal time", x_label="log10 of the seconds of training", y_label="IoU of unseen views", series=series
    )


@torch.no_grad()
def pictures(runs: Runs, test: Objects) -> dict[str, list[Tensor]]:
    """``[1 or 3, H, W]`` of some solids, by column."""
    some = list(_SHOWN)
    columns = {_SEEN: list(test.seen[some]), _TRUE: list(1 - test.alpha[some, _FROM])}
    for name, (renderer, trained) in runs.items():
        scenes = trained.network(test.seen[some])
        drawn = renderer(scenes, test.cameras[_FROM], ("rgb", "alpha"))
        columns[name] = list((drawn.rgb + (1 - drawn.alpha))[:, 0].clamp(0, 1))
    return columns


def picture(runs: Runs, test: Objects) -> Tensor:
    """The same as one image ``[3, H, W]``: a row a column of the page."""
    rows = [torch.cat([_framed(image) for image in images], -1) for images in pictures(runs, test).values()]
    return torch.cat(rows, -2)


def _framed(image: Tensor) -> Tensor:
    larger = image.expand(3, -1, -1).repeat_interleave(4, -1).repeat_interleave(4, -2)
    return torch.nn.functional.pad(larger, (0, 2, 0, 2), value=0.7)
