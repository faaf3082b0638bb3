"""Reports: one self-contained HTML page, made of parts.

Each part is a function that returns `Html`; `page` puts them together. Nothing is fetched from anywhere: styles,
pictures and curves are inside the page.
"""

from render3d.report.curves import curves, standalone
from render3d.report.grids import Row, grid
from render3d.report.html import (
    Html,
    captioned,
    columns,
    facts,
    figures,
    how_made,
    links,
    page,
    paragraph,
    section,
    table,
)
from render3d.report.pictures import animation, difference_key, gallery, silhouette_difference
from render3d.report.scales import Scale
from render3d.report.turntables import turntable
from render3d.report.volumes import lit, slices
from render3d.runs.provenance import provenance

__all__ = ["Html", "captioned", "columns", "links", "page", "paragraph", "section"]
__all__ += ["curves", "facts", "figures", "how_made", "provenance", "standalone", "table"]
__all__ += ["Row", "Scale", "animation", "difference_key", "gallery", "grid", "silhouette_difference"]
__all__ += ["lit", "slices", "turntable"]
