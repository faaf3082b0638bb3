"""``render3d train``: a generative model from a recipe."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from render3d.cli.calls import Device, Json, Out, Quiet, Result, Resume
from render3d.cli.progress import Bar
from render3d.errors import UsageError
from render3d.models.recipes import RECIPES, Recipe
from render3d.models.training.checkpoints import TrainingRecord
from render3d.models.training.distributed import World
from render3d.models.training.folder import EVALUATION_SAMPLES, train_to_folder

Samples = Annotated[
    int,
    tyro.conf.arg(
        help="Samples of the importance-weighted bound on test data. A finished run is evaluated anew by --resume with "
        "another number."
    ),
]
_HELP = """Train a generative model from a recipe: {recipes}; or module:function for one of your own,
a function that returns a render3d.models.recipes.Recipe. Its keyword parameters are flags:
render3d train {first} --help. Several processes: torchrun --nproc-per-node N -m render3d train RECIPE --out DIR."""


def train_of(words: Sequence[str]) -> Callable[..., Result | None]:
    """``render3d train`` with the flags of the recipe that is its first word."""
    about = _HELP.format(recipes=", ".join(RECIPES), first=next(iter(RECIPES)))
    if not words or words[0].startswith("-"):
        if words and words[0] in ("-h", "--help"):
            print(about)
            raise SystemExit(0)
        known = ", ".join(RECIPES)
        raise UsageError(
            f"The first word is a recipe: {known}; or module:function. Got {words[0] if words else 'none'}."
        )
    function = RECIPES.load(words[0])

    def train(
        recipe: Annotated[str, tyro.conf.Positional],
        /,
        *,
        out: Out,
        configuration: Annotated[Recipe, tyro.conf.arg(name="", constructor=function), function],
        resume: Resume = False,
        device: Device = None,
        evaluation_samples: Samples = EVALUATION_SAMPLES,
        quiet: Quiet = False,
        as_json: Json = False,
    ) -> Result | None:
        with Bar("updates", quiet=quiet or not World(device).is_first) as bar:
            bar.begin("train", configuration.training.updates)
            options: dict[str, Any] = {"resume": resume, "device": device, "evaluation_samples": evaluation_samples}
            found = train_to_folder(configuration, out, progress=course_on(bar), **options)
        if found is None:  # in all processes but the first
            return None
        lines = [f"  by {samples} sample{'s' * (samples > 1)}: {each}" for samples, each in found.by_samples.items()]
        first = f"Negative bound on {len(found.total)} {found.split} examples:"
        return Result(found.summary(), [first, *lines], out / "report.html")

    train.__doc__ = function.__doc__ and function.__doc__.split("\n")[0]
    return train


def course_on(bar: Bar) -> Callable[[TrainingRecord], None]:
    """What shows the records of training."""
    return lambda record: bar.advance(record.update, f"{record.free_energy:.1f} nats (KL {record.kl:.1f})")
