"""The variants of Mitsuba: what each needs, found out before it is imported, and loaded without a surprise.

Which variant `import mitsuba` means is a global of that library. It is set here only while a scene is made, and what
was set before is set again afterwards.
"""

import contextlib
import functools
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import torch

from render3d.errors import RendererError
from render3d.optional import MITSUBA

Variant = Literal["llvm_ad_rgb", "cuda_ad_rgb", "scalar_rgb"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

_NAMED_BY = "DRJIT_LIBLLVM_PATH"  # read by Dr.Jit when it first compiles for the CPU
_PLACES = (
    "usr/lib/*-linux-gnu/libLLVM*.so*",
    "usr/lib/llvm-*/lib/libLLVM*.so*",
    "usr/lib64/libLLVM*.so*",
    "opt/homebrew/opt/llvm*/lib/libLLVM.dylib",
    "usr/local/opt/llvm*/lib/libLLVM.dylib",
)
_OLDEST = 17
"""Mitsuba 3.9.1 aborts the process with LLVM 15 and 16, in most of its kernels, and runs with 19."""

_ASK = """
import ctypes, sys
version = [ctypes.c_uint() for _ in range(3)]
try:
    ctypes.CDLL(sys.argv[1]).LLVMGetVersion(*map(ctypes.byref, version))
except AttributeError:  # a function of LLVM 16 and newer
    version[0].value = 15
print(version[0].value)
"""


def choose(variant: Variant | None, device: torch.device) -> Variant:
    """The variant that was asked for, or the best for scenes on this device that can be used."""
    if variant is not None:
        return variant
    if device.type == "cuda":
        return "cuda_ad_rgb"
    try:
        usable_llvm()
    except RendererError:
        return "scalar_rgb"
    return "llvm_ad_rgb"


def load(variant: Variant) -> ModuleType:
    """Import the module of a variant, without making it the current one.

    Raises:
        RendererError: Mitsuba is not installed or broken, or lacks the LLVM or the GPU that this variant needs.
    """
    MITSUBA.load()
    module = f"mitsuba.{variant}"
    if variant == "llvm_ad_rgb" and module not in sys.modules:
        os.environ.setdefault(_NAMED_BY, usable_llvm())
    try:
        return importlib.import_module(module)
    except Exception as error:  # its compiled part raises what it likes
        need = {"cuda_ad_rgb": "It needs an NVIDIA GPU and its driver, with OptiX.", "llvm_ad_rgb": "It needs an LLVM."}
        others = " and ".join(repr(other) for other in VARIANTS if other != variant)
        raise RendererError(
            f"Mitsuba is installed, but its variant {variant} cannot be used ({error}). "
            f"{need.get(variant, f'Install it again: {MITSUBA.page}')} Others are {others}: Mitsuba(variant=...)."
        ) from error


@contextlib.contextmanager
def active(variant: Variant) -> Iterator[ModuleType]:
    """``mitsuba`` with this variant as the current one; it stays so only if there was none before."""
    mitsuba = MITSUBA.load()
    before = mitsuba.variant()
    mitsuba.set_variant(variant)
    try:
        yield mitsuba
    finally:
        if before is not None:
            mitsuba.set_variant(before)


def usable_llvm() -> str:
    """The path of the LLVM that ``llvm_ad_rgb`` is to use: the one that ``DRJIT_LIBLLVM_PATH`` names, or the newest.

    Raises:
        RendererError: There is none, or none that Mitsuba would survive.
    """
    return _usable_llvm(os.environ.get(_NAMED_BY, ""))


@functools.cache
def _usable_llvm(named: str) -> str:
    versions = {}
    for path in [named] if named else _installed_llvm():
        version = _llvm_version(path)
        if version >= _OLDEST:
            return path
        versions[path] = f"LLVM {version} or older" if version else "no library that can be loaded"
    found = "; ".join(f"{path} is {version}" for path, version in versions.items())
    raise RendererError(
        f"Mitsuba's variant llvm_ad_rgb needs LLVM {_OLDEST} or newer: older ones abort the process. "
        f"{f'{_NAMED_BY} names' if named else 'Found'}: {found or 'none'}. Install one (Debian, Ubuntu: apt install "
        f"libllvm19; macOS: brew install llvm) and name it, if it is not found: "
        f"{_NAMED_BY}=/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1. Or take Mitsuba(variant='scalar_rgb'), which is slow."
    )


def _installed_llvm() -> list[str]:
    """Paths of the libraries in the usual places, those of the highest numbers first."""
    paths = {path.resolve() for place in _PLACES for path in Path("/").glob(place)}

    def number(path: Path) -> list[int]:
        return [int(digits) for digits in re.findall(r"\d+", path.name)]

    return [str(path) for path in sorted(paths, key=number, reverse=True)]


def _llvm_version(path: str) -> int:
    """Its major version, 15 for that and all older ones, or 0 where it cannot be loaded.

    Another process asks: two of them in one may disagree, and a broken one may crash.
    """
    answer = subprocess.run([sys.executable, "-c", _ASK, path], capture_output=True, text=True, check=False)
    return int(answer.stdout) if answer.returncode == 0 else 0
