"""A fit on disk: enough to go on from any step as if nothing had happened."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as encode

from render3d.atomic import atomic_write
from render3d.errors import FitError
from render3d.fitting.identity import changes_between
from render3d.fitting.optimiser import Adam, UniformAdam

State = TypeVar("State", UniformAdam, Adam)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitRecord:
    """What one step showed.

    Attributes:
        step: Steps done, from 1.
        seconds: Since the fit began; time in which it was stopped does not count.
        loss: Squared difference of coverage, the mean over pixels, before the step; the expected one of noisy meshes
            where the renderer gives no gradient. Without priors.
        training_iou: Mean silhouette intersection over union of the scene after the step; None where not measured.
        held_out_iou: The same for views that took no part; None where not measured, or where there are none.
    """

    step: int
    seconds: float
    loss: float
    training_iou: float | None = None
    held_out_iou: float | None = None


@final
@dataclasses.dataclass(frozen=True)
class Checkpoint(Generic[State]):
    """The file a fit is saved in: tensors as safetensors, the rest as JSON in its header, so that both change at once.

    Attributes:
        path: The file.
        identity: What the fit is of, by name: settings, renderer, fingerprints of its inputs. A fit goes on only from a
            file of the same identity.
        optimiser: Whose state it holds.
    """

    path: Path
    identity: Mapping[str, str]
    optimiser: type[State]

    def save(self, state: State, records: Sequence[FitRecord]) -> None:
        """Replace the file, or leave it as it was.

        Raises:
            FitError: It cannot be written.
        """
        history = [dataclasses.astuple(record) for record in records]
        header = {"identity": json.dumps(dict(self.identity)), "history": json.dumps(history), "step": str(state.count)}
        content = encode({name: getattr(state, name).contiguous().cpu() for name in _TENSORS}, header)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as stream:
                stream.write(content)
        except OSError as error:
            raise FitError(
                f"Could not save the fit to {self.path}: {os.strerror(error.errno or 0)}. What was saved there before "
                "is intact: make room, and resume."
            ) from error

    def load(self, device: torch.device) -> tuple[State, list[FitRecord]] | None:
        """What was saved, on ``device``, or None where nothing was.

        Raises:
            FitError: The file is not a checkpoint, or it is one of another fit.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                parameters, first, second = (file.get_tensor(name).to(device) for name in _TENSORS)
            saved = dict(json.loads(header["identity"]))
            records = [FitRecord(**dict(zip(_FIELDS, values, strict=True))) for values in json.loads(header["history"])]
            state = self.optimiser(parameters, first, second, int(header["step"]))
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise FitError(
                f"{self.path} is not a checkpoint of a fit, or is damaged ({error}). Remove it to start anew."
            ) from error
        self._check(saved)
        return state, records

    def _check(self, saved: Mapping[str, str]) -> None:
        # Files from before there were volumes do not say of which scene they are.
        was = {"scene": "mesh", **saved} if "scene" in self.identity else saved
        changes = changes_between(was, self.identity)
        if changes:
            more = f"; and {len(changes) - _MOST_NAMED} more" if len(changes) > _MOST_NAMED else ""
            raise FitError(
                f"Cannot resume from {self.path}, which is of another fit: {'; '.join(changes[:_MOST_NAMED])}{more}. "
                "Resume with what it was started with, or write to another folder."
            )


_MOST_NAMED = 4  # another kind of scene changes all settings
_TENSORS = ("parameters", "first_moment", "second_moment")
_FIELDS = tuple(field.name for field in dataclasses.fields(FitRecord))
