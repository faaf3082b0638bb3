"""What came of it: numbers, a page and an image."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from learned_camera.networks import WARPS, Settings, Trained
from learned_camera.scores import Analytic, Scores, draw, interval
from learned_camera.views import ZONES, Posed
from render3d import report
from render3d.renderers import Renderer
from render3d.renderers.volumetric.warps import Warp
from render3d.report.pictures import image_of

_SHOWN = 2  # solids of each zone
_NAMES = {warp: f"learned, warp={warp!r}" for warp in WARPS}
_TITLES = {
    "error": "Silhouette, root of the mean squared error",
    "iou": "Silhouette, IoU",
    "depth": "Depth where both cover, mean absolute error in voxels",
}


class Study(NamedTuple):
    """All networks, one a seed, and what they are compared with."""

    networks: dict[Warp, list[Trained]]
    analytic: dict[str, Analytic]
    tests: dict[str, Posed]

    def scores(self) -> dict[str, list[dict[str, Scores]]]:
        """By renderer: one entry a seed, by zone."""
        learned = {_NAMES[warp]: [each.scores for each in runs] for warp, runs in self.networks.items()}
        return learned | {name: [each.scores] for name, each in self.analytic.items()}


def summary(study: Study) -> dict[str, Any]:
    """Mean and half width of the 95% interval over seeds, by renderer, zone and measure."""
    table = {
        name: {zone: {measure: _over_seeds(runs, zone, measure) for measure in _TITLES} for zone in study.tests}
        for name, runs in study.scores().items()
    }
    return {
        "seeds": len(next(iter(study.networks.values()))),
        "scores": table,
        "density": {name: each.density for name, each in study.analytic.items()},
        "seconds": {warp: [each.seconds for each in runs] for warp, runs in study.networks.items()},
    }


def _over_seeds(runs: Sequence[dict[str, Scores]], zone: str, measure: str) -> dict[str, float | None] | None:
    values = [getattr(scores[zone], measure) for scores in runs]
    if None in values:
        return None
    mean, half_width = interval(values)
    return {"mean": mean, "half_width": half_width}


# The page


def page(study: Study, settings: Settings) -> str:
    """A whole page."""
    found = summary(study)
    lead = (
        f"LearnedProjection drawing held-out solids, beside analytic renderers; {settings.updates} updates, "
        f"{found['seeds']} seeds, {len(next(iter(study.tests.values())))} solids of two views each in every zone. "
        "+- is half the width of the 95% interval over seeds."
    )
    return report.page(
        "A learned camera",
        lead,
        report.section("Scores", *(_table(found["scores"], measure) for measure in _TITLES)),
        _progress(study),
        _gallery(study),
        report.how_made(dataclasses.asdict(settings) | _more_facts(found)),
    )


def _table(scores: dict[str, Any], measure: str) -> report.Html:
    rows = [[name, *(_cell(by_zone[zone][measure]) for zone in ZONES)] for name, by_zone in scores.items()]
    return report.table([_TITLES[measure], *ZONES], rows)


def _cell(found: dict[str, float | None] | None) -> str | None:
    if found is None:
        return None
    spread = "" if found["half_width"] is None else f" +- {found['half_width']:.3f}"
    return f"{found['mean']:.3f}{spread}"


def _more_facts(found: dict[str, Any]) -> dict[str, str]:
    densities = {f"density, {name}": f"{factor:.3g}" for name, factor in found["density"].items()}
    seconds = {f"seconds, {warp}": ", ".join(f"{each:.0f}" for each in runs) for warp, runs in found["seconds"].items()}
    return densities | seconds


def _progress(study: Study) -> report.Html:
    """Curves of the error in every zone, with the seeds as a band."""
    note = (
        "Lines are means over the seeds, and bands reach from the least to the greatest. Dashed: the best of the "
        "analytic renderers."
    )
    plots = [_curves(study, zone) for zone in study.tests]
    pairs = [report.columns(*plots[start : start + 2]) for start in range(0, len(plots), 2)]
    return report.section("Progress", report.paragraph(note), *pairs)


def _curves(study: Study, zone: str) -> report.Html:
    lines: dict[str, tuple[list[float], list[float]]] = {}
    bands: dict[str, tuple[list[float], list[float]]] = {}
    for warp, runs in study.networks.items():
        errors = torch.tensor([[scores[zone].error for _, scores in each.history] for each in runs])
        lines[warp] = [float(update) for update, _ in runs[0].history], errors.mean(0).tolist()
        bands[warp] = errors.amin(0).tolist(), errors.amax(0).tolist()
    best = min(study.analytic, key=lambda name: study.analytic[name].scores[zone].error)
    return report.curves(
        f"Cameras {zone}",
        x_label="updates",
        y_label="error of silhouettes",
        series=lines,
        bands=bands,
        levels={"analytic": study.analytic[best].scores[zone].error},
    )


# Pictures


def _gallery(study: Study) -> report.Html:
    rows = _drawn(study)
    note = f"Darker is nearer. From above: {'; '.join(rows)}."
    captions = [zone for zone in study.tests for _ in range(_SHOWN)]
    return report.section("Pictures", report.paragraph(note), report.gallery(rows, captions))


def picture(study: Study) -> Image:
    """The same images as one: a row a renderer, the target first; the zones from left to right."""
    rows = [torch.cat([_framed(image) for image in images], dim=-1) for images in _drawn(study).values()]
    return image_of(torch.cat(rows, dim=-2))


def _framed(image: Tensor) -> Tensor:
    larger = image.repeat_interleave(4, -1).repeat_interleave(4, -2)
    return torch.nn.functional.pad(larger, (0, 2, 0, 2), value=0.7)


def _drawn(study: Study) -> dict[str, Tensor]:
    """``[zones * shown, 1, H, W]`` by renderer, the target first; the networks are those of the first seed."""
    shown = {zone: _some(posed, 2 * number) for number, (zone, posed) in enumerate(study.tests.items())}
    renderers: dict[str, tuple[Renderer, float]] = {
        _NAMES[warp]: (runs[0].network, 1.0) for warp, runs in study.networks.items()
    }
    renderers |= {name: (each.renderer, each.density) for name, each in study.analytic.items() if each.density != 1.0}
    rows = {"target": torch.cat([_shade(posed.alpha, posed.depth, posed) for posed in shown.values()])}
    for name, (renderer, density) in renderers.items():
        pictures = []
        for posed in shown.values():
            found = draw(renderer, posed, density)
            pictures.append(_shade(found["alpha"], found.get("depth"), posed))
        rows[name] = torch.cat(pictures)
    return rows


def _some(posed: Posed, start: int) -> Posed:
    """A few solids from number ``start`` on, going round, each from its first camera."""
    chosen = (torch.arange(_SHOWN) + start) % len(posed)
    return posed.pick(chosen, torch.zeros_like(chosen))


def _shade(alpha: Tensor, depth: Tensor | None, posed: Posed) -> Tensor:
    """Images in which what is nearer is darker; of one shade if there is no depth."""
    middle = posed.cameras.translation[..., 2, None, None, None]
    far = torch.zeros_like(alpha) if depth is None else (depth - middle).clamp(-1, 1)
    return (1 - alpha * (0.6 - 0.35 * far)).flatten(0, 1)
