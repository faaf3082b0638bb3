"""``render3d compare``: the same scene, or the same fit, by several renderers."""

import contextlib
import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Column, Table

from render3d.cli.calls import Json, Out, Quiet, Result, Resume, Size, default, height_and_width, parse
from render3d.cli.fit import (
    SETTINGS,
    Fits,
    FollowLinks,
    Format,
    HoldOut,
    Masks,
    Settings,
    Template,
    Truth,
    also_read,
    check_kind,
    course_on,
    kind_of,
    kinds_in,
    task_of,
)
from render3d.cli.progress import Bar
from render3d.comparison import SceneSettings, compare_fits, compare_scene, labels_of
from render3d.comparison.fits_report import fit_columns
from render3d.comparison.scene_report import SCENE_COLUMNS
from render3d.errors import ComparisonError, UsageError
from render3d.fitting import FitRecord
from render3d.renderers.table import ready_renderers
from render3d.scenes.files.opening import SUFFIXES, open_scene
from render3d.scenes.kind import SCENES
from render3d.view_sets import read_views

Renderers = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        help="Two or more renderers, by name or as module:Class; the others are compared with the first. One that is "
        "not installed is reported, and the others go on."
    ),
    default("all that render such a scene"),
]
_VIEWED, _MESH = SceneSettings(), SETTINGS["mesh"]


def compare_of(words: Sequence[str]) -> Callable[..., Result]:
    """``render3d compare`` with the flags of what its first word is: a scene, or views to fit."""
    if words and words[0] in ("-h", "--help"):  # that of both kinds
        with contextlib.suppress(SystemExit):
            parse(scene, "compare", words)
        return fits
    if not words or words[0].startswith("-"):
        raise UsageError(f"The first word is a mesh, a volume or views; got {words[0] if words else 'none'}.")
    if any(":" in kind for kind in kinds_in(words)) or _is_scene(Path(words[0])):
        return scene
    return functools.partial(fits, settings=SETTINGS[kind_of(words)])


def scene(
    model: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    kind: Annotated[str | None, tyro.conf.arg(name="scene"), default("by the suffix of MODEL")] = None,
    renderers: Renderers = (),
    views: int = _VIEWED.views,
    size: Size = _VIEWED.image_size,
    fov: float = _VIEWED.vertical_fov_degrees,
    rounds: int = _VIEWED.rounds,
    resume: Resume = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> Result:
    """Render one scene through several renderers, and show how far their images differ.

    Args:
        model: A mesh or a volume; or a file that the class of --scene loads.
        kind: Kind of scene: mesh, volume, or module:Class for one of your own.
        views: Cameras, spread evenly over a sphere round the scene.
        fov: Vertical field of view, degrees.
        rounds: Rounds of timing; the best counts.
    """
    found = open_scene(model, kind)
    names = renderers or ready_renderers(SCENES.short_name_of(type(found)))
    settings = SceneSettings(views=views, image_size=height_and_width(size), vertical_fov_degrees=fov, rounds=rounds)
    with Bar("renderers", quiet=quiet) as bar:
        bar.begin("compare", len(names))
        done = itertools.count()
        measures = compare_scene(
            out, found, names, settings, resume=resume, progress=lambda name: bar.advance(next(done), name)
        )
    return _result(measures, SCENE_COLUMNS, out)


def fits(
    views: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    scene: Fits = "mesh",
    renderers: Renderers = (),
    template: Template = None,
    format: Format = None,
    hold_out: HoldOut = None,
    masks: Masks = None,
    follow_links: FollowLinks = False,
    truth: Truth = None,
    resume: Resume = False,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: Settings = _MESH,
) -> Result:
    """Run one fit through several renderers, and show what comes of each.

    The first renderer measures the fits of all others, beside each its own. Every fit is in a folder of its own.

    Args:
        views: A transforms.json, or the folder of an object in any format of view sets.
        settings: Settings of the fit.
    """
    check_kind(scene, template, settings)
    found = read_views(views, format, follow_links=follow_links, masks=masks, also=also_read(settings))
    task = task_of(found, hold_out, template, settings, truth)
    with Bar("updates", quiet=quiet) as bar:
        courses: dict[str, Callable[[FitRecord], None]] = {}

        def progress(name: str, record: FitRecord) -> None:
            if name not in courses:
                courses[name] = course_on(bar, name, settings)
            courses[name](record)

        measures = compare_fits(out, task, renderers or ready_renderers(scene), resume=resume, progress=progress)
    return _result(measures, fit_columns(task, measures["reference"]), out)


def _is_scene(path: Path) -> bool:
    """Whether it is a mesh or a volume, or else views; by its name, so that nothing need be there yet."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if path.is_dir() or suffix == ".json":
        return False
    there = "" if path.exists() else ", which is not there"
    raise ComparisonError(
        f"The first word is a mesh or a volume ({', '.join(SUFFIXES)}), views to fit (a transforms.json, or the folder "
        f"of an object), or a file that the class of --scene module:Class loads; got {path}{there}."
    )


def _result(measures: dict[str, Any], shown: dict[str, tuple[str, str]], out: Path) -> Result:
    """The figures of those that worked; the exit status is 1 if they are fewer than two."""
    rows = measures["renderers"]
    worked = {name: row for name, row in rows.items() if row["failure"] is None}
    labels = labels_of(list(rows))
    table = Table("", *(Column(labels[name], overflow="fold") for name in worked))
    for title, (key, style) in shown.items():
        figures = (row.get(key) for row in worked.values())
        table.add_row(title, *("-" if figure is None else format(figure, style) for figure in figures))
    table.add_row("gradients of its own", *(", ".join(row["gradients"]) or "none" for row in worked.values()))
    table.add_row("licence", *(row["licence"] for row in worked.values()))
    failed = [f"{name} did not take part: {row['failure']}" for name, row in rows.items() if name not in worked]
    if len(worked) < 2:
        print("Fewer than two renderers worked: nothing was compared.", file=sys.stderr)
    return Result(measures, [table, *failed], out / "report.html", status=int(len(worked) < 2))
