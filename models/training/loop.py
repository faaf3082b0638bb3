"""Training: one plain loop."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from render3d.errors import TrainingError, TransformError
from render3d.models.base import Recipe
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import FreeEnergy, SequentialModel
from render3d.models.training.checkpoints import (
    TrainingRecord,
    TrainingState,
    restore_run,
    run_folder,
    save_checkpoint,
)
from render3d.models.training.distributed import World
from render3d.models.training.evaluation import bound
from render3d.models.training.graphed import GraphedGradients
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key
from render3d.runs.folder import CHECKPOINT

Progress = Callable[[TrainingRecord], None]

_SECONDS_BETWEEN_SAVES = 60.0
_UPDATES_BETWEEN_RECORDS = 10
_OF_LATENTS = 4


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the end of the block: what is changed together is saved together."""
    if threading.current_thread() is not threading.main_thread():  # Python tells the main thread alone
        yield
        return
    caught = list[int]()
    previous = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if caught:
        signal.raise_signal(signal.SIGINT)


class Trained(NamedTuple):
    """A model after training, in evaluation mode, and what each record showed."""

    model: SequentialModel
    records: list[TrainingRecord]


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, progress: Progress | None = None, device: str | None = None
) -> Trained:
    """Minimise the free energy by Adam.

    Every batch, transform and latent is a function of the recipe and the number of the update, so a run that was
    stopped goes on exactly, and ``torchrun`` with any number of processes follows the same updates.

    Args:
        recipe: Everything that decides the run.
        out: A folder, made if it is not there, once nothing is missing. It gets ``config.json`` and the checkpoint,
            which is saved every minute, at the end, and when interrupted.
        resume: Go on with the run that was begun there.
        progress: Called with a `TrainingRecord` every few updates, by the first process only.
        device: Where to compute; by default a GPU, where there is one.

    Raises:
        TrainingError: A run in ``out`` without ``resume``, none or another with it, a damaged checkpoint, a device that
            is not there, or a term of the free energy that is not finite: the checkpoint before it stays.
        KeyboardInterrupt: Passed on, after saving.
    """
    folder = run_folder(out)
    folder.check_resume(resume)
    with World(device) as world:
        run = TrainingRun(recipe, out / CHECKPOINT, world, progress)
        if world.is_first:  # all have looked by now: DistributedDataParallel waits for the others
            folder.begin(recipe.to_json(), run.identity)
        if run.path.exists():
            run.restore()
        run.finish()
        return Trained(run.model.eval(), run.records)


@final
class TrainingRun:
    """The state of a run.

    Args:
        recipe: Everything that decides it.
        path: Its checkpoint.
        world: The processes that take part in it.
        progress: As in `train`.

    Attributes:
        in_graphs: Whether the kernels of an update are started by one call (`GraphedGradients`): where there is a GPU.
    """

    def __init__(self, recipe: Recipe, path: Path, world: World, progress: Progress | None = None) -> None:
        self.recipe, self.path, self.world = recipe, path, world
        self.progress = progress or (lambda record: None)
        self.training, self.held_out = BatchSource(recipe, "train"), BatchSource(recipe, "validation")
        self.model = model_of(recipe, self.training.classes).to(world.device)
        self.parallel = world.parallel(self.model)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.training.learning_rate[0], fused=True)
        self.key = Key(recipe.training.seed).fold_in(_OF_LATENTS)
        self.updates, self.records = 0, list[TrainingRecord]()
        self.before = 0.0  # seconds of this run before it was stopped
        self.began = self.saved_at = time.monotonic()
        self.pending = list[list[float]]()
        # One graph is of one process: gradients are averaged over several in ways of their own.
        on_gpu = world.device.type == "cuda"
        self.in_graphs = on_gpu and world.size == 1 and recipe.experiment.can_be_graphed
        self._graphed: GraphedGradients | None = None
        self._following: Batch | None = None  # of the next update
        # Making a batch waits for the GPU now and then; in a stream of its own, it does not wait for the update before.
        # A batch is let go when the results of its update are there, so that its memory is free in either stream.
        self._loading = torch.cuda.Stream(world.device) if on_gpu else None  # type: ignore[no-untyped-call]

    @property
    def identity(self) -> dict[str, str]:
        """What must be the same for the run to go on."""
        data = {f"data.{name}": value for name, value in self.training.fingerprint().items()}
        return self.recipe.facts() | data

    def restore(self) -> None:
        """Go on from the checkpoint."""
        self.updates, self.records, self.pending = restore_run(self.path, self.model, self.optimiser)
        self.before = self.records[-1].seconds if self.records else 0.0

    def finish(self) -> None:
        """Do the updates that are left."""
        settings = self.recipe.training
        try:
            while self.updates < settings.updates:
                self.update()
                if self.updates % _UPDATES_BETWEEN_RECORDS == 0 or self.updates == settings.updates:
                    self._record()
                if time.monotonic() - self.saved_at > _SECONDS_BETWEEN_SAVES:
                    self._save()
        except KeyboardInterrupt:
            self._save()
            raise
        self._save()

    def update(self) -> None:
        """One update of the optimiser; parts of it are regions to a profiler."""
        settings, number = self.recipe.training, self.updates
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate_at(number)
        batch = self._batch(number) if self._following is None else self._following
        if self._loading is not None:
            torch.cuda.current_stream(self.world.device).wait_stream(self._loading)
        key = Key(self.key.fold_in(number).seed, self._share.start)
        means = self._gradients(batch, key, torch.tensor(settings.kl_weight_at(number)))
        # A GPU is still at work: what comes next is made in the meantime, before its results are waited for.
        self._following = self._batch(number + 1) if number + 1 < settings.updates else None
        values = (self.world.sum(means) / self.world.size).tolist()
        self._check_finite(values)
        with uninterrupted():
            self.optimiser.step()
            self.updates += 1
            self.pending.append(values[:2])

    @property
    def _share(self) -> range:
        return self.world.share(self.recipe.training.batch_size)

    def _batch(self, number: int) -> Batch:
        """What this process sees of the batch of an update."""
        with record_function("data"), torch.cuda.stream(self._loading):
            indices = self.training.training_indices(number)[self._share.start : self._share.stop]
            return self.training.batch(indices, self.world.device)

    def _gradients(self, batch: Batch, key: Key, kl_weight: Tensor) -> Tensor:
        """As `Gradients`."""
        if not self.in_graphs:
            return self._gradients_of(lambda: self.parallel(batch, key), kl_weight)
        noise = self.model.noise(len(batch.x), key).to(batch.x)
        if self._graphed is None:
            self._graphed = GraphedGradients(self._gradients_by, batch, noise, kl_weight.to(noise))
        return self._graphed(batch, noise, kl_weight)

    def _gradients_by(self, batch: Batch, noise: Tensor, kl_weight: Tensor) -> Tensor:
        return self._gradients_of(lambda: self.model.free_energy(batch, noise, self.key), kl_weight)

    def _gradients_of(self, free_energy: Callable[[], FreeEnergy], kl_weight: Tensor) -> Tensor:
        settings, device = self.recipe.training, self.world.device.type
        self.optimiser.zero_grad(set_to_none=True)
        try:
            with torch.autocast(device, torch.bfloat16, settings.precision == "bfloat16"):
                terms = free_energy()
        except TransformError as error:  # which comes of a state that is not finite
            raise self._broken(["place of a patch"]) from error
        loss = terms.reconstruction + kl_weight.to(terms.kl.device) * terms.kl.sum(1)
        loss.mean().backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_norm)
        return torch.stack([terms.reconstruction.mean(), terms.kl.sum(1).mean(), norm]).detach()

    def _check_finite(self, values: list[float]) -> None:
        terms = zip(("reconstruction", "KL", "gradient"), values, strict=True)
        broken = [name for name, value in terms if not math.isfinite(value)]
        if broken:
            raise self._broken(broken)

    def _broken(self, terms: list[str]) -> TrainingError:
        kept = f"{self.path} holds the last good state" if self.path.exists() else "nothing had been saved yet"
        return TrainingError(
            f"The {' and the '.join(terms)} of update {self.updates + 1} {'is' if len(terms) == 1 else 'are'} not "
            f"finite; {kept}. Try a lower learning rate or gradient norm, in another folder."
        )

    def _record(self) -> None:
        settings = self.recipe.training
        reconstruction, kl = (sum(column) / len(column) for column in zip(*self.pending, strict=True))
        validation = None
        if self.updates % settings.validate_every == 0 or self.updates == settings.updates:
            self.model.eval()
            validation = bound(self.model, self.held_out, settings.validation_examples, self.world).mean
        seconds = self.before + time.monotonic() - self.began
        record = TrainingRecord(
            update=self.updates, seconds=seconds, reconstruction=reconstruction, kl=kl, validation=validation
        )
        with uninterrupted():
            self.records.append(record)
            self.pending.clear()
        if self.world.is_first:
            self.progress(record)

    def _save(self) -> None:
        if self.world.is_first:
            state = TrainingState(self.updates, self.records, self.pending)
            save_checkpoint(self.path, self.model, self.optimiser, state)
        self.saved_at = time.monotonic()
