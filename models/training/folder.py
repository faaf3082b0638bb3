"""A training run as a folder that explains itself: what was asked for, how good it is, and a page that shows it."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from render3d.atomic import write_text
from render3d.errors import TrainingError
from render3d.models.base import Findings, Recipe, Run
from render3d.models.parts.sequential import SequentialModel
from render3d.models.training.checkpoints import TrainingRecord, run_folder
from render3d.models.training.distributed import World
from render3d.models.training.evaluation import Bound, bound
from render3d.models.training.loop import Progress, train
from render3d.models.training.report import training_report
from render3d.models.training.run import BASELINE
from render3d.models.training.sources import BatchSource

EVALUATION_SAMPLES = 10
_TEST_EXAMPLES = 1000


def train_to_folder(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    device: str | None = None,
    evaluation_samples: int = EVALUATION_SAMPLES,
    with_findings: bool = True,
) -> Bound | None:
    """Train, and write what came of it to a folder.

    There will be ``config.json``, ``checkpoint.safetensors``, ``metrics.json``, ``report.html`` and, where tensorboard
    is installed, ``tensorboard/``; and ``baseline/``, where the run is compared with another that is trained after it.

    Args:
        recipe: Everything that decides the run.
        out: A folder; made if it is not there.
        resume: As in `train`, like the next two.
        progress: Called with every `TrainingRecord`.
        device: Where to compute.
        evaluation_samples: K of the importance-weighted bound on test data. It is no part of the run: a finished one,
            resumed with another K, is only evaluated anew.
        with_findings: Whether to look for more than bounds, as `Experiment.findings` does, and to train what that is
            compared with.

    Returns:
        The bounds on the test split, the first 1,000 examples of it; None in all processes but the first.

    Raises:
        TrainingError: As in `train`, or less than one evaluation sample.
    """
    if evaluation_samples < 1:
        raise TrainingError(f"evaluation_samples must be at least 1; got {evaluation_samples}.")
    first = World(device).is_first
    with _log(out / "tensorboard", first) as log:

        def report(record: TrainingRecord) -> None:
            log(record)
            if progress is not None:
                progress(record)

        trained = train(recipe, out, resume=resume, progress=report, device=device)
    baseline = None
    if with_findings:
        baseline = _baseline(recipe, out / BASELINE, resume=resume, progress=progress, device=device)
    if not first:
        return None
    source = BatchSource(recipe, "test")
    run = Run(recipe, trained.model, trained.records, source.classes, baseline)
    found = bound(run.model, source, _TEST_EXAMPLES, samples=evaluation_samples)
    more = recipe.experiment.findings(run) if with_findings else Findings({}, ())
    write_text(out / "metrics.json", json.dumps(_metrics(run, found, more), indent=2) + "\n")
    write_text(out / "report.html", training_report(run, found, more) + "\n")
    return found


def _baseline(
    recipe: Recipe, out: Path, *, resume: bool, progress: Progress | None, device: str | None
) -> SequentialModel | None:
    """What the run is compared with, trained; the part of it that is there already is not done again."""
    compared = recipe.baseline
    if compared is None:
        return None
    begun = resume and run_folder(out).is_begun
    return train(compared, out, resume=begun, progress=progress, device=device).model


def _metrics(run: Run, found: Bound, more: Findings) -> dict[str, Any]:
    measured = [record for record in run.records if record.validation is not None]
    held_out = bound(run.model, BatchSource(run.recipe, "validation"), run.recipe.training.validation_examples)
    return {
        found.split: found.summary(),
        held_out.split: held_out.summary(),
        **({"findings": more.figures} if more.figures else {}),
        "updates": run.records[-1].update,
        "seconds": run.records[-1].seconds,
        "history": [dataclasses.asdict(record) for record in measured],
    }


@contextlib.contextmanager
def _log(folder: Path, wanted: bool) -> Iterator[Callable[[TrainingRecord], None]]:
    """Writes scalars for TensorBoard, where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        wanted = False
    if not wanted:
        yield lambda record: None
        return
    with contextlib.ExitStack() as stack:
        # It makes the folder, which is not before the run is begun.
        writer = functools.cache(lambda: stack.enter_context(SummaryWriter(str(folder))))

        def log(record: TrainingRecord) -> None:
            terms = {"free_energy": record.free_energy, "reconstruction": record.reconstruction, "kl": record.kl}
            if record.validation is not None:
                terms["validation"] = record.validation
            for name, value in terms.items():
                writer().add_scalar(f"nats/{name}", value, record.update)

        yield log
