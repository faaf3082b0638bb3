import dataclasses
import math

import numpy as np
import pytest
import torch
import trimesh

from render3d import Cameras, Mesh
from render3d.errors import FitError
from render3d.fitting import Ball, baselines, best_sphere, convex_hull, enclosing_sphere, mean_iou, visual_hull
from render3d.view_sets import ViewSet


def as_trimesh(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.double().numpy(), mesh.faces.numpy(), process=False)


def silhouettes_of_ball(cameras: Cameras, ball: Ball) -> ViewSet:
    """In closed form: a pixel is covered where the ray through its centre passes within the radius."""
    rays = cameras.rays()
    offset = torch.tensor(ball.center) - rays.origins
    distance = torch.linalg.cross(offset, rays.directions).norm(dim=-1)
    alpha = (distance < ball.radius).float()[:, None]
    return ViewSet(cameras, alpha, None, tuple(map(str, range(cameras.views))))


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_the_best_sphere_of_a_ball_is_the_ball(projection):
    cameras = Cameras.sphere(8, 3.0, image_size=(64, 64))
    if projection == "orthographic":
        cameras = cameras.to_orthographic(2.5)
    ball = Ball((0.2, -0.1, 0.15), 0.6)
    found = best_sphere(silhouettes_of_ball(cameras, ball))
    # A tenth of a pixel, which is 0.04 scene units.
    assert found.center == pytest.approx(ball.center, abs=4e-3)
    assert found.radius == pytest.approx(ball.radius, abs=4e-3)


def test_the_best_sphere_does_not_depend_on_the_size_of_large_images():
    ball = Ball((0.0, 0.1, 0.0), 0.7)
    large = silhouettes_of_ball(Cameras.sphere(6, 3.0, image_size=(200, 240)), ball)
    found = best_sphere(large)
    assert found.center == pytest.approx(ball.center, abs=6e-3)
    assert found.radius == pytest.approx(ball.radius, abs=6e-3)


def test_one_view_is_enough_for_a_sphere_that_fills_its_silhouette(renderer):
    views = silhouettes_of_ball(Cameras.look_at([0.0, 0.0, 3.0], image_size=(64, 64)), Ball((0.2, 0.1, 0.0), 0.6))
    assert mean_iou(renderer, best_sphere(views).mesh(4), views) > 0.95


def test_the_enclosing_sphere_of_a_ball_is_the_ball():
    ball = Ball((0.2, -0.1, 0.15), 0.6)
    found = enclosing_sphere(silhouettes_of_ball(Cameras.sphere(8, 3.0, image_size=(64, 64)), ball))
    assert found.center == pytest.approx(ball.center, abs=0.02)
    assert found.radius == pytest.approx(ball.radius, abs=0.03)


def test_the_enclosing_sphere_covers_every_silhouette(views, renderer):
    found = enclosing_sphere(views)
    # The triangles of a ball lie inside it by little.
    alpha = renderer(Ball(found.center, 1.005 * found.radius).mesh(5), views.cameras, ("alpha",)).alpha
    assert (alpha >= views.alpha).all()
    smaller = renderer(Ball(found.center, 0.95 * found.radius).mesh(5), views.cameras, ("alpha",)).alpha
    assert (smaller < views.alpha).any()


def test_the_visual_hull_of_a_box_seen_along_its_axes_is_the_box():
    directions = torch.tensor([[3.0, 0, 0], [0, 3, 0], [0, 0, 3]])
    cameras = Cameras.look_at(directions, image_size=(80, 80)).to_orthographic(2.0)
    half = torch.tensor([0.5, 0.3, 0.7])
    views = ViewSet(cameras, torch.stack(_boxes_along_axes(cameras, half)), None, ("x", "y", "z"))
    hull = as_trimesh(visual_hull(views, resolution=64))
    cube = 2 * 0.7 / 64
    assert hull.is_watertight
    assert hull.bounds == pytest.approx(np.stack([-half, half]), abs=1.5 * cube)
    assert hull.volume == pytest.approx(8 * math.prod(half.tolist()), rel=0.08)


def _boxes_along_axes(cameras: Cameras, half: torch.Tensor) -> list[torch.Tensor]:
    masks = []
    for view, rays in enumerate(cameras.rays().origins):
        others = [axis for axis in range(3) if axis != view]
        masks.append((rays[..., others].abs() < half[others]).all(-1).float()[None])
    return masks


def test_the_visual_hull_agrees_with_its_views(views, renderer):
    assert mean_iou(renderer, visual_hull(views), views) > 0.95


def test_the_visual_hull_encloses_the_object(ellipsoid, views):
    hull = as_trimesh(visual_hull(views))
    assert hull.volume > as_trimesh(ellipsoid).volume
    low, high = hull.bounds
    cube = 0.1  # more than one of the hull's, and less than three
    assert (ellipsoid.vertices.numpy() > low - cube).all()
    assert (ellipsoid.vertices.numpy() < high + cube).all()


def test_a_silhouette_cut_off_by_the_border_has_no_say_outside_its_picture(renderer, ellipsoid, views, make_views):
    camera = views.cameras[:1]
    zoomed = camera.crop(13, 13, 6, 6)
    alpha = renderer(ellipsoid, zoomed, ("alpha",)).alpha
    assert alpha.all()
    rest = make_views(ellipsoid, views=6, size=32)
    cameras = Cameras.cat([zoomed.resize(32, 32), rest.cameras[1:]])
    mixed = ViewSet(cameras, torch.cat([torch.ones(1, 1, 32, 32), rest.alpha[1:]]), None, rest.names)
    assert as_trimesh(visual_hull(mixed)).volume >= as_trimesh(visual_hull(rest)).volume


def test_silhouettes_that_contradict_one_another_have_no_hull_and_baselines_go_without(views):
    alpha = torch.zeros_like(views.alpha)
    alpha[::2, :, 4:8, 4:8] = 1
    alpha[1::2, :, -8:-4, -8:-4] = 1
    broken = dataclasses.replace(views, alpha=alpha)
    with pytest.raises(FitError, match="The visual hull is empty: no point lies on the silhouette in every view"):
        visual_hull(broken)
    assert set(baselines(broken)) == {"best sphere"}


def test_the_convex_hull_of_a_dented_cube_is_the_cube():
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    dented = Mesh(torch.cat([corners, torch.zeros(1, 3)]), torch.tensor([[0, 1, 2], [3, 4, 8]]))
    hull = as_trimesh(convex_hull(dented))
    assert hull.is_watertight
    assert hull.volume == pytest.approx(8)


def test_the_hulls_are_nested_in_quality_on_a_convex_object(views, renderer):
    found = {name: mean_iou(renderer, mesh, views) for name, mesh in baselines(views).items()}
    assert found["best sphere"] < found["convex hull of the visual hull"] <= found["visual hull"] + 0.05
