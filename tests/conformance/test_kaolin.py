"""`Kaolin` on a stand-in for Kaolin, which rasterises on CUDA: written in torch from Kaolin's documentation."""

import dataclasses
import pickle
import types
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading
from render3d.conventions import to_kaolin
from render3d.errors import CapabilityError, GradientError
from render3d.optional import KAOLIN
from render3d.renderers import Kaolin, Renderer, SoftMask
from render3d.renderers import kaolin as module
from render3d.testing.contracts import PROJECTIONS, Projection, RendererContract
from render3d.testing.devices import OnDevice
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


def centers(height: int, width: int) -> Tensor:
    """``[H, W, 2]``: x right, y up, -1 to 1, the top row first."""
    y = 1 - (2 * torch.arange(height) + 1) / height
    x = (2 * torch.arange(width) + 1) / width - 1
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).double()


def rasterize(
    height: int,
    width: int,
    face_vertices_z: Tensor,
    face_vertices_image: Tensor,
    face_features: Tensor,
    valid_faces: Tensor | None = None,
    multiplier: float | None = None,
    eps: float | None = None,
    backend: str = "cuda",
) -> tuple[Tensor, Tensor]:
    """Features and numbers of the faces of the greatest z, interpolated linearly on the screen."""
    batch, faces, _ = face_vertices_z.shape
    assert backend == "cuda"
    assert face_vertices_image.shape == (batch, faces, 3, 2) and face_features.shape[:3] == (batch, faces, 3)
    assert valid_faces is not None and valid_faces.shape == (batch, faces) and valid_faces.dtype == torch.bool
    assert valid_faces.any(), "Kaolin indexes an empty list of faces here"
    assert face_vertices_image[valid_faces].isfinite().all() and face_vertices_z[valid_faces].isfinite().all()
    pixels, found = torch.nn.functional.pad(centers(height, width), (0, 1), value=1.0), []
    for z, image, valid in zip(face_vertices_z.double(), face_vertices_image.double(), valid_faces, strict=True):
        ends = torch.nn.functional.pad(image, (0, 1), value=1.0)
        edges = torch.linalg.cross(ends[:, [1, 2, 0]], ends[:, [2, 0, 1]])  # one sign on the side of the third corner
        weights = (edges @ pixels.flatten(0, 1).T).unflatten(-1, (height, width))  # [F, 3, H, W]
        weights = weights / weights.sum(1, keepdim=True)
        inside = (weights.amin(1) >= 0) & valid[:, None, None]
        nearness = torch.where(inside, torch.einsum("fkhw,fk->fhw", weights, z), -torch.inf)
        nearest = nearness.max(0)
        found.append(torch.where(nearest.values > -torch.inf, nearest.indices, -1))
    return torch.zeros(batch, height, width, face_features.shape[-1]), torch.stack(found)


def dibr_soft_mask(
    face_vertices_image: Tensor,
    selected_face_idx: Tensor,
    sigmainv: float = 7000,
    boxlen: float = 0.02,
    knum: int = 30,
    multiplier: float = 1000.0,
) -> Tensor:
    """1 where a face is; elsewhere one minus the product over faces of one minus exp(-sigmainv * distance**2)."""
    assert multiplier == 1000.0
    pixels = centers(*selected_face_idx.shape[1:])
    masks = []
    for image, selected in zip(face_vertices_image.double(), selected_face_idx, strict=True):
        low, high = image.amin(1) - boxlen, image.amax(1) + boxlen
        near = ((pixels >= low[:, None, None]) & (pixels < high[:, None, None])).all(-1)
        assert near.sum(0).max() <= knum
        start, end = image[:, :, None, None], image.roll(-1, 1)[:, :, None, None]
        edge = end - start
        along = (((pixels - start) * edge).sum(-1) / edge.square().sum(-1).clamp(min=1e-12)).clamp(0, 1)
        squared = (pixels - start - along[..., None] * edge).square().sum(-1).amin(1)
        outside = torch.where(near, 1 - torch.exp(-sigmainv * squared), 1).prod(0)
        masks.append(torch.where(selected >= 0, 1, 1 - outside))
    return torch.stack(masks).float()


STAND_IN = types.SimpleNamespace(rasterize=rasterize, dibr_soft_mask=dibr_soft_mask)


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = types.SimpleNamespace(render=types.SimpleNamespace(mesh=STAND_IN))
    monkeypatch.setattr(module, "load_for_cuda", lambda library, device: whole)


class KaolinContract(RendererContract):
    """With sharp silhouettes, as the contract has them; faces that near and far cut are refused."""

    def place(self, renderer: Renderer) -> Renderer:
        return renderer

    def make_renderer(self, shading: Shading) -> Renderer:
        return self.place(Kaolin(shading, soft=None))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_near_and_far_cut_the_object(self, projection: Projection) -> None:
        with pytest.raises(CapabilityError, match=r"faces reach through near=2.7 or far=100"):
            super().test_near_and_far_cut_the_object(projection)

    def test_faces_that_reach_behind_the_camera(self) -> None:
        with pytest.raises(CapabilityError, match=r"does not clip, and 2 of 4 faces reach through near=0.1 or far=100"):
            super().test_faces_that_reach_behind_the_camera()

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_gradients_of_surfaces_are_those_of_finite_differences(
        self, error_of_surface_gradients: Any, projection: Projection
    ) -> None:
        assert error_of_surface_gradients(self.make_renderer, projection).max() < 1e-3

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_gradients_of_edges_point_where_those_of_finite_differences_do(
        self, gradients_of_coverage: Any, projection: Projection
    ) -> None:
        """They are those of a blurred picture."""
        soft = self.place(Kaolin(soft=SoftMask(sigmainv=3000.0, boxlen=0.05)))
        found, expected = gradients_of_coverage(soft, projection)
        assert torch.cosine_similarity(found, expected, dim=0) > 0.97


@pytest.mark.usefixtures("_stand_in")
class TestKaolinOnAStandIn(KaolinContract):
    """Rows, axes, depths, culling, batches: all but Kaolin itself."""


@pytest.mark.skipif(not (KAOLIN.is_installed and torch.cuda.is_available()), reason="needs Kaolin and a CUDA device")
class TestKaolin(KaolinContract):
    """Kaolin itself."""

    def place(self, renderer: Renderer) -> Renderer:
        return OnDevice(renderer, "cuda")


def two_triangles(front: float, back: float) -> Mesh:
    """As `ahead` sees them: one across the picture at depth ``front``, and one on the right at depth ``back``."""
    one = torch.tensor([[-0.5, -0.4, -1.0], [0.5, -0.4, -1.0], [0.0, 0.4, -1.0]])
    other = 0.4 * one * torch.tensor([1.0, 1.0, 2.5]) + torch.tensor([0.3, 0.0, 0.0])
    return Mesh(torch.cat([one * front, other * back]), torch.arange(6).reshape(2, 3))


def ahead(**settings: Any) -> Cameras:
    """At the origin, looking along -z."""
    return Cameras.look_at([0.0, 0.0, 0.0], [0.0, 0.0, -1.0], image_size=(48, 64), **settings)


@pytest.mark.usefixtures("_stand_in")
def test_faces_wholly_outside_near_and_far_are_left_out_of_images_and_masks() -> None:
    soft = Kaolin(soft=SoftMask(sigmainv=300.0, boxlen=0.3))
    cameras = ahead(near=1.0, far=3.0)
    alone = two_triangles(2.0, 2.0)
    alone = Mesh(alone.vertices[3:], alone.faces[:1])
    for other in (0.5, 4.0, -2.0):  # too near, too far, behind the camera
        both = soft(two_triangles(other, 2.0), cameras, ("alpha", "face_index"))
        assert (both.alpha == soft(alone, cameras).alpha).all()
        assert set(both.face_index.flatten().tolist()) == {-1, 1}


@pytest.mark.usefixtures("_stand_in")
def test_faces_that_are_culled_are_left_out_of_masks() -> None:
    mesh = two_triangles(1.5, 2.0)
    turned = Mesh(mesh.vertices, torch.stack([mesh.faces[0].flip(0), mesh.faces[1]]))
    soft = SoftMask(sigmainv=300.0, boxlen=0.3)
    culled = Kaolin(Shading(cull="back"), soft)(turned, ahead(), ("alpha",)).alpha
    assert (culled == Kaolin(soft=soft)(Mesh(mesh.vertices, mesh.faces[1:]), ahead(), ("alpha",)).alpha).all()


@pytest.mark.usefixtures("_stand_in")
def test_gradients_stay_finite_beside_faces_at_the_camera() -> None:
    mesh = two_triangles(0.0, 2.0)  # the first lies in the camera's plane, where nothing has an image
    vertices = mesh.vertices.clone().requires_grad_()
    images = Kaolin()(mesh.with_vertices(vertices), ahead(near=1.0), ("rgb", "alpha", "depth", "barycentric"))
    sum(image.square().sum() for image in images.as_dict().values()).backward()
    assert vertices.grad.isfinite().all()
    assert (vertices.grad[:3] == 0).all() and (vertices.grad[3:] != 0).any()


@pytest.mark.usefixtures("_stand_in")
def test_faces_without_area_are_not_drawn() -> None:
    """Kaolin would take the pixels on their line for theirs, and none of them has a place on the face."""
    mesh = two_triangles(1.5, 2.0)
    line = Mesh(mesh.vertices, torch.cat([mesh.faces[:1, [0, 1, 1]], mesh.faces[1:]]))
    drawn: list[Tensor] = []

    def recorded(*arguments: Any, valid_faces: Tensor, **named: Any) -> tuple[Tensor, Tensor]:
        drawn.append(valid_faces)
        return rasterize(*arguments, valid_faces=valid_faces, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STAND_IN, "rasterize", recorded)
        Kaolin()(line, ahead())
    assert drawn[0].tolist() == [[False, True]]


@pytest.mark.usefixtures("_stand_in")
def test_nothing_at_all_is_drawn_without_asking_kaolin() -> None:
    with pytest.warns(UserWarning, match="covers no pixel"):
        seen = Kaolin(soft=None)(two_triangles(0.5, 4.0), ahead(near=1.0, far=3.0), ("alpha", "face_index", "depth"))
    assert seen.alpha.sum() == 0 and seen.depth.sum() == 0
    assert (seen.face_index == -1).all()


@pytest.mark.usefixtures("_stand_in")
def test_soft_silhouettes_are_one_inside_and_fade_outside_as_dib_r_has_them() -> None:
    """A square in the middle, half as wide and high as the image; a pixel outside knows its distance to one side."""
    square = Mesh(
        torch.tensor([[-0.5, -0.5, -1.0], [0.5, -0.5, -1.0], [0.5, 0.5, -1.0], [-0.5, 0.5, -1.0]]),
        torch.tensor([[0, 1, 2], [0, 2, 3]]),
    )
    cameras = Cameras.look_at([0.0, 0, 0], [0.0, 0, -1], vertical_fov_degrees=90.0, image_size=(40, 40))
    alpha = Kaolin(soft=SoftMask(sigmainv=100.0, boxlen=0.4))(square, cameras, ("alpha",)).alpha[0, 0]
    assert (alpha[10:30, 10:30] == 1).all()
    distance = (torch.arange(30, 38) + 0.5 - 30) / 20  # from the lower side, in units of half the image
    inside_one_triangle = 1 - torch.exp(-100 * distance**2)
    assert (alpha[30:38, 25] >= 1 - inside_one_triangle - 1e-6).all()  # the other triangle adds to it
    far_from_the_other = alpha[30:38, 28]  # whose corner is at the lower left and whose box ends there
    torch.testing.assert_close(far_from_the_other[-3:], 1 - inside_one_triangle[-3:], atol=2e-2, rtol=0)


@pytest.mark.usefixtures("_stand_in")
def test_sharp_silhouettes_refuse_gradients_and_leave_those_of_surfaces() -> None:
    mesh, cameras, sharp = asymmetric_mesh(), uneven_cameras("perspective")[:1], Kaolin(soft=None)
    moving = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
    assert sharp.capabilities.gradients == {"colors", "lights", "interior", "pose"}
    with pytest.raises(
        GradientError, match="vertices require a gradient, and Kaolin gives none by itself through alpha"
    ):
        sharp(moving, cameras)
    posed = cameras.retract(torch.zeros(6, requires_grad=True))
    with pytest.raises(GradientError, match="world_to_camera require a gradient.*edges are hard"):
        sharp(mesh, posed, ("alpha",))
    assert sharp(moving, cameras, ("rgb",)).rgb.requires_grad
    colored = Mesh(mesh.vertices, mesh.faces, mesh.colors.clone().requires_grad_())
    assert sharp(colored, cameras).rgb.requires_grad  # colours do not move alpha


@pytest.mark.skipif(not KAOLIN.is_installed, reason="needs Kaolin")
def test_its_camera_sees_what_ours_sees() -> None:
    """On the CPU: Kaolin's own `Camera`, made by `to_kaolin`, projects points and makes rays as ours does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from kaolin.render.camera import Camera, CameraExtrinsics, PinholeIntrinsics, generate_pinhole_rays
    cameras = uneven_cameras("perspective").crop(5, 9, 80, 120)
    cameras = dataclasses.replace(cameras, near=0.5, far=20.0)
    converted, points = to_kaolin(cameras), asymmetric_mesh().vertices
    height, width = converted.image_size
    settings = torch.stack([converted.x0, converted.y0, converted.focal_x, converted.focal_y], dim=-1)
    camera = Camera(
        CameraExtrinsics.from_view_matrix(converted.view_matrix),
        PinholeIntrinsics(width, height, settings, converted.near, converted.far),
    )
    x, y, _ = camera.transform(points).unbind(-1)
    pixels = torch.stack([(x + 1) / 2 * width, (1 - y) / 2 * height], dim=-1)
    torch.testing.assert_close(pixels, cameras.project(points), rtol=0, atol=1e-4)
    for view in range(cameras.views):
        origins, directions = (part.reshape(height, width, 3) for part in generate_pinhole_rays(camera[view]))
        torch.testing.assert_close(origins, cameras.rays().origins[view], rtol=0, atol=1e-5)
        torch.testing.assert_close(
            torch.nn.functional.normalize(directions, dim=-1), cameras.rays().directions[view], rtol=0, atol=1e-5
        )


def test_settings_of_soft_silhouettes_are_checked_and_copied() -> None:
    with pytest.raises(ValueError, match="sigmainv must be positive; got 0"):
        SoftMask(sigmainv=0)
    renderer = Kaolin(Shading(cull="back"), SoftMask(knum=5))
    assert repr(pickle.loads(pickle.dumps(renderer))) == repr(renderer)
