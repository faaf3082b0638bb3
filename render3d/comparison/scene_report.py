"""The page that shows one scene by several renderers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from render3d import report
from render3d.color import srgb_to_linear
from render3d.comparison.differences import AMPLIFIED, color_difference, depth_difference, normal_difference
from render3d.comparison.report_parts import named, renderers_part
from render3d.comparison.scene_settings import SceneSettings
from render3d.comparison.turns import Figures, Turn
from render3d.images import Rendering
from render3d.scenes import SceneKind

_MOST_SHOWN = 6  # views
_DEPTH_ERRORS = report.Scale(low=1e-6, high=1e-2, unit="share of the depth", logarithmic=True)
SCENE_COLUMNS = {
    "IoU": ("iou", ".5f"),
    "differing pixels": ("differing_pixels", ",.0f"),
    "share of boundary": ("differing_share", ".2%"),
    "> 1 pixel off": ("far_pixels", ",.0f"),
    "depth, largest": ("depth_largest", ".1e"),
    "depth, mean": ("depth_mean", ".1e"),
    "normals, degrees": ("normal_degrees", ".2f"),
    "colour": ("rgb", ".4f"),
    "images/s": ("images_per_second", ",.1f"),
    "peak memory, MiB": ("peak_mib", ",.0f"),
}
"""Of the table of figures: the figure of each column, and how it is written."""
_ANGLES = report.Scale(low=0, high=10, unit="degrees")


def scene_report(
    scene: SceneKind,
    settings: SceneSettings,
    turns: Sequence[Turn],
    renderings: Mapping[str, Rendering],
    differences: Mapping[str, Figures],
) -> str:
    """The page, self-contained.

    Args:
        scene: What was rendered.
        settings: How.
        turns: What came of each renderer.
        renderings: Of those that worked, by label; the first is what the others are compared with.
        differences: What `figures_of` gives of them.
    """
    source = getattr(scene, "source", None)
    name = source.name if source else f"A {type(scene).__name__.lower()}"
    return report.page(
        f"{name} by {named(len(renderings), 'renderer')}",
        _lead(renderings, differences),
        _figures_part(turns, differences),
        renderers_part(turns),
        *_views_part(renderings),
        report.how_made(_readable(settings, scene)),
    )


def _lead(renderings: Mapping[str, Rendering], differences: Mapping[str, Figures]) -> str:
    if not renderings:
        return "No renderer worked."
    reference = next(iter(renderings))
    if not differences:
        return f"Only {reference} worked: there is nothing to compare it with."
    found = "; ".join(
        f"coverage by {name} differs in {named(int(each['differing_pixels'] or 0), 'pixel')} (IoU {each['iou']:.5f})"
        for name, each in differences.items()
    )
    first = renderings[reference]
    height, width = first.image_size
    return f"{named(len(first.alpha), 'view')} of {height} x {width} pixels, compared with {reference}: {found}."


def _figures_part(turns: Sequence[Turn], differences: Mapping[str, Figures]) -> report.Html:
    rows = {
        turn.label + ("" if turn.label in differences else " (reference)"): {
            **turn.figures,
            **differences.get(turn.label, {}),
        }
        for turn in turns
        if turn.worked
    }
    note = (
        "Over all views. Pixels differ where one renderer covers more than half of them and the other does not; their "
        "share is that of the reference's boundary pixels. Depth (relative), normals and colour are compared inside, a "
        "pixel away from edges; of normals, and of colour (linear light, the channel that differs most), it is the "
        "99th percentile. Images a second are those of the best round, warm, colours and coverage. Memory is what a "
        "process of its own needs on the host beyond torch and the scene, with what it imports."
    )
    return report.section("Figures", report.paragraph(note), report.figures(SCENE_COLUMNS, rows))


def _views_part(renderings: Mapping[str, Rendering]) -> list[report.Html]:
    """Each view by all renderers; if there are many, those that differ most."""
    if not renderings:
        return []
    first = next(iter(renderings.values()))
    apart = torch.stack([(one.alpha > 0.5) != (first.alpha > 0.5) for one in renderings.values()])
    order = apart.flatten(2).sum((0, 2)).argsort(descending=True, stable=True)[:_MOST_SHOWN].sort().values
    parts = [_view_part(index, {name: one[index] for name, one in renderings.items()}) for index in order.tolist()]
    if len(first.alpha) > _MOST_SHOWN:
        parts.insert(0, report.paragraph(f"The {_MOST_SHOWN} of {len(first.alpha)} views that differ most are shown."))
    return parts


def _view_part(index: int, renderings: Mapping[str, Rendering]) -> report.Html:
    reference, first = next(iter(renderings.items()))

    def own(output: str, picture: Callable[[Rendering], Tensor]) -> list[Tensor | None]:
        return [picture(one) if output in one.outputs else None for one in renderings.values()]

    def against(output: str, picture: Callable[[Rendering], Tensor]) -> list[Tensor | None]:
        possible = [one is not first and {output} <= {*one.outputs} & {*first.outputs} for one in renderings.values()]
        return [picture(one) if can else None for one, can in zip(renderings.values(), possible, strict=True)]

    depths = _depth_scale(renderings)
    key = report.difference_key(reference, "this one")
    rows = [
        report.Row("colour", own("rgb", lambda one: one.rgb)),
        report.Row(
            "colour, difference",
            against("rgb", lambda one: color_difference(first.rgb, one.rgb)),
            report.paragraph(f"{AMPLIFIED:g} times amplified; white is {1 / AMPLIFIED:g} of linear light or more."),
        ),
        report.Row("coverage", own("alpha", lambda one: 1 - one.alpha) if _tells_more(renderings) else []),
        report.Row(
            "coverage, difference",
            against("alpha", lambda one: report.silhouette_difference(first.alpha, one.alpha)),
            key,
        ),
        report.Row("depth", own("depth", lambda one: depths.colors(one.depth, _seen(one))), depths.bar()),
        report.Row(
            "depth, difference",
            against("depth", lambda one: _DEPTH_ERRORS.colors(*depth_difference(first, one))),
            _DEPTH_ERRORS.bar(),
        ),
        report.Row("normals", own("normal", _normals)),
        report.Row(
            "normals, difference",
            against("normal", lambda one: _ANGLES.colors(*normal_difference(first, one))),
            _ANGLES.bar(),
        ),
    ]
    shown = [row for row in rows if any(picture is not None for picture in row.pictures)]
    return report.section(f"View {index}", report.grid(list(renderings), shown))


def _tells_more(renderings: Mapping[str, Rendering]) -> bool:
    """Whether coverage is more than yes or no, which its difference shows, or all that a renderer makes."""
    return any(
        "rgb" not in one.outputs or bool(((one.alpha > 0) & (one.alpha < 1)).any()) for one in renderings.values()
    )


def _seen(rendering: Rendering) -> Tensor:
    return (rendering.depth > 0) & (rendering.alpha > 0)


def _depth_scale(renderings: Mapping[str, Rendering]) -> report.Scale:
    depths = [one.depth[_seen(one)] for one in renderings.values() if "depth" in one.outputs]
    together = torch.cat(depths) if depths else torch.empty(0)
    if not len(together):
        return report.Scale(low=0, high=1)
    return report.Scale(low=float(together.min()), high=float(together.max()), unit="along z, scene units")


def _normals(rendering: Rendering) -> Tensor:
    """Axes of the world as red, green and blue, in the values of files; white where nothing is."""
    return srgb_to_linear((rendering.normal + 1) / 2).where(rendering.alpha > 0.5, 1.0)


def _readable(settings: SceneSettings, scene: SceneKind) -> dict[str, object]:
    height, width = settings.image_size
    values = dataclasses.asdict(settings) | {"image_size": f"{height} x {width}"}
    return {"scene": f"{scene.size}, in the unit sphere"} | {name.replace("_", " "): v for name, v in values.items()}
