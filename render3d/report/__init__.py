"""Reports: one self-contained HTML page, made of parts.

Each part is a function that returns `Html`; `page` puts them together. Nothing is fetched from anywhere: styles,
pictures and curves are inside the page.
"""

from render3d.report.curves import curves as curves
from render3d.report.curves import standalone as standalone
from render3d.report.grids import Row as Row
from render3d.report.grids import grid as grid
from render3d.report.html import Html as Html
from render3d.report.html import captioned as captioned
from render3d.report.html import columns as columns
from render3d.report.html import facts as facts
from render3d.report.html import figures as figures
from render3d.report.html import links as links
from render3d.report.html import page as page
from render3d.report.html import paragraph as paragraph
from render3d.report.html import section as section
from render3d.report.html import table as table
from render3d.report.pictures import animation as animation
from render3d.report.pictures import difference_key as difference_key
from render3d.report.pictures import gallery as gallery
from render3d.report.pictures import silhouette_difference as silhouette_difference
from render3d.report.scales import Scale as Scale
from render3d.report.turntables import turntable as turntable
from render3d.report.volumes import lit as lit
from render3d.report.volumes import slices as slices
from render3d.runs.provenance import provenance as provenance
