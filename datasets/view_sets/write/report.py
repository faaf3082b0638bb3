"""The page that shows what a run has made: some of the images, what failed, and how it was made."""

import collections
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from render3d import report
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.failures import skipped_by_reason
from render3d.datasets.view_sets.write.problems import objects_by_kind
from render3d.datasets.view_sets.write.protocols import Given
from render3d.datasets.view_sets.write.result import ViewsResult
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.tables import printable
from render3d.settings import CLASS
from render3d.view_sets.files import FolderFiles
from render3d.view_sets.formats import Format

_OBJECTS, _VIEWS = 24, 4  # of the contact sheet
_MOST_ROWS = 200
_EXAMPLES = 3
_MOST_WORKERS = 100


def views_report(
    folder: Path, format: Format, stored: Sequence[CollectionObject], settings: ViewsSettings, result: ViewsResult
) -> str:
    """The page, self-contained.

    Args:
        folder: Of the run.
        format: Where its objects are.
        stored: Which of them are there.
        settings: How they were made.
        result: What came of the run.
    """
    found = result.facts()
    lead = (
        f"{len(stored)} objects are stored, {result.made} of them by the last run: {result.views} views in "
        f"{result.seconds:.0f} s. {found['with_problems']} of them have problems, {len(result.failures)} objects "
        f"failed, and {len(result.skipped)} files were not taken."
    )
    shares = {name: f"{share:.0%} of the time of workers" for name, share in found["shares"].items()}
    return report.page(
        "Views of a collection of meshes",
        lead,
        *_contact_sheet(folder, format, stored),
        _classes(stored),
        *_problems(result),
        *_failures(result),
        *_skipped(result),
        *_memory(result),
        report.section(
            "How it was made",
            report.columns(
                report.facts(_readable(settings) | shares),
                report.facts({"views a second": f"{found['views_per_second']:.1f}"} | report.provenance()),
            ),
        ),
    )


def _contact_sheet(folder: Path, format: Format, stored: Sequence[CollectionObject]) -> list[report.Html]:
    """Some objects, evenly over the collection, each from a few sides."""
    if not stored:
        return []
    shown = [stored[number] for number in _spread(len(stored), _OBJECTS)]
    images = [_images(format, folder / format.place(item)) for item in shown]
    count = min(map(len, images))
    rows = {f"view {number}": torch.stack([views[number] for views in images]) for number in range(count)}
    note = f"{len(shown)} of {len(stored)} objects, {count} of their views each."
    sheet = report.gallery(rows, [item.id for item in shown])
    return [report.section("Contact sheet", report.paragraph(note), sheet, *_credits(shown))]


def _credits(shown: Sequence[CollectionObject]) -> list[report.Html]:
    """Whom the images on the page are to be credited to, as far as the collection tells."""
    rows = [[item.id, item.creator or "-", item.licence or "-"] for item in shown if item.creator or item.licence]
    if not rows:
        return []
    note = (
        "The models are by these, under these licences: give credit where you show their images. manifest.json names "
        "those of all objects."
    )
    return [report.paragraph(note), report.table(["object", "creator", "licence"], rows, words=True)]


def _images(format: Format, place: Path) -> Tensor:
    """A few of an object's images, ``[views, 3, H, W]`` linear light: colours, or silhouettes where these are all."""
    stored = format.open(FolderFiles(place))
    images = stored.read(_spread(stored.cameras.views, _VIEWS), ("alpha",), optional=("rgb",))
    return images["rgb"] if "rgb" in images else (1 - images["alpha"]).expand(-1, 3, -1, -1)


def _spread(count: int, most: int) -> list[int]:
    return torch.linspace(0, count - 1, min(count, most)).round().long().tolist()


def _classes(stored: Sequence[CollectionObject]) -> report.Html:
    counts = collections.Counter((item.label, item.split) for item in stored)
    rows = [[label or "-", split or "-", str(number)] for (label, split), number in sorted(counts.items())]
    return report.section("Classes", report.table(["class", "split", "objects"], rows, words=True))


def _problems(result: ViewsResult) -> list[report.Html]:
    ids: dict[str, dict[str, None]] = {}  # by kind, each once
    for problem in result.problems:
        ids.setdefault(problem.kind, {})[problem.id] = None
    counts = objects_by_kind(result.problems)
    note = "These objects were made all the same. problems.csv has each problem of each object."
    rows = [[kind, _some(ids[kind]), str(count)] for kind, count in counts.items()]
    return _listed("Problems of objects", note, ["problem", "such as", "objects"], rows)


def _failures(result: ViewsResult) -> list[report.Html]:
    note = "Nothing is stored of these. failures.csv has all of them, with traces."
    rows = [[failure.id, failure.reason, failure.kind] for failure in result.failures]
    return _listed("Failures", note, ["object", "reason", "kind"], rows)


def _skipped(result: ViewsResult) -> list[report.Html]:
    names: dict[str, list[str]] = {}
    for skip in result.skipped:
        names.setdefault(printable(skip.reason), []).append(printable(skip.path.name))
    note = "These were met in the collection and not taken for objects. skipped.csv has all of them."
    counts = skipped_by_reason(result.skipped)
    rows = [[reason, _some(names[reason]), str(count)] for reason, count in counts.items()]
    return _listed("Not taken", note, ["because it", "such as", "files"], rows)


def _some(names: Iterable[str]) -> str:
    return ", ".join(itertools.islice(names, _EXAMPLES))


def _listed(title: str, note: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[report.Html]:
    """A section with a table, as far as there are rows, and room for them."""
    if not rows:
        return []
    if len(rows) > _MOST_ROWS:
        note += f" Here are the first {_MOST_ROWS} rows of {len(rows)}."
    table = report.table(heads, rows[:_MOST_ROWS], words=True)
    return [report.section(title, report.paragraph(note), table)]


def _memory(result: ViewsResult) -> list[report.Html]:
    """What processes held: as much at the end as early on, or they grow."""
    if not result.memory:
        return []
    heads = ["process", "objects", "after a tenth of them, MiB", "at the end, MiB", "at most, MiB"]
    rows = [
        [one.worker, str(one.objects), *(f"{held:.0f}" for held in (one.after_tenth, one.at_end, one.most))]
        for one in result.memory[:_MOST_WORKERS]
    ]
    return [report.section("Memory of workers", report.table(heads, rows))]


def _readable(settings: ViewsSettings) -> dict[str, object]:
    values = settings.to_json()
    protocol: dict[str, object] = values.pop("protocol")
    shading: dict[str, object] = values.pop("shading")
    del protocol[CLASS]
    if isinstance(settings.protocol, Given):
        protocol["transforms"] = f"{len(settings.protocol.transforms['frames'])} cameras"
    return {"protocol": settings.protocol.name} | protocol | values | {f"shading: {k}": v for k, v in shading.items()}
