import dataclasses
import math

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Rendering
from render3d.errors import CapabilityError, FitError, MeshError, ShapeError
from render3d.fitting import PoseSettings, fit_pose, move_about
from render3d.fitting.poses import gauss_newton
from render3d.renderers import EmissionAbsorption, OpenGL

QUICK = PoseSettings(candidates=64, starts=4, levels=3, updates=5)
EYES = torch.tensor([[1.5, 1.2, 2.4], [-1.3, 1.4, 2.2], [1.0, -1.6, 2.3]])


@pytest.fixture
def box() -> Mesh:
    """A box of three different sides and six colours, off the origin."""
    corners = torch.tensor([[x, y, z] for x in (-0.6, 0.6) for y in (-0.4, 0.4) for z in (-0.5, 0.5)])
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))])
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1]])
    shift = torch.tensor([0.1, 0.0, -0.1])
    return Mesh(corners + shift, faces, face_colors=colors.repeat_interleave(2, 0))


@pytest.fixture
def true() -> Cameras:
    """Three objects, one view each."""
    return Cameras.look_at(EYES[:, None], vertical_fov_degrees=46, image_size=(32, 32))


def off(cameras: Cameras, degrees: float, seed: int = 0) -> Cameras:
    """The rough cameras: turned by so much about random axes, and shifted a little."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.nn.functional.normalize(torch.randn(*cameras.batch_shape, 3, generator=generator), dim=-1)
    shift = 0.05 * torch.randn(*cameras.batch_shape, 3, generator=generator)
    return move_about(cameras, torch.cat([shift, math.radians(degrees) * axis], -1), torch.tensor([0.1, 0.0, -0.1]))


def angles(found: Cameras, true: Cameras) -> Tensor:
    """``[*batch, views]`` degrees, exact for small ones, unlike the arc cosine of a trace."""
    left = found.rotation.float() @ true.rotation.mT - torch.eye(3)
    return torch.rad2deg(2 * torch.asin((left.norm(dim=(-1, -2)) / math.sqrt(8)).clamp(max=1)))


def rgb_of(mesh: Mesh, cameras: Cameras) -> Rendering:
    return OpenGL()(mesh, cameras, ("rgb",))


def test_the_helper_turns_by_what_it_says(true: Cameras) -> None:
    assert angles(off(true, 20), true).flatten().tolist() == pytest.approx([20] * 3, abs=1e-3)


@pytest.mark.parametrize("degrees", [20, 60])
def test_a_pose_is_found(box: Mesh, true: Cameras, degrees: float) -> None:
    result = fit_pose(box, off(true, degrees), rgb_of(box, true), settings=QUICK)
    assert float(angles(result.cameras, true).max()) < 2
    assert float((result.cameras.position - true.position).norm(dim=-1).max()) < 0.2
    assert (result.loss < 0.1 * result.rough_loss).all()
    again = move_about(off(true, degrees), result.twist, box.vertices.mean(0))
    assert torch.allclose(again.world_to_camera, result.cameras.world_to_camera, atol=1e-5)


def test_the_views_of_a_rig_move_together(box: Mesh) -> None:
    rig = Cameras.look_at(EYES, vertical_fov_degrees=46, image_size=(32, 32))
    target = OpenGL()(box, rig, ("alpha", "rgb"))
    result = fit_pose(box, off(rig, 40), target, settings=QUICK)
    assert result.twist.shape == (6,) and result.loss.shape == ()
    assert float(angles(result.cameras, rig).max()) < 1
    between = [cameras.world_to_camera[1:] @ cameras.camera_to_world[:1] for cameras in (rig, result.cameras)]
    assert torch.allclose(*between, atol=1e-4)


def test_silhouettes_of_a_rig_are_enough_without_colours(box: Mesh) -> None:
    rig = Cameras.look_at(EYES, vertical_fov_degrees=46, image_size=(32, 32))
    grey = dataclasses.replace(box, face_colors=None)
    result = fit_pose(grey, off(rig, 15), OpenGL()(grey, rig, ("alpha",)), settings=QUICK)
    assert float(angles(result.cameras, rig).max()) < 5


def test_a_batch_of_meshes_and_the_seed_decide_all(box: Mesh, true: Cameras) -> None:
    wide = box.vertices * torch.tensor([[[1.0, 1, 1]], [[1.2, 1, 1]], [[1, 1.3, 1]]])
    meshes = Mesh(wide, box.faces, face_colors=box.face_colors)
    rough, target = off(true, 30), rgb_of(meshes, true)
    first, again = (fit_pose(meshes, rough, target, settings=QUICK) for _ in range(2))
    other = fit_pose(meshes, rough, target, settings=dataclasses.replace(QUICK, seed=1))
    assert torch.equal(first.twist, again.twist) and not torch.equal(first.twist, other.twist)
    assert float(angles(first.cameras, true).max()) < 5
    alone = fit_pose(meshes[0], rough[0], Rendering({"rgb": target.rgb[0]}), settings=QUICK)
    assert torch.allclose(alone.twist, first.twist[0], atol=1e-3)


def test_cameras_in_double_precision_stay_so(box: Mesh, true: Cameras) -> None:
    rough = off(true, 20)
    double = dataclasses.replace(
        rough, world_to_camera=rough.world_to_camera.double(), intrinsics=rough.intrinsics.double()
    )
    result = fit_pose(box, double, rgb_of(box, true), settings=QUICK)
    assert result.cameras.dtype == torch.float64 and float(angles(result.cameras, true).max()) < 2


def test_the_renders_are_those_that_were_promised(box: Mesh, true: Cameras) -> None:
    class Counting:
        """Counts images of an object, whatever their size."""

        capabilities = OpenGL().capabilities
        count = 0

        def __call__(self, *args: object, **options: object) -> Rendering:
            images = OpenGL()(*args, **options)  # type: ignore[arg-type]
            self.count += images.leading_shape.numel()
            return images

    renderer = Counting()
    result = fit_pose(box, off(true, 20), rgb_of(box, true), renderer, QUICK)
    assert renderer.count == 3 * result.renders == 3 * QUICK.renders


def test_what_is_found_is_never_worse_than_the_rough_pose(box: Mesh, true: Cameras) -> None:
    poor = PoseSettings(candidates=2, starts=1, levels=1, updates=1, noise=(1.0, 1.0))
    result = fit_pose(box, true, rgb_of(box, true), settings=poor)
    assert result.loss.tolist() == [0, 0, 0] == result.rough_loss.tolist()
    assert torch.equal(result.twist, torch.zeros(3, 6))


def test_move_about_leaves_the_centre_where_each_view_sees_it() -> None:
    rig = Cameras.look_at(EYES, image_size=(32, 32))
    center, turn = torch.tensor([0.3, -0.2, 0.5]), torch.tensor([0.0, 0, 0, 0.4, -0.9, 0.7])
    moved = move_about(rig, turn, center)
    assert torch.allclose(moved.to_camera_space(center[None]), rig.to_camera_space(center[None]), atol=1e-5)
    assert torch.allclose(angles(moved, rig), torch.rad2deg(turn.norm()).expand(3), atol=1e-2)
    shift = torch.tensor([0.1, 0.2, 0.3, 0, 0, 0])  # in the first view's axes, and the same motion to all
    moved = move_about(rig, shift, center)
    assert torch.allclose(moved.translation[0] - rig.translation[0], shift[:3], atol=1e-5)
    world = rig.rotation.mT @ (moved.translation - rig.translation)[..., None]
    assert torch.allclose(world, world[:1].expand(3, 3, 1), atol=1e-5)


def test_move_about_can_be_differentiated(true: Cameras) -> None:
    twist = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    cameras = dataclasses.replace(
        true, world_to_camera=true.world_to_camera.double(), intrinsics=true.intrinsics.double()
    )
    center = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda twist: move_about(cameras, twist, center).world_to_camera, (twist,))


def test_gauss_newton_solves_a_linear_problem_in_one_step() -> None:
    generator = torch.Generator().manual_seed(0)
    slope, place = torch.randn(40, 6, generator=generator).double(), torch.randn(6, generator=generator).double()
    noise = torch.randn(2000, 6, generator=generator).double() + 0.5  # as if the draw were a poor one
    step = gauss_newton(noise, (noise - place) @ slope.T)
    assert torch.allclose(step, place, atol=0.06 * float(place.norm()))  # the ridge is two per cent


def test_gauss_newton_stands_still_where_nothing_changes_and_trusts_no_long_step() -> None:
    noise = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gauss_newton(noise, torch.ones(10, 5)), torch.zeros(6))
    assert float(gauss_newton(noise, noise + 1000).norm()) == pytest.approx(4, rel=1e-4)


def test_nothing_is_asked_of_autograd(box: Mesh, true: Cameras) -> None:
    vertices = box.vertices.clone().requires_grad_()
    result = fit_pose(box.with_vertices(vertices), off(true, 5), rgb_of(box, true), settings=QUICK)
    assert not result.twist.requires_grad and not result.loss.requires_grad


def test_a_mesh_out_of_the_picture_is_an_error(box: Mesh, true: Cameras) -> None:
    away = box.with_vertices(box.vertices + torch.tensor([30.0, 0, 0]))
    with pytest.raises(FitError, match=r"out of the image in 3 of 3 views at the rough pose, first in that of index"):
        fit_pose(away, true, rgb_of(box, true), settings=QUICK)


def test_bad_targets_are_errors(box: Mesh, true: Cameras) -> None:
    rgb = rgb_of(box, true).rgb
    with pytest.raises(
        ShapeError, match=r"rgb of target must have shape \[3, 1, 3, 32, 32\].* got \[2, 1, 3, 32, 32\]"
    ):
        fit_pose(box, true, Rendering({"rgb": rgb[:2]}), settings=QUICK)
    with pytest.raises(ShapeError, match=r"got \[3, 1, 3, 16, 16\]"):
        fit_pose(box, true, Rendering({"rgb": rgb[..., :16, :16]}), settings=QUICK)
    broken = rgb.clone()
    broken[0, 0, 0, 0, 0] = math.nan
    with pytest.raises(FitError, match="rgb of target must be finite"):
        fit_pose(box, true, Rendering({"rgb": broken}), settings=QUICK)
    with pytest.raises(FitError, match="alpha of target must show the object in each view"):
        fit_pose(box, true, Rendering({"alpha": torch.zeros(3, 1, 1, 32, 32)}), settings=QUICK)
    with pytest.raises(FitError, match="target must hold rgb or alpha or both, and nothing else; got depth"):
        fit_pose(box, true, OpenGL()(box, true, ("depth",)), settings=QUICK)


def test_bad_scenes_and_renderers_are_errors(box: Mesh, true: Cameras) -> None:
    target = rgb_of(box, true)
    with pytest.raises(CapabilityError, match="A pose is that of one Mesh"):
        fit_pose([box, box, box], true, target, settings=QUICK)  # type: ignore[arg-type]
    with pytest.raises(CapabilityError, match="A mesh is to be fitted"):
        fit_pose(box, true, target, EmissionAbsorption(), QUICK)
    with pytest.raises(MeshError, match="vertices must be finite"):
        fit_pose(box.with_vertices(box.vertices / 0), true, target, settings=QUICK)
    with pytest.raises(ShapeError, match="do not broadcast"):
        fit_pose(box.with_vertices(box.vertices.expand(2, -1, -1)), true, target, settings=QUICK)
    with pytest.raises(ShapeError, match=r"4 pixels a side; got 5 levels of images of 32 x 32"):
        fit_pose(box, true, target, settings=dataclasses.replace(QUICK, levels=5))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("samples", 6, "samples must be at least 7"),
        ("starts", 65, "starts are the best of the candidates, at most 64"),
        ("noise", (0.1, 0.0), "noise must be two positive numbers"),
        ("reach_degrees", 181, "reach_degrees must lie between 0 and 180"),
        ("shift", math.nan, "shift must be zero or positive"),
        ("levels", 0, "levels must be at least 1"),
    ],
)
def test_settings_out_of_range_are_errors(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(QUICK, **{name: value})
