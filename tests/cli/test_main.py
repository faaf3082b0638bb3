"""The command line itself: usage, failures in one line, exit statuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import render3d
from render3d import cli
from render3d.cli.calls import Json, Result
from render3d.errors import UsageError, ViewSetError
from render3d.fitting import TemplateFitSettings

SETTINGS = TemplateFitSettings()


def fails(*, kind: str = "views", as_json: Json = False, settings: TemplateFitSettings = SETTINGS) -> Result | None:
    """Fail on purpose."""
    if kind == "views":
        raise ViewSetError("transforms.json: lacks\n  'frames'.")
    if kind == "stop":
        raise KeyboardInterrupt("Stopped; go on with --resume.")
    if kind == "json":
        subprocess.run(["echo", "from elsewhere"], check=True)
        return Result({"found": 1}, ["for people"])
    raise {"ours": RuntimeError("a fault of ours"), "usage": UsageError("no such thing.")}.get(kind, ValueError(kind))


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "fails", cli.Command("test_main:fails", "[--kind KIND]", "for tests"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delenv("RENDER3D_TRACEBACK", raising=False)


def test_usage_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2
    shown = capsys.readouterr().out
    assert all(name in shown for name in cli.COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"render3d {render3d.__version__}\n"


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["redner"]) == 2
    assert "there is no command 'redner'. The commands are doctor, views, fit" in capsys.readouterr().err


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fails"]) == 1
    assert capsys.readouterr().err == "render3d fails: transforms.json: lacks 'frames'.\n"


def test_being_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fails", "--kind", "stop"]) == 130
    assert capsys.readouterr().err == "render3d fails: Stopped; go on with --resume.\n"


def test_the_trace_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDER3D_TRACEBACK", "1")
    with pytest.raises(ViewSetError):
        cli.main(["fails"])


def test_faults_of_ours_are_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"):
        cli.main(["fails", "--kind", "ours"])


def test_wrong_usage_shows_the_usage_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in ((["--kidn", "ours"], "--kidn"), (["--kind", "usage"], "render3d fails: no such thing.")):
        assert cli.main(["fails", *words]) == 2
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.endswith("usage: render3d fails [--kind KIND]; --help lists all flags\n")


def test_the_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fails", "--help"]) == 0
    assert "--noise FLOAT FLOAT" in capsys.readouterr().out


def test_with_json_nothing_else_is_on_standard_output(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", os.fdopen(1, "w", closefd=False))  # not the one that pytest puts there
    assert cli.main(["fails", "--kind", "json", "--json"]) == 0
    sys.stdout.flush()
    assert capfd.readouterr() == ('{"found": 1}\n', "from elsewhere\n")
    assert cli.main(["fails", "--kind", "json"]) == 0
    sys.stdout.flush()
    assert capfd.readouterr() == ("from elsewhere\nfor people\n", "")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("samples must be at least 2; got 1.", "--samples must be at least 2; got 1."),
        ("samples and seed must be at least 2.", "--samples and --seed must be at least 2."),
        ("kind must be mesh, and learning_rate small.", "--kind must be mesh, and --learning-rate small."),
        ("Say which: kind='mesh', or learning_rate=3.", "Say which: --kind mesh, or --learning-rate 3."),
        ("A kind of samples in my/learning_rate/x.", "A kind of samples in my/learning_rate/x."),  # not arguments
        ("heat must be low; image_size is none.", "heat must be low; image_size is none."),  # of another command
    ],
)
def test_a_message_names_flags_and_not_arguments(capsys: pytest.CaptureFixture[str], message: str, shown: str) -> None:
    assert cli.main(["fails", "--kind", message]) == 1
    assert capsys.readouterr().err == f"render3d fails: {shown}\n"


def test_doctor_and_help_need_neither_torch_nor_tyro(tmp_path: Path) -> None:
    for name in ("torch", "tyro", "rich", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('broken')")
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    for words, status in ((["--help"], 0), (["--version"], 0), (["doctor", "--help"], 0), (["redner"], 2)):
        command = [sys.executable, "-m", "render3d", *words]
        done = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


FIRST = """
import os, sys, scipy.special, torch, tyro
from render3d.cli.commands import COMMANDS, load
for name, command in COMMANDS.items():
    if not (child := os.fork()):
        load(command)
        os._exit(0)  # at once, not tidying up what the parent imported
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} cannot be the first")
"""


def test_each_command_is_imported_where_no_other_has_been_imported() -> None:
    """In a child of one process, which has imported for all of them what takes long."""
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
