"""Stop and resume: whatever happens on the way, the end is the one of a fit that was never stopped."""

import dataclasses
import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from render3d import Mesh, Shading
from render3d.errors import FitError
from render3d.fitting import TemplateFitResult, TemplateFitSettings, fit_template, loop
from render3d.fitting.checkpoint import FitRecord
from render3d.renderers import OpenGL, Pyrender
from render3d.runs.checkpoint import Checkpoint
from render3d.runs.folder import CHECKPOINT, CONFIG
from render3d.view_sets import ViewSet


class Breaking:
    """A renderer that fails at its n-th call."""

    def __init__(self, renderer: OpenGL, call: int, error: BaseException) -> None:
        self.renderer, self.left, self.error = renderer, call, error
        self.capabilities, self.shading = renderer.capabilities, renderer.shading

    def __call__(self, scene, cameras, outputs=("rgb", "alpha"), *, generator=None):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return self.renderer(scene, cameras, outputs, generator=generator)


def stop_after(step: int):
    """A progress callback that presses Ctrl-C."""

    def progress(record: FitRecord) -> None:
        if record.update == step:
            raise KeyboardInterrupt

    return progress


def timeless(result: TemplateFitResult) -> list[FitRecord]:
    return [dataclasses.replace(record, seconds=0.0) for record in result.records]


def assert_same(result: TemplateFitResult, expected: TemplateFitResult) -> None:
    assert torch.equal(result.mesh.vertices, expected.mesh.vertices)
    assert timeless(result) == timeless(expected)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to let files grow beyond this, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "fit"


@pytest.fixture
def held_out(make_views, ellipsoid) -> ViewSet:
    return make_views(ellipsoid, views=3)


@pytest.mark.parametrize("step", [1, 5, 11, 12])
def test_a_fit_stopped_after_any_step_ends_where_it_would_have_ended(views, held_out, renderer, quick, out, step):
    expected = fit_template(views, None, renderer, quick, held_out=held_out)
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, held_out=held_out, folder=out, progress=stop_after(step))
    steps = []
    result = fit_template(
        views, None, renderer, quick, held_out=held_out, folder=out, progress=lambda r: steps.append(r.update)
    )
    assert_same(result, expected)
    assert steps == list(range(step + 1, 13))


# Call 1 tries the renderer; steps call it once; calls 7, 13 and 16 measure steps 5, 10 and 12.
@pytest.mark.parametrize("call", [1, 2, 3, 7, 8, 13, 16])
def test_a_fit_stopped_inside_the_renderer_ends_where_it_would_have_ended(views, renderer, quick, out, call):
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, Breaking(renderer, call, KeyboardInterrupt()), quick, folder=out)
    result = fit_template(views, None, renderer, quick, folder=out)
    assert_same(result, fit_template(views, None, renderer, quick))


def test_a_fit_stopped_at_every_step_gets_there_all_the_same(views, renderer, quick, out):
    for step in range(1, quick.updates + 1):
        with pytest.raises(KeyboardInterrupt):
            fit_template(views, None, renderer, quick, folder=out, progress=stop_after(step))
    assert_same(fit_template(views, None, renderer, quick, folder=out), fit_template(views, None, renderer, quick))


def test_an_interrupt_between_a_record_and_its_state_loses_no_step(views, renderer, quick, out, monkeypatch):
    class Interrupted(list):
        def append(self, record: FitRecord) -> None:
            super().append(record)
            if record.update == 4:
                raise KeyboardInterrupt

    load = Checkpoint.load
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(2))
    with monkeypatch.context() as patch:

        def load_interrupted(self, expected):
            saved = load(self, expected)
            return saved._replace(records=Interrupted(saved.records))

        patch.setattr(Checkpoint, "load", load_interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit_template(views, None, renderer, quick, folder=out)
    assert_same(fit_template(views, None, renderer, quick, folder=out), fit_template(views, None, renderer, quick))


def test_a_finished_fit_is_not_repeated(views, renderer, quick, out):
    first = fit_template(views, None, renderer, quick, folder=out)
    never = Breaking(renderer, 1, AssertionError("rendered again"))
    again = fit_template(views, None, never, quick, folder=out)
    assert torch.equal(again.mesh.vertices, first.mesh.vertices)
    assert again.records == first.records


def test_what_was_saved_on_the_way_survives_a_crash(views, renderer, quick, out, monkeypatch):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_SAVES", -1.0)
    with pytest.raises(RuntimeError, match="out of memory"):
        fit_template(views, None, Breaking(renderer, 10, RuntimeError("out of memory")), quick, folder=out)
    result = fit_template(views, None, renderer, quick, folder=out, progress=(resumed := []).append)
    assert resumed[0].update == 8  # call 7 measured step 5, so that call 10 was step 8
    assert_same(result, fit_template(views, None, renderer, quick))


def test_saves_are_some_seconds_apart(views, renderer, quick, out, monkeypatch):
    saves = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, tensors, updates, records: saves.append(updates))
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=lambda: float(next(clock))))
    fit_template(views, None, renderer, quick, folder=out)
    # The clock is read twice a step, so a step takes four seconds; the last save is the one at the end.
    assert saves == [2, 4, 6, 8, 10, 12, 12]


def test_time_in_which_a_fit_was_stopped_does_not_count(views, renderer, quick, out, monkeypatch):
    clock = types.SimpleNamespace(now=0.0)

    def monotonic() -> float:
        clock.now += 1.0
        return clock.now

    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=monotonic))
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(6))
    clock.now += 1e6
    seconds = [record.seconds for record in fit_template(views, None, renderer, quick, folder=out).records]
    assert seconds == sorted(seconds)
    assert 0 < seconds[5] < seconds[6] < seconds[-1] < 100


SCRIPT = """
import signal, sys, time
from pathlib import Path
import torch
from render3d import Cameras
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.renderers import OpenGL
from render3d.view_sets import ViewSet

def progress(record):
    print(record.update, flush=True)
    if record.update == 100:
        time.sleep(300)  # for the signal, should it be late

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts in the background
saved = torch.load(sys.argv[1], weights_only=True)
cameras = Cameras(saved["world_to_camera"], saved["intrinsics"], (32, 32))
views = ViewSet(cameras, saved["alpha"], None, tuple(f"view {number}" for number in range(6)))
settings = TemplateFitSettings(updates=150, samples=2, subdivisions=1, evaluate_every=40)
fit_template(views, None, OpenGL(), settings, folder=Path(sys.argv[2]), progress=progress)
"""


def test_a_process_that_gets_ctrl_c_leaves_a_fit_to_resume(views, renderer, out, tmp_path):
    cameras = views.cameras
    inputs = {"world_to_camera": cameras.world_to_camera, "intrinsics": cameras.intrinsics, "alpha": views.alpha}
    torch.save(inputs, tmp_path / "views.pt")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "views.pt"), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "1\n", child.stderr.read()
            child.send_signal(signal.SIGINT)
            printed, trace = child.communicate(timeout=120)
        finally:
            child.kill()
    assert child.returncode == -signal.SIGINT, trace
    assert "KeyboardInterrupt" in trace
    settings = TemplateFitSettings(updates=150, samples=2, subdivisions=1, evaluate_every=40)
    result = fit_template(views, None, renderer, settings, folder=out, progress=(resumed := []).append)
    last = int(printed.split()[-1]) if printed else 1
    # The step in which the signal came may be recorded without having been printed.
    assert resumed[0].update in (last + 1, last + 2)
    assert_same(result, fit_template(views, None, renderer, settings))


def test_a_full_disk_is_told_and_leaves_the_fit_of_before(views, renderer, quick, out):
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(4))
    path, before = out / CHECKPOINT, (out / CHECKPOINT).read_bytes()
    told = f"Could not save the run to {path}: File too large. What was saved there before is intact: make room"
    with largest_file(len(before) // 2), pytest.raises(FitError, match=re.escape(told)):
        fit_template(views, None, renderer, quick, folder=out)
    assert path.read_bytes() == before
    assert {each.name for each in out.iterdir()} == {CONFIG, CHECKPOINT}
    assert_same(fit_template(views, None, renderer, quick, folder=out), fit_template(views, None, renderer, quick))


def test_a_disk_that_is_full_only_when_the_file_is_flushed_is_told(views, renderer, quick, out, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(4))
    before = (out / CHECKPOINT).read_bytes()

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FitError, match="No space left on device. What was saved there before is intact"):
            fit_template(views, None, renderer, quick, folder=out)
    assert (out / CHECKPOINT).read_bytes() == before
    assert {each.name for each in out.iterdir()} == {CONFIG, CHECKPOINT}


def test_a_fit_that_was_stopped_before_it_was_saved_begins_again(views, renderer, quick, out):
    with pytest.raises(RuntimeError, match="out of memory"):
        fit_template(views, None, Breaking(renderer, 3, RuntimeError("out of memory")), quick, folder=out)
    assert [each.name for each in out.iterdir()] == [CONFIG]
    assert_same(fit_template(views, None, renderer, quick, folder=out), fit_template(views, None, renderer, quick))


def test_the_file_is_plain_safetensors(views, renderer, quick, out):
    fit_template(views, None, renderer, quick, folder=out)
    assert set(load_file(out / CHECKPOINT)) == {"parameters", "first_moment", "second_moment"}


def damage(name: str, path: Path) -> None:
    """Write, in the place of a checkpoint, one that this fit never saves."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    state, records = load_file(path), json.loads(header["records"])
    match name:
        case "cut off":
            path.write_bytes(path.read_bytes()[:-7])
        case "a tensor is missing":
            save_file({key: tensor for key, tensor in state.items() if key != "parameters"}, path, header)
        case "a tensor is too many":
            save_file(state | {"third_moment": torch.zeros(3)}, path, header)
        case "another template":
            save_file({key: tensor[:-1] for key, tensor in state.items()}, path, header)
        case "double precision":
            save_file({key: tensor.double() for key, tensor in state.items()}, path, header)
        case "a record is missing":
            save_file(state, path, header | {"records": json.dumps(records[:-1])})
        case "a record of another type":
            records[1]["loss"] = "small"
            save_file(state, path, header | {"records": json.dumps(records)})


DAMAGES = {
    "cut off": "",
    "a tensor is missing": "it lacks parameters",
    "a tensor is too many": "it has no use for third_moment",
    "another template": r"shape \[41, 3\], not torch.float32 of shape \[42, 3\]",
    "double precision": "torch.float64 of shape .*, not torch.float32",
    "a record is missing": "3 records of 4 updates in a fit of 12",
    "a record of another type": "record.loss must be float; got 'small'",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_an_error_that_names_it_before_anything_is_rendered(views, renderer, quick, out, name):
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(4))
    damage(name, out / CHECKPOINT)
    never = Breaking(renderer, 1, AssertionError("rendered"))
    told = rf"{re.escape(str(out / CHECKPOINT))} is not a checkpoint of this run, or is damaged \(.*{DAMAGES[name]}"
    with pytest.raises(FitError, match=told):
        fit_template(views, None, never, quick, folder=out)


def with_cameras(views: ViewSet, **changes) -> ViewSet:
    return dataclasses.replace(views, cameras=dataclasses.replace(views.cameras, **changes))


def with_another_mask(views: ViewSet) -> ViewSet:
    alpha = views.alpha.clone()
    alpha[0, 0, 0, 0] = 1
    return dataclasses.replace(views, alpha=alpha)


TEMPLATE = Mesh.icosphere(1, 0.8)
CHANGES = {
    "settings": ({"settings": {"seed": 3}}, "another run: settings.seed was 0 and is 3. Resume with what it was"),
    "two settings": (
        {"settings": {"seed": 3, "noise": (2.0, 0.5)}},
        r"settings.noise was \(1.0, 0.2\) and is \(2.0, 0.5\); settings.seed was 0 and is 3. Resume",
    ),
    "masks": ({"views": with_another_mask}, r"another run: views was \w{16} and is \w{16}. Resume"),
    "near": ({"views": lambda views: with_cameras(views, near=0.5)}, "another run: views was"),
    "far": ({"views": lambda views: with_cameras(views, far=50.0)}, "another run: views was"),
    "projection": ({"views": lambda views: with_cameras(views, projection="orthographic")}, "another run: views was"),
    "poses": (
        {"views": lambda views: with_cameras(views, world_to_camera=views.cameras[[1, 0, 2, 3, 4, 5]].world_to_camera)},
        "another run: views was",
    ),
    "held out": ({"held_out": lambda views: views}, r"another run: held_out was none and is \w{16}. Resume"),
    "renderer": ({"renderer": Pyrender()}, "another run: renderer was OpenGL and is Pyrender. Resume"),
    "samples": ({"renderer": OpenGL(Shading(samples_per_pixel=4))}, "shading.samples_per_pixel was 1 and is 4. Resume"),
    "culling": ({"renderer": OpenGL(Shading(cull="back"))}, "another run: shading.cull was none and is back. Resume"),
    "place of the template": ({"template": Mesh.icosphere(1, 0.7)}, "another run: template was"),
    "faces of the template": (
        {"template": dataclasses.replace(TEMPLATE, faces=TEMPLATE.faces.flip(0))},
        "another run: template was",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_of_another_fit_is_an_error_that_names_the_change(views, renderer, quick, out, name):
    change, message = CHANGES[name]
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, TEMPLATE, renderer, quick, folder=out, progress=stop_after(1))
    before = (out / CHECKPOINT).read_bytes()
    settings = dataclasses.replace(quick, **change.get("settings", {}))
    new_views, held_out = change.get("views", lambda views: views)(views), change.get("held_out", lambda views: None)
    with pytest.raises(FitError, match=message):
        fit_template(
            new_views,
            change.get("template", TEMPLATE),
            change.get("renderer", renderer),
            settings,
            held_out=held_out(views),
            folder=out,
        )
    assert (out / CHECKPOINT).read_bytes() == before


def test_lights_and_names_may_change_because_silhouettes_do_not(views, renderer, quick, out):
    with pytest.raises(KeyboardInterrupt):
        fit_template(views, None, renderer, quick, folder=out, progress=stop_after(3))
    renamed = dataclasses.replace(views, names=tuple("abcdef"))
    result = fit_template(renamed, None, OpenGL(Shading.unlit()), quick, folder=out)
    assert_same(result, fit_template(views, None, renderer, quick))
