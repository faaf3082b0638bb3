"""What the pages of all comparisons have in common."""

from collections.abc import Sequence

from render3d import report
from render3d.comparison.turns import Turn


def renderers_part(turns: Sequence[Turn]) -> report.Html:
    """Who took part, what stands behind each, and why some did not."""
    heads = ["", "stands on", "licence", "works on", "gradients of its own", "images"]
    rows = [
        [turn.label, each.library, each.licence, each.device, each.gradient_kinds, ", ".join(each.outputs)]
        for turn in turns
        if (each := turn.facts)
    ]
    parts = [report.table(heads, rows, words=True)]
    failed = [[turn.name, turn.failure] for turn in turns if turn.failure]
    if failed:
        parts.append(report.table(["Did not take part", "because"], failed, words=True))
    return report.section("Renderers", *parts)


def named(count: int, what: str) -> str:
    """``3 views``, ``1 view``."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")
