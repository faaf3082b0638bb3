"""`render3d doctor` on this machine, and on broken ones."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from render3d.cli import doctor as module
from render3d.cli import main
from render3d.optional import EXTRAS, KAOLIN, LIBRARIES, MITSUBA, PYTORCH3D, Library


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "render3d", "doctor", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_a_healthy_machine() -> None:
    answer = run("--json")
    content = json.loads(answer.stdout)
    findings = {finding["name"]: finding for finding in content["findings"]}
    assert answer.returncode == 0, answer.stdout
    assert content["ok"]
    assert {findings[name]["status"] for name in (*module.CORE, "OpenGL by EGL")} == {"ok"}
    assert {findings[name]["status"] for name in ("kaolin", "ray", "webdataset", "pyrender")} == {"note"}
    assert findings["pyrender"]["detail"].endswith("; an image of it: right")
    for extra in EXTRAS:
        assert findings[f"extra {extra}"]["detail"] == f"complete: {EXTRAS[extra]}"


def test_all_that_is_installed_with_the_package_is_looked_at() -> None:
    assert {words.split(">")[0] for words in PROJECT["dependencies"]} == module.CORE.keys()


def test_every_extra_is_listed_with_what_it_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = PROJECT["optional-dependencies"]
    assert extras.pop("all") == [f"render3d[{','.join(extras)}]"]
    assert extras.keys() == EXTRAS.keys()
    for extra in EXTRAS:
        brought = {words.split(">")[0] for words in extras[extra]}
        assert {each.distribution or each.module for each in LIBRARIES if each.extra == extra} == brought - {
            "pebble"
        } | ({"pebble"} if extra == "views" else set())
    monkeypatch.setattr(Library, "is_installed", False)
    for finding, extra in zip(module._extras(), EXTRAS, strict=True):
        assert (finding.name, finding.advice) == (f"extra {extra}", f"pip install 'render3d[{extra}]'")
        assert "not complete" in finding.detail
    assert {finding.name for finding in module._optional()} == {"pytorch3d", "kaolin", "nvdiffrast"}


def test_a_broken_torch_is_a_finding_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch_cpu.so: cannot open shared object')")
    for name in ("trimesh", "pyrender", "ray"):  # they take long to import, and empty ones will do here
        (tmp_path / f"{name}.py").touch()
    answer = run(PYTHONPATH=str(tmp_path))
    assert answer.returncode == 1
    assert "BROKEN  torch" in answer.stdout
    assert "libtorch_cpu.so" in answer.stdout
    assert "pip install --force-reinstall torch" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr


def test_without_opengl_it_says_what_to_do_with_and_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess([], 1, "", "Exception: cannot load libEGL.so.1\n")
    monkeypatch.setattr(module, "_run_python", lambda code: answer)
    finding = module._opengl()
    assert finding.status == "broken"
    assert "cannot load libEGL.so.1" in finding.detail
    assert "apt install libegl1 libgl1 libgl1-mesa-dri libgles2" in finding.advice
    assert "Without root" in finding.advice


def test_a_library_that_is_not_there_and_one_that_crashes() -> None:
    assert module._library("no-such-thing", "no_such_thing").status == "missing"
    crashed = module._run_python("import os; os.abort()")
    assert module._last_line(crashed) == "crashed by signal 6"


def test_an_optional_renderer_that_works_needs_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = [Library("Works", "json", "page"), Library("Fails", "this", "page"), Library("None", "no_x", "p")]
    monkeypatch.setattr(module, "LIBRARIES", libraries)
    answers = {"import json": (0, ""), "import this": (1, "ImportError: no CUDA\n")}
    monkeypatch.setattr(
        module, "_run_python", lambda code: subprocess.CompletedProcess([], answers[code][0], "", answers[code][1])
    )
    works, fails, absent = module._optional()
    assert (works.detail, works.advice) == ("installed", "")
    assert fails.detail == "Fails is installed, but cannot be imported (ImportError: no CUDA). Install it again: page"
    assert (absent.detail, absent.advice) == ("not installed (optional)", "p")


def test_mitsuba_is_told_with_its_llvm_and_others_with_their_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "is_installed", True)
    monkeypatch.setattr(Library, "version", "")
    asked = []

    def detail(library: Library, *answers: tuple[int, str, str]) -> str:
        remaining = iter(answers)

        def run_python(code: str) -> "subprocess.CompletedProcess[str]":
            asked.append(code)
            return subprocess.CompletedProcess([], *next(remaining))

        monkeypatch.setattr(module, "_run_python", run_python)
        found = module._optional_library(library).detail
        assert not list(remaining)
        return found

    works = (0, "", "")
    without_llvm = (1, "", "RendererError: no LLVM of version 17 or newer\n")
    broken = (1, "", "ImportError: libdrjit.so\n")
    assert detail(MITSUBA, (0, "/usr/lib/libLLVM-19.so\n", "")) == "installed; LLVM: /usr/lib/libLLVM-19.so"
    assert asked[0].startswith("import mitsuba; ") and asked[0].endswith("print(usable_llvm())")
    without = detail(MITSUBA, without_llvm, works)
    assert without == "installed; LLVM: RendererError: no LLVM of version 17 or newer"
    assert asked[1:] == [asked[0], "import mitsuba"]
    assert "cannot be imported (ImportError: libdrjit.so)" in detail(MITSUBA, broken, broken)
    assert detail(KAOLIN, works) == "installed; it renders on CUDA devices alone"
    assert detail(PYTORCH3D, works) == "installed"


def test_wrong_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--loud"]) == 2
    assert "usage: render3d doctor [--json]" in capsys.readouterr().err
