"""What is to be known of a trained model beside its bound."""

from typing import Any, NamedTuple

from render3d import report


class Findings(NamedTuple):
    """What was found of a run.

    Attributes:
        figures: For a file of measures: what JSON can hold.
        sections: For the page: figures and pictures.
    """

    figures: dict[str, Any]
    sections: tuple[report.Html, ...]
