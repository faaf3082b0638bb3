"""``render3d doctor``: what is installed, which OpenGL answers, and what to do about what is missing.

It needs nothing but Python, and looks at every library in a process of its own: one that crashes is a finding.
"""

import dataclasses
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal

from render3d.errors import UsageError
from render3d.optional import EXTRAS, KAOLIN, LIBRARIES, MITSUBA, NVDIFFRAST, PYRENDER, Library, explain, version_of

CORE = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-image": "skimage",
    "trimesh": "trimesh",
    "moderngl": "moderngl",
    "pillow": "PIL",
    "safetensors": "safetensors",
    "rich": "rich",
    "tyro": "tyro",
}
"""What is installed with the package: distribution and module."""

PROBES = {
    MITSUBA: (
        "LLVM: ",
        "from render3d.renderers.mitsuba.variants import usable_llvm; print(usable_llvm())",
    ),
    PYRENDER: (
        "an image of it: ",
        "import torch, render3d as r3; m = r3.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]));"
        "r = r3.renderers.Pyrender()(m, r3.Cameras.look_at((2.0, 2.0, 2.0)));"
        "print('right' if r.alpha.any() else 'empty')",
    ),
}
"""What some libraries need besides: what is asked, and the code that prints the answer."""

NO_OPENGL = (
    "Debian and Ubuntu, as root: apt install libegl1 libgl1 libgl1-mesa-dri libgles2. Without root: "
    "'apt-get download' those and what they depend on, unpack each by 'dpkg -x PACKAGE.deb FOLDER', and set "
    "LD_LIBRARY_PATH=FOLDER/usr/lib/x86_64-linux-gnu and "
    "__EGL_VENDOR_LIBRARY_DIRS=FOLDER/usr/share/glvnd/egl_vendor.d. "
    "In a container with an NVIDIA GPU: NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility."
)

Status = Literal["ok", "missing", "broken", "note"]
_PATIENCE = 120  # seconds for a library to be imported; torch from a slow disk takes its time


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        status: ``"missing"`` and ``"broken"`` core parts make the doctor fail; notes do not.
        detail: What was found.
        advice: What to do, or nothing.
    """

    name: str
    status: Status
    detail: str
    advice: str = ""


def doctor(words: Sequence[str] = ()) -> int:
    """Look, print, and return 0 if the core works or 1 if it does not. ``--json`` prints JSON."""
    unknown = [word for word in words if word != "--json"]
    if unknown and unknown[0] not in ("-h", "--help"):
        raise UsageError(f"{unknown[0]!r} is no flag of it.")
    if unknown:
        print("usage: render3d doctor [--json]")
        return 0
    findings = examine()
    healthy = all(finding.status in ("ok", "note") for finding in findings)
    if "--json" in words:
        print(json.dumps({"ok": healthy, "findings": [dataclasses.asdict(finding) for finding in findings]}, indent=2))
    else:
        _print(findings, healthy)
    return 0 if healthy else 1


def examine() -> list[Finding]:
    """Every finding, in the order they are shown."""
    python = Finding("Python", "ok", f"{platform.python_version()}, {platform.platform()}")
    torch, gpus = _torch()
    others = [_library(distribution, module) for distribution, module in CORE.items() if distribution != "torch"]
    return [python, torch, *others, gpus, _opengl(), *_extras(), *_optional()]


def _library(distribution: str, module: str, answer: "subprocess.CompletedProcess[str] | None" = None) -> Finding:
    """Of a library; ``answer`` is that of a process that has imported it, if there was one."""
    version = version_of(distribution)
    if version is None and importlib.util.find_spec(module) is None:
        return Finding(distribution, "missing", "not installed", f"pip install {distribution}")
    version = version or "version unknown"
    answer = answer or _run_python(f"import {module}")
    if answer.returncode == 0:
        return Finding(distribution, "ok", version)
    advice = f"pip install --force-reinstall {distribution}"
    return Finding(distribution, "broken", f"{version}, cannot be imported: {_last_line(answer)}", advice)


def _torch() -> tuple[Finding, Finding]:
    """Of torch, and of the GPUs that it finds: one process tells both where they work."""
    code = (
        "import torch; n = torch.cuda.device_count();"
        "print(', '.join(torch.cuda.get_device_name(i) for i in range(n)) or 'none: tensors live on the CPU')"
    )
    answer = _run_python(code)
    gpus = Finding("GPUs", "note", "unknown: torch cannot be imported" if answer.returncode else _last_line(answer))
    return _library("torch", "torch", None if answer.returncode else answer), gpus


def _opengl() -> Finding:
    code = (
        "import moderngl; i = moderngl.create_context(require=430, standalone=True, backend='egl').info;"
        "print(i['GL_RENDERER'], '|', i['GL_VERSION'])"
    )
    answer = _run_python(code)
    if answer.returncode:
        return Finding("OpenGL by EGL", "broken", f"no OpenGL 4.3 context: {_last_line(answer)}", NO_OPENGL)
    name = _last_line(answer)
    if "llvmpipe" in name or "softpipe" in name:
        return Finding("OpenGL by EGL", "ok", f"{name} (software)", "On a GPU machine, install the driver's EGL part.")
    return Finding("OpenGL by EGL", "ok", name)


def _extras() -> list[Finding]:
    """What each extra is for, and whether all of it is installed."""
    findings = []
    for extra, purpose in EXTRAS.items():
        missing = [each.name for each in LIBRARIES if each.extra == extra and not each.is_installed]
        detail = f"not complete, {' and '.join(missing)} missing" if missing else "complete"
        advice = f"pip install 'render3d[{extra}]'" if missing else ""
        findings.append(Finding(f"extra {extra}", "note", f"{detail}: {purpose}", advice))
    return findings


def _optional() -> list[Finding]:
    return [_optional_library(library) for library in LIBRARIES if library.is_installed or not library.extra]


def _optional_library(library: Library) -> Finding:
    if not library.is_installed:
        return Finding(library.module, "note", "not installed (optional)", library.page)
    imports = "; ".join(f"import {module}" for module in (library.module, *library.parts))
    question, code = PROBES.get(library, ("", ""))
    answer = told = _run_python(f"{imports}; {code}" if code else imports)
    if code and answer.returncode:
        answer = _run_python(imports)
    if answer.returncode:
        return Finding(library.module, "note", explain(library, _last_line(answer)))
    if code:
        needs = f"; {question}{_last_line(told)}"
    else:
        needs = "; it renders on CUDA devices alone" if library in (KAOLIN, NVDIFFRAST) else ""
    return Finding(library.module, "note", f"installed{library.version}{needs}")


def _run_python(code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "ignore", "-c", code]
    headless = {"PYOPENGL_PLATFORM": "egl", **os.environ}  # pyrender would look for a screen
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, env=headless)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_PATIENCE} s")


def _last_line(answer: "subprocess.CompletedProcess[str]") -> str:
    """What a process said last; or by which signal it died."""
    text = answer.stdout if answer.returncode == 0 else answer.stderr
    lines = [line for line in text.splitlines() if line.strip()]
    if answer.returncode < 0 and not lines:
        return f"crashed by signal {-answer.returncode}"
    return lines[-1].strip() if lines else f"exit status {answer.returncode}"


def _print(findings: Sequence[Finding], healthy: bool) -> None:
    marks = {"ok": "ok", "missing": "MISSING", "broken": "BROKEN", "note": "-"}
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{marks[finding.status]:>7}  {finding.name:<{width}}  {finding.detail}")
        if finding.advice:
            print(f"{'':>7}  {'':<{width}}  -> {finding.advice}")
    print("\nAll that render3d needs works." if healthy else "\nSomething render3d needs does not work; see above.")
