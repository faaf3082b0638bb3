"""Draws docs/images/conventions.svg: the axes of the camera beside the grid of pixels. Run it from anywhere."""

from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "images" / "conventions.svg"
RED, GREEN, BLUE, INK, FAINT = "#c0392b", "#1e8449", "#2456a6", "#222222", "#b5b5b5"
CELL = 56
COLUMNS, ROWS = 5, 3


def line(start: tuple[float, float], end: tuple[float, float], color: str, *, arrow: bool = False) -> str:
    """A straight line, with an arrowhead at its end if wanted."""
    head = f' marker-end="url(#head-{color[1:]})"' if arrow else ""
    return (
        f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}" stroke="{color}" '
        f'stroke-width="{2.5 if arrow else 1}"{head}/>'
    )


def text(place: tuple[float, float], words: str, color: str = INK, *, anchor: str = "start", size: int = 15) -> str:
    """A line of text."""
    return (
        f'<text x="{place[0]}" y="{place[1]}" fill="{color}" text-anchor="{anchor}" font-size="{size}">{words}</text>'
    )


def arrowhead(color: str) -> str:
    """The definition of an arrowhead of that colour."""
    return (
        f'<marker id="head-{color[1:]}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="6" markerHeight="6" '
        f'orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{color}"/></marker>'
    )


def camera_axes() -> list[str]:
    """The camera with its image plane; x to the right, y down, z into the scene."""
    eye = (90, 210)
    corners = [(235, 85), (335, 120), (335, 265), (235, 230)]
    points = " ".join(f"{x},{y}" for x, y in corners)
    edges = [line(eye, corner, FAINT) for corner in corners]
    return [
        text((30, 40), "Camera space", size=18),
        *edges,
        f'<polygon points="{points}" fill="#f2f5fa" stroke="{FAINT}"/>',
        line(eye, (385, 157), BLUE, arrow=True),
        text((392, 155), "z, forward", BLUE),
        line(eye, (175, 240), RED, arrow=True),
        text((182, 250), "x, right", RED),
        line(eye, (90, 305), GREEN, arrow=True),
        text((98, 318), "y, down", GREEN),
        f'<circle cx="{eye[0]}" cy="{eye[1]}" r="5" fill="{INK}"/>',
        text((30, 195), "camera"),
        text((240, 78), "image, row 0 at the top", size=13),
        text((30, 360), "p_camera = world_to_camera p_world", size=14),
    ]


def pixel_grid() -> list[str]:
    """A 3 x 5 image: the origin at its corner, pixel centres at + 0.5."""
    left, top = 560, 90
    right, bottom = left + COLUMNS * CELL, top + ROWS * CELL
    grid = [line((left + i * CELL, top), (left + i * CELL, bottom), FAINT) for i in range(COLUMNS + 1)]
    grid += [line((left, top + j * CELL), (right, top + j * CELL), FAINT) for j in range(ROWS + 1)]
    centers = [
        f'<circle cx="{left + (i + 0.5) * CELL}" cy="{top + (j + 0.5) * CELL}" r="2.5" fill="{INK}"/>'
        for i in range(COLUMNS)
        for j in range(ROWS)
    ]
    return [
        text((left - 30, 40), f"Pixels of an image of size ({ROWS}, {COLUMNS})", size=18),
        *grid,
        *centers,
        line((left, top), (right + 36, top), RED, arrow=True),
        text((right + 42, top + 5), "x", RED),
        line((left, top), (left, bottom + 36), GREEN, arrow=True),
        text((left - 5, bottom + 54), "y", GREEN),
        text((left - 8, top - 10), "(0, 0)", anchor="middle", size=13),
        text((left + 0.5 * CELL, top + 0.5 * CELL + 18), "(0.5, 0.5)", anchor="middle", size=10),
        text((right + 8, bottom + 16), f"({COLUMNS}, {ROWS})", size=13),
        text((left + 30, bottom + 48), "x = fx X / Z + cx,  y = fy Y / Z + cy", size=14),
        text((left + 30, bottom + 70), "orthographic: x = fx X + cx,  y = fy Y + cy", size=14),
    ]


def figure() -> str:
    """The whole drawing."""
    heads = "".join(arrowhead(color) for color in (RED, GREEN, BLUE))
    body = "\n".join([*camera_axes(), *pixel_grid()])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 385" font-family="sans-serif" role="img">\n'
        "<title>Camera axes and pixel grid</title>\n"
        f'<defs>{heads}</defs>\n<rect width="930" height="385" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(figure(), encoding="utf-8")
