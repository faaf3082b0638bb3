"""Voxelising, against exact arithmetic and closed forms, and marching cubes back."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from render3d import Mesh, Volume, data
from render3d.errors import MeshError, VolumeError
from render3d.scenes.voxels import Kind, solid, surface
from render3d.testing.scenes import asymmetric_mesh

Exact = list[Fraction]


def occupied(volume: Volume) -> NDArray[np.bool_]:
    """``[*batch, D, H, W]``."""
    return (volume.occupancy[..., 0, :, :, :] > 0.5).numpy()


def centers(volume: Volume) -> NDArray[np.float64]:
    """``[D, H, W, 3]``: the centres (x, y, z) of the voxels of a volume."""
    axes = [-volume.extent + (np.arange(n) + 0.5) * 2 * volume.extent / n for n in volume.resolution]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([x, y, z], axis=-1)


def box(low: list[float], high: list[float]) -> Mesh:
    corners = torch.tensor(list(itertools.product(*zip(low, high, strict=True))), dtype=torch.float64)
    return Mesh(corners, asymmetric_mesh().faces[:12])


def random_mesh(seed: int, count: int, faces: int) -> Mesh:
    """Triangles between random points of the cube of extent 0.9, neither closed nor apart."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(faces, count, generator=generator).argsort(1)[:, :3]
    return Mesh(1.8 * torch.rand(count, 3, generator=generator) - 0.9, corners)


def signed_volume(mesh: Mesh) -> float:
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


# Closed forms


def test_the_volume_of_a_sphere_converges() -> None:
    sphere = Mesh.icosphere(5)
    errors = []
    for resolution in (8, 32, 96):
        volume = Volume.from_mesh(sphere, resolution)
        assert volume.extent == pytest.approx(resolution / (resolution - 2))
        errors.append(abs(occupied(volume).sum() * volume.voxel_side**3 / signed_volume(sphere) - 1))
        radii = np.linalg.norm(centers(volume), axis=-1)
        assert occupied(volume)[radii < 0.998].all()
        assert not occupied(volume)[radii > 1.0001].any()
    assert errors[0] < 0.3
    assert errors[1] < 0.03
    assert errors[2] < 0.003


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-17, 17), st.integers(-17, 17)), min_size=3, max_size=3))
def test_a_box_holds_the_centres_from_its_low_faces_up_to_its_high_ones(sides: list[tuple[int, int]]) -> None:
    """Faces through centres, through corners of voxels and beyond the cube: eighths of a cube of 8 voxels, extent 1."""
    low, high = ([bound(*side) / 8 for side in sides] for bound in (min, max))
    voxels = [[i for i in range(8) if a <= (2 * i - 7) / 8 < b] for a, b in zip(low, high, strict=True)]
    if not all(voxels):
        with pytest.raises(VolumeError):
            Volume.from_mesh(box(low, high), 8, extent=1.0)
        return
    grid = occupied(Volume.from_mesh(box(low, high), 8, extent=1.0))
    expected = np.zeros((8, 8, 8), dtype=bool)
    expected[np.ix_(*voxels[::-1])] = True
    assert np.array_equal(grid, expected)


def test_boxes_that_share_a_face_share_no_voxel() -> None:
    left = occupied(Volume.from_mesh(box([-0.875, -0.6, -0.6], [0.125, 0.6, 0.6]), 8, extent=1.0))
    right = occupied(Volume.from_mesh(box([0.125, -0.6, -0.6], [0.875, 0.6, 0.6]), 8, extent=1.0))
    both = occupied(Volume.from_mesh(box([-0.875, -0.6, -0.6], [0.875, 0.6, 0.6]), 8, extent=1.0))
    assert not (left & right).any()
    assert np.array_equal(left | right, both)


def test_surface_and_filled_boxes() -> None:
    """Faces on the borders of voxels touch those on both sides."""
    mesh = box([-0.5, -0.25, 0.0], [0.5, 0.25, 0.5])
    touched = np.zeros((8, 8, 8), dtype=bool)
    touched[3:7, 2:6, 1:7] = True
    assert np.array_equal(occupied(Volume.from_mesh(mesh, 8, kind="surface", extent=1.0)), touched)
    bigger = box([-0.7, -0.7, -0.7], [0.7, 0.7, 0.7])
    shell = occupied(Volume.from_mesh(bigger, 8, kind="surface", extent=1.0))
    assert shell.sum() == 6**3 - 4**3
    assert occupied(Volume.from_mesh(bigger, 8, kind="filled", extent=1.0)).sum() == 6**3


# Slow twins, in exact arithmetic


def exact(mesh: Mesh) -> list[list[Exact]]:
    return [[[Fraction(x) for x in corner] for corner in face] for face in mesh.vertices[mesh.faces].tolist()]


def crosses_below(triangle: list[Exact], point: Exact, axis: int) -> bool:
    """Whether a triangle crosses the line through a point along an axis below that point; no ties."""
    u, v = (other for other in range(3) if other != axis)
    weights = []
    for a, b in zip(triangle, triangle[1:] + triangle[:1], strict=True):
        weights.append((b[u] - a[u]) * (point[v] - a[v]) - (b[v] - a[v]) * (point[u] - a[u]))
    if not (all(weight > 0 for weight in weights) or all(weight < 0 for weight in weights)):
        return False
    opposite = triangle[2:] + triangle[:2]  # the corner across from each edge
    depths = [weight * corner[axis] for weight, corner in zip(weights, opposite, strict=True)]
    return sum(depths) / sum(weights) < point[axis]


def slow_solid(mesh: Mesh, size: int) -> NDArray[np.bool_]:
    triangles, grid = exact(mesh), np.zeros((size, size, size), dtype=bool)
    for z, y, x in itertools.product(range(size), repeat=3):
        point = [Fraction(2 * i + 1, size) - 1 for i in (x, y, z)]
        votes = [sum(crosses_below(triangle, point, axis) for triangle in triangles) % 2 for axis in range(3)]
        grid[z, y, x] = sum(votes) >= 2
    return grid


def clipped(polygon: list[Exact], axis: int, sign: int, bound: Fraction) -> list[Exact]:
    """The part of a polygon where ``sign * coordinate <= bound``, in a closed half-space."""
    kept: list[Exact] = []
    for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        beyond_a, beyond_b = sign * a[axis] - bound, sign * b[axis] - bound
        if beyond_a <= 0:
            kept.append(a)
        if beyond_a * beyond_b < 0:
            share = beyond_a / (beyond_a - beyond_b)
            kept.append([p + share * (q - p) for p, q in zip(a, b, strict=True)])
    return kept


def slow_surface(mesh: Mesh, size: int) -> NDArray[np.bool_]:
    grid = np.zeros((size, size, size), dtype=bool)
    for triangle, (z, y, x) in itertools.product(exact(mesh), itertools.product(range(size), repeat=3)):
        polygon = triangle
        for axis, index in enumerate((x, y, z)):
            polygon = clipped(polygon, axis, 1, Fraction(2 * (index + 1), size) - 1)
            polygon = clipped(polygon, axis, -1, 1 - Fraction(2 * index, size))
        grid[z, y, x] |= bool(polygon)
    return grid


@pytest.mark.parametrize("seed", range(4))
def test_solid_is_what_exact_arithmetic_says_of_any_triangles(seed: int) -> None:
    mesh = random_mesh(seed, count=9, faces=12)
    assert np.array_equal(occupied(Volume.from_mesh(mesh, 5, extent=1.0)), slow_solid(mesh, 5))


def test_solid_is_what_exact_arithmetic_says_of_a_closed_mesh() -> None:
    sphere = Mesh.icosphere(0)
    noise = torch.rand(sphere.vertices.shape, generator=torch.Generator().manual_seed(0))
    mesh = sphere.with_vertices(0.7 * sphere.vertices + 0.4 * noise - 0.2)
    assert np.array_equal(occupied(Volume.from_mesh(mesh, 7, extent=1.0)), slow_solid(mesh, 7))


@pytest.mark.parametrize("seed", range(6))
def test_surface_is_what_exact_arithmetic_says(seed: int) -> None:
    mesh = random_mesh(seed, count=12, faces=3)
    assert np.array_equal(occupied(Volume.from_mesh(mesh, 7, kind="surface", extent=1.0)), slow_surface(mesh, 7))


def test_surface_is_exact_where_corners_lie_on_the_borders_and_centres_of_voxels() -> None:
    for seed in range(4):
        mesh = random_mesh(seed, count=12, faces=3)
        mesh = mesh.with_vertices((mesh.vertices * 8).round() / 8)
        assert np.array_equal(occupied(Volume.from_mesh(mesh, 8, kind="surface", extent=1.0)), slow_surface(mesh, 8))


@pytest.mark.parametrize(
    "corners",
    [
        [[-0.9, -0.8, -0.7], [0.9, 0.7, 0.8], [0.0, -0.05, 0.05]],  # a line
        [[-0.9, -0.8, -0.7], [0.9, 0.7, 0.8], [0.0, -0.05, 0.05 + 1e-9]],  # next to a line
        [[-0.9, 0.1, 0.1], [0.9, 0.1, 0.1], [0.3, 0.1, 0.1]],  # along an axis
        [[0.3, 0.4, 0.5]] * 3,  # a point
        [[-5.0, -4.0, 0.3], [6.0, -4.0, 0.2], [0.0, 9.0, 0.1]],  # much beyond the cube
    ],
)
def test_surface_of_thin_and_large_triangles(corners: list[list[float]]) -> None:
    mesh = Mesh(torch.tensor(corners, dtype=torch.float64), torch.tensor([[0, 1, 2]]))
    assert np.array_equal(occupied(Volume.from_mesh(mesh, 7, kind="surface", extent=1.0)), slow_surface(mesh, 7))


# Lines through vertices and edges


def along_each_axis(mesh: Mesh, size: int) -> list[NDArray[np.uint8]]:
    """What the three axes say, each ``[D, H, W]``, in a cube of extent 1."""
    corners = mesh.vertices.double()[mesh.faces].numpy() * size / 2 + (size - 1) / 2
    x, y, z = (solid._inside_along_last(corners[..., list(order)], size) for order in ((1, 2, 0), (0, 2, 1), (0, 1, 2)))
    return [x.transpose(0, 1, 2), y.transpose(0, 2, 1), z.transpose(2, 0, 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-7, 7)] * 3), min_size=4, max_size=9, unique=True))
def test_the_axes_agree_where_lines_meet_vertices_and_edges(points: list[tuple[int, int, int]]) -> None:
    """Convex bodies with all their vertices on centre lines or borders: inside and outside are known exactly."""
    try:
        hull = ConvexHull(np.array(points))
    except QhullError:
        assume(False)
    corners = np.array(points)
    mesh = Mesh(torch.tensor(corners / 8), torch.from_numpy(hull.simplices.astype(np.int64)))
    lattice = np.round(centers(Volume(torch.zeros(1, 8, 8, 8))) * 8).astype(np.int64)
    a, b, c = (corners[hull.simplices[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    middle = corners.sum(0)
    facing = np.sign(((len(corners) * a - middle) * normals).sum(1))
    heights = ((lattice[..., None, :] - a) * normals).sum(-1) * facing
    inside, outside = (heights < 0).all(-1), (heights > 0).any(-1)
    for grid in along_each_axis(mesh, 8):
        assert grid[inside].all()
        assert not grid[outside].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_closed_meshes_are_closed_on_every_line(seed: int, on_lines: bool) -> None:
    """However crumpled, and wherever the vertices are: nothing is inside beyond them."""
    sphere = Mesh.icosphere(1)
    vertices = 1.6 * torch.rand(sphere.vertices.shape, generator=torch.Generator().manual_seed(seed)) - 0.8
    mesh = sphere.with_vertices((vertices * 8).round() / 8 if on_lines else vertices)
    size = 8 if on_lines else 11
    for axis, grid in zip((2, 1, 0), along_each_axis(mesh, size), strict=True):
        assert not np.take(grid, -1, axis).any()


def test_an_octahedron_with_vertices_on_centre_lines() -> None:
    size, radius = 17, 6
    vertices = torch.cat([torch.eye(3), -torch.eye(3)]).double() * radius * 2 / size
    faces = [[x, y, z] for x in (0, 3) for y in (1, 4) for z in (2, 5)]
    lattice = np.abs(np.round(centers(Volume(torch.zeros(1, size, size, size))) * size / 2)).sum(-1)
    for grid in along_each_axis(Mesh(vertices, torch.tensor(faces)), size):
        assert grid[lattice < radius].all()
        assert not grid[lattice > radius].any()


@pytest.mark.parametrize("kind", ["solid", "surface"])
def test_the_result_does_not_depend_on_the_chunks(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = asymmetric_mesh()
    whole = Volume.from_mesh(mesh, 20, kind=kind)
    monkeypatch.setattr(solid, "_COLUMNS_AT_ONCE", 50)
    monkeypatch.setattr(surface, "_COLUMNS_AT_ONCE", 50)
    assert torch.equal(Volume.from_mesh(mesh, 20, kind=kind).values, whole.values)


# Meshes that are not closed


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_sphere_with_a_hole_is_solid_by_vote(axis: int, side: int) -> None:
    sphere = Mesh.icosphere(4)
    height = side * sphere.vertices[sphere.faces].mean(1)[:, axis]
    holed = dataclasses.replace(sphere, faces=sphere.faces[height < 0.9])
    volume = Volume.from_mesh(sphere, 32)
    whole, vote = occupied(volume), occupied(Volume.from_mesh(holed, 32, extent=volume.extent))
    beside = side * centers(volume)[..., axis] < 0.85  # the cap itself is cut off flat
    assert np.array_equal(vote[beside], whole[beside])
    assert not (vote & ~whole).any()


def test_an_open_sheet_is_not_solid_but_has_a_surface() -> None:
    sheet = Mesh(
        torch.tensor([[-0.6, -0.6, 0.1], [0.6, -0.6, 0.1], [0.6, 0.6, 0.1], [-0.6, 0.6, 0.1]]),
        torch.tensor([[0, 1, 2], [0, 2, 3]]),
    )
    with pytest.raises(VolumeError, match=r'holds no centre of a voxel at resolution 8.*or kind="filled"'):
        Volume.from_mesh(sheet, 8, extent=1.0)
    for kind in ("surface", "filled"):
        grid = occupied(Volume.from_mesh(sheet, 8, kind=kind, extent=1.0))
        assert grid[4].sum() == 36
        assert grid.sum() == 36


def test_a_plate_thinner_than_a_voxel_is_not_solid() -> None:
    plate = box([-0.5, -0.5, 0.01], [0.5, 0.5, 0.03])
    with pytest.raises(VolumeError, match="thinner than a voxel, or not closed"):
        Volume.from_mesh(plate, 8, extent=1.0)
    assert occupied(Volume.from_mesh(plate, 64, extent=1.0)).any()


def test_where_closed_parts_overlap_is_outside_by_parity_and_filled_all_the_same() -> None:
    first, second = box([-0.7, -0.7, -0.7], [0.3, 0.3, 0.3]), box([-0.2, -0.2, -0.2], [0.7, 0.7, 0.7])
    both = Mesh(torch.cat([first.vertices, second.vertices]), torch.cat([first.faces, second.faces + 8]))
    one, other, both_at_once = (occupied(Volume.from_mesh(mesh, 16, extent=1.0)) for mesh in (first, second, both))
    assert (one & other).any()
    assert np.array_equal(both_at_once, one ^ other)
    assert occupied(Volume.from_mesh(both, 16, kind="filled", extent=1.0))[one | other].all()


# Where it stands


@pytest.mark.parametrize("kind", ["solid", "surface", "filled"])
def test_no_axis_is_swapped_or_mirrored(kind: Kind) -> None:
    mesh = asymmetric_mesh()
    for bar in range(3):
        part = dataclasses.replace(mesh, faces=mesh.faces[12 * bar : 12 * bar + 12])
        volume = Volume.from_mesh(part, 50, kind=kind, extent=1.0)
        places = centers(volume)[occupied(volume)]
        corners = part.vertices[part.faces].reshape(-1, 3).numpy()
        low, high = corners.min(0), corners.max(0)
        np.testing.assert_allclose(places.min(0), low, atol=volume.voxel_side)
        np.testing.assert_allclose(places.max(0), high, atol=volume.voxel_side)
        np.testing.assert_allclose(places.mean(0), (low + high) / 2, atol=volume.voxel_side)


@pytest.mark.parametrize("kind", ["solid", "filled"])
def test_what_lies_outside_the_cube_is_cut_off(kind: Kind) -> None:
    sphere = Mesh.icosphere(3)
    whole = occupied(Volume.from_mesh(sphere, 24, kind=kind, extent=1.5))
    assert np.array_equal(occupied(Volume.from_mesh(sphere, 12, kind=kind, extent=0.75)), whole[6:18, 6:18, 6:18])
    assert occupied(Volume.from_mesh(sphere, 6, kind=kind, extent=0.5)).all()


def test_a_batch_shares_the_largest_cube_and_keeps_its_places() -> None:
    sphere = Mesh.icosphere(2)
    vertices = sphere.vertices * torch.tensor([1.0, 2.0, 3.0])[:, None, None, None].expand(3, 2, 1, 1)
    batch = sphere.with_vertices(vertices).normalized().with_vertices(vertices)
    volume = Volume.from_mesh(batch, 16)
    assert volume.batch_shape == (3, 2)
    assert volume.extent == pytest.approx(3 * 16 / 14)
    assert volume.to_source is not None
    assert torch.equal(volume.to_source, batch.to_source)  # type: ignore[arg-type]
    alone = Volume.from_mesh(batch[1, 1], 16, extent=volume.extent)
    assert torch.equal(volume[1, 1].values, alone.values)


def test_meshes_and_arguments_that_cannot_be_used() -> None:
    sphere = Mesh.icosphere(1)
    for change, message in (
        ({"vertices": sphere.vertices * torch.nan}, "vertices must be finite; got NaN"),
        ({"faces": sphere.faces + 1}, r"faces must index 42 vertices; got indices from 1 to 42\. mesh\.repair\(\)"),
        ({"faces": sphere.faces[:0]}, "has no faces: there is nothing to render"),
        ({"vertices": sphere.vertices.expand(0, -1, -1)}, "no mesh to voxelise"),
    ):
        with pytest.raises(MeshError, match=message):
            Volume.from_mesh(dataclasses.replace(sphere, **change))  # type: ignore[arg-type]
    for arguments, message in (
        ({"resolution": 0}, "resolution must be .* from 1 to 2048; got 0"),
        ({"resolution": 8.0}, r"got 8\.0"),
        ({"resolution": 4096}, "got 4096"),
        ({"resolution": 2}, "at least 3 for a margin"),
        ({"kind": "hollow"}, "kind must be one of solid, surface, filled; got 'hollow'"),
        ({"extent": -1.0}, "extent must be positive and finite"),
        ({"extent": 1e-20}, r"10\^15 voxels wide"),
        ({"extent": 1e-200}, "float32 holds no densities"),
        ({"extent": 0.001, "kind": "filled"}, "the cube 64, and .* 2048 at most"),
        ({"extent": 0.1, "kind": "surface"}, "No face of the mesh lies in the cube of extent 0.1"),
    ):
        with pytest.raises(VolumeError, match=message):
            Volume.from_mesh(sphere, **arguments)
    with pytest.raises(VolumeError, match="No part of the mesh lies in the cube of extent 1"):
        Volume.from_mesh(sphere.with_vertices(sphere.vertices + 4), extent=1.0)
    with pytest.raises(VolumeError, match="All vertices lie at the origin"):
        Volume.from_mesh(sphere.with_vertices(0 * sphere.vertices))


# Marching cubes


def blob(seed: int, shape: tuple[int, int, int]) -> torch.Tensor:
    noise = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(noise, 3, 1, 1)[0, 0]
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [0.3, 0.5])
def test_a_surface_encloses_the_voxels_above_the_level(seed: int, level: float) -> None:
    smooth = blob(seed, (10, 10, 10))
    at_the_level = (smooth / level * 2).round() * level / 2
    for occupancy in (smooth, smooth > smooth.median(), at_the_level.clamp(max=1)):
        volume = Volume.from_occupancy(occupancy)
        mesh = volume.to_mesh(level)
        report = mesh.check()
        assert report.watertight
        assert report.inconsistent_edges == 0
        assert signed_volume(mesh) > 0
        again = Volume.from_mesh(mesh, 10, extent=1.0)
        assert np.array_equal(occupied(again), (volume.occupancy[0].double() > level).numpy())


def test_noise_has_closed_surfaces_too() -> None:
    for seed in range(10):
        high = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) > 0.5
        volume = Volume.from_occupancy(0.25 + high * 0.5)  # as far above the level as below
        assert volume.to_mesh().check().watertight


def test_a_real_mesh_returns() -> None:
    bunny = data.bunny()
    volume = Volume.from_mesh(bunny.normalized(), 48)
    outside = volume.to_mesh()
    assert torch.equal(Volume.from_mesh(outside, 48, extent=volume.extent).values, volume.values)
    assert outside.check().watertight
    source = outside.restored().vertices
    side = volume.voxel_side * float(volume.to_source[0, 0])  # type: ignore[index]
    torch.testing.assert_close(source.amin(0), bunny.vertices.amin(0), atol=side, rtol=0)
    torch.testing.assert_close(source.amax(0), bunny.vertices.amax(0), atol=side, rtol=0)
    assert signed_volume(outside.restored()) == pytest.approx(signed_volume(bunny), rel=0.02)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 2), (1, 1, 1), (6, 1, 2)])
def test_a_voxel_becomes_an_octahedron_round_its_centre(shape: tuple[int, int, int]) -> None:
    occupancy = torch.zeros(shape)
    occupancy[-1, shape[1] // 2, 0] = 0.8
    volume = Volume.from_occupancy(occupancy, extent=1.5)
    vertices = volume.to_mesh(0.4).vertices  # half of the way to the next centres
    center = torch.tensor(centers(volume)[-1, shape[1] // 2, 0], dtype=torch.float32)
    halves = torch.tensor([1.5 / n for n in reversed(shape)])
    torch.testing.assert_close((vertices.amin(0) + vertices.amax(0)) / 2, center)
    torch.testing.assert_close((vertices.amax(0) - vertices.amin(0)) / 2, halves)
    assert len(vertices) == 6


def test_colours_are_those_at_the_vertices() -> None:
    occupancy = blob(0, (8, 9, 10))
    volume = Volume.from_occupancy(occupancy)
    places = torch.from_numpy(centers(volume)).float()
    colored = Volume.from_occupancy(
        occupancy, places.movedim(-1, 0) * torch.tensor([0.1, 0.2, 0.3])[:, None, None, None]
    )
    mesh = colored.to_mesh()
    limits = torch.tensor([1 - 1 / 10, 1 - 1 / 9, 1 - 1 / 8])  # no colours change beyond the outermost centres
    expected = mesh.vertices.clamp(-limits, limits) * torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(mesh.colors, expected, atol=1e-6, rtol=0)
    assert volume.to_mesh().colors is None


def test_volumes_without_a_surface() -> None:
    volume = Volume.from_occupancy(torch.full((3, 3, 3), 0.25))
    with pytest.raises(VolumeError, match=r"No voxel is occupied by more than the level, 0\.5; the most is 0\.25"):
        volume.to_mesh()
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(VolumeError, match="level must be an occupancy between 0 and 1"):
            volume.to_mesh(level)
    with pytest.raises(VolumeError, match=r"got a batch of shape \[2\]"):
        Volume.stack([volume, volume]).to_mesh()
    with pytest.raises(VolumeError, match="must be finite"):
        Volume(volume.values * torch.nan).to_mesh()
