"""Linear least squares where only the products with the matrix are at hand."""

from collections.abc import Callable, Iterator

from torch import Tensor

Product = Callable[[Tensor], Tensor]


def conjugate_gradients(
    times: Product, transposed_times: Product, target: Tensor, start: Tensor, scale: Tensor, updates: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Minimise ``|A x - b|^2`` by conjugate gradients on the normal equations, which are never formed.

    This is CGLS (Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952; Björck,
    "Numerical methods for least squares problems", 1996, algorithm 7.4.1) in the variable ``x / scale``. What the
    target says nothing of keeps its start.

    Args:
        times: ``A x`` of an ``x``.
        transposed_times: ``A^T r`` of an ``r``.
        target: b.
        start: The first x.
        scale: Of the shape of x, zero or positive: a diagonal preconditioner. Zero keeps an element as it is.
        updates: At most; fewer where the minimum is found.

    Yields:
        x and ``A x - b``, before the first update and after each.
    """
    x, residual = start, target - times(start)
    gradient = direction = scale * transposed_times(residual)
    size = gradient.square().sum()
    yield x, -residual
    for _ in range(updates):
        image = times(scale * direction)
        stretch = image.square().sum()
        if float(stretch) == 0:
            return
        length = size / stretch
        x, residual = x + length * scale * direction, residual - length * image
        gradient = scale * transposed_times(residual)
        before, size = size, gradient.square().sum()
        direction = gradient + (size / before) * direction
        yield x, -residual
