"""A kind of scene from elsewhere goes wherever meshes and volumes go, without a line of the package for it."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import render3d as r3
from render3d.cli import main
from render3d.errors import CapabilityError, GradientError, Render3DError
from render3d.report import turntable
from render3d.scenes import SceneKind
from render3d.testing.contracts import SeamContract
from tests.seams.scene_parts import Gaussians, GaussiansError, Splatter

HERE = Path(__file__).parent
CAMERAS = r3.Cameras.orbit(3, 3.0, vertical_fov_degrees=46, image_size=(20, 24))


def cloud(count: int = 300, seed: int = 0) -> Gaussians:
    """Gaussians on a bent ellipsoid, which no two views show alike."""
    random = torch.Generator().manual_seed(seed)
    x, y, z = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=-1).unbind(-1)
    means = torch.stack([0.7 * x + 0.2 * y * y, 0.5 * y + 0.15 * x * z, 0.6 * z], dim=-1)
    opacities = 0.2 + 0.7 * torch.rand(count, generator=random)
    return Gaussians(means, torch.full((count,), 0.07), opacities, torch.rand(count, 3, generator=random))


class TestSplatter(SeamContract):
    def make_renderer(self, shading: r3.Shading) -> Splatter:
        return Splatter()

    def scenes(self) -> Sequence[SceneKind]:
        return [cloud(40), cloud(15, seed=1)]

    def batch(self) -> SceneKind:
        return Gaussians.stack([cloud(30), cloud(30, seed=1)])

    def broken(self) -> Sequence[tuple[SceneKind, type[Render3DError], str]]:
        return [(dataclasses.replace(cloud(5), scales=torch.full((5,), torch.nan)), GaussiansError, "must be finite")]


def test_one_gaussian_is_seen_in_its_place_and_colour() -> None:
    one = Gaussians(
        torch.tensor([[0.3, 0.2, 0.1]]), torch.tensor([0.1]), torch.ones(1), torch.tensor([[0.2, 0.5, 0.7]])
    )
    images = Splatter()(one, CAMERAS, ("rgb", "alpha", "depth"))
    for view, (pixel, point) in enumerate(
        zip(CAMERAS.project(one.means), CAMERAS.to_camera_space(one.means), strict=True)
    ):
        peak = int(images.alpha[view].flatten().argmax())
        assert (peak % 24, peak // 24) == tuple(pixel[0].long().tolist())
        assert float(images.depth[view].flatten()[peak]) == pytest.approx(float(point[0, 2]))
        color = images.rgb[view].flatten(1)[:, peak] - (1 - images.alpha[view].flatten()[peak])
        torch.testing.assert_close(color / images.alpha[view].flatten()[peak], one.colors[0])


def test_what_is_in_front_hides_what_is_behind() -> None:
    camera = r3.Cameras.look_at([0.0, 0.0, 3.0], image_size=(9, 9))
    pair = Gaussians(torch.tensor([[0, 0, -0.5], [0, 0, 0.5]]), torch.full((2,), 0.5), torch.ones(2), torch.eye(3)[:2])
    torch.testing.assert_close(
        Splatter()(pair, camera).rgb[0, :, 4, 4], torch.tensor([0.0, 1.0, 0.0]), atol=0.02, rtol=0
    )


def test_k_scenes_of_b_objects_meet_the_cameras_of_each_object() -> None:
    """[K, B] scenes and [B, views] cameras."""
    scenes = Gaussians.stack([Gaussians.stack([cloud(20, seed=2 * k + b) for b in range(2)]) for k in range(3)])
    cameras = r3.Cameras.stack([CAMERAS, CAMERAS.resize(20, 24)])
    images = Splatter()(scenes, cameras)
    assert images.rgb.shape == (3, 2, 3, 3, 20, 24)
    torch.testing.assert_close(images[2, 1].rgb, Splatter()(cloud(20, seed=5), CAMERAS).rgb)


@pytest.mark.parametrize("name", ["means", "scales", "opacities", "colors", "pose"])
def test_gradients_are_those_of_differences(name: str) -> None:
    scene, random = cloud(25), torch.Generator().manual_seed(3)
    start = torch.zeros(3, 6) if name == "pose" else scene.inputs()[name][0]
    direction = torch.randn(start.shape, generator=random)
    weights = torch.randn(3, 3, 20, 24, generator=random)

    def loss(values: torch.Tensor) -> torch.Tensor:
        cameras = CAMERAS.retract(values) if name == "pose" else CAMERAS
        seen = scene if name == "pose" else dataclasses.replace(scene, **{name: values})
        return (Splatter()(seen, cameras).rgb * weights).double().sum()

    unknown = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(unknown), unknown)
    step = 1e-3
    expected = (loss(start + step * direction) - loss(start - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(expected), rel=0.02)


def test_pictures_are_fitted() -> None:
    target = Splatter()(cloud(60), CAMERAS).rgb
    start = cloud(60, seed=1)
    unknown = {name: tensor.clone().requires_grad_() for name, (tensor, _) in start.inputs().items()}
    optimizer, losses = torch.optim.Adam(unknown.values(), lr=0.02), []
    for _ in range(60):
        loss = (Splatter()(Gaussians(**unknown), CAMERAS).rgb - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.15 * losses[0]


def test_renderers_and_estimators_of_other_scenes_refuse_it_by_name() -> None:
    with pytest.raises(CapabilityError, match=r"^OpenGL renders Mesh; got Gaussians\.$"):
        r3.renderers.OpenGL()(cloud(), CAMERAS)
    with pytest.raises(CapabilityError, match="Splatter renders Gaussians; got Mesh. These render it: OpenGL"):
        Splatter()(r3.Mesh.icosphere(1), CAMERAS)
    with pytest.raises(CapabilityError, match="Estimators take one Mesh.*; got a Gaussians"):
        r3.estimators.Smoothed(r3.renderers.OpenGL())(cloud(), CAMERAS)
    assert r3.differentiable(splatter := Splatter()) is splatter  # it has gradients of its own


def test_what_a_renderer_gives_no_gradient_is_named() -> None:
    class Opaque(Splatter):
        @property
        def capabilities(self) -> r3.renderers.Capabilities:
            return dataclasses.replace(super().capabilities, gradients=frozenset({"colors"}))

    unknown = dataclasses.replace(cloud(5), scales=torch.full((5,), 0.1, requires_grad=True))
    with pytest.raises(GradientError, match="^scales require a gradient, and Opaque gives none by itself"):
        Opaque()(unknown, CAMERAS)


def test_it_has_a_turntable_through_a_renderer_of_its_own() -> None:
    assert turntable(cloud(30), Splatter(), views=2, size=12).shape == (2, 3, 12, 12)
    with pytest.raises(CapabilityError, match="The package renders no Gaussians. Pass a renderer that does"):
        turntable(cloud(30), views=2)


def compared(folder: Path, *flags: str) -> list[str]:
    """The words of ``render3d compare`` of a file of Gaussians."""
    save_file({name: tensor for name, (tensor, _) in cloud().inputs().items()}, folder / "cloud.safetensors")
    small = ("--views", "2", "--size", "24", "32", "--rounds", "1", "--json")
    return ["compare", str(folder / "cloud.safetensors"), "--out", str(folder / "out"), *flags, *small]


def started(*words: str) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own, with the parts on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "render3d", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_it_is_compared_by_the_command(tmp_path: Path) -> None:
    renderers = ("scene_parts:Splatter", "scene_parts:Sharp")
    answer = started(*compared(tmp_path, "--scene", "scene_parts:Gaussians", "--renderers", *renderers))
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)["renderers"]
    assert [row["failure"] for row in rows.values()] == [None, None]
    assert 0.5 < rows["scene_parts:Sharp"]["iou"] <= 1  # the same places, less of each
    assert rows["scene_parts:Sharp"]["rgb"] > 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "A gaussians by 2 renderers" in page


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(compared(tmp_path)) == 1
    assert "--scene module:Class" in capsys.readouterr().err
    assert main(compared(tmp_path, "--scene", "scene_parts:Splatter")) == 1
    error = capsys.readouterr().err
    assert "'scene_parts:Splatter' is not a kind of scene: it must be a subclass of SceneKind" in error
    assert not (tmp_path / "out").exists()
