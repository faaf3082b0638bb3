"""Problems of objects that were made: known by kind, listed in files and on the page, and the same when resumed."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
import trimesh

from render3d import Cameras, Mesh
from render3d.datasets.collections import open_collection
from render3d.datasets.view_sets.write import LocalEngine, generate
from render3d.datasets.view_sets.write.problems import Problem, objects_by_kind, problems_of_views
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.result import ViewsResult
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.renderers import OpenGL

SETTINGS = ViewsSettings(protocol=Sphere(views=2, image_size=(24, 24)), outputs=("rgb", "alpha"))
BALL = Mesh.icosphere(2)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (
            [
                "It refers to 'a b.mtl', which is missing from its folder /x y/z.",
                'It refers to "c\'s.mtl", which is missing from its folder /d.',
            ],
            "It refers to …, which is missing from its folder ….",
        ),
        (
            ["Materials that it uses are not defined: 'a'.", "Materials that it uses are not defined: 'b', 'c', 'd'."],
            "Materials that it uses are not defined: ….",
        ),
        (["3 faces of fewer than three corners were left out."], "… faces of fewer than three corners were left out."),
        (
            ['Material "it\'s" does not repeat its texture beyond 0-1; drawn repeated.'],
            "Material … does not repeat its texture beyond 0-1; drawn repeated.",
        ),
        (["The near plane (0.1) in 1,200 of 2 views."], "The near plane (…) in … of … views."),
        (
            ["It refers to 'm', which lies outside its folder /a/b c: not read. Copy that file into the folder."],
            "It refers to …, which lies outside its folder …: not read. Copy that file into the folder.",
        ),
    ],
)
def test_a_kind_is_the_text_without_what_is_particular_to_an_object(texts: list[str], kind: str) -> None:
    assert {Problem.of("a", text).kind for text in texts} == {kind}


def test_objects_of_a_kind_are_counted_once_each() -> None:
    problems = [Problem.of(id_, text) for id_, text in (("a", "x 'p'"), ("a", "x 'q'"), ("b", "x 'p'"), ("b", "odd"))]
    assert objects_by_kind(problems) == {"x …": 2, "odd": 1}


INSIDE, NEAR, FAR = "The camera stands inside it", "Parts of it are nearer", "Parts of it are farther"


def camera(position: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 0), **lens) -> Cameras:
    given = {"vertical_fov_degrees": 45.0, "image_size": (24, 24), "near": 0.1, "far": 10.0} | lens
    return Cameras.look_at(torch.tensor(position), torch.tensor(target), **given)


@pytest.mark.parametrize(
    ("cameras", "expected"),
    [
        (camera((0, 0, 3)), []),
        (camera((0, 0, 3), near=1.9, far=4.1), []),
        (camera((0, 0, 3), near=2.1), [NEAR]),
        (camera((0, 0, 3), far=3.5), [FAR]),
        (camera((0, 0, 3), near=2.5, far=2.6), [NEAR, FAR]),
        (camera((0, 0, 0.5)), [INSIDE]),
        (camera((0, 0, 0.5), near=1.6), [INSIDE, NEAR]),
        (camera((0, 0, 1.2), near=0.5), [NEAR]),
        (camera((0, 0, 1.01), (0, 0, 9), near=0.5), []),  # all of it is behind
        (camera((0, 0, 3), (9, 0, 3)), []),  # all of it is to the left, also what is beside the camera
        (camera((0, 0, 3)).to_orthographic(3.0), []),
        (
            dataclasses.replace(camera((0, 0, 0), (0, 0, -1)).to_orthographic(3.0), near=-2.0),
            [],
        ),  # it sees what is behind it
        (dataclasses.replace(camera((0, 0, 0), (0, 0, -1)).to_orthographic(3.0), near=-0.5), [NEAR]),
    ],
)
@pytest.mark.parametrize("mesh", [BALL, dataclasses.replace(BALL, faces=BALL.faces.flip(1))], ids=["ball", "turned"])
def test_cameras_inside_a_ball_and_planes_through_it_are_problems(
    mesh: Mesh, cameras: Cameras, expected: list[str]
) -> None:
    found = list(problems_of_views(mesh, cameras))
    assert [text.split(" than ")[0].split(" in ")[0] for text in found] == expected
    assert all(text.endswith("in 1 of 1 views, the first of them view 0.") for text in found)


def test_the_views_are_counted_and_the_first_is_named() -> None:
    cameras = Cameras.cat([camera((0, 0, z), near=0.5) for z in (3.0, 0.4, 1.2, 0.3)])
    inside, near = problems_of_views(BALL, cameras)
    assert inside == f"{INSIDE} in 2 of 4 views, the first of them view 1."
    assert near.startswith(f"{NEAR} than the near plane (0.5), and not drawn, in 1 of 4 views")
    assert near.endswith("view 2.")


def test_a_camera_in_the_hole_of_a_ring_is_not_inside_it() -> None:
    ring = trimesh.creation.torus(1.0, 0.25)
    mesh = Mesh(torch.tensor(ring.vertices, dtype=torch.float32), torch.tensor(ring.faces))
    assert not list(problems_of_views(mesh, camera((0, 0, 0), (1, 0, 0))))
    assert next(problems_of_views(mesh, camera((1, 0, 0), (0, 0, 0)))).startswith(INSIDE)


@pytest.mark.filterwarnings("ignore::render3d.renderers.base.EmptyViewWarning")
def test_whatever_a_near_plane_takes_out_of_an_image_is_a_problem() -> None:
    generator = torch.Generator().manual_seed(0)
    renderer, changed = OpenGL(), 0
    for _ in range(80):
        position, target = torch.randn(2, 3, generator=generator).mul(1.5).unbind()
        near = camera(tuple(position.tolist()), tuple(target.tolist()), near=0.7)
        images = [
            renderer(BALL, cameras, ("alpha", "depth")).depth
            for cameras in (dataclasses.replace(near, near=1e-3), near)
        ]
        if not torch.allclose(*images, atol=1e-3):
            changed += 1
            assert any(text.startswith(NEAR) for text in problems_of_views(BALL, near))
    assert changed > 5


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A ball that is sound, two without their materials, and what cannot be read."""
    folder = tmp_path / "models"
    folder.mkdir()
    BALL.save(folder / "plain.obj")
    for name in ("red", "blue"):
        text = f"mtllib {name}.mtl\nusemtl {name}\n" + (folder / "plain.obj").read_text()
        (folder / f"{name}.obj").write_text(text)
    (folder / "torn.obj").write_text("v 1 2\n")
    (folder / "old.max").write_text("?")
    return folder


KINDS = {"It refers to …, which is missing from its folder ….": 2, "Materials that it uses are not defined: ….": 2}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def told(out: Path, result: ViewsResult) -> list[object]:
    """All that files say of problems and of what was not taken."""
    metrics = json.loads((out / "metrics.json").read_text())
    page = (out / "report.html").read_text().partition("Problems of objects")[2].partition("How it was made")[0]
    named = {name: metrics[name] for name in ("with_problems", "problems_by_kind", "skipped_by_reason")}
    files = [(out / name).read_bytes() for name in ("problems.csv", "skipped.csv", "failures.csv")]
    return [*files, named, page.partition("Memory")[0], result.problems]


def test_problems_are_listed_wherever_results_are(models: Path, tmp_path: Path, engine) -> None:
    result = generate(open_collection(models), SETTINGS, tmp_path / "out", engine)
    rows = rows_of(tmp_path / "out" / "problems.csv")
    assert [(row["id"], row["kind"]) for row in rows] == [(id_, kind) for id_ in ("blue", "red") for kind in KINDS]
    assert rows[1]["text"] == "Materials that it uses are not defined: 'blue'."
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["made"], metrics["with_problems"], metrics["problems_by_kind"]) == (3, 2, KINDS)
    reason = "is 3ds Max (.max), which is not read; convert it to .glb or .obj"
    assert metrics["skipped_by_reason"] == {reason: 1}
    assert rows_of(tmp_path / "out" / "skipped.csv") == [{"path": str(models / "old.max"), "reason": reason}]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 of them have problems" in page
    assert "<td>Materials that it uses are not defined: ….</td><td>blue, red</td><td>2</td>" in page
    assert f"<td>{reason}</td><td>old.max</td><td>1</td>" in page
    assert [problem.id for problem in result.problems] == ["blue", "blue", "red", "red"]


@pytest.mark.parametrize("format", ["nerfstudio", "shards"])
def test_runs_that_were_stopped_list_the_same_problems_as_one_run(
    models: Path, tmp_path: Path, engine, format: str
) -> None:
    objects, settings, parts = open_collection(models), dataclasses.replace(SETTINGS, format=format), tmp_path / "parts"
    whole = told(tmp_path / "whole", generate(objects, settings, tmp_path / "whole", engine))
    generate(objects[:2], settings, parts, engine)
    rest = LocalEngine(1) if format == "nerfstudio" else engine
    assert told(parts, generate(objects, settings, parts, rest, resume=True)) == whole
    assert told(parts, generate(objects, settings, parts, engine, resume=True)) == whole


@pytest.mark.parametrize("problems", [None, 5, [5]])
def test_an_object_whose_problems_are_lost_is_made_again(models: Path, tmp_path: Path, engine, problems) -> None:
    out, objects = tmp_path / "out", open_collection(models)
    whole = told(out, generate(objects, SETTINGS, out, engine))
    path = next(path for path in out.rglob("object.json") if "red" in str(path))
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps({**facts, "problems": problems}))
    assert told(out, generate(objects, SETTINGS, out, engine, resume=True)) == whole
    assert json.loads(path.read_bytes()) == facts
