"""``render3d train``: a generative model from a recipe."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from render3d.cli.progress import TrainingBar
from render3d.models.recipes import RECIPES, Recipe
from render3d.models.training.distributed import World
from render3d.models.training.folder import EVALUATION_SAMPLES, train_to_folder

_USAGE = """usage: render3d train RECIPE --out DIR [--help] ...

Recipes: {recipes}; or module:function for one of your own, a function that returns a
render3d.models.recipes.Recipe. Its keyword parameters are flags: render3d train {first} --help.
Several processes: torchrun --nproc-per-node N -m render3d train RECIPE --out DIR."""


def train(words: Sequence[str]) -> int:
    """Train a generative model; writes config.json, metrics.json, report.html and a checkpoint."""
    if not words or words[0].startswith("-"):
        print(_USAGE.format(recipes=", ".join(RECIPES), first=next(iter(RECIPES))))
        return 0 if words and words[0] in ("-h", "--help") else 2
    function = RECIPES.load(words[0])

    def run(
        *,
        out: Path,
        configuration: Annotated[Recipe, tyro.conf.arg(name="", constructor=function)],
        resume: bool = False,
        device: str | None = None,
        evaluation_samples: int = EVALUATION_SAMPLES,
        as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    ) -> int:
        """Train a generative model.

        Args:
            out: The folder for the results.
            configuration: What to train, and how.
            resume: Go on with the run that was stopped in OUT.
            device: Where to compute: cpu, cuda, cuda:1; by default a GPU, where there is one.
            evaluation_samples: Samples of the importance-weighted bound on test data; another number with --resume
                evaluates a finished run anew.
            as_json: Print the measures as JSON.
        """
        return _train(configuration, out, resume, device, evaluation_samples, as_json)

    settings = (tyro.conf.OmitArgPrefixes,)  # --updates, not --training.updates
    return tyro.cli(run, prog=f"render3d train {words[0]}", args=list(words[1:]), config=settings)


def _train(recipe: Recipe, out: Path, resume: bool, device: str | None, evaluation_samples: int, as_json: bool) -> int:
    first = World(device).is_first
    console = Console(stderr=as_json, quiet=not first)
    with TrainingBar(console) as bar:
        bar.begin("train", recipe.training)
        try:
            found = train_to_folder(
                recipe,
                out,
                resume=resume,
                progress=bar.advance,
                device=device,
                evaluation_samples=evaluation_samples,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"stopped after update {bar.step} of {recipe.training.updates} or later; nothing is lost. Go on by the "
                "same command with --resume."
            ) from None
    if found is None:
        return 0
    if as_json:
        print(json.dumps(found.summary()))
    else:
        console.print(f"Negative bound on {len(found.total)} {found.split} examples:", highlight=False)
        for samples, estimate in found.by_samples.items():
            console.print(f"  by {samples} sample{'s' * (samples > 1)}: {estimate}", highlight=False)
        console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
    return 0
