"""Accessors: typed arrays in the bytes of buffer views (section 3.6.2 of the specification)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from render3d.errors import MeshError
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Floats, Integers

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
"""Components of an element, by the type of an accessor; the others are not of use here."""
_MOST_ZEROS = 1_000_000  # elements that no byte of the file stands for


def has_data(accessor: Entry) -> bool:
    """Whether any bytes stand for it; one without is all zeros."""
    return accessor.has("bufferView") or accessor.has("sparse")


def demand_data(accessor: Entry) -> None:
    """Raise `MeshError` for an accessor of zeros: positions at one point, or faces of one vertex, mean nothing."""
    if not has_data(accessor):
        raise MeshError(f"{accessor.where} has no data: neither a bufferView nor sparse values")


def stored(document: Document, accessor: Entry, *types: str) -> NDArray[Any]:
    """The components ``[count, size]`` as they are stored, sparse values put in.

    Args:
        document: The file.
        accessor: One of its accessors.
        types: Those that are expected, such as ``VEC3``.

    Raises:
        MeshError: Another type, or fewer bytes than it needs.
    """
    count, kind = accessor.integer("count"), accessor.text("type", "")
    if kind not in types:
        raise MeshError(f"{accessor.where}.type must be {' or '.join(types)}; got {kind[:20]!r}")
    shape = (count, SIZES[kind])
    if accessor.has("bufferView"):
        values = _elements(document, accessor, shape, _component(accessor))
    elif count > _MOST_ZEROS:
        raise MeshError(f"{accessor.where} has {count} elements without a bufferView, above the limit of {_MOST_ZEROS}")
    else:
        values = np.zeros(shape, _component(accessor))
    return _with_sparse(document, accessor, values) if accessor.has("sparse") else values


def decoded(document: Document, accessor: Entry, *types: str) -> Floats:
    """The values ``[count, size]`` of an accessor: integers that are normalized become fractions; see `stored`."""
    values = stored(document, accessor, *types)
    return fractions(values) if accessor.values.get("normalized") is True else values.astype(np.float64)


def fractions(values: NDArray[Any]) -> Floats:
    """Integers as fractions of their largest, those with a sign from -1; floats as they are (section 3.6.2.2)."""
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float64)
    result: Floats = np.maximum(values / np.float64(np.iinfo(values.dtype).max), -1.0)
    return result


def unsigned(document: Document, accessor: Entry, kind: str) -> Integers:
    """The integers ``[count, size]`` of an accessor that must have no sign: indices of vertices, or joints."""
    values = stored(document, accessor, kind)
    if values.dtype.kind != "u":
        raise MeshError(f"{accessor.where} must be of unsigned integers; got {values.dtype}")
    return values.astype(np.int64)


def _component(entry: Entry) -> np.dtype[Any]:
    code = entry.integer("componentType")
    if code not in _COMPONENTS:
        raise MeshError(f"{entry.where}.componentType must be one of {', '.join(map(str, _COMPONENTS))}; got {code}")
    return np.dtype(_COMPONENTS[code])


def _elements(document: Document, entry: Entry, shape: tuple[int, int], component: np.dtype[Any]) -> NDArray[Any]:
    """Elements that stand in a buffer view, interleaved with others or not."""
    index, start = entry.integer("bufferView"), entry.integer("byteOffset", 0)
    content, size = document.view(index), shape[1] * component.itemsize
    stride = document.item("bufferViews", index).integer("byteStride", 0) or size
    if stride < size:
        raise MeshError(f"bufferViews[{index}].byteStride, {stride}, is less than the {size} bytes of an element")
    if shape[0] and start + (shape[0] - 1) * stride + size > len(content):
        raise MeshError(
            f"{entry.where} has {shape[0]} elements, which go beyond the {len(content)} bytes of bufferViews[{index}]"
        )
    if not shape[0]:
        return np.zeros(shape, component)
    # The stride of a single element means nothing, and may be any number.
    return np.ndarray(shape, component, content, start, (min(stride, len(content)), component.itemsize))


def _with_sparse(document: Document, accessor: Entry, base: NDArray[Any]) -> NDArray[Any]:
    sparse = accessor.entry("sparse")
    count, indices = sparse.integer("count"), sparse.entry("indices")
    rows = _elements(document, indices, (count, 1), _component(indices))[:, 0]
    if rows.dtype.kind != "u" or (count and int(rows.max()) >= len(base)):
        raise MeshError(f"{indices.where} must be of unsigned integers below {len(base)}")
    values = base.copy()
    values[rows] = _elements(document, sparse.entry("values"), (count, base.shape[1]), base.dtype)
    return values
