"""What comes before rendering: an object's mesh, mended, turned and scaled as the settings say, and its cameras."""

import dataclasses
import traceback
from collections.abc import Mapping
from typing import final

from render3d.cameras import Cameras
from render3d.datasets.base import OF_CAMERAS, example_generator, number_of
from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.collections.upright import upright
from render3d.datasets.view_sets.write.engine import Failed, Finished, Kind, Outcome
from render3d.datasets.view_sets.write.problems import problems_of_views
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.datasets.view_sets.write.sources import MeshSource, check_name
from render3d.datasets.view_sets.write.tables import printable
from render3d.errors import GraphicsError, MeshError, RendererError
from render3d.randomness import Key
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True)
class PrepareObject:
    """The `Job` of a dry run: do all that comes before rendering, and store nothing.

    Attributes:
        settings: How.
    """

    settings: ViewsSettings

    def __call__(self, item: CollectionObject) -> Outcome:
        """Read an object, and list its problems."""
        files: dict[str, str] = {}
        try:
            check_name(item)
            _, mesh = read_object(item, self.settings, files)
            return Finished(item, {}, problems=problems_before_rendering(mesh, cameras_of(item, self.settings)))
        except Exception as error:  # as in `RenderObject`
            return failure(item, error, "loading", files)


def read_object(item: CollectionObject, settings: ViewsSettings, files: dict[str, str]) -> tuple[MeshSource, Mesh]:
    """The mesh of an object as it is rendered, and what it was read from.

    Args:
        item: Which.
        settings: How.
        files: Is filled with the SHA-256 of what is read beside the mesh file, whatever becomes of the mesh.

    Raises:
        MeshError: As `CollectionObject.load`, `Mesh.repair` and `Mesh.check_values`.
        OSError: The file cannot be read.
    """
    source = MeshSource(sha256_of(item.path), files)
    mesh = item.load(files)
    if settings.repair:
        mesh = _repaired(mesh)
    mesh.check_values()
    return source, _normalised(upright(mesh, settings.up), settings.radius)


def cameras_of(item: CollectionObject, settings: ViewsSettings) -> Cameras:
    """The cameras ``[views]`` of an object."""
    return settings.protocol(example_generator(Key(settings.seed).fold_in(OF_CAMERAS), number_of(item.id)))


def problems_before_rendering(mesh: Mesh, cameras: Cameras) -> tuple[str, ...]:
    """What is wrong with a mesh, and with where its cameras stand, in text that can be stored."""
    return tuple(map(printable, [*mesh.problems, *problems_of_views(mesh, cameras)]))


def failure(item: CollectionObject, error: Exception, stage: str, files: Mapping[str, str]) -> Failed:
    """The outcome of an object whose job raised an error; call it where that is handled."""
    return Failed(item, _kind(error, stage), _reason(error), traceback.format_exc(), files)


def _repaired(mesh: Mesh) -> Mesh:
    repaired = mesh.repair()
    lost = len(mesh.faces) - len(repaired.faces)
    if not lost:
        return repaired
    problem = f"{lost} of its {len(mesh.faces)} faces were left out by the repair."
    return dataclasses.replace(repaired, problems=(*repaired.problems, problem))


def _normalised(mesh: Mesh, radius: float | None) -> Mesh:
    if radius is None:
        return mesh
    unit = mesh.normalized()
    assert unit.to_source is not None
    back = unit.to_source.clone()
    back[..., :3, :3] /= radius
    return dataclasses.replace(unit, vertices=unit.vertices * radius, to_source=back)


def _kind(error: Exception, stage: str) -> Kind:
    if isinstance(error, MemoryError):
        return "memory"
    # No object could be rendered or stored then.
    if isinstance(error, GraphicsError | RendererError) or (isinstance(error, OSError) and stage == "writing"):
        return "output"
    return "input" if stage == "loading" or isinstance(error, MeshError) else "crash"


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
