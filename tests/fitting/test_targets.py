import dataclasses

import pytest
import torch

from render3d import Cameras
from render3d.errors import FitError
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.fitting.targets import check_targets, pixel_at, shrunk
from render3d.view_sets import ViewSet


def with_alpha(views: ViewSet, change) -> ViewSet:
    alpha = views.alpha.clone()
    change(alpha)
    return dataclasses.replace(views, alpha=alpha)


def test_good_views_pass(views):
    check_targets(views=views)


def test_nan_in_a_mask_is_an_error_that_names_the_view(views):
    broken = with_alpha(views, lambda alpha: alpha[2, 0, 3, 3].fill_(float("nan")))
    with pytest.raises(FitError, match="alpha of views must be finite; got NaN or infinite values in view 2"):
        fit_template(broken)


def test_empty_masks_are_an_error_that_names_the_views(views):
    empty = with_alpha(views, lambda alpha: [alpha[index].fill_(0) for index in (1, 4)])
    with pytest.raises(FitError, match="nothing is covered in view 1, view 4. Leave those views out"):
        fit_template(empty)


def test_many_empty_masks_are_named_in_short(views):
    with pytest.raises(FitError, match="view 0, view 1, view 2, view 3, view 4 and 1 more"):
        fit_template(with_alpha(views, lambda alpha: alpha.fill_(0)))


def test_masks_that_cover_everything_are_an_error(views):
    with pytest.raises(FitError, match="cover every pixel of every view: there is no silhouette"):
        fit_template(with_alpha(views, lambda alpha: alpha.fill_(1)))


def test_held_out_views_are_checked_as_well(views):
    with pytest.raises(FitError, match="The masks of held_out must show the object"):
        fit_template(views, held_out=with_alpha(views, lambda alpha: alpha.fill_(0)))


def test_shrinking_averages_coverage_and_keeps_the_rays(views):
    small = shrunk(views, 8)
    assert small.alpha.shape == (6, 1, 8, 8)
    torch.testing.assert_close(small.alpha, views.alpha.unflatten(-1, (8, 4)).unflatten(-3, (8, 4)).mean((-1, -3)))
    points = torch.randn(5, 3) * 0.5
    torch.testing.assert_close(small.cameras.project(points), views.cameras.project(points) / 4)


def test_small_views_are_not_enlarged(views):
    assert shrunk(views, 64).alpha is views.alpha


@pytest.mark.parametrize("distance", [2.0, 5.0])
def test_the_size_of_a_pixel_is_what_moves_a_point_by_one(distance):
    cameras = Cameras.look_at([0.0, 0.0, distance], image_size=(40, 60))
    for these in (cameras, cameras.to_orthographic(3.0)):
        size = pixel_at(these, torch.zeros(3))
        moved = these.project(torch.tensor([[0.0, 0, 0], [size, 0, 0]]))[0]
        assert (moved[1, 0] - moved[0, 0]).item() == pytest.approx(1, rel=1e-4)


def test_a_point_behind_all_cameras_is_an_error():
    with pytest.raises(FitError, match="behind all of them"):
        pixel_at(Cameras.look_at([0.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, 10.0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updates": 0}, "updates must be at least 1; got 0"),
        ({"samples": 1}, "samples must be at least 2; got 1"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        ({"noise": (1.0, 0.0)}, "noise must be two positive numbers, first and last"),
        ({"learning_rate": (float("inf"), 1.0)}, "learning_rate must be two positive numbers"),
        ({"smoothness": -1.0}, "smoothness must be zero or positive"),
    ],
)
def test_settings_out_of_range_are_errors(change, message):
    with pytest.raises(ValueError, match=message):
        TemplateFitSettings(**change)
