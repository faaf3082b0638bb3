"""A training run on disk: parameters, optimiser and history in one file that changes at once."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from render3d.errors import TrainingError
from render3d.runs.checkpoint import Checkpoint, Saved
from render3d.runs.folder import RunFolder

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of torch's Adam, for each parameter
_PENDING = "pending"


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What some updates showed.

    Attributes:
        update: Updates done.
        seconds: Since training began; time in which it was stopped does not count.
        reconstruction: Nats, the mean over the examples of the updates since the last record.
        kl: The same; the sum over the latents.
        validation: The bound on held-out examples, nats; None where it was not measured.
    """

    update: int
    seconds: float
    reconstruction: float
    kl: float
    validation: float | None = None

    @property
    def free_energy(self) -> float:
        """Nats."""
        return self.reconstruction + self.kl


class TrainingState(NamedTuple):
    """How far a run is.

    Attributes:
        updates: Updates done.
        records: What they showed.
        pending: Reconstruction and KL of each update that is in no record yet, nats.
    """

    updates: int
    records: list[TrainingRecord]
    pending: list[list[float]]


def run_folder(path: Path) -> RunFolder:
    """Return the folder of a training run."""
    return RunFolder(path, "train", TrainingError)


def save_checkpoint(path: Path, model: nn.Module, optimiser: Optimizer, state: TrainingState) -> None:
    """Replace the file, or leave it as it was.

    Raises:
        TrainingError: It cannot be written.
    """
    tensors = _tensors(model, optimiser.state_dict()["state"])
    tensors[_PENDING] = torch.tensor(state.pending, dtype=torch.float64).reshape(-1, 2)
    _file(path).save(tensors, state.updates, state.records)


def read_checkpoint(path: Path, model: nn.Module) -> Saved[TrainingRecord]:
    """Return what was saved of a run of this model, and leave the model as it is.

    Raises:
        TrainingError: The file is missing, damaged, or of another model.
    """

    def expected(count: int, records: Sequence[TrainingRecord]) -> dict[str, Tensor]:
        recorded = records[-1].update if records else 0
        if count < recorded:
            raise ValueError(f"{count} updates, and a record of {recorded}")
        return _tensors(model, {}) | {_PENDING: torch.empty(count - recorded, 2, dtype=torch.float64)}

    return _file(path).load(expected)


def restore_model(saved: Saved[TrainingRecord], model: nn.Module) -> None:
    """Put what `read_checkpoint` has found into its model."""
    model.load_state_dict({name: saved.tensors[f"model.{name}"] for name in model.state_dict()})


def restore_run(path: Path, model: nn.Module, optimiser: Optimizer) -> TrainingState:
    """Go on from a checkpoint with a model, and an optimiser that was made for it.

    Raises:
        TrainingError: As in `read_checkpoint`.
    """
    saved = read_checkpoint(path, model)
    restore_model(saved, model)
    state = {
        number: {name: saved.tensors[f"optimiser.{number}.{name}"] for name in _MOMENTS}
        for number, _ in enumerate(model.parameters())
    }
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return TrainingState(saved.updates, saved.records, saved.tensors[_PENDING].tolist())


def _file(path: Path) -> Checkpoint[TrainingRecord]:
    return Checkpoint(path, TrainingRecord, TrainingError)


def _tensors(model: nn.Module, moments: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What a checkpoint holds of a model and its optimiser; zeros for moments of parameters without gradients."""
    found = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, parameter in enumerate(model.parameters()):
        zeros = (torch.zeros((), dtype=torch.float32), torch.zeros_like(parameter), torch.zeros_like(parameter))
        state = dict(zip(_MOMENTS, zeros, strict=True)) | dict(moments.get(number, {}))
        found |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    return found
