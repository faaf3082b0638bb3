"""Training: exact resume, several processes, what stops a run, and that it learns."""

import dataclasses
import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from render3d.datasets import MNIST3DSettings, PrimitivesSettings
from render3d.errors import DatasetError, DeviceError, TrainingError
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.parts.batch import Batch
from render3d.models.parts.gaussians import DiagonalGaussian
from render3d.models.parts.writers import CanvasWriter
from render3d.models.recipes import RECIPES
from render3d.models.training.checkpoints import TrainingRecord, read_checkpoint
from render3d.models.training.distributed import World
from render3d.models.training.evaluation import bound
from render3d.models.training.folder import train_to_folder
from render3d.models.training.loop import CHECKPOINT, train, uninterrupted
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key
from render3d.runs.checkpoint import Saved
from render3d.runs.folder import CONFIG

DATA = PrimitivesSettings(size=8, solid_size=4, translation=4, train=24, validation=12, test=12)
MODEL = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4)


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {"updates": 12, "batch_size": 6, "validate_every": 5, "validation_examples": 9}
    return Recipe(data=DATA, experiment=MODEL, training=TrainSettings(**(values | changes)))  # type: ignore[arg-type]


def without_time(records: list[TrainingRecord]) -> list[TrainingRecord]:
    return [dataclasses.replace(record, seconds=0.0) for record in records]


def saved_in(folder: Path) -> Saved[TrainingRecord]:
    made = recipe()
    return read_checkpoint(folder / CHECKPOINT, model_of(made, BatchSource(made, "train").classes))


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make Ctrl-C arrive while the batch of a step is made, which is in the midst of the step before."""

    def arrange(step: int) -> None:
        original = BatchSource.training_indices

        def indices(self: BatchSource, number: int) -> list[int]:
            if number == step:
                monkeypatch.setattr(BatchSource, "training_indices", original)
                raise KeyboardInterrupt
            return original(self, number)

        monkeypatch.setattr(BatchSource, "training_indices", indices)

    return arrange


def test_a_run_that_was_stopped_ends_where_it_would_have_ended(
    tmp_path: Path, interrupt: Callable[[int], None]
) -> None:
    whole = train(recipe(), tmp_path / "whole", device="cpu")
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path / "parts", device="cpu")
    assert saved_in(tmp_path / "parts").updates == 6
    torch.manual_seed(99)  # nothing depends on torch's own generator
    resumed = train(recipe(), tmp_path / "parts", resume=True, device="cpu")
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert without_time(whole.records) == without_time(resumed.records)
    assert [record.update for record in whole.records] == [10, 12]
    assert whole.records[-1].validation is not None


def test_a_finished_run_can_be_resumed_and_nothing_is_done(tmp_path: Path) -> None:
    first = train(recipe(updates=2), tmp_path, device="cpu")
    again = train(recipe(updates=2), tmp_path, resume=True, device="cpu")
    assert again.records == first.records


def test_it_learns(tmp_path: Path) -> None:
    settings = recipe(updates=150, learning_rate=(1e-2, 1e-3), validate_every=150)
    held_out = BatchSource(settings, "validation")
    before = bound(model_of(settings, held_out.classes), held_out, 12)
    trained = train(settings, tmp_path, device="cpu")
    after = bound(trained.model, held_out, 12)
    assert before.mean - after.mean > 20
    last = trained.records[-1].validation
    assert last is not None and last == pytest.approx(float(bound(trained.model, held_out, 9).mean))


def test_the_weight_of_the_divergence_keeps_z_short_and_leaves_the_measure_as_it_is(tmp_path: Path) -> None:
    settings = TrainSettings(updates=100, kl_weight=(100.0, 1.0))
    found = [settings.kl_weight_at(step) for step in (0, 25, 50, 99)]
    assert found == pytest.approx([100, 10, 1, 1])
    assert {TrainSettings().kl_weight_at(step) for step in (0, 5000)} == {1.0}
    rates = {"updates": 100, "learning_rate": (1e-2, 1e-2)}
    short = train(recipe(**rates, kl_weight=(50.0, 50.0)), tmp_path / "short", device="cpu").records[-1]
    usual = train(recipe(**rates), tmp_path / "usual", device="cpu").records[-1]
    assert short.kl < usual.kl / 2, (short.kl, usual.kl)
    first = train(recipe(updates=1, kl_weight=(50.0, 50.0)), tmp_path / "first", device="cpu").records[0]
    same = train(recipe(updates=1), tmp_path / "same", device="cpu").records[0]
    assert (first.kl, first.reconstruction) == (same.kl, same.reconstruction)  # what is told has the weight 1


def test_the_bound_of_an_example_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    source = BatchSource(recipe(), "test")
    model = model_of(recipe(), source.classes)
    whole = bound(model, source, 12)
    monkeypatch.setattr("render3d.models.training.evaluation._BATCH", 5)
    torch.testing.assert_close(bound(model, source, 7).total, whole.total[:7], atol=1e-4, rtol=0)
    assert not torch.equal(bound(model, source, 12, seed=1).total, whole.total)
    assert whole.standard_error == pytest.approx(float(whole.total.std()) / 12**0.5)


def test_an_epoch_shows_every_example_once_in_an_order_of_its_own() -> None:
    source = BatchSource(recipe(), "train")
    for epoch in (0, 1):
        seen = [index for step in range(4 * epoch, 4 * epoch + 4) for index in source.training_indices(step)]
        assert sorted(seen) == list(range(24))
    assert source.training_indices(0) != source.training_indices(4)
    assert source.examples.epoch == 1
    first = source.training_indices(0)
    assert source.examples.epoch == 0
    assert first == source.training_indices(0)


_TWO = """
import json, sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import recipe
from render3d.models.training.loop import train
torch.set_num_threads(1)
train(recipe(updates=5), Path(sys.argv[2]), device="cpu")
"""


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    """Started by torchrun, over gloo; the sums of gradients differ in their order only."""
    train(recipe(updates=5), tmp_path / "one", device="cpu")
    script = tmp_path / "run.py"
    script.write_text(_TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    finished = subprocess.run(
        [*command, str(Path(__file__).parent), str(tmp_path / "two")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    one, two = saved_in(tmp_path / "one"), saved_in(tmp_path / "two")
    assert two.updates == 5
    for name, value in one.tensors.items():
        torch.testing.assert_close(
            two.tensors[name], value, atol=2e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}"
        )
    for first, second in zip(one.records, two.records, strict=True):
        assert second.reconstruction == pytest.approx(first.reconstruction, rel=1e-4)
        assert second.validation == pytest.approx(first.validation, rel=1e-4)


@pytest.mark.parametrize(
    ("owner", "method", "message"),
    [
        (BatchSource, "batch", "The place of a patch of update 6 is not finite"),
        (CanvasWriter, "forward", "The reconstruction and the gradient of update 6 are not finite"),
        (DiagonalGaussian, "kl_to_standard", "The KL and the gradient of update 6 are not finite"),
    ],
)
def test_what_is_not_finite_stops_the_run_is_named_and_leaves_the_last_good_state(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Callable[[int], None],
    owner: type,
    method: str,
    message: str,
) -> None:
    interrupt(4)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path, device="cpu")
    good = (tmp_path / CHECKPOINT).read_bytes()
    original, calls = getattr(owner, method), []

    def spoil(*arguments: object) -> object:
        found = original(*arguments)
        calls.append(arguments)
        if len(calls) != 3:
            return found
        return found._replace(x=found.x * torch.nan) if isinstance(found, Batch) else found * torch.inf

    monkeypatch.setattr(owner, method, spoil)
    with pytest.raises(TrainingError, match=f"{message}; .* holds the last good state"):
        train(recipe(), tmp_path, resume=True, device="cpu")
    assert (tmp_path / CHECKPOINT).read_bytes() == good


def test_nothing_is_overwritten_and_nothing_is_resumed_that_is_not_there(tmp_path: Path) -> None:
    train(recipe(updates=1), tmp_path, device="cpu")
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match="holds a run already"):
        train(recipe(updates=1), tmp_path, device="cpu")
    with pytest.raises(TrainingError, match="nothing to resume in .*nowhere: it has no config.json"):
        train(recipe(), tmp_path / "nowhere", resume=True, device="cpu")
    with pytest.raises(TrainingError, match="another run: training.seed was 0 and is 4"):
        train(recipe(updates=1, seed=4), tmp_path, resume=True, device="cpu")
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_data_that_changed_between_runs_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(recipe(updates=1), tmp_path, device="cpu")
    original = BatchSource.fingerprint
    monkeypatch.setattr(BatchSource, "fingerprint", lambda self: original(self) | {"file.digits": "5e6f"})
    with pytest.raises(TrainingError, match="data.file.digits was absent and is 5e6f"):
        train(recipe(updates=1), tmp_path, resume=True, device="cpu")


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(recipe(updates=2), tmp_path / "whole", device="cpu")
    with monkeypatch.context() as patch, pytest.raises(AssertionError, match="killed"):
        patch.setattr(BatchSource, "batch", raises(AssertionError("killed")))
        train(recipe(updates=2), tmp_path / "parts", device="cpu")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [CONFIG]
    resumed = train(recipe(updates=2), tmp_path / "parts", resume=True, device="cpu")
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def raises(error: BaseException) -> Callable[..., object]:
    def raise_it(*arguments: object) -> object:
        raise error

    return raise_it


def damage(name: str, path: Path) -> None:
    """Write, in the place of a checkpoint after six steps, one that this run never saves."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    first, moment = "model." + next(iter(MODEL.build(DATA, 6).state_dict())), "optimiser.0.exp_avg"
    match name:
        case "cut off":
            path.write_bytes(path.read_bytes()[:-100])
        case "something else":
            path.write_text(json.dumps({"not": "a checkpoint"}))
        case "a parameter is missing":
            save_file({key: value for key, value in tensors.items() if key != first}, path, header)
        case "a moment is missing":
            save_file({key: value for key, value in tensors.items() if key != moment}, path, header)
        case "a tensor is too many":
            save_file(tensors | {"model.more": torch.zeros(1)}, path, header)
        case "a moment of another shape":
            save_file(tensors | {moment: torch.zeros(1)}, path, header)
        case "another precision":
            save_file(tensors | {first: tensors[first].bfloat16()}, path, header)
        case "a step less":
            save_file(tensors, path, header | {"updates": "5"})
        case "fewer steps than recorded":
            record = dataclasses.asdict(TrainingRecord(update=10, seconds=1.0, reconstruction=1.0, kl=1.0))
            save_file(tensors, path, header | {"records": json.dumps([record])})
        case "a record of another type":
            record = dataclasses.asdict(TrainingRecord(update=6, seconds=1.0, reconstruction=1.0, kl=1.0))
            save_file(tensors, path, header | {"records": json.dumps([record | {"kl": "1.0"}])})


DAMAGES = {
    "cut off": "",
    "something else": "",
    "a parameter is missing": "it lacks model.",
    "a moment is missing": "it lacks optimiser.0.exp_avg",
    "a tensor is too many": "it has no use for model.more",
    "a moment of another shape": r"optimiser.0.exp_avg is torch.float32 of shape \[1\], not torch.float32 of shape",
    "another precision": "is torch.bfloat16 of shape .*, not torch.float32",
    "a step less": r"pending is torch.float64 of shape \[6, 2\], not torch.float64 of shape \[5, 2\]",
    "fewer steps than recorded": "6 updates, and a record of 10",
    "a record of another type": "record.kl must be float; got '1.0'",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_an_error_that_names_it_before_anything_is_trained(
    tmp_path: Path, interrupt: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path, device="cpu")
    path = tmp_path / CHECKPOINT
    damage(name, path)
    monkeypatch.setattr(BatchSource, "batch", raises(AssertionError("trained")))
    told = rf"{re.escape(str(path))} is not a checkpoint of this run, or is damaged \(.*{DAMAGES[name]}.*Remove it"
    with pytest.raises(TrainingError, match=told):
        train(recipe(), tmp_path, resume=True, device="cpu")


def test_what_is_missing_is_known_before_the_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="Nothing can be computed on the device 'abacus': .* such as cpu"):
        train_to_folder(recipe(), tmp_path / "out", device="abacus")
    files = dataclasses.replace(recipe(), data=MNIST3DSettings(), path=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="nowhere"):
        train_to_folder(files, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C as at a terminal: what a shell starts in the background ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_waits_until_what_belongs_together_is_done() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_is_ignored_where_it_was() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_survive_json(name: str) -> None:
    files = {"path": Path("models")} if name == "collection" else {}
    made = RECIPES.load(name)(training=TrainSettings(seed=3, learning_rate=(0.01, 0.005)), **files)
    assert Recipe.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.training.seed == 3


def test_recipes_are_found_by_name_or_told_what_was_meant() -> None:
    assert RECIPES.load("render3d.models.recipes.volumes:necker") is RECIPES.load("necker")
    with pytest.raises(TrainingError, match="There is no recipe 'primitive'. Did you mean 'primitives'"):
        RECIPES.load("primitive")
    with pytest.raises(TrainingError, match="cannot be imported"):
        RECIPES.load("no_such_module:recipe")
    with pytest.raises(TrainingError, match="has no 'cubes' to be a recipe"):
        RECIPES.load("render3d.models.recipes:cubes")
    with pytest.raises(TrainingError, match="recipe lacks 'data' and lacks 'experiment' .* of another version"):
        Recipe.from_json({})


def test_products_in_bfloat16_change_the_free_energy_little_and_its_terms_stay_exact(tmp_path: Path) -> None:
    exact, reduced = (
        train(recipe(precision=precision, updates=3), tmp_path / precision, device="cpu")
        for precision in ("float32", "bfloat16")
    )
    assert {parameter.dtype for parameter in reduced.model.parameters()} == {torch.float32}
    (first,), (other,) = exact.records, reduced.records
    assert first.free_energy != other.free_energy
    assert other.reconstruction == pytest.approx(first.reconstruction, rel=0.01)
    assert other.kl == pytest.approx(first.kl, rel=0.05)
    source = BatchSource(recipe(), "test")
    model = model_of(recipe(), source.classes)
    with torch.autocast("cpu", torch.bfloat16):
        terms = model(source.batch(range(4)), Key(0))
    assert {term.dtype for term in terms} == {torch.float32}


@pytest.mark.parametrize("name", ["multiview", "meshes"])
def test_what_is_rendered_keeps_its_digits_in_bfloat16(name: str) -> None:
    made = RECIPES.load(name)(training=TrainSettings(batch_size=2))
    source = BatchSource(made, "test")
    model, batch = model_of(made, source.classes), source.batch(range(2))
    with torch.autocast("cpu", torch.bfloat16):
        terms = model(batch, Key(0))
    terms.total.mean().backward()
    assert {term.dtype for term in terms} <= {torch.float32, torch.float64}
    assert all(term.isfinite().all() for term in terms)
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(TrainingError, match="precision must be 'float32' or 'bfloat16'"):
        TrainSettings(precision="float16")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="updates must be at least 1"):
        TrainSettings(updates=0)
    with pytest.raises(TrainingError, match="two numbers between 0 and 1"):
        TrainSettings(learning_rate=(0.0, 0.1))
    with pytest.raises(TrainingError, match="kl_weight must be two positive numbers"):
        TrainSettings(kl_weight=(0.0, 1.0))
    world = World("cpu")
    world.size = 5
    with pytest.raises(TrainingError, match="multiple of the 5 processes; got 32"):
        world.share(32)


@pytest.mark.parametrize("context", ["class", "views"])
def test_contexts_come_from_the_data(context: str) -> None:
    settings = dataclasses.replace(recipe(), experiment=dataclasses.replace(MODEL, context=context, views=(2, 6, 7)))
    source = BatchSource(settings, "train")
    model = model_of(settings, source.classes)
    batch = source.batch([0, 1, 2])
    assert batch.context is not None
    assert tuple(batch.context.shape) == ((3,) if context == "class" else (3, 2, 1, 6, 7))
    found = bound(model, source, 3)
    assert bool(found.total.isfinite().all())


def test_memory_does_not_grow_with_the_steps(tmp_path: Path) -> None:
    """A step that kept its graph would keep some 100 KiB: of 100 steps, 10 MiB."""
    process, memory = psutil.Process(), dict[int, int]()

    def measure(record: TrainingRecord) -> None:
        if record.update in (50, 150):
            gc.collect()
            memory[record.update] = process.memory_info().rss

    train(recipe(updates=150, validate_every=1000), tmp_path, device="cpu", progress=measure)
    assert memory[150] - memory[50] < 6 * 2**20
