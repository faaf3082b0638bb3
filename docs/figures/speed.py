"""Prints what ``python -m benchmarks render --renderers A B --json`` measured as a table in Markdown.

python docs/figures/speed.py bench.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from tables import markdown, rounded

CASE, BOTH = ("faces", "pixels", "images"), ", both ways"


def compact(row: dict[str, Any]) -> dict[str, str]:
    """What a row has of a renderer as one cell: forwards / both ways."""
    names = [name for name in row if name not in CASE and not name.endswith(BOTH)]
    cells = {name: f"{_rate(row[name])} / {_rate(row[name + BOTH])}" for name in names}
    return {name: f"{row[name]:,.0f}" for name in CASE} | cells


def _rate(value: float | None) -> str:
    return "-" if value is None else rounded(value)


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(markdown([compact(row) for row in found["tables"][0]["rows"]]))
