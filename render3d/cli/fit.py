"""``render3d fit``: a mesh or a volume from posed images."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from render3d.batches import usable_device
from render3d.cli.calls import Json, Out, Quiet, Result, Resume, default
from render3d.cli.progress import Bar
from render3d.errors import FitError, UsageError
from render3d.fitting import FitRecord, FitTask, TemplateFitSettings, VolumeFitSettings, fit_to_folder
from render3d.renderers import make_renderer
from render3d.renderers.table import RENDERER_HELP
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet, read_views

Scene = Literal["mesh", "volume"]
Fits = Annotated[Scene, tyro.conf.arg(help="What is fitted. Each has its own flags: see --scene volume --help.")]
Template = Annotated[
    Path | None, tyro.conf.arg(metavar="MESH", help="Mesh file to deform."), default("a sphere, for meshes")
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
Settings = Annotated[TemplateFitSettings | VolumeFitSettings, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands]

SETTINGS: dict[Scene, TemplateFitSettings | VolumeFitSettings] = {
    "mesh": TemplateFitSettings(),
    "volume": VolumeFitSettings(),
}
_RENDERERS: dict[Scene, str] = {"mesh": "opengl", "volume": "emissionabsorption"}
_DEFAULTS = TemplateFitSettings()


def fit_of(words: Sequence[str]) -> Callable[..., Result]:
    """``render3d fit`` with the flags of the kind of scene that ``--scene`` names."""
    scene = scene_of(words)
    return functools.partial(fit, renderer=_RENDERERS[scene], settings=SETTINGS[scene])


def fit(
    views: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    scene: Fits = "mesh",
    renderer: Annotated[str, tyro.conf.arg(help=f"{RENDERER_HELP}; or module:Class for one of your own.")] = "opengl",
    template: Template = None,
    format: Format = None,
    hold_out: HoldOut = None,
    follow_links: FollowLinks = False,
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE", help="Where to compute: cpu, cuda or cuda:1.")] = "cpu",
    resume: Resume = False,
    quiet: Quiet = False,
    as_json: Json = False,
    settings: Settings = _DEFAULTS,
) -> Result:
    """Fit a mesh, or a volume, to the silhouettes of posed images.

    Writes mesh.glb, mesh.obj, metrics.json, config.json and report.html, and for a volume volume.npz.

    Args:
        views: A transforms.json, or the folder of an object in any format of view sets.
        settings: Settings of the fit.
    """
    check_scene(scene, settings, template)
    through = make_renderer(renderer)
    found = read_views(views, format, follow_links=follow_links).to(usable_device(device))
    task = task_of(found, hold_out, template, settings)
    with Bar("updates", quiet=quiet) as bar:
        count = f"{len(task.views)} views, {0 if task.held_out is None else len(task.held_out)} held out"
        bar.begin(f"{through.capabilities.name}, {count}", settings.updates)
        measures = fit_to_folder(out, task, through, resume=resume, progress=course_on(bar))
    table = Table("", "IoU, held-out views", "IoU, training views")
    for name, measure in measures.items():
        held = "-" if measure.held_out_iou is None else f"{measure.held_out_iou:.4f}"
        table.add_row(name, held, f"{measure.training_iou:.4f}")
    facts = {name: dataclasses.asdict(measure) for name, measure in measures.items()}
    return Result(facts, [table], out / "report.html")


def scene_of(words: Sequence[str]) -> Scene:
    """What ``--scene`` names; any other value is left for the parser to refuse.

    Raises:
        UsageError: A flag among the words that only the other kind of scene has.
    """
    scene, other = ("volume", "mesh") if "volume" in kinds_in(words) else ("mesh", "volume")
    foreign = vars(SETTINGS[other]).keys() - vars(SETTINGS[scene]).keys()  # type: ignore[index]
    for word in words:
        if word.startswith("--") and word[2:].partition("=")[0].replace("-", "_") in foreign:
            raise UsageError(f"{word.partition('=')[0]} is a flag of --scene {other}; got --scene {scene}.")
    return scene  # type: ignore[return-value]


def kinds_in(words: Sequence[str]) -> list[str]:
    """What is given by ``--scene``."""
    given = [word.partition("=")[2] for word in words if word.startswith("--scene=")]
    return given + [value for word, value in itertools.pairwise(words) if word == "--scene"]


def check_scene(scene: Scene, settings: TemplateFitSettings | VolumeFitSettings, template: Path | None) -> None:
    """Raise `FitError` for settings, or a template, of another kind of scene."""
    if type(settings) is not type(SETTINGS[scene]):
        raise FitError(
            f"settings of a {scene} must be {type(SETTINGS[scene]).__name__}; got {type(settings).__name__}."
        )
    if template and scene == "volume":
        raise FitError("--template is a mesh to deform, and --scene volume has none. Leave it out.")


def task_of(
    views: ViewSet,
    hold_out: int | None,
    template: Path | None,
    settings: TemplateFitSettings | VolumeFitSettings,
    truth: Path | None = None,
) -> FitTask:
    """What the flags ask for: ``--hold-out`` keeps views for measuring, by default as their split, or one in five."""
    count = len(views) // 5 if hold_out is None else hold_out
    if count and not 0 < count < len(views):
        raise FitError(f"--hold-out must leave views to fit: 0 to {len(views) - 1} of these {len(views)}; got {count}.")
    training, held_out = (views, None) if not count else views.split(count)
    if hold_out is None and views.knows_split:
        training, held_out = views.split()
    start = Mesh.load(template).merged().to(views.alpha.device) if template else None
    return FitTask(training, held_out, start, settings, Mesh.load(truth) if truth else None)


def course_on(bar: Bar) -> Callable[[FitRecord], None]:
    """What shows the records of a fit: the loss, and the intersection over union that was measured last."""
    iou = "-"

    def show(record: FitRecord) -> None:
        nonlocal iou
        found = record.training_iou if record.held_out_iou is None else record.held_out_iou
        iou = iou if found is None else f"{found:.3f}"
        bar.advance(record.update, f"loss {record.loss:.4f}  IoU {iou}")

    return show
