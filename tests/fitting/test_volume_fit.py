"""A volume from silhouettes: what comes out, what the settings do, and that a stop changes nothing."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from render3d import Cameras, Mesh, Volume
from render3d.errors import CameraError, CapabilityError, FitError
from render3d.fitting import (
    FitRecord,
    VolumeFitResult,
    VolumeFitSettings,
    fit_template,
    fit_volume,
    in_volume_frame,
    mean_iou,
    measure,
)
from render3d.regularizers import sparsity, total_variation
from render3d.renderers import EmissionAbsorption, LearnedProjection, MaxProjection, OpenGL, Renderer
from render3d.runs.folder import CHECKPOINT
from render3d.view_sets import ViewSet

QUICK = VolumeFitSettings(updates=12, resolution=16, levels=2, views_per_update=3, evaluate_every=5)
GOOD = VolumeFitSettings(updates=60, resolution=32, levels=2, evaluate_every=60)


class Watched:
    """A renderer that remembers what it was called with, and may press Ctrl-C at its n-th call."""

    def __init__(self, renderer: Renderer, stop_at: int = 0) -> None:
        self.renderer, self.stop_at = renderer, stop_at
        self.capabilities = renderer.capabilities
        self.samples_per_pixel = getattr(renderer, "samples_per_pixel", None)
        self.samples_per_voxel = getattr(renderer, "samples_per_voxel", None)
        self.calls: list[tuple[Volume, Cameras]] = []

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
        self.calls.append((scene, cameras))
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        return self.renderer(scene, cameras, outputs, generator=generator)


def views_of(mesh: Mesh, cameras: Cameras) -> ViewSet:
    alpha = OpenGL()(mesh, cameras, ("alpha",)).alpha
    return ViewSet(cameras, alpha, None, tuple(f"view {number}" for number in range(cameras.views)))


def in_frame(views: ViewSet, result: VolumeFitResult) -> ViewSet:
    return dataclasses.replace(views, cameras=in_volume_frame(views.cameras, result.volume))


def assert_same(result: VolumeFitResult, expected: VolumeFitResult) -> None:
    assert torch.equal(result.volume.values, expected.volume.values)
    assert torch.equal(result.volume.to_source, expected.volume.to_source)
    assert timeless(result.records) == timeless(expected.records)


def timeless(records: tuple[FitRecord, ...]) -> list[FitRecord]:
    return [dataclasses.replace(record, seconds=0.0) for record in records]


def stop_after(step: int):
    """A progress callback that presses Ctrl-C."""

    def progress(record: FitRecord) -> None:
        if record.update == step:
            raise KeyboardInterrupt

    return progress


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "fit"


# What comes out

PERSPECTIVE = Cameras.sphere(14, 3.0, vertical_fov_degrees=46.0, image_size=(40, 40))
CAMERAS = {
    "perspective": PERSPECTIVE,
    "wide and off-centre": PERSPECTIVE.crop(4, 2, 36, 30),
    "tall and orthographic": PERSPECTIVE.crop(6, 0, 30, 40).to_orthographic(3.0),
}


@pytest.mark.parametrize("kind", CAMERAS)
def test_an_ellipsoid_is_found_where_it_is(ellipsoid, kind):
    views, held_out = views_of(ellipsoid, CAMERAS[kind]).split(held_out=4)
    assert views.cameras.image_size[0] != views.cameras.image_size[1] or kind == "perspective"
    result = fit_volume(views, None, GOOD, held_out=held_out)
    assert result.training_iou > 0.97
    assert result.held_out_iou > 0.93
    # The surface, back in the world of the views, as another renderer sees it there.
    surface = result.volume.to_mesh(0.25).restored()
    assert measure(surface, views, held_out, OpenGL()).held_out_iou > 0.9
    # The truth in the same cube: the share of voxels that both fill, of those that either does.
    center = result.volume.to_source[:3, 3]
    truth = Volume.from_mesh(ellipsoid.with_vertices(ellipsoid.vertices - center), 32, extent=result.volume.extent)
    found, wanted = result.volume.occupancy > 0.25, truth.occupancy > 0.5
    assert (found & wanted).sum() / (found | wanted).sum() > 0.8


def test_the_defaults_are_emission_and_absorption(views):
    assert_same(fit_volume(views, settings=QUICK), fit_volume(views, EmissionAbsorption(), QUICK))


def test_through_the_maximum_a_volume_is_found_as_well(ellipsoid):
    views, held_out = views_of(ellipsoid, PERSPECTIVE).split(held_out=4)
    result = fit_volume(views, MaxProjection(), GOOD, held_out=held_out)
    assert result.held_out_iou > 0.9


def trained(network: LearnedProjection, steps: int) -> LearnedProjection:
    """After learning from balls of random places and sizes, and what `EmissionAbsorption` makes of them."""
    generator = torch.Generator().manual_seed(0)
    axis = (torch.arange(16) + 0.5) / 8 - 1
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        center, radius = (torch.rand(4, 3, 1, 1, 1, generator=generator) for _ in range(2))
        inside = 1 - ((places - 0.6 * (center - 0.5)) / (0.3 + 0.4 * radius)).square().sum(1)
        volume = Volume.from_logits(10 * inside.clamp(-1, 1))
        cameras = PERSPECTIVE.resize(16, 16)[torch.randint(14, (2,), generator=generator)]
        target = EmissionAbsorption()(volume, cameras, ("alpha",)).alpha
        loss = torch.nn.functional.mse_loss(network(volume, cameras, ("alpha",)).alpha, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.zero_grad()
    return network


@pytest.mark.parametrize("steps", [0, 60])
def test_a_network_is_fitted_through_and_stays_as_it_is(ellipsoid, steps):
    torch.manual_seed(0)
    network = trained(LearnedProjection(features=4, planes=16, warp="frustum"), steps)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    views = views_of(ellipsoid, PERSPECTIVE.resize(16, 16))
    settings = VolumeFitSettings(updates=40, resolution=16, levels=1, views_per_update=14, evaluate_every=40)
    result = fit_volume(views, network, settings)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert torch.isfinite(result.volume.values).all()
    if steps:  # a network that has learnt nothing shows nothing of the volume
        assert result.records[-1].loss < 0.3 * result.records[0].loss
        assert mean_iou(EmissionAbsorption(), result.volume, in_frame(views, result)) > 0.5


def test_cameras_see_in_the_cube_what_they_saw_in_the_world():
    to_source = torch.eye(4)
    to_source[:3, :3] = torch.linalg.matrix_exp(torch.tensor([[0.0, -0.3, 0.2], [0.3, 0.0, 0.5], [-0.2, -0.5, 0.0]]))
    to_source[:3, 3] = torch.tensor([3.0, -1.0, 20.0])
    volume = Volume(torch.zeros(1, 2, 2, 2), to_source=to_source)
    points = torch.rand(7, 3) - 0.5
    world = points @ to_source[:3, :3].T + to_source[:3, 3]
    cameras = Cameras.look_at([[3.0, -1.0, 23.0], [0.0, 0.0, 20.5]], (3.0, -1.0, 20.0))
    moved = in_volume_frame(cameras, volume)
    torch.testing.assert_close(moved.project(points), cameras.project(world), atol=1e-2, rtol=0)
    assert in_volume_frame(cameras, dataclasses.replace(volume, to_source=None)) is cameras


def test_a_cube_that_is_scaled_has_no_cameras():
    volume = Volume(torch.zeros(1, 2, 2, 2), to_source=torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    with pytest.raises(CameraError):
        in_volume_frame(PERSPECTIVE, volume)


def test_held_out_views_are_measured_and_change_nothing(make_views, ellipsoid):
    views, held_out = make_views(ellipsoid, views=9).split(held_out=3)
    alone, beside = fit_volume(views, None, QUICK), fit_volume(views, None, QUICK, held_out=held_out)
    assert torch.equal(alone.volume.values, beside.volume.values)
    assert alone.held_out_iou is None
    assert beside.held_out_iou == mean_iou(EmissionAbsorption(), beside.scene, in_frame(held_out, beside))
    assert beside.training_iou == mean_iou(EmissionAbsorption(), beside.scene, in_frame(views, beside))
    assert [record.update for record in beside.records if record.held_out_iou is not None] == [5, 10, 12]


# What the settings do


def test_grids_go_from_coarse_to_fine_and_views_with_them(make_views, ellipsoid):
    watched = Watched(EmissionAbsorption())
    views = make_views(ellipsoid, views=5, size=24)
    fit_volume(views, watched, dataclasses.replace(QUICK, updates=4, resolution=16, levels=2, evaluate_every=100))
    seen = [(volume.resolution[0], cameras.views, cameras.image_size) for volume, cameras in watched.calls]
    # Two pixels a voxel at most; the last call measures all views.
    assert seen == [(8, 3, (16, 16))] * 2 + [(16, 3, (24, 24))] * 2 + [(16, 5, (24, 24))]
    drawn = {tuple(cameras.world_to_camera.flatten().tolist()) for _, cameras in watched.calls[:4]}
    assert len(drawn) > 1


@pytest.mark.parametrize(("steps", "levels"), [(200, 3), (7, 3), (4, 4), (2, 3), (1, 2), (5, 1)])
def test_levels_share_the_steps_and_the_last_step_is_of_the_last(steps, levels):
    settings = VolumeFitSettings(updates=steps, levels=levels, resolution=64)
    course = [settings.level_at(step) for step in range(steps)]
    assert course == sorted(course)
    assert course[-1] == levels - 1
    assert settings.resolution_of(levels - 1) == 64
    counts = [course.count(level) for level in range(levels)]
    assert max(counts) - min(counts) <= 1
    assert all(settings.begin_of(level) == course.index(level) for level in set(course))


def test_the_loss_is_the_squared_difference_of_the_drawn_views_before_the_step(views):
    settings = dataclasses.replace(QUICK, updates=1, levels=1, views_per_update=6)
    result = fit_volume(views, None, settings)
    start = Volume.from_logits(torch.full((16, 16, 16), -1.0), extent=result.volume.extent)
    found = EmissionAbsorption()(start, in_frame(views, result).cameras, ("alpha",)).alpha
    assert result.records[0].loss == pytest.approx((found - views.alpha).square().mean().item(), rel=1e-5)


def moves(views: ViewSet, *, steps: int = 1, **weights: float) -> Tensor:
    """How far the logits move in all, ``[16, 16, 16]``, with as many levels as steps."""
    settings = dataclasses.replace(QUICK, updates=steps, levels=steps, learning_rate=(0.5, 0.5), **weights)
    volume = fit_volume(views, None, settings).volume
    return torch.logit(volume.occupancy[0].double()) + 1


@pytest.mark.parametrize("steps", [1, 2, 3])  # each a level, on which Adam starts anew
def test_sparsity_alone_pulls_every_voxel_down_by_the_learning_rate(views, steps):
    move = moves(views, steps=steps, sparsity=1e6, total_variation=0.0)
    torch.testing.assert_close(move, torch.full_like(move, -0.5 * steps), atol=1e-4, rtol=0)


def test_without_priors_the_middle_of_the_silhouettes_fills_and_what_they_leave_out_empties(views):
    move = moves(views, sparsity=0.0, total_variation=0.0)
    assert move[8, 8, 8] == pytest.approx(0.5, abs=1e-4)
    corners = move[::15, ::15, ::15]
    torch.testing.assert_close(corners, torch.full_like(corners, -0.5), atol=1e-4, rtol=0)


def test_more_of_a_prior_leaves_less_of_what_it_counts(views):
    def found(**weights: float) -> Volume:
        return fit_volume(views, None, dataclasses.replace(QUICK, updates=30, **weights)).volume

    free = found(total_variation=0.0, sparsity=0.0)
    assert total_variation(found(total_variation=0.1, sparsity=0.0)) < 0.9 * total_variation(free)
    assert sparsity(found(total_variation=0.0, sparsity=0.1)) < 0.9 * sparsity(free)


def test_the_same_seed_gives_the_same_volume_and_another_seed_another(views):
    first = fit_volume(views, None, QUICK)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with torch.no_grad():
        second = fit_volume(views, None, QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(second, first)
    other = fit_volume(views, None, dataclasses.replace(QUICK, seed=1))
    assert not torch.equal(other.volume.values, first.volume.values)


# Stop and resume


# Six steps a level: the stops are within the first, between both, within the second, and at the end.
@pytest.mark.parametrize("step", [1, 5, 6, 7, 12])
def test_a_fit_stopped_after_any_step_ends_where_it_would_have_ended(views, out, step):
    with pytest.raises(KeyboardInterrupt):
        fit_volume(views, None, QUICK, folder=out, progress=stop_after(step))
    steps = []
    result = fit_volume(views, None, QUICK, folder=out, progress=lambda record: steps.append(record.update))
    assert steps == list(range(step + 1, 13))
    assert_same(result, fit_volume(views, None, QUICK))


# Call 1 tries the renderer; steps call it once; call 7 measures step 5.
@pytest.mark.parametrize("call", [2, 5, 7, 9])
def test_a_fit_stopped_inside_the_renderer_ends_where_it_would_have_ended(views, out, call):
    with pytest.raises(KeyboardInterrupt):
        fit_volume(views, Watched(EmissionAbsorption(), stop_at=call), QUICK, folder=out)
    assert set(load_file(out / CHECKPOINT)) == {"parameters", "first_moment", "second_moment"}
    assert_same(fit_volume(views, None, QUICK, folder=out), fit_volume(views, None, QUICK))


def test_a_finished_fit_is_not_repeated(views, out):
    first = fit_volume(views, None, QUICK, folder=out)
    watched = Watched(EmissionAbsorption())
    again = fit_volume(views, watched, QUICK, folder=out)
    assert not watched.calls
    assert_same(again, first)


def damage(name: str, path: Path) -> None:
    """Write, in the place of a checkpoint after seven steps, one that this fit never saves."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    state = load_file(path)
    match name:
        case "cut off":
            path.write_bytes(path.read_bytes()[:-7])
        case "a tensor is missing":
            save_file({key: tensor for key, tensor in state.items() if key != "first_moment"}, path, header)
        case "a tensor is too many":
            save_file(state | {"third_moment": torch.zeros(3)}, path, header)
        case "the grid of another level":
            save_file({key: tensor[::2, ::2, ::2].contiguous() for key, tensor in state.items()}, path, header)
        case "half precision":
            save_file({key: tensor.half() for key, tensor in state.items()}, path, header)
        case "a mesh":
            save_file({key: torch.zeros(42, 3) for key in state}, path, header)
        case "a count beyond the end":
            records = json.dumps(json.loads(header["records"]) * 10)
            save_file(state, path, {"updates": "70", "records": records})


DAMAGES = {
    "cut off": "",
    "a tensor is missing": "it lacks first_moment",
    "a tensor is too many": "it has no use for third_moment",
    "the grid of another level": r"torch.float32 of shape \[8, 8, 8\], not torch.float32 of shape \[16, 16, 16\]",
    "half precision": "torch.float16 of shape .*, not torch.float32",
    "a mesh": r"shape \[42, 3\], not torch.float32 of shape \[16, 16, 16\]",
    "a count beyond the end": "70 records of 70 updates in a fit of 12",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_an_error_that_names_it_before_anything_is_rendered(views, out, name):
    with pytest.raises(KeyboardInterrupt):
        fit_volume(views, None, QUICK, folder=out, progress=stop_after(7))
    path, watched = out / CHECKPOINT, Watched(EmissionAbsorption())
    damage(name, path)
    told = rf"{re.escape(str(path))} is not a checkpoint of this run, or is damaged \(.*{DAMAGES[name]}.*Remove it to"
    with pytest.raises(FitError, match=told):
        fit_volume(views, watched, QUICK, folder=out)
    assert not watched.calls


def test_a_folder_of_a_mesh_is_not_one_of_a_volume_nor_the_other_way_round(views, quick, out, tmp_path):
    fit_template(views, None, OpenGL(), quick, folder=out)
    before = (out / CHECKPOINT).read_bytes()
    with pytest.raises(FitError, match=r"another run: scene was mesh and is volume; .*; and \d+ more\. Resume"):
        fit_volume(views, None, QUICK, folder=out)
    assert (out / CHECKPOINT).read_bytes() == before
    other = tmp_path / "volume"
    fit_volume(views, None, QUICK, folder=other)
    with pytest.raises(FitError, match="another run: scene was volume and is mesh; "):
        fit_template(views, None, OpenGL(), quick, folder=other)


def network(**choices) -> LearnedProjection:
    torch.manual_seed(0)
    return LearnedProjection(features=2, planes=4, **choices)


def other_weights() -> LearnedProjection:
    made = network()
    torch.nn.init.zeros_(made.image[-1].bias)
    return made


CHANGES = {
    "settings": (EmissionAbsorption(), EmissionAbsorption(), {"sparsity": 0.5}, "settings.sparsity was 0.0001 and is"),
    "renderer": (EmissionAbsorption(), MaxProjection(), {}, "renderer was EmissionAbsorption and is MaxProjection"),
    "samples": (
        EmissionAbsorption(),
        EmissionAbsorption(samples_per_voxel=2),
        {},
        "renderer.samples_per_voxel was 1 and is 2",
    ),
    "weights": (network(), other_weights(), {}, r"renderer.parameters was \w{16} and is \w{16}"),
    "warp": (network(), network(warp="frustum"), {}, "renderer.warp was affine and is frustum"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_of_another_fit_is_an_error_that_names_the_change(views, out, name):
    first, second, changed, message = CHANGES[name]
    with pytest.raises(KeyboardInterrupt):
        fit_volume(views, first, QUICK, folder=out, progress=stop_after(1))
    with pytest.raises(FitError, match=f"another run: {message}"):
        fit_volume(views, second, dataclasses.replace(QUICK, **changed), folder=out)


def test_backgrounds_may_change_because_silhouettes_do_not(views, out):
    with pytest.raises(KeyboardInterrupt):
        fit_volume(views, None, QUICK, folder=out, progress=stop_after(3))
    same = EmissionAbsorption(background=(0.0, 0.0, 0.0), samples_per_voxel=1)
    assert fit_volume(views, same, QUICK, folder=out).records


# Bad input


def test_a_renderer_of_meshes_is_an_error_and_one_of_volumes_for_a_mesh(views, quick):
    told = "A volume is to be fitted, and OpenGL renders Mesh. Fit through EmissionAbsorption or MaxProjection or"
    with pytest.raises(CapabilityError, match=told):
        fit_volume(views, OpenGL(), QUICK)
    told = (
        "A mesh is to be fitted, and MaxProjection renders Volume. Fit through OpenGL or Pyrender .*, or fit a volume"
    )
    with pytest.raises(CapabilityError, match=told):
        fit_template(views, None, MaxProjection(), quick)


def test_a_renderer_without_gradients_is_an_error(views):
    class BlackBox(Watched):
        def __init__(self) -> None:
            super().__init__(EmissionAbsorption())
            self.capabilities = dataclasses.replace(self.capabilities, name="BlackBox", gradients=frozenset())

    with pytest.raises(CapabilityError, match="by the gradients of its renderer, and BlackBox gives none of silhou"):
        fit_volume(views, BlackBox(), QUICK)


def with_alpha(views: ViewSet, value: float) -> ViewSet:
    alpha = views.alpha.clone()
    alpha[1] = value
    return dataclasses.replace(views, alpha=alpha)


@pytest.mark.parametrize("which", ["views", "held_out"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nan, "alpha of {} must be finite; got NaN or infinite values in view 1"),
        (0.0, "The masks of {} must show the object; nothing is covered in view 1"),
    ],
)
def test_masks_that_nothing_can_be_learned_from_are_an_error(views, which, value, message):
    bad = with_alpha(views, value)
    arguments = (bad, None) if which == "views" else (views, bad)
    with pytest.raises(FitError, match=message.format(which)):
        fit_volume(arguments[0], None, QUICK, held_out=arguments[1])


def test_a_batch_of_cameras_is_an_error(views):
    batch = dataclasses.replace(views, cameras=Cameras.stack([views.cameras] * 2))
    with pytest.raises(
        FitError, match=r"views must be the views of one object, cameras of shape \[views\]; got \[2, 6"
    ):
        fit_volume(batch, None, QUICK)


@pytest.mark.parametrize("planes", [{"near": 6.0}, {"far": 1.0}])
def test_what_lies_outside_near_and_far_is_an_error_that_names_the_views(views, planes):
    cut = dataclasses.replace(views, cameras=dataclasses.replace(views.cameras, **planes))
    with pytest.raises(FitError, match=r"outside near and far of, view 0, .* and 1 more \(6 of 6 views\). Check the p"):
        fit_volume(cut, None, QUICK)


def test_cameras_that_look_away_are_an_error(ellipsoid):
    views = views_of(ellipsoid, Cameras.orbit(4, 3.0, image_size=(24, 24)))
    turn = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))  # half a turn about the camera's y
    away = dataclasses.replace(views.cameras, world_to_camera=turn @ views.cameras.world_to_camera)
    with pytest.raises(FitError, match=r"lies behind, or outside near and far of, view 0, .* \(4 of 4 views\)"):
        fit_volume(dataclasses.replace(views, cameras=away), None, QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"updates": 0}, "updates must be at least 1; got 0"),
        ({"resolution": 3, "levels": 1}, "resolution must be at least 4; got 3"),
        ({"views_per_update": 0}, "views_per_update must be at least 1; got 0"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        (
            {"levels": 5},
            "levels must leave the coarsest grid 4 voxels along each axis; got 5 levels up to a resolution",
        ),
        ({"learning_rate": (1.0, 0.0)}, "learning_rate must be two positive numbers, first and last"),
        ({"total_variation": -0.1}, "total_variation must be zero or positive; got -0.1"),
        ({"sparsity": float("nan")}, "sparsity must be zero or positive; got nan"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        VolumeFitSettings(**{"resolution": 32, **changes})
