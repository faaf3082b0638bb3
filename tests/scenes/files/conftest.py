"""Fixtures of files of meshes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from render3d import Mesh
from tests.scenes.files.gltf_files import GltfFile


@pytest.fixture
def load_gltf(tmp_path: Path) -> Callable[..., Mesh]:
    """Saves a file, with a mesh of these primitives if there are any, and loads it."""

    def load_file(file: GltfFile, *primitives: dict[str, Any]) -> Mesh:
        if primitives:
            file.header["meshes"] = [{"primitives": list(primitives)}]
        return Mesh.load(file.save(tmp_path / "a.glb"))

    return load_file
