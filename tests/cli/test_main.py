"""The command line itself: usage, failures in one line, exit statuses."""

import pytest

import render3d
from render3d import cli
from render3d.errors import ViewSetError


def fails_on_purpose(kind: str = "views") -> None:
    if kind == "views":
        raise ViewSetError("transforms.json: lacks\n  'frames'.")
    if kind == "stop":
        raise KeyboardInterrupt("Stopped; go on with --resume.")
    raise RuntimeError("a fault of ours")


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "fails", (f"{__name__}:fails", "for tests"))
    monkeypatch.setattr(cli, "_function", lambda name: fails_on_purpose)
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


def test_a_misspelt_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["fails", "--kidn", "ours"])
    assert "--kind" in capsys.readouterr().err
