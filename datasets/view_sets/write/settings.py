"""Everything that decides the images of a collection."""

import dataclasses
from collections.abc import Mapping
from typing import Any, final, get_args

from render3d.datasets.checks import check_at_least, check_choice, check_seed
from render3d.datasets.collections.upright import Up
from render3d.datasets.view_sets.write.protocols import CameraProtocol, Sphere
from render3d.errors import CapabilityError, DatasetError
from render3d.renderers import Renderer, Shading, make_renderer
from render3d.scenes import Mesh
from render3d.settings import settings_from_json, settings_to_json

OUTPUTS = ("rgb", "alpha", "depth", "normal", "face_index")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewsSettings:
    """How images of objects are made: with the meshes, all that their bytes are a function of.

    Attributes:
        protocol: Where the cameras stand.
        outputs: What is stored of each view, of ``rgb``, ``alpha``, ``depth``, ``normal`` and ``face_index``; ``alpha``
            is always among them.
        format: How files lie on disk, by a name of `render3d.view_sets.formats.FORMATS`, or ``module:Class`` of one of
            your own.
        shading: Lights, background, culling, normals and supersampling.
        radius: The centre of each object's bounding box is moved to the origin and its farthest vertex to this
            distance; None: objects stay where they are in their files, and as large.
        up: The axis of the files that points up, and becomes +y: ``"z"`` in ModelNet. Objects are turned before all
            else, also where ``radius`` is None.
        renderer: A name as `render3d.renderers.make_renderer` takes it.
        seed: Of everything random.
        repair: Mend each mesh first, as `Mesh.repair`: faces that cannot be rendered or are there twice are left out,
            and the others turned to face outwards.

    Raises:
        DatasetError: A value outside its range.
    """

    protocol: CameraProtocol = dataclasses.field(default_factory=Sphere)
    outputs: tuple[str, ...] = ("rgb", "alpha", "depth")
    format: str = "nerfstudio"
    shading: Shading = dataclasses.field(default_factory=Shading)
    radius: float | None = 1.0
    up: Up = "y"
    renderer: str = "opengl"
    seed: int = 0
    repair: bool = False

    def __post_init__(self) -> None:
        for name in self.outputs:
            check_choice("outputs", name, OUTPUTS)
        if "alpha" not in self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise DatasetError(
                f"outputs must hold 'alpha', which tells objects from the background, and each once; got "
                f"{', '.join(self.outputs) or 'none'}."
            )
        check_choice("up", self.up, get_args(Up))
        check_seed(self.seed)
        if self.radius is not None:
            check_at_least(1e-6, radius=self.radius)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` makes the same from again, in the types of JSON."""
        return settings_to_json(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ViewsSettings":
        """Read what `to_json` gave.

        Raises:
            DatasetError: It is something else, or of another version.
        """
        return settings_from_json(cls, values, what="views", error=DatasetError)

    def make_renderer(self) -> Renderer:
        """A new renderer.

        Raises:
            CapabilityError: There is none of that name, it does not render meshes, or lacks an output; or shading that
                it does not take.
        """
        renderer = make_renderer(self.renderer, self.shading)
        able = renderer.capabilities
        lacking = [name for name in self.outputs if name not in able.outputs]
        if Mesh not in able.scenes or lacking:
            raise CapabilityError(
                f"The renderer must render meshes and have {', '.join(self.outputs)}; {able.name} has "
                f"{', '.join(able.outputs)} of {', '.join(kind.__name__ for kind in able.scenes)}."
            )
        return renderer
