"""Tables in Markdown."""

from typing import Any


def markdown(rows: list[dict[str, Any]]) -> str:
    """A table; what comes with a standard error is one cell with it."""
    names = [name for name in rows[0] if "+-" not in name]
    lines = [names, ["---"] * len(names), *([cell(row, name) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(row: dict[str, Any], name: str) -> str:
    """A figure to three digits, and with its standard error if it has one."""
    value, error = row[name], row.get(f"{name} +-", row.get(name.replace(",", " +-,")) if "," in name else None)
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return rounded(value) if error is None else f"{rounded(value)} ± {rounded(error, 2)}"


def rounded(value: float, digits: int = 3) -> str:
    """To so many digits, and whole from a hundred on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
