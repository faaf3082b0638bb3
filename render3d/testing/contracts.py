"""What every renderer must do, as tests to inherit. They need pytest.

class TestMine(RendererContract):
    def make_renderer(self, shading):
        return Mine(shading)
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, DeviceError, GradientError, MeshError, Render3DError, ShapeError
from render3d.images import CHANNELS, Rendering
from render3d.renderers.base import EmptyViewWarning, Renderer
from render3d.renderers.shading import DirectionalLight, Shading
from render3d.scenes import Mesh, SceneKind, Texture
from render3d.testing.parity import compare
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, seamed_mesh, uneven_cameras

Projection = Literal["perspective", "orthographic"]
PROJECTIONS: tuple[Projection, ...] = ("perspective", "orthographic")


class SeamContract(abc.ABC):
    """Tests of a renderer of any kind of scene: it keeps the seam. The scenes come from methods, to be overridden."""

    @abc.abstractmethod
    def make_renderer(self, shading: Shading) -> Renderer:
        """Make the renderer under test; one that takes no shading leaves it out."""

    @abc.abstractmethod
    def scenes(self) -> Sequence[SceneKind]:
        """Return different scenes, each in the unit sphere and without a batch; they need not be of one size."""

    @abc.abstractmethod
    def batch(self) -> SceneKind:
        """Return a batch ``[2]`` of different scenes in the unit sphere."""

    @abc.abstractmethod
    def broken(self) -> Sequence[tuple[SceneKind, type[Render3DError], str]]:
        """Return scenes that no image can be made of, each with the error and what its message matches."""

    def outputs(self) -> tuple[str, ...]:
        """Return those of the renderer."""
        return self.make_renderer(Shading()).capabilities.outputs

    def test_it_is_a_renderer(self) -> None:
        renderer = self.make_renderer(Shading())
        assert isinstance(renderer, Renderer)
        assert {"alpha"} <= set(renderer.capabilities.outputs) <= set(CHANNELS)

    def test_batches_broadcast_and_views_come_last(self) -> None:
        """[2, 1] scenes seen by [3, 2] cameras: every image is that of its scene and its camera."""
        cameras = Cameras.sphere(6, 3.0, image_size=(12, 20))
        cameras = Cameras.stack([cameras[:2], cameras[2:4], cameras[4:]])
        scenes = self.batch()[:, None]
        renderer = self.make_renderer(Shading())
        images = renderer(scenes, cameras, self.outputs())
        assert images.leading_shape == (2, 3, 2)
        for k in range(2):
            for b in range(3):
                _assert_same(images[k, b], renderer(scenes[k, 0], cameras[b], self.outputs()))

    def test_a_list_is_a_batch(self) -> None:
        cameras, scenes = uneven_cameras("perspective")[:2], self.scenes()
        renderer = self.make_renderer(Shading())
        images = renderer(scenes, cameras)
        assert images.leading_shape == (len(scenes), 2)
        for number, scene in enumerate(scenes):
            _assert_same(images[number], renderer(scene, cameras))

    def test_autocast_changes_no_image(self) -> None:
        """Networks are trained inside autocast: eight bits are too few for where something is seen."""
        scene, cameras = self.scenes()[0], uneven_cameras("perspective")
        renderer = self.make_renderer(Shading())
        expected = renderer(scene, cameras, self.outputs())
        with torch.autocast("cpu", torch.bfloat16), torch.autocast("cuda", torch.bfloat16, torch.cuda.is_available()):
            _assert_same(renderer(scene, cameras, self.outputs()), expected)

    def test_images_are_those_asked_for_and_of_their_types(self) -> None:
        cameras, scene = uneven_cameras("perspective"), self.scenes()[0]
        for name in self.outputs():
            images = self.make_renderer(Shading())(scene, cameras, (name,))
            assert images.outputs == (name,)
            assert images.as_dict()[name].shape == (4, CHANNELS[name], 96, 160)
            assert images.as_dict()[name].dtype == (torch.int64 if name == "face_index" else torch.float32)
            assert not images.as_dict()[name].requires_grad

    def test_twice_the_same(self) -> None:
        renderer, cameras, scene = self.make_renderer(Shading()), uneven_cameras("perspective"), self.scenes()[0]
        _assert_same(renderer(scene, cameras), renderer(scene, cameras))

    def test_a_view_without_pixels_warns(self) -> None:
        cameras = uneven_cameras("perspective")
        away = cameras.world_to_camera.clone()
        away[..., 0, 3] += 50
        with pytest.warns(EmptyViewWarning, match="A view covers no pixel"):
            self.make_renderer(Shading())(self.scenes()[0], dataclasses.replace(cameras, world_to_camera=away))

    def test_gradients_are_given_or_refused(self) -> None:
        """Of each input of the scene, in each image; never a silent zero."""
        renderer, cameras, scene = self.make_renderer(Shading()), uneven_cameras("perspective"), self.scenes()[0]
        able = renderer.capabilities.gradients
        for name, (tensor, role) in scene.inputs().items():
            needed = {"colors"} if role == "colors" else {"silhouette"}
            unknown = dataclasses.replace(scene, **{name: tensor.clone().requires_grad_()})  # type: ignore[type-var]
            image = "rgb" if role == "colors" else "alpha"
            if needed <= able:
                assert renderer(unknown, cameras, (image,)).as_dict()[image].requires_grad
                continue
            with pytest.raises(GradientError, match=f"{name} require a gradient, and .* gives none by itself"):
                renderer(unknown, cameras)
            with torch.no_grad():
                renderer(unknown, cameras)

    def test_bad_calls_are_named(self) -> None:
        renderer, cameras, scene = self.make_renderer(Shading()), uneven_cameras("perspective"), self.scenes()[0]
        lacking = sorted(set(CHANNELS) - set(self.outputs()))
        for output in lacking:
            with pytest.raises(CapabilityError, match=f"has no output '{output}'. These have: .*OpenGL"):
                renderer(scene, cameras, (output,))
        with pytest.raises(CapabilityError, match="outputs may hold"):
            renderer(scene, cameras, ("mask",))
        wrong: Any = cameras.intrinsics
        with pytest.raises(CapabilityError, match=f"renders .*{type(scene).__name__}.*; got Tensor"):
            renderer(wrong, cameras)
        with pytest.raises(ShapeError, match="scene is an empty list"):
            renderer([], cameras)
        with pytest.raises(ShapeError, match="each must have no batch of its own"):
            renderer([self.batch()], cameras)
        with pytest.raises(ShapeError, match="do not broadcast"):
            renderer(self.batch(), Cameras.stack([cameras] * 3))
        with pytest.raises(DeviceError, match="got scene on meta, cameras on cpu"):
            renderer(scene.to("meta"), cameras)
        for broken, error, message in self.broken():
            with pytest.raises(error, match=message):
                renderer(broken, cameras)


class RendererContract(SeamContract):
    """Tests of a mesh renderer: it keeps the seam, and agrees with `NumpyRenderer`.

    Attributes:
        differing: Pixels whose coverage may differ, as a share of the boundary; all must lie within a pixel of an edge.
        depth: Relative difference of depth inside.
        normal_degrees: Angle between normals inside.
        rgb: Difference of colours inside, linear light.
        other_face: Share of pixels inside that may show another face: a pixel's centre may lie on an edge.
        barycentric: Difference of weights where the face is the same.
    """

    differing = 0.02
    depth = 1e-3
    normal_degrees = 1.0
    rgb = 2 / 255
    other_face = 0.01
    barycentric = 5e-3

    def scenes(self) -> Sequence[SceneKind]:
        """Return meshes of different topologies and colours."""
        return [asymmetric_mesh(), _colored("texture"), Mesh.icosphere(1), _colored("faces"), seamed_mesh()]

    def batch(self) -> SceneKind:
        """Return a mesh of two sizes."""
        mesh = asymmetric_mesh()
        return mesh.with_vertices(torch.stack([mesh.vertices, mesh.vertices * 0.7]))

    def broken(self) -> Sequence[tuple[SceneKind, type[Render3DError], str]]:
        """Return meshes without faces, with vertices that are not finite, and with faces of vertices that are not."""
        mesh, seamed = asymmetric_mesh(), seamed_mesh()
        outside = Mesh(mesh.vertices, torch.cat([mesh.faces, torch.tensor([[0, 1, 99]])]))
        assert seamed.texture is not None
        torn = dataclasses.replace(seamed, texture=dataclasses.replace(seamed.texture, uv=seamed.texture.uv[:9]))
        return [
            (Mesh(mesh.vertices, mesh.faces[:0]), MeshError, "has no faces"),
            (mesh.with_vertices(mesh.vertices * torch.nan), MeshError, "vertices must be finite"),
            (outside, MeshError, "faces must index 24 vertices; got indices from 0 to 99"),
            (torn, MeshError, "texture.faces must index 9 rows of texture.uv; got indices from 0 to 39"),
        ]

    def assert_agreement(self, mesh: Mesh, cameras: Cameras, shading: Shading | None = None) -> None:
        """The renderer and the reference show the same."""
        shading = shading or Shading()
        expected = NumpyRenderer(shading)(mesh, cameras, self.outputs())
        found = compare(expected, self.make_renderer(shading)(mesh, cameras, self.outputs()))
        assert found.coverage >= 0.05, f"the object covers too little to tell: {found}"
        assert found.inside >= 0.3, f"too few pixels lie inside to tell: {found}"
        assert found.differing <= self.differing, found
        assert found.far_differing == 0, found
        measures = {"rgb": "rgb", "depth": "depth", "normal": "normal_degrees"}
        measures |= {"face_index": "other_face", "barycentric": "barycentric"}
        for output, name in measures.items():
            assert output not in self.outputs() or getattr(found, name) <= getattr(self, name), (name, found)

    # Agreement

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("normals", ["flat", "smooth"])
    def test_it_agrees_with_the_reference(self, projection: Projection, normals: Literal["flat", "smooth"]) -> None:
        self.assert_agreement(asymmetric_mesh(), uneven_cameras(projection), Shading(normals=normals))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, 0.5)])
    def test_half_a_pixel_is_too_much(self, projection: Projection, shift: tuple[float, float]) -> None:
        cameras = uneven_cameras(projection)
        moved = cameras.intrinsics.clone()
        moved[:, :2, 2] += torch.tensor(shift)
        outputs = ("alpha", "depth")
        expected = NumpyRenderer()(asymmetric_mesh(), cameras, outputs)
        found = self.make_renderer(Shading())(
            asymmetric_mesh(), dataclasses.replace(cameras, intrinsics=moved), outputs
        )
        assert compare(expected, found).differing > 2 * self.differing

    @pytest.mark.parametrize("coloring", ["grey", "vertices", "faces", "texture"])
    def test_every_kind_of_colour(self, coloring: str) -> None:
        self.assert_agreement(_colored(coloring), uneven_cameras("perspective"), Shading.unlit(background=(0, 0.5, 1)))

    @pytest.mark.parametrize("normals", ["flat", "smooth"])
    def test_a_texture_may_have_seams(self, normals: Literal["flat", "smooth"]) -> None:
        """Corners have coordinates of their own; faces, places on them and normals are as without a texture."""
        cameras, shading = uneven_cameras("perspective"), Shading(normals=normals)
        self.assert_agreement(seamed_mesh(), cameras, shading)
        renderer = self.make_renderer(shading)
        images = renderer(seamed_mesh(), cameras, self.outputs()).as_dict()
        others = Rendering({name: image for name, image in images.items() if name != "rgb"})
        _assert_same(others, renderer(asymmetric_mesh(), cameras, self.outputs()))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("cull", ["back", "front"])
    def test_culling(self, projection: Projection, cull: Literal["back", "front"]) -> None:
        for normals in ("flat", "smooth"):
            self.assert_agreement(asymmetric_mesh(), uneven_cameras(projection), Shading(cull=cull, normals=normals))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_near_and_far_cut_the_object(self, projection: Projection) -> None:
        cameras = uneven_cameras(projection)
        self.assert_agreement(asymmetric_mesh(), dataclasses.replace(cameras, near=2.7))
        self.assert_agreement(asymmetric_mesh(), dataclasses.replace(cameras, far=3.1))

    def test_faces_that_reach_behind_the_camera(self) -> None:
        """A floor and a wall that pass the camera on all sides."""
        vertices = torch.tensor([[-9.0, -1, 9], [9, -1, 9], [9, -1, -9], [-9, -1, -9], [9, 9, -2], [-9, 9, -2]])
        room = Mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 3], [3, 2, 4], [3, 4, 5]]))
        cameras = dataclasses.replace(Cameras.look_at([0.3, 0.2, 2.0], image_size=(96, 160)), near=0.1)
        self.assert_agreement(room, cameras)

    def test_supersampling_averages_colour_and_coverage(self) -> None:
        cameras, shading = uneven_cameras("perspective"), Shading(samples_per_pixel=4)
        expected = NumpyRenderer(shading)(asymmetric_mesh(), cameras)
        found = self.make_renderer(shading)(asymmetric_mesh(), cameras)
        assert float((found.alpha - expected.alpha).abs().mean()) < 1e-3
        assert float((found.rgb - expected.rgb).abs().mean()) < 1e-3
        assert set((found.alpha * 4).flatten().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}

    # What only surfaces have

    def test_it_makes_depth(self) -> None:
        assert "depth" in self.outputs()

    def test_half_precision_changes_no_image(self) -> None:
        mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")
        half = mesh.with_vertices(mesh.vertices.bfloat16())
        renderer = self.make_renderer(Shading())
        expected = renderer(mesh.with_vertices(half.vertices.float()), cameras, self.outputs())
        _assert_same(renderer(half, cameras, self.outputs()), expected)

    def test_where_nothing_is(self) -> None:
        shading = Shading(background=(0.25, 0.5, 2.0))
        images = self.make_renderer(shading)(asymmetric_mesh(), uneven_cameras("orthographic"), self.outputs())
        empty = {"rgb": [0.25, 0.5, 2.0], "face_index": [-1]}
        outside = images.alpha[:, 0] == 0
        for name, image in images.as_dict().items():
            values = image.movedim(1, -1)[outside].double()
            expected = torch.tensor(empty.get(name, [0.0]), dtype=torch.float64).expand_as(values)
            torch.testing.assert_close(values, expected, msg=name, rtol=1e-3, atol=0)

    def test_lights_may_be_tensors(self) -> None:
        """Any image of theirs is that of their numbers; with a gradient, if that is claimed, or an error."""
        color, towards = (0.2, 0.5, 0.7), (0.5, 0.8, 0.6)
        numbers = Shading(ambient=color, lights=(DirectionalLight(towards=towards),), background=color)
        values = [torch.tensor(vector, requires_grad=True) for vector in (color, towards)]
        lamp = DirectionalLight(towards=values[1])
        tensors = Shading(ambient=values[0].detach(), lights=(lamp,), background=values[0].detach())
        renderer, cameras = self.make_renderer(tensors), uneven_cameras("perspective")
        with torch.no_grad():
            _assert_same(self.make_renderer(numbers)(asymmetric_mesh(), cameras), renderer(asymmetric_mesh(), cameras))
        if "lights" in renderer.capabilities.gradients:
            assert renderer(asymmetric_mesh(), cameras).rgb.requires_grad
            return
        with pytest.raises(
            GradientError, match=r"^lights\[0\].towards require a gradient, and .* gives none by itself"
        ):
            renderer(asymmetric_mesh(), cameras)


def _colored(coloring: str) -> Mesh:
    """The asymmetric mesh with one kind of colour; the texture has an odd width and is repeated."""
    mesh, random = asymmetric_mesh(), torch.Generator().manual_seed(3)
    shape = mesh.without_colors()
    if coloring == "faces":
        return dataclasses.replace(shape, face_colors=torch.rand(len(mesh.faces), 3, generator=random))
    if coloring == "texture":
        image = torch.rand(5, 7, 3, generator=random)
        return dataclasses.replace(shape, texture=Texture(image, 2 * torch.rand(24, 2, generator=random) - 0.5))
    return mesh if coloring == "vertices" else shape


def _assert_same(first: Rendering, second: Rendering) -> None:
    """Equal but for the rounding that depends on where in a larger image a renderer draws."""
    for name, image in first.as_dict().items():
        other: Tensor = second.as_dict()[name]
        apart = (image.double() - other.double()).abs() > 2e-3
        assert float(apart.double().mean()) <= 2e-3, (name, apart.sum())
