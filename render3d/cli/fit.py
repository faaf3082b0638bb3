"""``render3d fit``: a mesh or a volume from posed images."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from render3d.batches import usable_device
from render3d.cli.calls import Json, Out, Quiet, Result, Resume, default
from render3d.cli.progress import Bar
from render3d.errors import FitError, UsageError
from render3d.fitting import (
    FitFigures,
    FitRecord,
    FitSettings,
    FitTask,
    TemplateFitSettings,
    VolumeFitSettings,
    fit_to_folder,
)
from render3d.fitting.task import renderer_for
from render3d.renderers.table import RENDERER_HELP
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet, read_views

Scene = Literal["mesh", "volume"]
Kind = Literal["mesh", "template", "volume"]
Fits = Annotated[Scene, tyro.conf.arg(help="What is fitted. Each has its own flags: see --scene volume --help.")]
Template = Annotated[
    Path | None,
    tyro.conf.arg(metavar="MESH", help="Mesh file to deform; its topology stays. See --template MESH --help."),
    default("none: a mesh of any topology, with its texture"),
]
HoldOut = Annotated[
    int | None,
    tyro.conf.arg(help="Views kept for measuring only, spread evenly."),
    default("the split of VIEWS, or one in five"),
]
Format = Annotated[
    str | None,
    tyro.conf.arg(help="Format of VIEWS: nerfstudio, blender, colmap or r2n2; or module:Class for one of your own."),
    default("recognised by its files"),
]
FollowLinks = Annotated[bool, tyro.conf.arg(help="Follow links in VIEWS that lead out of its folder.")]
Masks = Annotated[
    Literal["grabcut"] | None,
    tyro.conf.arg(help="Make masks for photographs that have none, by their colours (OpenCV's GrabCut)."),
    default("those of VIEWS"),
]
Truth = Annotated[
    Path | None,
    tyro.conf.arg(metavar="MESH", help="The true mesh, in the world of the cameras, to be measured against."),
    default("none"),
]
AnySettings = FitSettings | TemplateFitSettings | VolumeFitSettings
Settings = Annotated[AnySettings, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands]

SETTINGS: dict[Kind, AnySettings] = {
    "mesh": FitSettings(),
    "template": TemplateFitSettings(),
    "volume": VolumeFitSettings(),
}
_NAMES: dict[Kind, str] = {
    "mesh": "a fit without --template",
    "template": "a fit with --template",
    "volume": "a fit with --scene volume",
}
_DEFAULTS = FitSettings()


def fit_of(words: Sequence[str]) -> Callable[..., Result]:
    """``render3d fit`` with the flags of what ``--scene`` and ``--template`` ask for."""
    kind = kind_of(words)
    renderer = "emissionabsorption" if kind == "volume" else "opengl"
    return functools.partial(fit, renderer=renderer, settings=SETTINGS[kind])


def fit(
    views: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    scene: Fits = "mesh",
    renderer: Annotated[str, tyro.conf.arg(help=f"{RENDERER_HELP}; or module:Class for one of your own.")] = "opengl",
    template: Template = None,
    format: Format = None,
    masks: Masks = None,
    hold_out: HoldOut = None,
    follow_links: FollowLinks = False,
    truth: Truth = None,
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE", help="Where to compute: cpu, cuda or cuda:1.")] = "cpu",
    resume: Resume = False,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: Settings = _DEFAULTS,
) -> Result:
    """Make a textured mesh of posed photographs; or fit a template, or a volume, to their silhouettes.

    Writes mesh.glb, mesh.obj, metrics.json, config.json and report.html; the mesh after each stage in stages/, and for
    a volume volume.npz.

    Args:
        views: A transforms.json, or the folder of an object in any format of view sets.
        settings: Settings of the fit.
    """
    check_kind(scene, template, settings)
    through = renderer_for(renderer, settings)
    found = read_views(views, format, follow_links=follow_links, masks=masks, also=also_read(settings))
    task = task_of(found.to(usable_device(device)), hold_out, template, settings, truth)
    with Bar("updates", quiet=quiet) as bar:
        count = f"{len(task.views)} views, {0 if task.held_out is None else len(task.held_out)} held out"
        course = course_on(bar, f"{through.capabilities.name}, {count}", settings)
        figures = fit_to_folder(out, task, through, resume=resume, progress=course)
    return Result(figures.facts, [*_tables(figures), *figures.remarks], out / "report.html")


def _tables(figures: FitFigures) -> Iterator[Table]:
    """The measures, and the distances from the truth."""
    shown = {"IoU, held-out views": "held_out_iou", "IoU, training views": "training_iou"}
    if figures.measures["fit"].held_out_psnr is not None:
        shown |= {"PSNR, held-out views": "held_out_psnr", "on white": "held_out_psnr_on_white"}
    yield _table(shown, {name: vars(measure) for name, measure in figures.measures.items()})
    if figures.truth:
        seen = {name: vars(found.visible or found.whole) for name, found in figures.truth.items()}
        yield _table({"chamfer / radius": "chamfer", "F1 at 1 %": "f1_1_percent", "at 3.5 %": "f1_3_5_percent"}, seen)


def _table(shown: Mapping[str, str], rows: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = Table("", *shown)
    for name, row in rows.items():
        cells = (row[key] for key in shown.values())
        table.add_row(name, *("-" if cell is None else f"{cell:.2f}" if cell > 1 else f"{cell:.4f}" for cell in cells))
    return table


def kind_of(words: Sequence[str]) -> Kind:
    """What the words ask to fit; a scene that there is not is left for the parser to refuse.

    Raises:
        UsageError: A flag among the words that only other kinds have.
    """
    kind: Kind = "volume" if "volume" in kinds_in(words) else "mesh"
    if kind == "mesh" and any(word.partition("=")[0] == "--template" for word in words):
        kind = "template"
    for word in words:
        name = word[2:].partition("=")[0].replace("-", "_")
        owners = [other for other, settings in SETTINGS.items() if word.startswith("--") and hasattr(settings, name)]
        if owners and kind not in owners and name in vars(SETTINGS[owners[0]]):
            raise UsageError(f"{word.partition('=')[0]} is a flag of {_NAMES[owners[0]]}; this is {_NAMES[kind]}.")
    return kind


def kinds_in(words: Sequence[str]) -> list[str]:
    """What is given by ``--scene``."""
    given = [word.partition("=")[2] for word in words if word.startswith("--scene=")]
    return given + [value for word, value in itertools.pairwise(words) if word == "--scene"]


def check_kind(scene: Scene, template: Path | None, settings: AnySettings) -> None:
    """Raise `FitError` for settings, or a template, of another kind."""
    if template and scene == "volume":
        raise FitError("--template is a mesh to deform, and --scene volume has none. Leave it out.")
    expected = SETTINGS["volume" if scene == "volume" else "template" if template else "mesh"]
    if type(settings) is not type(expected):
        raise FitError(
            f"settings must be {type(expected).__name__} with {scene=!s} and {'a' if template else 'no'} template; got "
            f"{type(settings).__name__}."
        )


def also_read(settings: AnySettings) -> list[str]:
    """The images that a fit compares beside silhouettes and colours."""
    return [name for name in ("depth", "normal") if getattr(settings, name, 0) > 0]


def task_of(
    views: ViewSet,
    hold_out: int | None,
    template: Path | None,
    settings: AnySettings,
    truth: Path | None = None,
) -> FitTask:
    """What the flags ask for: ``--hold-out`` keeps views for measuring, by default as their split, or one in five."""
    count = len(views) // 5 if hold_out is None else hold_out
    if count and not 0 < count < len(views):
        raise FitError(f"--hold-out must leave views to fit: 0 to {len(views) - 1} of these {len(views)}; got {count}.")
    training, held_out = (views, None) if not count else views.split(count)
    if hold_out is None and views.knows_split:
        training, held_out = views.split()
    start = Mesh.load(template).restored().merged().to(views.alpha.device) if template else None
    return FitTask(training, held_out, start, settings, Mesh.load(truth).restored() if truth else None)


def course_on(bar: Bar, name: str, settings: AnySettings) -> Callable[[FitRecord], None]:
    """What shows the records of a fit, a bar a stage: the loss, and the intersection over union measured last."""
    stages = stages_of(settings) if isinstance(settings, FitSettings) else {"": settings.updates}
    iou, stage, before, last = "-", next(iter(stages)), 0, 0
    bar.begin(f"{name} {stage}".strip(), stages[stage])

    def show(record: FitRecord) -> None:
        nonlocal iou, stage, before, last
        found = record.training_iou if record.held_out_iou is None else record.held_out_iou
        iou = iou if found is None else f"{found:.3f}"
        if record.stage != stage:
            stage, before = record.stage, last
            bar.begin(f"{name} {stage}".strip(), stages[stage])
        last = record.update
        bar.advance(max(1, last - before), f"loss {record.loss:.4f}  IoU {iou}")

    return show


def stages_of(settings: FitSettings) -> dict[str, int]:
    """The stages of a fit to photographs, with their updates; one for those that have none."""
    stages = {"hull": 1}
    for level in settings.levels:
        stages[level.stage] = stages.get(level.stage, 0) + level.updates
    return stages | ({"texture": 1} if settings.until == "texture" else {})
