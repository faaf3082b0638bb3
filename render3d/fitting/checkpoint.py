"""A fit on disk: enough to go on from any update as if nothing had happened."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as decode
from safetensors.torch import save as encode

from render3d.atomic import atomic_write
from render3d.errors import FitError, Render3DError
from render3d.fitting.optimiser import Adam
from render3d.runs.checkpoint import Checkpoint
from render3d.runs.folder import CHECKPOINT, RunFolder
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitRecord:
    """What one update showed.

    Attributes:
        update: Updates done, from 1.
        seconds: Since the fit began; time in which it was stopped does not count.
        loss: Squared difference of coverage, the mean over pixels, before the update; the expected one of noisy meshes
            where the renderer gives no gradient. Without priors.
        training_iou: Mean silhouette intersection over union of the scene after the update; None where not measured.
        held_out_iou: The same for views that took no part; None where not measured, or where there are none.
        stage: Of a fit to photographs: ``"hull"``, ``"shape"``, ``"colour"`` or ``"texture"``. The loss of the hull is
            one minus its intersection over union, and that of the texture the squared difference of colours in linear
            light.
    """

    update: int
    seconds: float
    loss: float
    training_iou: float | None = None
    held_out_iou: float | None = None
    stage: str = ""


def run_folder(path: Path) -> RunFolder:
    """Return the folder of a fit."""
    return RunFolder(path, "fit", FitError)


def checkpoint_in(folder: Path) -> Checkpoint[FitRecord]:
    """Return the file that a fit is saved in."""
    return Checkpoint(folder / CHECKPOINT, FitRecord, FitError)


def save(file: Checkpoint[FitRecord], state: Adam, records: Sequence[FitRecord]) -> None:
    """Replace the file, or leave it as it was.

    Raises:
        FitError: It cannot be written.
    """
    file.save(_tensors(state), state.count, records)


def load(file: Checkpoint[FitRecord], start: Callable[[int], Adam], updates: int) -> tuple[Adam, list[FitRecord]]:
    """Return the state that was saved, and the records up to it.

    Args:
        file: Of a fit.
        start: Makes a state like the one after so many updates: of the same shapes, on the device where it is wanted.
        updates: Of the whole fit.

    Raises:
        FitError: The file is missing, damaged, or of another fit.
    """

    def expected(count: int, records: Sequence[FitRecord]) -> dict[str, torch.Tensor]:
        if count != len(records) or count > updates:
            raise ValueError(f"{len(records)} records of {count} updates in a fit of {updates}")
        return _tensors(start(count))

    saved = file.load(expected)
    like = start(saved.updates)
    tensors = {name: tensor.to(like.parameters.device) for name, tensor in saved.tensors.items()}
    return Adam(**tensors, count=saved.updates, uniform=like.uniform), saved.records


def _tensors(state: Adam) -> dict[str, torch.Tensor]:
    return {name: getattr(state, name) for name in ("parameters", "first_moment", "second_moment")}


def kept(file: Path, make: Callable[[], Mesh], device: torch.device) -> Mesh:
    """The mesh in a file, bit for bit; where there is no such file, the one that ``make`` gives, which is put there.

    Raises:
        FitError: The file is damaged, or cannot be written.
    """
    if not file.exists():
        mesh = make()
        tensors = {"faces": mesh.faces} | {name: tensor for name, (tensor, _) in mesh.inputs().items()}
        content = encode({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file) as stream:
                stream.write(content)
        except OSError as error:
            raise FitError(
                f"Could not write {file}: {os.strerror(error.errno or 0)}. Make room, and resume."
            ) from error
        return mesh
    try:
        found = decode(file.read_bytes())
        return Mesh(found["vertices"], found["faces"], colors=found.get("colors")).to(device)
    except (SafetensorError, KeyError, Render3DError, OSError) as error:
        raise FitError(f"{file} is damaged ({error}). Remove {file.parent} and those after it, and resume.") from error
