"""Polygons into triangles: what they cover, compared with the shoelace formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render3d.scenes.files.polygons import triangulate


def cross(u, v):
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def shoelace(flat):
    return cross(flat, np.roll(flat, -1, axis=0)).sum() / 2


def in_space(flat, seed=0):
    """The polygon in a plane of any direction, away from the origin, and that plane's two axes."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return flat @ axes[:2] + 3 * axes[2], axes[:2]


def areas(flat, seed=None):
    """Signed areas ``[N - 2]`` of the triangles of one polygon."""
    points, axes = (np.insert(flat, 2, 0.5, axis=1), np.eye(3)[:2]) if seed is None else in_space(flat, seed)
    places, owner = triangulate(points, np.arange(len(points)), np.array([len(points)]))
    assert places.shape == (len(flat) - 2, 3)
    assert (owner == 0).all()
    a, b, c = (points[places[:, corner]] @ axes.T for corner in range(3))
    return cross(b - a, c - a) / 2


def assert_covered_once(flat, seed=None):
    """Triangles that all turn as the polygon does and have its area together cover it exactly."""
    found, expected = areas(flat, seed), shoelace(flat)
    assert np.isclose(found.sum(), expected, rtol=1e-9)
    assert np.isclose(np.abs(found).sum(), abs(expected), rtol=1e-9)


def star(count, seed=0):
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.random.default_rng(seed).uniform(0.2, 1, (count, 1)) * np.stack([np.cos(angles), np.sin(angles)], -1)


def comb(count):
    teeth = [(float(x), 1 + 10.0 * (x % 2)) for x in range(count - 2)]
    return np.array([(0, 0), (count - 3, 0), *teeth[::-1]], dtype=float)


def spiral(count):
    turn = np.linspace(1, 40, count // 2)
    way = np.stack([np.cos(turn), np.sin(turn)], -1)
    return np.concatenate([turn[:, None] * way, ((turn + 1.5)[:, None] * way)[::-1]])


def keyhole(holes):
    """A square with a square hole in each of ``holes x holes`` cells, each joined to the outline on its left side.

    Holes of one row hang on one bridge: it goes from the left side to the first, on to the second, and back.
    """
    points: list = [(0, 0), (holes, 0), (holes, holes), (0, holes)]
    for row in range(holes)[::-1]:
        middle = row + 0.5
        out, back = [], []
        for left in np.arange(holes) + 0.25:
            out += [(left, middle), (left, middle + 0.25), (left + 0.5, middle + 0.25), (left + 0.5, middle)]
            back = [(left + 0.5, middle), (left + 0.5, middle - 0.25), (left, middle - 0.25), (left, middle), *back]
        points += [(0, middle), *out, *back[1:], (0, middle)]
    return np.array(points, dtype=float)


LARGE = [("star", star(2000)), ("comb", comb(2000)), ("comb upright", comb(2000)[::-1, ::-1]), ("spiral", spiral(2000))]


@pytest.mark.parametrize("flat", [flat for _, flat in LARGE], ids=[name for name, _ in LARGE])
@pytest.mark.parametrize("backwards", [False, True])
def test_large_polygons_in_any_plane_are_covered_once(flat, backwards):
    assert_covered_once(flat[::-1] if backwards else flat, seed=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 200), st.integers(0, 10**6), st.booleans(), st.integers(0, 199))
def test_stars_are_covered_once(count, seed, backwards, first):
    flat = np.roll(star(count, seed), first % count, axis=0)
    assert_covered_once(flat[::-1] if backwards else flat, seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 8) | st.integers(9, 150), st.integers(0, 10**6), st.data())
def test_corners_in_a_straight_line_and_twice_the_same_change_no_area(count, seed, data):
    flat = np.round(star(count, seed) * 2**12)  # whole numbers, so that halves of edges lie on them
    which = data.draw(st.lists(st.integers(0, count - 1), max_size=20, unique=True))
    middles = (flat + np.roll(flat, -1, axis=0)) / 2
    longer = np.insert(flat, [index + 1 for index in which], middles[which], axis=0)
    again = data.draw(st.lists(st.integers(0, len(longer) - 1), max_size=5))
    assert_covered_once(np.insert(longer, again, longer[again], axis=0))


def test_the_only_corner_that_is_not_convex_may_stand_twice():
    flat = np.array([(2, 0), (2, 1), (1, 1), (1, 1), (1, 2), (0, 2), (0, 0)], np.float64)
    assert shoelace(flat) == 3
    for first in range(len(flat)):
        assert_covered_once(np.roll(flat, first, axis=0))


@pytest.mark.parametrize("holes", [1, 2, 5, 12])
@pytest.mark.parametrize("backwards", [False, True])
def test_holes_joined_by_bridges_stay_empty(holes, backwards):
    flat = keyhole(holes)
    assert shoelace(flat) == holes**2 * 0.75
    assert_covered_once(flat[::-1] if backwards else flat)
    assert_covered_once(flat, seed=2)


def test_the_triangles_of_a_hole_lie_beside_it():
    flat = keyhole(1)
    places, _ = triangulate(np.insert(flat, 2, 0, axis=1), np.arange(len(flat)), np.array([len(flat)]))
    inside = np.random.default_rng(0).uniform(0.26, 0.74, (100, 1, 2))
    a, b, c = (flat[places[:, corner]] for corner in range(3))
    held = (cross(b - a, inside - a) > 0) & (cross(c - b, inside - b) > 0) & (cross(a - c, inside - c) > 0)
    assert not held.any()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("first", range(4))
def test_an_arrowhead_is_cut_from_its_notch(backwards, first):
    flat = np.roll(np.array([(0, 0), (2, -1), (0.5, 0), (2, 1)]), first, axis=0)
    assert_covered_once(flat[::-1] if backwards else flat, seed=3)


def test_a_notch_that_is_small_beside_the_polygon_is_not_filled():
    """The notch turns by a right angle, but spans a ten-thousandth of the square."""
    side = [(0, 0), (1, 0), (1, 1), (0.5001, 1), (0.5001, 0.9999), (0.5, 0.9999), (0.5, 1), (0, 1)]
    assert_covered_once(np.array(side, dtype=float))


@pytest.mark.parametrize("kind", ["random", "wound five times"])
def test_polygons_that_cross_themselves_thousands_of_times_become_triangles(kind):
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    radii = 1 + 0.3 * np.cos(7 * angles)
    wound = np.stack([radii * np.cos(5 * angles), radii * np.sin(5 * angles)], -1)
    flat = wound if kind != "random" else np.random.default_rng(0).normal(size=(2000, 2))
    assert np.isclose(areas(flat).sum(), shoelace(flat))


def test_each_ear_is_looked_at_a_few_times_only(monkeypatch):
    """Near-linear time, counted: once for each corner and twice for each ear that is cut, crossing or not."""
    from render3d.scenes.files import polygons

    looks = []
    counted = polygons._SortedBlockers.any_in
    monkeypatch.setattr(polygons._SortedBlockers, "any_in", lambda self, ear: looks.append(ear) or counted(self, ear))
    for flat in (star(1000), comb(1000), np.random.default_rng(0).normal(size=(1000, 2))):
        looks.clear()
        areas(flat)
        assert 0 < len(looks) < 3 * 1000


def test_polygons_of_many_sizes_keep_their_order():
    flat = [np.insert(star(count, count), 2, count, axis=1) for count in (5, 3, 150, 4, 5, 3)]
    vertices, sizes = np.concatenate(flat), np.array([len(own) for own in flat])
    places, owner = triangulate(vertices, np.arange(len(vertices)), sizes)
    assert owner.tolist() == np.repeat(np.arange(6), sizes - 2).tolist()
    assert (vertices[places, 2] == sizes[owner, None]).all()


@pytest.mark.parametrize("count", [4, 7, 200])
def test_what_has_no_area_or_no_vertices_becomes_triangles_too(count):
    corners = np.arange(count)
    sizes = np.array([count])
    for vertices in (np.zeros((count, 3)), np.arange(count)[:, None] * np.ones(3), np.full((count, 3), np.nan)):
        assert triangulate(vertices, corners, sizes)[0].shape == (count - 2, 3)
    huge = np.insert(star(count) * 1e308, 2, 0, axis=1)
    assert triangulate(huge, corners, sizes)[0].shape == (count - 2, 3)
    assert triangulate(np.zeros((2, 3)), corners - 1, sizes)[0][:, 0].tolist() == [0] * (count - 2)  # a fan
