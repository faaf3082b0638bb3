"""What is measured of a fit."""

import dataclasses
from typing import Any, final

from render3d.fitting.measures import Measure
from render3d.metrics import MeshTopology, SurfaceComparison


@final
@dataclasses.dataclass(frozen=True)
class FitFigures:
    """How good a fit is, and what to know of it.

    Attributes:
        measures: The fit under ``"fit"``, the surface of a volume under ``"fit, as a mesh"``, the mesh after the stage
            ``"shape"`` where others followed; then the baselines.
        topology: Of the mesh; None where there is none.
        truth: How far the surfaces are from the true one, by the names of ``measures``, where it is known.
        unseen: The share of the surface whose colours no view shows, 0-1; None without colours.
        remarks: What is wrong with the views or with the fit, one sentence each.
    """

    measures: dict[str, Measure]
    topology: MeshTopology | None = None
    truth: dict[str, SurfaceComparison] = dataclasses.field(default_factory=dict)
    unseen: float | None = None
    remarks: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` says of them."""
        named = {name: dataclasses.asdict(value) for name, value in self.measures.items()}
        return {
            **named,
            "topology": self.topology and dataclasses.asdict(self.topology),
            "truth": {name: dataclasses.asdict(value) for name, value in self.truth.items()},
            "unseen": self.unseen,
            "remarks": list(self.remarks),
        }
