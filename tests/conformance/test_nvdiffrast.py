"""`Nvdiffrast` on a stand-in for nvdiffrast, which needs CUDA: written in torch from nvdiffrast's documentation."""

import pickle
import types
from typing import Any

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading
from render3d.optional import NVDIFFRAST
from render3d.renderers import Nvdiffrast, Renderer
from render3d.renderers import nvdiffrast as module
from render3d.testing.contracts import PROJECTIONS, Projection, RendererContract
from render3d.testing.devices import OnDevice
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


class Context:
    def __init__(self, device: torch.device) -> None:
        self.device = device


def check(*tensors: Tensor) -> None:
    """What nvdiffrast asks of its tensors."""
    assert all(tensor.is_contiguous() for tensor in tensors)
    assert all(tensor.dtype in (torch.float32, torch.int32) for tensor in tensors)


def rasterize(
    glctx: Context, pos: Tensor, tri: Tensor, resolution: tuple[int, int], ranges: None = None, grad_db: bool = True
) -> tuple[Tensor, Tensor]:
    """(u, v, z/w, triangle_id + 1) of the nearest triangle within the clip volume, bottom row first."""
    check(pos, tri)
    assert isinstance(glctx, Context)
    assert pos.dim() == 3 and pos.shape[2] == 4 and tri.dtype == torch.int32 and len(tri) > 0
    images = torch.stack([_rasterize_one(each.double(), tri.long(), resolution) for each in pos])
    return images.float(), torch.zeros_like(images)


def _rasterize_one(pos: Tensor, tri: Tensor, resolution: tuple[int, int]) -> Tensor:
    height, width = resolution
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) * 2 / height - 1, (torch.arange(width) + 0.5) * 2 / width - 1, indexing="ij"
    )

    pixels = torch.stack([x, y, torch.ones_like(x)]).double()
    corners = pos[tri]
    ends = corners[..., [0, 1, 3]]
    edges = torch.linalg.cross(ends[:, [1, 2, 0]], ends[:, [2, 0, 1]])  # one sign on the side of the third corner
    with torch.no_grad():
        sides = (edges @ pixels.flatten(1)).unflatten(-1, resolution)  # [F, 3, H, W]
        found = sides / sides.sum(1, keepdim=True)
        z, w = (torch.einsum("fkhw,fk->fhw", found, corners[..., i]) for i in (2, 3))
        hit = (found.amin(1) >= 0) & (w > 0) & (z.abs() <= w)
        depth, nearest = torch.where(hit, z / w, torch.inf).min(0)
        seen = hit.any(0)
    sides = torch.einsum("hwki,ihw->khw", edges[nearest], pixels)
    shown = sides / sides.sum(0)
    image = torch.stack([shown[0], shown[1], depth, nearest + 1.0], dim=-1)
    return torch.where(seen[..., None], image, 0)


def antialias(color: Tensor, rast: Tensor, pos: Tensor, tri: Tensor) -> Tensor:
    """Pairs of neighbours that show two triangles are blended where a silhouette edge of the nearer one passes."""
    check(color, rast, pos, tri)
    assert color.shape[:3] == rast.shape[:3]
    opposite = _opposite(tri)
    images = []
    for one, raster, points in zip(color, rast.detach(), pos, strict=True):
        size = torch.tensor([raster.shape[1], raster.shape[0]])
        corners = (points[:, :2] / points[:, 3:] + 1) / 2 * size  # pixels, y up
        pairs = (0, 1)  # side by side, and one above the other
        images.append(one + sum(_change(one, raster, corners, tri.long(), opposite, axis) for axis in pairs))
    return torch.stack(images)


def _opposite(tri: Tensor) -> Tensor:
    """``[F, 3]``: the vertex across the edge that faces each corner; the corner itself if there is none."""
    by_edge: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for face, corners in enumerate(tri.tolist()):
        for k in range(3):
            by_edge.setdefault(tuple(sorted((corners[k - 1], corners[k - 2]))), []).append((face, k))
    found = tri.clone().long()
    for sides in by_edge.values():
        if len(sides) == 2:
            (face, k), (other, m) = sides
            found[face, k], found[other, m] = tri[other, m].long(), tri[face, k].long()
    return found


def _change(color: Tensor, raster: Tensor, corners: Tensor, tri: Tensor, opposite: Tensor, axis: int) -> Tensor:
    step = [1, 0] if axis == 0 else [0, 1]
    rows, columns = raster.shape[0] - step[1], raster.shape[1] - step[0]
    number = raster[..., 3].long() - 1
    row, column = torch.nonzero(number[:rows, :columns] != number[step[1] :, step[0] :], as_tuple=True)
    other_row, other_column = row + step[1], column + step[0]
    one, other = number[row, column], number[other_row, other_column]
    depth, other_depth = raster[row, column, 2], raster[other_row, other_column, 2]
    nearer = (other < 0) | ((one >= 0) & (depth < other_depth))  # the first of the pair shows what is nearer
    face = torch.where(nearer, one, other)
    sign = torch.where(nearer, 1.0, -1.0)
    center = torch.stack([torch.where(nearer, column, other_column), torch.where(nearer, row, other_row)], -1) + 0.5
    direction = sign[:, None] * torch.tensor(step)
    ends, crossed = [], []
    for k in range(3):
        p, q, mine = (corners[tri[face, i]] for i in ((k + 1) % 3, (k + 2) % 3, k))
        across = corners[opposite[face, k]]
        edge = q - p
        silhouette = _cross(edge, mine - p) * _cross(edge, across - p) > 0  # both faces on one side, or one face
        steep = edge[:, 1 - axis].abs() >= edge[:, axis].abs()
        where, along = (_cross(p - center, line) / _cross(direction, edge) for line in (edge, direction))
        crossed.append(silhouette & steep & (where >= 0) & (where <= 1) & (along >= 0) & (along <= 1))
        ends.append(torch.stack([p, q], 1))
    which = torch.stack(crossed).int().argmax(0)
    kept = torch.stack(crossed).any(0)
    row, column, other_row, other_column, sign, center, direction = (
        values[kept] for values in (row, column, other_row, other_column, sign, center, direction)
    )
    p, q = torch.stack(ends)[which[kept], kept.nonzero()[:, 0]].unbind(1)
    share = _cross(p - center, q - p) / _cross(direction, q - p)
    first, second = color[row, column], color[other_row, other_column]
    gain = sign * (0.5 - share)
    taken = (gain > 0)[:, None]
    change = gain[:, None] * (second - first)
    blended = torch.zeros_like(color).index_put((row, column), torch.where(taken, change, 0), accumulate=True)
    return blended.index_put((other_row, other_column), torch.where(taken, 0, change), accumulate=True)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


STAND_IN = types.SimpleNamespace(RasterizeCudaContext=Context, rasterize=rasterize, antialias=antialias)


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_for_cuda", lambda library, device: types.SimpleNamespace(torch=STAND_IN))


class NvdiffrastContract(RendererContract):
    """What is different: edges are blended, inside the object as well."""

    def make_renderer(self, shading: Shading) -> Renderer:
        return Nvdiffrast(shading)

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("cull", ["back", "front"])
    def test_culling(self, projection: Projection, cull: Any) -> None:
        self.rgb = 12 / 255  # edges just in front of what is behind them
        super().test_culling(projection, cull)

    def test_supersampling_averages_colour_and_coverage(self) -> None:
        """Edges are blended in every sample: closer to many samples than to as many sharp ones."""
        cameras = uneven_cameras("perspective")
        exact = NumpyRenderer(Shading(samples_per_pixel=64))(asymmetric_mesh(), cameras[:1]).alpha
        for samples, limit in ((1, 0.5), (4, 0.7)):
            sharp = NumpyRenderer(Shading(samples_per_pixel=samples))(asymmetric_mesh(), cameras[:1]).alpha
            blended = self.make_renderer(Shading(samples_per_pixel=samples))(asymmetric_mesh(), cameras[:1]).alpha
            assert (blended - exact).abs().mean() < limit * (sharp - exact).abs().mean()

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_gradients_of_surfaces_are_those_of_finite_differences(
        self, error_of_surface_gradients: Any, projection: Projection
    ) -> None:
        assert error_of_surface_gradients(self.make_renderer, projection).max() < 2e-3

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_gradients_of_edges_are_those_of_finite_differences(
        self, gradients_of_coverage: Any, projection: Projection
    ) -> None:
        """Nearly: nvdiffrast does not see edges of faces that are thinner than a pixel, nor where edges meet."""
        found, expected = gradients_of_coverage(self.make_renderer(Shading()), projection)
        assert (found - expected).norm() < 0.12 * expected.norm()


@pytest.mark.usefixtures("_stand_in")
class TestNvdiffrastOnAStandIn(NvdiffrastContract):
    """Rows, numbers, weights, clip space, culling, batches: all but nvdiffrast itself."""


@pytest.mark.skipif(
    not (NVDIFFRAST.is_installed and torch.cuda.is_available()), reason="needs nvdiffrast and a CUDA device"
)
class TestNvdiffrast(NvdiffrastContract):
    """nvdiffrast itself."""

    def make_renderer(self, shading: Shading) -> Renderer:
        return OnDevice(Nvdiffrast(shading), "cuda")


def test_numbers_of_faces_are_exact_beyond_what_a_float_holds() -> None:
    large = torch.tensor([2**24 + 1, 2**24 + 2, 40_000_000], dtype=torch.int32)
    stored = torch.cat([torch.tensor([0.0, 1.0, 2.0**24]), (large + 0x4A800000).view(torch.float32)])
    assert module.face_numbers(stored).tolist() == [0, 1, 2**24, *large.tolist()]


@pytest.mark.usefixtures("_stand_in")
def test_the_order_in_which_images_are_asked_for_does_not_matter() -> None:
    mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")[:1]
    one, other = Nvdiffrast()(mesh, cameras, ("rgb", "alpha")), Nvdiffrast()(mesh, cameras, ("alpha", "depth", "rgb"))
    assert other.outputs == ("alpha", "depth", "rgb")
    assert (one.rgb == other.rgb).all() and (one.alpha == other.alpha).all()
    assert (Nvdiffrast()(mesh, cameras, ("alpha",)).alpha == one.alpha).all()
    assert (Nvdiffrast()(mesh, cameras, ("rgb",)).rgb == one.rgb).all()


@pytest.mark.usefixtures("_stand_in")
@pytest.mark.parametrize("cull", ["none", "back"])
def test_a_batch_is_one_call_unless_each_picture_leaves_out_other_faces(
    monkeypatch: pytest.MonkeyPatch, cull: Any
) -> None:
    calls = []

    def counted(*arguments: Any, **named: Any) -> tuple[Tensor, Tensor]:
        calls.append(arguments[1].shape)
        return rasterize(*arguments, **named)

    monkeypatch.setattr(STAND_IN, "rasterize", counted)
    cameras = Cameras.sphere(4, 3.0, image_size=(12, 20))
    mesh = asymmetric_mesh()
    meshes = mesh.with_vertices(torch.stack([mesh.vertices, 0.5 * mesh.vertices])[:, None])
    Nvdiffrast(Shading(cull=cull))(meshes, Cameras.stack([cameras[:2], cameras[2:]]))
    assert calls == ([(8, 24, 4)] if cull == "none" else [(1, 24, 4)] * 8)


@pytest.mark.usefixtures("_stand_in")
def test_a_view_of_which_culling_leaves_nothing_is_empty() -> None:
    triangle = Mesh(torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.0, 0.5, 0.0]]), torch.tensor([[0, 1, 2]]))
    cameras = Cameras.look_at(torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, -3.0]]), image_size=(24, 24))
    with pytest.warns(UserWarning, match="covers no pixel"):
        seen = Nvdiffrast(Shading(cull="back"))(triangle, cameras, ("alpha", "face_index"))
    assert seen.alpha[0].sum() > 0 and seen.alpha[1].sum() == 0
    assert set(seen.face_index[1].flatten().tolist()) == {-1}


@pytest.mark.usefixtures("_stand_in")
def test_a_renderer_can_be_copied_to_another_process() -> None:
    renderer = Nvdiffrast(Shading(cull="back"))
    renderer(asymmetric_mesh(), uneven_cameras("perspective")[:1])
    assert pickle.loads(pickle.dumps(renderer)).shading == renderer.shading
