"""A training run on disk: parameters, optimiser and history in one file that changes at once."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode
from torch import Tensor, nn
from torch.optim import Optimizer

from render3d.atomic import atomic_write
from render3d.errors import TrainingError


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What some steps showed.

    Attributes:
        step: Steps done.
        seconds: Since training began; time in which it was stopped does not count.
        reconstruction: Nats, the mean over the examples of the steps since the last record.
        kl: The same; the sum over the latents.
        validation: The bound on held-out examples, nats; None where it was not measured.
    """

    step: int
    seconds: float
    reconstruction: float
    kl: float
    validation: float | None = None

    @property
    def free_energy(self) -> float:
        """Nats."""
        return self.reconstruction + self.kl


class Saved(NamedTuple):
    """What a checkpoint holds beside tensors."""

    identity: dict[str, str]
    step: int
    history: list[TrainingRecord]
    pending: list[list[float]]  # reconstruction and KL of steps that are in no record yet


def save_checkpoint(path: Path, model: nn.Module, optimiser: Optimizer, saved: Saved) -> None:
    """Replace the file, or leave it as it was.

    Raises:
        TrainingError: It cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    header = {
        "identity": json.dumps(saved.identity),
        "step": str(saved.step),
        "history": json.dumps([dataclasses.asdict(record) for record in saved.history]),
        "pending": json.dumps(saved.pending),
    }
    content = encode({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, header)
    try:
        with atomic_write(path) as stream:
            stream.write(content)
    except OSError as error:
        raise TrainingError(
            f"Could not save the run to {path}: {os.strerror(error.errno or 0)}. What was saved there before is "
            "intact: make room, and resume."
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Saved]:
    """Tensors by name, on the CPU, and the rest.

    Raises:
        TrainingError: There is none, or it is damaged or something else.
    """
    if not path.exists():
        raise TrainingError(f"{path} does not exist: no run was saved there. Train first, without --resume.")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        history = [TrainingRecord(**values) for values in json.loads(header["history"])]
        identity, pending = json.loads(header["identity"]), json.loads(header["pending"])
        return tensors, Saved(dict(identity), int(header["step"]), history, list(pending))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise TrainingError(
            f"{path} is not a checkpoint of a training run, or is damaged ({error}). Remove it to start anew."
        ) from error


def check_identity(path: Path, saved: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raise `TrainingError` if a run cannot go on from a checkpoint, and say what changed."""
    changes = [
        f"{name} was {saved.get(name, 'absent')} and is {wanted.get(name, 'absent')}"
        for name in dict.fromkeys([*saved, *wanted])
        if saved.get(name) != wanted.get(name)
    ]
    if changes:
        raise TrainingError(
            f"Cannot resume from {path}, which is of another run: {'; '.join(changes)}. Resume with what it was "
            "started with, or write to another folder."
        )


def restore(tensors: Mapping[str, Tensor], model: nn.Module, optimiser: Optimizer | None = None) -> None:
    """Put saved tensors into a model, and into an optimiser that was made for it.

    Raises:
        TrainingError: They are of another model.
    """
    parameters = {name.removeprefix("model."): value for name, value in _named(tensors, "model.")}
    try:
        model.load_state_dict(parameters)
    except RuntimeError as error:
        raise TrainingError(f"The checkpoint is of another model: {' '.join(str(error).split())}") from error
    if optimiser is None:
        return
    state: dict[int, dict[str, Any]] = {}
    for name, value in _named(tensors, "optimiser."):
        _, number, moment = name.split(".", 2)
        state.setdefault(int(number), {})[moment] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _named(tensors: Mapping[str, Tensor], prefix: str) -> Sequence[tuple[str, Tensor]]:
    return [(name, value) for name, value in tensors.items() if name.startswith(prefix)]
