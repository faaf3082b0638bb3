"""What is wrong with views is said, or refused, in words that help."""

import dataclasses

import pytest
import torch
import trimesh

from render3d import Cameras, Mesh
from render3d.errors import FitError
from render3d.fitting import FitSettings, Measure, enclosing_sphere, fit, visual_hull
from render3d.fitting import remarks as found_by
from render3d.fitting.hulls import cut_off
from render3d.metrics import mesh_topology
from render3d.renderers import OpenGL
from render3d.view_sets import ViewSet

pytestmark = pytest.mark.usefixtures("quick_photo_fits")

SHAPE = FitSettings(quality="draft", until="shape")


def seen(mesh: Mesh, cameras: Cameras) -> ViewSet:
    names = tuple(f"{number:02d}.png" for number in range(cameras.views))
    return ViewSet(cameras, OpenGL()(mesh, cameras, ("alpha",)).alpha, None, names)


def around(views: int, fov: float = 46.0) -> Cameras:
    return Cameras.sphere(views, 3.0, vertical_fov_degrees=fov, image_size=(40, 40))


def balls(*places: tuple[float, float, float, float]) -> Mesh:
    """One of each x, y, z and radius."""
    ball = Mesh.icosphere(3)
    vertices = [ball.vertices * radius + torch.tensor([x, y, z]) for x, y, z, radius in places]
    faces = [ball.faces + number * len(ball.vertices) for number in range(len(places))]
    return Mesh(torch.cat(vertices), torch.cat(faces))


def remarks_on(views: ViewSet) -> list[str]:
    return list(found_by.on_views(views, enclosing_sphere(views)))


def with_masks(views: ViewSet, value: float, *which: int) -> ViewSet:
    alpha = views.alpha.clone()
    alpha[list(which)] = value
    return dataclasses.replace(views, alpha=alpha)


def test_good_views_need_no_word(photographs: ViewSet) -> None:
    assert remarks_on(photographs) == []
    assert list(found_by.on_parts(visual_hull(photographs, resolution=32))) == []


def test_empty_masks_are_left_out_and_named(photographs: ViewSet) -> None:
    alone = photographs.select([0, 1, 2, 4, 5, 6, 8, 9, 10, 11])
    result = fit(with_masks(photographs, 0.0, 3, 7), settings=SHAPE, held_out=with_masks(photographs, 0.0, 2))
    assert result.remarks == (
        "Left out, as their masks are empty: 03.png, 07.png.",
        "Left out, as their masks are empty: 02.png.",
    )
    assert torch.equal(result.mesh.vertices, fit(alone, settings=SHAPE).mesh.vertices)


@pytest.mark.parametrize("kept", [0, 1])
def test_fewer_than_two_views_with_an_object_are_an_error(photographs: ViewSet, kept: int) -> None:
    empty = with_masks(photographs, 0.0, *range(kept, 12))
    message = rf"must show the object in two views at least; {12 - kept} of 12 masks are empty\. Mend them \(1 is obj"
    with pytest.raises(FitError, match=message):
        fit(empty, settings=SHAPE)
    with pytest.raises(FitError, match=r"two views at least; 0 of 1 masks are empty\. Mend them .*, or add views"):
        fit(photographs.select([0]), settings=SHAPE)


def test_held_out_views_that_are_all_empty_are_an_error(photographs: ViewSet) -> None:
    empty = with_masks(photographs.select([0, 1]), 0.0, 0, 1)
    with pytest.raises(FitError, match="the object in a held-out view at least; 2 of 2 masks are empty"):
        fit(photographs, settings=SHAPE, held_out=empty)


def test_masks_that_are_white_all_over_are_an_error(photographs: ViewSet) -> None:
    with pytest.raises(FitError, match="cover every pixel of every view: there is no silhouette to fit. Store masks"):
        fit(with_masks(photographs, 1.0, *range(12)), settings=SHAPE)


def test_masks_that_are_not_numbers_are_an_error(photographs: ViewSet) -> None:
    with pytest.raises(FitError, match="alpha of views must be finite; got NaN or infinite values in 04.png"):
        broken = photographs.alpha.clone()
        broken[4, 0, 0, 0] = torch.nan
        fit(dataclasses.replace(photographs, alpha=broken), settings=SHAPE)


def test_few_views_are_told(photographs: ViewSet) -> None:
    few = photographs.select([0, 2, 5, 7, 10])
    result = fit(few, settings=SHAPE)
    (remark,) = result.remarks
    assert remark.startswith("There are 5 views. Few silhouettes allow many shapes, and no mask can be outvoted: add")
    assert not any("views" in remark for remark in remarks_on(photographs.select(list(range(8)))))


def test_cameras_on_one_side_are_told() -> None:
    azimuths = torch.linspace(-0.6, 0.6, 9)
    places = torch.stack([3 * azimuths.sin(), torch.zeros(9), 3 * azimuths.cos()], dim=-1)
    views = seen(Mesh.icosphere(3, 0.7), Cameras.look_at(places, vertical_fov_degrees=46.0, image_size=(40, 40)))
    (remark,) = remarks_on(views)
    assert remark.startswith("All cameras look from one side. The far side of the mesh, and its extent along the line")
    assert remarks_on(seen(Mesh.icosphere(3, 0.7), around(9))) == []
    (remark,) = fit(views, settings=SHAPE).remarks
    assert "add photographs from behind" in remark


def test_an_object_that_leaves_the_image_is_told_with_the_views() -> None:
    mesh = balls((0.0, 0.0, 0.0, 0.5))
    whole, close = around(10), around(10, fov=17.0)
    cameras = Cameras.cat([close[:2], whole[2:]])
    (remark,) = remarks_on(seen(mesh, cameras))
    assert remark == (
        "The object leaves the image in 00.png, 01.png. What lies outside is taken from the other views alone."
    )
    result = fit(seen(mesh, cameras), settings=SHAPE)
    assert result.remarks == (remark,)
    assert float((result.mesh.vertices.norm(dim=-1) - 0.5).abs().max()) < 0.1


@pytest.mark.parametrize("count", [6, 12])
def test_a_thin_part_that_leaves_an_image_is_told_and_stays_whole(count: int) -> None:
    """It is on less than a fiftieth of the border, but the silhouette goes on behind it."""
    rod = trimesh.creation.cylinder(radius=0.05, segment=[[0, 0, 0], [0, 1.2, 0]])
    both = trimesh.util.concatenate([trimesh.creation.icosphere(3, 0.45), rod])
    mesh = Mesh(torch.tensor(both.vertices, dtype=torch.float32), torch.tensor(both.faces))
    close, far = (Cameras.orbit(count, away, vertical_fov_degrees=46.0, image_size=(96, 96)) for away in (2.0, 4.0))
    views = seen(mesh, Cameras.cat([close[:1], far[1:]]))
    assert any("The object leaves the image in 00.png." in remark for remark in remarks_on(views))
    assert float(visual_hull(views, resolution=64).vertices[:, 1].max()) > 1.15


def test_a_speck_on_the_border_is_noise_and_cuts_nothing_off(photographs: ViewSet) -> None:
    alpha = photographs.alpha.clone()
    alpha[3, 0, 0, 5] = 1
    specked = dataclasses.replace(photographs, alpha=alpha)
    assert remarks_on(specked) == []
    assert not bool(cut_off(alpha).any())
    one, other = (visual_hull(views, resolution=32).vertices for views in (photographs, specked))
    assert float(torch.cdist(one, other).min(1).values.max()) < 0.06  # a cube


def test_several_objects_are_told_and_all_of_them_are_fitted() -> None:
    views = seen(balls((-0.5, 0.0, 0.0, 0.3), (0.5, 0.1, 0.0, 0.25)), around(10))
    result = fit(views, settings=SHAPE)
    (remark,) = result.remarks
    assert remark.startswith("The silhouettes are those of 2 separate parts, and the mesh holds all of them.")
    assert mesh_topology(result.mesh).components == 2
    small = balls((-0.3, 0.0, 0.0, 0.5), (0.6, 0.0, 0.0, 0.15))  # a crumb, of a fortieth of the volume
    assert list(found_by.on_parts(small)) == []


def test_silhouettes_that_contradict_each_other_give_a_sphere_and_that_is_said() -> None:
    views = seen(balls((0.0, 0.0, 0.0, 0.12)), around(7))
    elsewhere = dataclasses.replace(views, alpha=views.alpha.clone())
    elsewhere.alpha[::2] = elsewhere.alpha[::2].roll((9, 9), (-1, -2))
    with pytest.raises(FitError, match="hull is empty"):
        visual_hull(elsewhere)
    result = fit(elsewhere, settings=SHAPE)
    assert any(
        remark.startswith("The visual hull is empty: no point lies on the silhouette in every view. Check the poses")
        and remark.endswith("The fit began with a sphere, whose topology the mesh has.")
        for remark in result.remarks
    )
    assert torch.equal(result.stages["hull"].faces, Mesh.icosphere(4).faces)
    assert mesh_topology(result.mesh).euler_number == 2


def test_a_photograph_that_is_overexposed_is_named_and_has_no_say(photographs: ViewSet) -> None:
    rgb = photographs.rgb.clone()
    rgb[5] = (4 * rgb[5]).clamp(0, 1)
    settings = FitSettings(quality="draft", appearance="vertices")
    result = fit(dataclasses.replace(photographs, rgb=rgb), settings=settings)
    (remark,) = result.remarks
    assert remark.startswith("The colours of 05.png do not agree with those of the other views (exposure, pose or")


@pytest.mark.parametrize(
    ("fitted", "hull", "said"), [((0.95, 0.90), (0.94, 0.93), True), ((0.95, 0.93), (0.97, 0.93), False)]
)
def test_a_hull_that_is_better_than_the_fit_is_told(
    fitted: tuple[float, float], hull: tuple[float, float], said: bool
) -> None:
    measures = {
        name: Measure(training_iou=training, held_out_iou=held_out, held_out_disagreement=0.1)
        for name, (training, held_out) in (("fit", fitted), ("visual hull", hull))
    }
    found = list(found_by.on_measures(measures))
    assert bool(found) == said
    assert all("(0.9300) than the fit (0.9000)" in remark and "--quality high" in remark for remark in found)
    assert list(found_by.on_measures({"fit": measures["fit"]})) == []
