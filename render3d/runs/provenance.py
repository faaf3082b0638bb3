"""Where and with what something was made."""

import os
import platform
from datetime import UTC, datetime

import torch

from render3d._version import __version__
from render3d.optional import version_of
from render3d.renderers.base import Renderer

_PACKAGES = ("torch", "numpy", "scipy", "trimesh", "moderngl", "pyrender")


def provenance(renderer: Renderer | None = None) -> dict[str, str]:
    """Versions, machine and date, by name; with a renderer, its name and the OpenGL that answered."""
    found = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    if renderer is not None:
        found["renderer"] = renderer.capabilities.name
        found["GL_RENDERER"] = str(getattr(renderer, "gl_renderer", None) or "not an OpenGL renderer")
    found["machine"] = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    )
    found["render3d"] = __version__
    found["python"] = platform.python_version()
    versions = {package: version_of(package) for package in _PACKAGES}
    return found | {package: version for package, version in versions.items() if version}
