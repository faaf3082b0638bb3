"""``render3d pose``: where a known mesh stands in posed photographs."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import tyro
from rich.table import Table
from torch import Tensor

from render3d import report
from render3d.atomic import write_json, write_text
from render3d.cli.calls import Json, Out, Result
from render3d.cli.fit import FollowLinks, Format, Masks
from render3d.errors import FitError
from render3d.fitting import PoseResult, PoseSettings, enclosing_sphere, fit_pose, mean_iou
from render3d.fitting.loop import check_renderer
from render3d.fitting.targets import check_targets, shrunk
from render3d.fitting.task import unlit_renderer
from render3d.images import Rendering
from render3d.renderers import Renderer
from render3d.renderers.table import RENDERER_HELP
from render3d.report import Row
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet, read_views

_DEFAULTS = PoseSettings()


class _Placed(NamedTuple):
    mesh: Mesh
    to_world: Tensor  # [4, 4], from the file's axes and units


def pose(
    mesh: Annotated[Path, tyro.conf.Positional],
    views: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    centred: Annotated[
        bool, tyro.conf.arg(help="First move and scale the mesh into the sphere that encloses the silhouettes.")
    ] = False,
    most_views: Annotated[int, tyro.conf.arg(help="Views that are compared, spread evenly.")] = 8,
    pixels: Annotated[int, tyro.conf.arg(help="Along the longer side of a view, at most.")] = 256,
    renderer: Annotated[str, tyro.conf.arg(help=f"{RENDERER_HELP}; or module:Class for one of your own.")] = "opengl",
    format: Format = None,
    masks: Masks = None,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    settings: Annotated[PoseSettings, tyro.conf.arg(name="")] = _DEFAULTS,
) -> Result:
    """Find where a known mesh stands in posed photographs, from a rough place.

    Writes pose.json (the 4 x 4 matrix from the file's axes to the world of the cameras, and how good it is), mesh.glb
    (the mesh there) and report.html.

    Args:
        mesh: Mesh file, roughly where it stands; with colours, they are compared too.
        views: A transforms.json, or the folder of an object in any format of view sets.
        settings: Settings of the search.
    """
    if most_views < 1 or pixels < 1 << settings.levels:
        raise FitError(
            f"--most-views must be at least 1, and --pixels {1 << settings.levels}; got {most_views}, {pixels}."
        )
    through = unlit_renderer(renderer)
    check_renderer(through, Mesh)
    found = read_views(views, format, follow_links=follow_links, masks=masks)
    check_targets(views=found)
    seen = _spread(found, most_views)
    given = Mesh.load(mesh).restored()
    rough = _centred(given, found) if centred else _Placed(given, torch.eye(4))
    colored = found.rgb is not None and any(role == "colors" for _, role in given.inputs().values())
    small = shrunk(seen, pixels, *(["rgb"] if colored else []))
    result = fit_pose(rough.mesh, small.cameras, _target(small), through, settings)
    placed = _moved(rough, small, result)
    before, after = (mean_iou(through, each.mesh, found) for each in (rough, placed))
    out.mkdir(parents=True, exist_ok=True)
    placed.mesh.save(out / "mesh.glb")
    facts = {
        "mesh_to_world": placed.to_world.tolist(),
        "iou": after,
        "rough_iou": before,
        "loss": float(result.loss),
        "rough_loss": float(result.rough_loss),
        "turn_degrees": math.degrees(float(result.twist[3:].norm())),
        "renders": result.renders,
    }
    write_json(out / "pose.json", facts)
    write_text(out / "report.html", _page(seen, rough, placed, through, facts, settings))
    table = Table("", "IoU, all views", "squared difference")
    table.add_row("rough pose", f"{before:.4f}", f"{float(result.rough_loss):.5f}")
    table.add_row("found", f"{after:.4f}", f"{float(result.loss):.5f}")
    return Result(facts, [table], out / "report.html")


def _spread(views: ViewSet, most: int) -> ViewSet:
    count = min(most, len(views))
    return views.select([math.floor((number + 0.5) * len(views) / count) for number in range(count)])


def _centred(mesh: Mesh, views: ViewSet) -> _Placed:
    """The mesh in the sphere that encloses the silhouettes, turned as it is."""
    ball = enclosing_sphere(views)
    unit = mesh.normalized()
    center = torch.tensor(ball.center)
    assert unit.to_source is not None
    to_ball = torch.eye(4)
    to_ball[:3, :3] *= ball.radius
    to_ball[:3, 3] = center
    moved = mesh.with_vertices(unit.vertices * ball.radius + center)
    return _Placed(moved, to_ball.to(unit.to_source) @ torch.linalg.inv(unit.to_source))


def _target(views: ViewSet) -> Rendering:
    """The silhouettes, and the colours over the white of `Shading.unlit`."""
    images = {"alpha": views.alpha}
    if views.rgb is not None:
        images["rgb"] = views.rgb * views.alpha + 1 - views.alpha
    return Rendering(images)


def _moved(rough: _Placed, views: ViewSet, result: PoseResult) -> _Placed:
    """The mesh where the cameras that were found show it, if cameras stay where they are."""
    move = torch.linalg.inv(views.cameras.world_to_camera[0]) @ result.cameras.world_to_camera[0]
    of_mesh = move.to(rough.mesh.vertices)
    vertices = rough.mesh.vertices @ of_mesh[:3, :3].T + of_mesh[:3, 3]
    return _Placed(rough.mesh.with_vertices(vertices), move.to(rough.to_world) @ rough.to_world)


def _page(
    views: ViewSet,
    rough: _Placed,
    placed: _Placed,
    renderer: Renderer,
    facts: dict[str, object],
    settings: PoseSettings,
) -> str:
    """The views beside the mesh where it was, and where it is."""
    shown = shrunk(views, 320, *(["rgb"] if views.rgb is not None else []))
    with torch.no_grad():
        images = [renderer(each.mesh, shown.cameras, ("rgb", "alpha")) for each in (rough, placed)]
    differences = report.silhouette_difference(shown.alpha, images[1].alpha)
    photographs = 1 - shown.alpha if shown.rgb is None else shown.rgb
    columns = {"view": photographs, "rough pose": images[0].rgb, "found": images[1].rgb, "silhouettes": differences}
    rows = [Row(name, [each[number] for each in columns.values()]) for number, name in enumerate(shown.names)]
    lead = (
        f"Turned by {facts['turn_degrees']:.1f} degrees: mean IoU {facts['iou']:.4f} on all views, where the rough "
        f"pose has {facts['rough_iou']:.4f}."
    )
    asked = {name.replace("_", " "): value for name, value in dataclasses.asdict(settings).items()}
    keys = report.difference_key("view", "mesh")
    return report.page(
        "The pose of a mesh",
        lead,
        report.section("Views", keys, report.grid([*columns], rows)),
        report.how_made(asked, renderer),
    )
