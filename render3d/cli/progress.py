"""The progress of training on a terminal."""

from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from render3d.models.base import TrainSettings
from render3d.models.training.checkpoints import TrainingRecord


@final
class TrainingBar:
    """Updates, nats, examples a second and an estimate of the time that is left; a line a run.

    Attributes:
        step: Of the run that began last.
    """

    def __init__(self, console: Console) -> None:
        self.step, self._seconds, self._batch = 0, 0.0, 0
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        name, left = TextColumn("{task.description}"), TextColumn("left")
        self._bar = Progress(name, *columns, left, TimeRemainingColumn(), console=console)

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def begin(self, name: str, settings: TrainSettings) -> None:
        """Show a run that begins."""
        self.step, self._seconds, self._batch = 0, 0.0, settings.batch_size
        self._task = self._bar.add_task(name, total=settings.updates, state="")

    def advance(self, record: TrainingRecord) -> None:
        """Show a record of it."""
        steps, seconds = record.step - self.step, record.seconds - self._seconds
        rate = steps * self._batch / seconds if seconds > 0 else 0.0
        self.step, self._seconds = record.step, record.seconds
        state = f"{record.free_energy:.1f} nats (KL {record.kl:.1f})  {rate:.0f} examples/s"
        self._bar.update(self._task, completed=record.step, state=state)
