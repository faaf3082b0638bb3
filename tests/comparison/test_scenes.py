"""One scene by several renderers: what is wrong with one of them shows in its numbers, and stops no other."""

import base64
import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import render3d as r3
from render3d.comparison import SceneSettings, compare_scene, labels_of
from render3d.comparison.facts import folder_name
from render3d.data import bunny, chicken
from render3d.errors import ComparisonError
from render3d.renderers import OpenGL

QUICK = SceneSettings(views=2, image_size=(48, 64), rounds=1)

pytestmark = pytest.mark.usefixtures("in_this_process")


def against_opengl(out: Path, scene: r3.Mesh, name: str, settings: SceneSettings = QUICK) -> dict:
    return compare_scene(out, scene, ["opengl", name], settings)["renderers"][name]


@pytest.mark.parametrize("mesh", [bunny, chicken])
def test_opengl_and_pyrender_agree_on_real_meshes(mesh, tmp_path, read_metrics):
    found = against_opengl(tmp_path / "out", mesh(), "pyrender", SceneSettings(image_size=(96, 128), rounds=1))
    assert found["failure"] is None
    assert found["iou"] > 0.999
    assert found["differing_share"] <= 0.02
    assert found["far_pixels"] == 0
    assert 0 < found["depth_mean"] < found["depth_largest"] < 1e-3
    assert 0 < found["rgb"] < 2 / 255
    assert found["normal_degrees"] < 1
    assert (found["licence"], found["gradients"], found["library"][:9]) == ("MIT", (), "pyrender ")
    written = read_metrics(tmp_path / "out")
    assert written["reference"] == "opengl"
    assert written["renderers"]["pyrender"]["iou"] == found["iou"]


def test_a_renderer_that_is_right_differs_in_nothing(tmp_path, faulty):
    found = against_opengl(tmp_path / "out", chicken(), f"{faulty}:Good")
    same = ("differing_pixels", "differing_share", "far_pixels", "depth_largest", "depth_mean", "normal_degrees", "rgb")
    assert [found[name] for name in same] == [0] * 7
    assert (found["iou"], found["licence"], found["title"]) == (1.0, "WTFPL", "Good")


def test_a_shift_by_a_pixel_is_counted(tmp_path, faulty):
    found = against_opengl(tmp_path / "out", bunny(), f"{faulty}:Shifted")
    alpha = load_file(tmp_path / "out" / "opengl" / "rendering.safetensors")["alpha"] > 0.5
    moved = alpha.roll(1, -1)
    assert found["differing_pixels"] == int((alpha ^ moved).sum()) > 50
    iou = [float((a & b).sum() / (a | b).sum()) for a, b in zip(alpha, moved, strict=True)]
    assert found["iou"] == pytest.approx(sum(iou) / len(iou), abs=1e-6)
    assert found["iou"] < 0.97
    assert found["differing_share"] > 0.3
    assert found["depth_largest"] > 1e-3
    assert found["rgb"] > 10 / 255


@pytest.mark.parametrize(
    ("fault", "figure", "value"),
    [
        ("Bright", "rgb", 0.1),
        ("Deep", "depth_largest", 0.01),
        ("Deep", "depth_mean", 0.01),
        ("Tilted", "normal_degrees", 5),
    ],
)
def test_a_known_error_is_measured_and_no_other(tmp_path, faulty, fault, figure, value):
    found = against_opengl(tmp_path / "out", bunny(), f"{faulty}:{fault}")
    assert found[figure] == pytest.approx(value, rel=1e-3)
    related = {"depth_largest", "depth_mean"} if fault == "Deep" else {figure}
    others = {"rgb", "depth_largest", "depth_mean", "normal_degrees"} - related
    assert [found[name] for name in others] == [0] * len(others)
    assert found["iou"] == 1


def test_the_picture_of_a_difference_is_the_difference_amplified(tmp_path, faulty, read_page):
    compare_scene(tmp_path / "out", bunny(), ["opengl", f"{faulty}:Bright"], QUICK)
    page = read_page(tmp_path / "out")
    (source, *_) = [image["src"] for image in page.images if image["alt"] == "Bright: colour, difference"]
    shown = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    assert shown.size == (64, 48)
    assert shown.getextrema() == ((204, 204),) * 3  # 255 * 8 * 0.1
    assert any("8 times amplified" in text for text in page.text("p"))


def test_soft_coverage_is_told_by_its_half_and_shown(tmp_path, faulty, read_page):
    found = against_opengl(tmp_path / "out", bunny(), f"{faulty}:Soft")
    assert (found["iou"], found["differing_pixels"]) == (1.0, 0)
    assert "coverage" in read_page(tmp_path / "out").text("b")
    against_opengl(tmp_path / "hard", bunny(), f"{faulty}:Good")
    assert "coverage" not in read_page(tmp_path / "hard").text("b")  # the difference says all


@pytest.mark.parametrize("order", [("opengl", "Plain"), ("Plain", "opengl")])
def test_what_a_renderer_does_not_make_is_left_open(tmp_path, faulty, order, read_page):
    names = [name if name == "opengl" else f"{faulty}:{name}" for name in order]
    found = compare_scene(tmp_path / "out", bunny(), names, QUICK)["renderers"][names[1]]
    assert (found["depth_largest"], found["normal_degrees"]) == (None, None)
    assert (found["iou"], found["rgb"]) == (1.0, 0.0)
    labels = read_page(tmp_path / "out").text("b")
    assert "depth" in labels
    assert "depth, difference" not in labels


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("Raises", "RuntimeError: out of <b>cheese</b>"),
        ("NotFinite", "rgb must be finite; got 3 values that are NaN or infinite."),
        ("Small", "rgb must be 2 views of 48 x 64 pixels; got [2, 3, 48, 63]."),
        ("Silent", "It was asked for alpha, and returned rgb."),
        ("Blind", "Blind makes no alpha, without which nothing can be compared."),
        ("Nobody", "has no 'Nobody' to be a renderer."),
    ],
)
def test_a_failure_is_told_and_the_others_go_on(tmp_path, faulty, egg, fault, message, read_page):
    names = [f"{faulty}:{fault}", "opengl", f"{faulty}:Good"]
    found = compare_scene(tmp_path / "out", egg, names, QUICK)
    assert message in found["renderers"][names[0]]["failure"]
    assert found["reference"] == "opengl"  # the first that worked
    assert found["renderers"][names[2]]["iou"] == 1
    page = read_page(tmp_path / "out")
    assert any(message in text for text in page.text("td"))
    assert not (tmp_path / "out" / f"{faulty}_{fault}").exists()


def test_a_crash_costs_one_row(tmp_path, faulty, egg, monkeypatch):
    from render3d.comparison import costs, scenes

    monkeypatch.setattr(scenes, "memory_of", costs.memory_of)
    found = compare_scene(tmp_path / "out", egg, [f"{faulty}:Crashes", f"{faulty}:Good"], QUICK)["renderers"]
    assert "The process in which it was tried ended without an answer" in found[f"{faulty}:Crashes"]["failure"]
    assert 1 < found[f"{faulty}:Good"]["peak_mib"] < 2000


def test_an_error_in_the_trial_is_that_error(faulty):
    from render3d.comparison.costs import memory_of
    from render3d.comparison.scenes import _render

    cameras = r3.Cameras.sphere(1, 3.0, image_size=(8, 8))
    with pytest.raises(RuntimeError, match="out of <b>cheese</b>"):
        memory_of(_render, f"{faulty}:Raises", r3.Mesh.icosphere(0), cameras, ("alpha",))


def test_the_page_needs_nothing_else_and_escapes_what_it_is_told(tmp_path, faulty, egg, read_page):
    names = ["opengl", f"{faulty}:Shifted", f"{faulty}:Raises"]
    compare_scene(tmp_path / "out", egg, names, QUICK)
    page = read_page(tmp_path / "out")
    assert page.text("h1") == ["A mesh by 2 renderers"]
    assert page.links == []
    alts = [image["alt"] for image in page.images]
    assert len(alts) == len(set(alts)) * 2  # two views
    assert {"opengl: colour", "Shifted: coverage, difference", "Shifted: depth, difference"} <= set(alts)
    assert "opengl: depth, difference" not in alts
    assert page.text("h2") == ["Figures", "Renderers", "View 0", "View 1", "How it was made"]


def test_of_many_views_those_that_differ_most_are_shown(tmp_path, faulty, egg, read_page):
    compare_scene(tmp_path / "out", egg, ["opengl", f"{faulty}:Shifted"], SceneSettings(views=9, image_size=(16, 16)))
    page = read_page(tmp_path / "out")
    assert sum(title.startswith("View ") for title in page.text("h2")) == 6
    assert "The 6 of 9 views that differ most are shown." in page.text("p")


def test_images_are_kept_as_they_were_and_as_pictures(tmp_path, egg, faulty):
    compare_scene(tmp_path / "out", egg, ["opengl", f"{faulty}:Plain"], QUICK)
    folder = tmp_path / "out" / "opengl"
    placed = egg.normalized()
    expected = OpenGL()(placed, QUICK.cameras(), ("rgb", "alpha", "depth", "normal")).as_dict()
    kept = load_file(folder / "rendering.safetensors")
    assert set(kept) == set(expected)
    assert all(torch.equal(kept[name], image) for name, image in expected.items())
    with Image.open(folder / "rgb_0.png") as picture:
        assert picture.size == (64, 48)


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (50, 50)])
@pytest.mark.parametrize("fov", [20.0, 40.0, 100.0])
def test_the_cameras_see_the_whole_unit_sphere_and_not_much_more(size, fov):
    settings = SceneSettings(views=3, image_size=size, vertical_fov_degrees=fov)
    alpha = OpenGL()(r3.Mesh.icosphere(4), settings.cameras(), ("alpha",)).alpha[:, 0] > 0.5
    border = torch.cat([alpha[:, 0], alpha[:, -1], alpha[..., 0], alpha[..., -1]], -1)
    assert not border.any()
    height, width = (int(alpha.any(axis).sum(-1).amax()) for axis in (2, 1))
    assert max(height, width) > 0.85 * min(size)


def test_volumes_are_compared_as_well(tmp_path, egg, read_page):
    volume = r3.Volume.from_mesh(egg, 16)
    names = ["emissionabsorption", "maxprojection", "opengl", "learnedprojection"]
    found = compare_scene(tmp_path / "out", volume, names, QUICK)["renderers"]
    assert found["maxprojection"]["iou"] > 0.9
    assert found["maxprojection"]["rgb"] is None
    assert found["maxprojection"]["gradients"] == ("interior", "pose", "silhouette")
    assert found["opengl"]["failure"].startswith("OpenGL renders Mesh; got Volume.")
    assert "would be a new network" in found["learnedprojection"]["failure"]
    page = read_page(tmp_path / "out")
    assert "coverage" in page.text("b")
    rgb = load_file(tmp_path / "out" / "emissionabsorption" / "rendering.safetensors")["rgb"]
    assert len(rgb[0, 0].unique()) > 50  # lit: not a flat grey


def test_what_is_finished_is_not_rendered_again(tmp_path, faulty, egg):
    import importlib

    out, good = tmp_path / "out", f"{faulty}:Good"
    compare_scene(out, egg, ["opengl", good, f"{faulty}:Raises"], QUICK)
    module = importlib.import_module(faulty)
    calls, before = module.Good.calls, (out / "opengl" / "rendering.safetensors").stat().st_mtime_ns
    tried: list[str] = []
    found = compare_scene(
        out, egg, ["opengl", good, f"{faulty}:Raises", "pyrender"], QUICK, resume=True, progress=tried.append
    )
    assert module.Good.calls == calls > 0
    assert (out / "opengl" / "rendering.safetensors").stat().st_mtime_ns == before
    assert tried == [f"{faulty}:Raises", "pyrender"]  # what failed is tried again, what is new is added
    assert found["renderers"]["pyrender"]["failure"] is None


def test_ctrl_c_keeps_what_is_finished(tmp_path, faulty, egg, read_page, read_metrics):
    out, names = tmp_path / "out", ["opengl", f"{faulty}:Good", f"{faulty}:Stops"]
    with pytest.raises(KeyboardInterrupt, match=f"stopped; opengl, {faulty}:Good had finished, .* with --resume"):
        compare_scene(out, egg, names, SceneSettings(views=2, image_size=(16, 16), rounds=3))
    assert read_metrics(out)["renderers"][names[2]]["failure"] == "stopped before it had finished"
    assert read_page(out).text("h1") == ["A mesh by 2 renderers"]
    found = compare_scene(out, egg, names, SceneSettings(views=2, image_size=(16, 16), rounds=3), resume=True)
    assert all(row["failure"] is None for row in found["renderers"].values())


def test_results_are_not_overwritten_nor_mixed(tmp_path, faulty, egg):
    out, names = tmp_path / "out", ["opengl", f"{faulty}:Plain"]
    with pytest.raises(ComparisonError, match="There is nothing to resume in .*: it has no config.json"):
        compare_scene(out, egg, names, QUICK, resume=True)
    compare_scene(out, egg, names, QUICK)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ComparisonError, match="holds a run already. Go on with it by --resume"):
        compare_scene(out, egg, names, QUICK)
    with pytest.raises(ComparisonError, match=r"another run: scene was \w+ and is \w+\. Resume with what"):
        compare_scene(out, r3.Mesh.icosphere(1), names, QUICK, resume=True)
    with pytest.raises(ComparisonError, match="settings.views was 2 and is 3"):
        compare_scene(out, egg, names, SceneSettings(views=3, image_size=(48, 64), rounds=1), resume=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(tmp_path, egg):
    (tmp_path / "config.json").write_text('{"command": "fit"}', encoding="utf-8")
    with pytest.raises(ComparisonError, match="config.json is damaged, or of another version"):
        compare_scene(tmp_path, egg, ["opengl", "pyrender"], QUICK, resume=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["opengl"], "names must be two renderers at least; got opengl"),
        ([], "got none"),
        (["opengl", "pyrender", "OpenGL"], "names must hold each renderer once; got opengl, OpenGL"),
    ],
)
def test_a_comparison_takes_two(tmp_path, egg, names, message):
    with pytest.raises(ComparisonError, match=message):
        compare_scene(tmp_path / "out", egg, names, QUICK)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": 0}, "views must be at least 1; got 0"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"image_size": (0, 5)}, "at least one pixel; got 0 5"),
        ({"vertical_fov_degrees": 180.0}, "must lie between 0 and 180; got 180.0"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SceneSettings(**change)


def test_one_scene_at_a_time(tmp_path, egg):
    with pytest.raises(ComparisonError, match=r"scene must be one, and no batch; got a batch of shape \[2\]"):
        compare_scene(
            tmp_path / "out", r3.Mesh(egg.vertices.expand(2, -1, -1), egg.faces), ["opengl", "pyrender"], QUICK
        )


def test_labels_are_short_and_differ():
    names = ["opengl", "a.b:One", "c:One", "c:Two"]
    assert labels_of(names) == {"opengl": "opengl", "a.b:One": "a.b:One", "c:One": "c:One", "c:Two": "Two"}


def test_folders_are_in_the_folder():
    assert [folder_name(name) for name in ("OpenGL", "../..:Up", "a.b:C/D")] == ["opengl", ".._.._Up", "a.b_C_D"]
