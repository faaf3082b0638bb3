"""The spatial transformer: closed forms, laws of composition and inversion, agreement of both forms, gradients."""

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from render3d.errors import DeviceError, ShapeError, TransformError
from render3d.spatial import Affine, ScaleShift, Transform, read, superpose, write


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_affine(*batch: int, dims: int = 3, seed: int = 0) -> Affine:
    """Invertible, with a rotation, a shear and a shift."""
    near_identity = torch.eye(dims, dims + 1, dtype=torch.float64) + 0.2 * random(*batch, dims, dims + 1, seed=seed)
    return Affine(near_identity)


def random_scale_shift(*batch: int, dims: int = 3, seed: int = 0) -> ScaleShift:
    return ScaleShift((0.3 * random(*batch, dims, seed=seed)).exp(), 0.3 * random(*batch, dims, seed=seed + 1))


def read_slowly(canvas: Tensor, place: Affine, size: tuple[int, int, int]) -> Tensor:
    """The definition, one point and one cell at a time: a sum over cells of the canvas ``[D, H, W]``."""
    patch = torch.zeros(size, dtype=canvas.dtype)
    for index in itertools.product(*map(range, size)):
        point = torch.tensor([(2 * i + 1) / n - 1 for i, n in zip(index, size, strict=True)], dtype=canvas.dtype).flip(
            0
        )
        where = (place.matrix[:, :3] @ point + place.matrix[:, 3]).flip(0)
        for cell in itertools.product(*map(range, canvas.shape)):
            centre = [(2 * i + 1) / n - 1 for i, n in zip(cell, canvas.shape, strict=True)]
            weight = 1.0
            for axis in range(3):
                in_cells = float(where[axis] - centre[axis]) * canvas.shape[axis] / 2
                weight *= max(0.0, 1 - abs(in_cells))
            patch[index] += weight * canvas[cell]
    return patch


@pytest.mark.parametrize("dims", [2, 3])
def test_the_identity_changes_nothing(dims: int) -> None:
    canvas = random(2, 3, *[4, 5, 6][:dims])
    for identity in (Affine.identity(dims), ScaleShift.identity(dims)):
        torch.testing.assert_close(read(canvas, identity, canvas.shape[2:]), canvas, atol=1e-7, rtol=0)
        torch.testing.assert_close(write(canvas, identity, canvas.shape[2:]), canvas, atol=1e-7, rtol=0)


def test_both_forms_agree_with_the_definition() -> None:
    canvas, place = random(1, 3, 4, 2), random_scale_shift()
    slow = read_slowly(canvas[0], place.to_affine(), (2, 3, 5))
    torch.testing.assert_close(read(canvas, place, (2, 3, 5))[0], slow)
    torch.testing.assert_close(read(canvas, place.to_affine(), (2, 3, 5))[0], slow)
    turned = random_affine(seed=3)
    torch.testing.assert_close(read(canvas, turned, (2, 3, 5))[0], read_slowly(canvas[0], turned, (2, 3, 5)))


@pytest.mark.parametrize("dims", [2, 3])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), grid=st.tuples(*[st.integers(1, 6)] * 3), size=st.tuples(*[st.integers(1, 6)] * 3))
def test_the_product_of_kernels_is_the_affine_form(
    dims: int, seed: int, grid: tuple[int, ...], size: tuple[int, ...]
) -> None:
    canvas = random(3, 2, *grid[:dims], seed=seed)
    place = random_scale_shift(3, dims=dims, seed=seed)
    place = ScaleShift(place.scale * random(dims, seed=seed).sign(), place.shift)  # mirrors too
    canvas.requires_grad_()
    wanted = read(canvas, place.to_affine(), size[:dims])
    found = read(canvas, place, size[:dims])
    torch.testing.assert_close(found, wanted)
    weights = random(*wanted.shape, seed=1)
    gradients = [torch.autograd.grad((image * weights).sum(), canvas)[0] for image in (found, wanted)]
    torch.testing.assert_close(*gradients)
    torch.testing.assert_close(write(canvas, place, size[:dims]), write(canvas, place.to_affine(), size[:dims]))


def test_axes_are_x_y_z_for_transforms_and_z_y_x_for_grids() -> None:
    canvas = torch.zeros(1, 4, 6, 8)
    canvas[0, 0, 2, 7] = 1  # lowest z, y in the middle, highest x
    corner = ScaleShift(torch.tensor([1 / 8, 1 / 6, 1 / 4]), torch.tensor([7 / 8, -1 / 6, -3 / 4]))
    assert read(canvas, corner, (1, 1, 1)).item() == pytest.approx(1)
    picture = torch.zeros(1, 6, 8)
    picture[0, 5, 0] = 1
    assert read(picture, ScaleShift(torch.tensor([1 / 8, 1 / 6]), torch.tensor([-7 / 8, 5 / 6])), (1, 1)).item() == 1


def test_a_shift_by_whole_cells_moves_the_canvas_and_brings_in_zeros() -> None:
    canvas = random(1, 4, 5, 8)
    moved = read(canvas, ScaleShift(torch.ones(3), torch.tensor([2 * 3 / 8, 0.0, 0.0])), (4, 5, 8))
    torch.testing.assert_close(moved[..., :5], canvas[..., 3:], atol=1e-6, rtol=0)
    assert bool((moved[..., 5:].abs() < 1e-6).all())


@pytest.mark.parametrize("make", [random_affine, random_scale_shift])
@pytest.mark.parametrize("dims", [2, 3])
def test_transforms_compose_and_invert_as_functions_do(make, dims: int) -> None:  # type: ignore[no-untyped-def]
    first, second = make(4, dims=dims, seed=1), make(4, dims=dims, seed=5)
    points = random(4, 7, dims, seed=9)

    def apply(place: Transform, p: Tensor) -> Tensor:
        matrix = place.matrix if isinstance(place, Affine) else place.to_affine().matrix
        return p @ matrix[..., :-1].mT + matrix[..., None, :, -1]

    torch.testing.assert_close(apply(first.compose(second), points), apply(first, apply(second, points)))
    torch.testing.assert_close(apply(first.inverse(), apply(first, points)), points)
    torch.testing.assert_close(apply(first.compose(first.inverse()), points), points)


def smooth_bump(size: int) -> Tensor:
    """A Gaussian that linear interpolation follows to a thousandth, away from the border."""
    axis = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.exp(-(((x - 0.05) ** 2 + 2 * (y + 0.1) ** 2 + 1.5 * z**2) / 0.1))[None]


@pytest.mark.parametrize("place", [random_affine(seed=2), random_scale_shift(seed=2)])
def test_reading_where_one_wrote_gives_the_patch_back(place: Transform) -> None:
    patch = smooth_bump(48)
    canvas = write(patch, place, (96, 96, 96))
    back = read(canvas, place, (48, 48, 48))
    inside = (slice(None), *[slice(12, 36)] * 3)  # what lies off the canvas is lost
    torch.testing.assert_close(back[inside], patch[inside], atol=0.02, rtol=0)
    assert float(canvas.max()) > 0.9


def test_a_glimpse_of_a_glimpse_is_the_glimpse_of_the_composition() -> None:
    canvas, outer, inner = smooth_bump(64), random_affine(seed=6), random_affine(seed=8)
    half = ScaleShift(torch.full((3,), 0.5, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)).to_affine()
    twice = read(read(canvas, outer, (64, 64, 64)), inner.compose(half), (24, 24, 24))
    once = read(canvas, outer.compose(inner.compose(half)), (24, 24, 24))
    torch.testing.assert_close(twice, once, atol=0.02, rtol=0)


@pytest.mark.parametrize("make", [random_affine, random_scale_shift])
def test_superposing_is_writing_each_and_adding(make) -> None:  # type: ignore[no-untyped-def]
    patches, places = random(2, 5, 3, 2, 3, 4), make(2, 5, seed=4)
    torch.testing.assert_close(superpose(patches, places, (5, 6, 7)), write(patches, places, (5, 6, 7)).sum(1))
    torch.testing.assert_close(superpose(patches[0], places[0], (5, 6, 7)), write(patches, places, (5, 6, 7))[0].sum(0))


@pytest.mark.parametrize("dims", [2, 3])
def test_gradients_are_those_of_finite_differences(dims: int) -> None:
    grid, size = (3, 4, 2)[:dims], (2, 3, 4)[:dims]
    values = random(2, 2, *grid).requires_grad_()
    matrix = random_affine(2, dims=dims, seed=1).matrix.requires_grad_()
    scale, shift = (tensor.requires_grad_() for tensor in vars(random_scale_shift(2, dims=dims, seed=2)).values())
    for action in (read, write):
        assert torch.autograd.gradcheck(lambda v, m, act=action: act(v, Affine(m), size), (values, matrix))
        assert torch.autograd.gradcheck(
            lambda v, a, b, act=action: act(v, ScaleShift(a, b), size), (values, scale, shift)
        )


def test_the_gradient_of_superposing_is_that_of_finite_differences() -> None:
    patches = random(2, 3, 1, 2, 2, 3).requires_grad_()
    scale, shift = (tensor.requires_grad_() for tensor in vars(random_scale_shift(2, 3, seed=2)).values())
    assert torch.autograd.gradcheck(lambda p, a, b: superpose(p, ScaleShift(a, b), (3, 4, 2)), (patches, scale, shift))


def test_batches_broadcast() -> None:
    canvas, places = random(4, 1, 2, 3, 4, 5), random_affine(3)
    found = read(canvas, places, (2, 2, 2))
    assert found.shape == (4, 3, 2, 2, 2, 2)
    torch.testing.assert_close(found[2, 1], read(canvas[2, 0], places[1], (2, 2, 2)))
    assert read(canvas[0, 0], places, (2, 2, 2)).shape == (3, 2, 2, 2, 2)


def test_a_grid_of_one_cell_is_a_tent() -> None:
    place = ScaleShift(torch.ones(3), torch.tensor([1.0, 0.0, 0.0]))  # half a cell to the right
    assert read(torch.ones(1, 1, 1, 1), place, (1, 1, 1)).item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Affine(torch.zeros(3, 4)), "singular or not finite"),
        (Affine(torch.tensor([[1.0, 2, 3, 0], [2, 4, 6, 0], [0, 0, 1, 0]])), "singular"),
        (Affine(torch.full((3, 4), torch.nan)), "not finite"),
        (Affine(torch.cat([torch.eye(3), torch.full((3, 1), torch.inf)], 1)), "not finite"),
        (ScaleShift(torch.tensor([1.0, 0.0, 1.0]), torch.zeros(3)), "A scale is zero"),
        (ScaleShift(torch.ones(3), torch.tensor([0.0, torch.nan, 0.0])), "not finite"),
    ],
)
def test_what_cannot_be_inverted_cannot_be_written_to(place: Transform, message: str) -> None:
    with pytest.raises(TransformError, match=message):
        write(torch.ones(1, 2, 2, 2), place, (2, 2, 2))


@pytest.mark.parametrize("make", [lambda place: place, ScaleShift.to_affine])
def test_a_place_without_extent_can_be_read(make: Callable[[ScaleShift], Transform]) -> None:
    """It is one point, seen everywhere: here the corner at which eight cells meet."""
    canvas = random(1, 4, 4, 4)
    found = read(canvas, make(ScaleShift(torch.zeros(3), torch.zeros(3))), (2, 2, 2))
    torch.testing.assert_close(found, canvas[:, 1:3, 1:3, 1:3].mean().expand(1, 2, 2, 2))


@pytest.mark.parametrize("make", [lambda place: place, ScaleShift.to_affine])
def test_what_is_read_from_no_place_is_not_a_number(make: Callable[[ScaleShift], Transform]) -> None:
    """Zeros would be taken for an empty part of the canvas."""
    shift = torch.tensor([[0.0, 0, 0], [0, torch.nan, 0]])
    found = read(torch.ones(1, 4, 4, 4), make(ScaleShift(torch.ones(3), shift)), (2, 2, 2))
    assert found[0].isfinite().all() and found[1].isnan().all()


def test_a_small_but_proper_place_is_not_taken_for_a_singular_one() -> None:
    tiny = Affine(1e-4 * torch.eye(3, 4))
    torch.testing.assert_close(tiny.inverse().matrix, 1e4 * torch.eye(3, 4))


@pytest.mark.parametrize(
    ("values", "place", "size", "message"),
    [
        (torch.ones(1, 2, 2), Affine.identity(3), (2, 2, 2), "the grid must have shape"),
        (torch.ones(1, 2, 2), Affine.identity(2), (2, 2, 2), "size must be 2 numbers"),
        (torch.ones(1, 2, 2), Affine.identity(2), (2, 0), "at least one cell"),
        (torch.ones(1, 0, 2), Affine.identity(2), (2, 2), "a cell along each axis"),
        (torch.ones(2, 1, 2, 2), Affine(torch.eye(2, 3).expand(3, 2, 3)), (2, 2), "do not broadcast"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_so(
    values: Tensor, place: Transform, size: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        read(values, place, size)


def test_a_transform_has_two_or_three_dimensions() -> None:
    with pytest.raises(ShapeError, match=r"matrix must have shape"):
        Affine(torch.eye(4))
    with pytest.raises(ShapeError, match="scale must have shape"):
        ScaleShift(torch.ones(4), torch.zeros(3))


def test_the_canvas_and_the_place_share_a_device() -> None:
    with pytest.raises(DeviceError, match="grid on cpu, transform on meta"):
        read(torch.ones(1, 2, 2), Affine(torch.empty(2, 3, device="meta")), (2, 2))


def test_places_keep_their_digits_under_autocast() -> None:
    canvas, place = random(2, 1, 9, 8, 7).float(), random_scale_shift(2)
    there = ScaleShift(place.scale.float(), place.shift.float())
    exact = read(canvas, there, (5, 5, 5))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(read(canvas, there, (5, 5, 5)), exact)
        rounded = read(canvas.bfloat16(), there, (5, 5, 5))
    assert rounded.dtype == torch.bfloat16
    # Places in bfloat16 would be off by a tenth of a cell.
    assert (rounded - exact).abs().max() < 0.02 * exact.abs().max()
