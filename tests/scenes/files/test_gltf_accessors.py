"""glTF: accessors, primitives and containers, against what section 3 of the specification says of them."""

import base64
import json
import struct

import numpy as np
import pytest
import torch

from render3d import Mesh
from render3d.errors import MeshError
from tests.scenes.files.gltf_files import CORNERS, SQUARE, GltfFile


def assert_square(mesh, vertices=SQUARE):
    torch.testing.assert_close(mesh.vertices, torch.tensor(vertices, dtype=torch.float32))
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_positions_and_indices_that_are_interleaved_with_others_and_offset(load_gltf):
    file = GltfFile()
    rows = np.zeros((5, 8), dtype=np.float32)  # 4 floats that are not read, 3 of positions, 1 that is not read
    rows[1:, 4:7] = SQUARE
    view = file.view(rows.tobytes(), byteStride=32)
    position = file.accessor_of(rows, bufferView=view, byteOffset=48, count=4, type="VEC3")
    assert_square(load_gltf(file, {"attributes": {"POSITION": position}, "indices": file.accessor(CORNERS, "uint8")}))


def sparse(values, rows, dtype="uint16"):
    file = GltfFile()
    indices = file.view(np.array(rows, dtype=dtype).tobytes())
    of_values = file.view(np.array(values, dtype=np.float32).tobytes())
    code = {"uint8": 5121, "uint16": 5123, "uint32": 5125}[dtype]
    parts = {"indices": {"bufferView": indices, "componentType": code}, "values": {"bufferView": of_values}}
    return file, {"count": len(rows), **parts}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_sparse_values_replace_those_of_the_base(load_gltf, dtype):
    file, changes = sparse([[0, 5, 0], [7, 1, 2]], [0, 2], dtype)
    position = file.accessor(SQUARE, sparse=changes)
    expected = [[0, 5, 0], [1, 0, 0], [7, 1, 2], [0, 1, 0]]
    assert_square(
        load_gltf(file, {"attributes": {"POSITION": position}, "indices": file.accessor(CORNERS, "uint16")}), expected
    )


def test_sparse_values_without_a_base_stand_among_zeros(load_gltf):
    file, changes = sparse(SQUARE[1:], [1, 2, 3])
    position = file.accessor_of(np.zeros(1, np.float32), count=4, type="VEC3", sparse=changes)
    assert_square(load_gltf(file, {"attributes": {"POSITION": position}, "indices": file.accessor(CORNERS, "uint32")}))


def test_sparse_values_beyond_the_accessor_are_an_error(load_gltf):
    file, changes = sparse([[0, 5, 0]], [4])
    primitive = {"attributes": {"POSITION": file.accessor(SQUARE, sparse=changes)}}
    with pytest.raises(MeshError, match=r"accessors\[0\]\.sparse\.indices must be of unsigned integers below 4"):
        load_gltf(file, primitive)


@pytest.mark.parametrize(
    ("dtype", "stored", "expected"),
    [
        ("int8", [-128, -127, 0, 127], [-1, -1, 0, 1]),
        ("uint8", [0, 51, 102, 255], [0, 0.2, 0.4, 1]),
        ("int16", [-32768, -32767, 0, 32767], [-1, -1, 0, 1]),
        ("uint16", [0, 13107, 26214, 65535], [0, 0.2, 0.4, 1]),
    ],
)
def test_normalized_integers_are_fractions_for_every_attribute(load_gltf, dtype, stored, expected):
    """Section 3.6.2.2; KHR_mesh_quantization has them for positions."""
    file = GltfFile(extensionsRequired=["KHR_mesh_quantization"])
    numbers = np.array(stored, dtype=dtype)
    rows = np.zeros((4, 4), dtype=dtype)
    rows[:, 0], rows[1:3, 1] = numbers, np.iinfo(dtype).max
    view = file.view(rows.tobytes(), byteStride=rows.strides[0])
    attribute = file.accessor_of(rows, bufferView=view, count=4, type="VEC3", normalized=True)
    uv = file.accessor_of(rows, bufferView=view, count=4, type="VEC2", normalized=True)
    mesh = load_gltf(file, file.square(attributes={"POSITION": attribute, "COLOR_0": attribute}))
    torch.testing.assert_close(mesh.vertices[:, 0], torch.tensor(expected, dtype=torch.float32))
    torch.testing.assert_close(mesh.colors, mesh.vertices.clamp(min=0))  # no colour is below 0
    file.header["textures"], image = [{"source": 0}], file.image(np.zeros((2, 2, 3)))
    material = file.add("materials", pbrMetallicRoughness={"baseColorTexture": {"index": 0}})
    mesh = load_gltf(file, file.square(attributes={"TEXCOORD_0": uv}, material=material))
    torch.testing.assert_close(mesh.texture.uv[:, 0], torch.tensor(expected, dtype=torch.float32))
    assert image == 0


def test_integers_that_are_not_normalized_are_as_they_stand(load_gltf):
    file = GltfFile(nodes=[{"mesh": 0, "scale": [0.5, 0.5, 1]}])
    mesh = load_gltf(file, file.square(attributes={"POSITION": file.accessor(2 * np.array(SQUARE), "uint16")}))
    assert_square(mesh)


def test_colours_of_integers_are_fractions_also_where_the_file_forgets_to_say_so(load_gltf):
    file = GltfFile()
    color = file.accessor([[255, 0, 51, 255]] * 4, "uint8")
    mesh = load_gltf(file, file.square(attributes={"COLOR_0": color}))
    torch.testing.assert_close(mesh.colors, torch.tensor([[1.0, 0, 0.2]]).expand(4, 3))


STRIP = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0]]


@pytest.mark.parametrize(
    ("mode", "corners", "expected"),
    [
        (5, None, [[0, 1, 2], [1, 3, 2], [2, 3, 4]]),
        (5, [4, 3, 2, 1, 0], [[4, 3, 2], [3, 1, 2], [2, 1, 0]]),
        (5, [0, 1, 2, 2, 3, 3, 4, 2], [[0, 1, 2], [3, 2, 4]]),  # stitched by triangles of two corners
        (6, None, [[1, 2, 0], [2, 3, 0], [3, 4, 0]]),
        (6, [1, 3, 2, 0], [[3, 2, 1], [2, 0, 1]]),
        (4, [0, 1, 2, 3, 2, 1], [[0, 1, 2], [3, 2, 1]]),
    ],
)
def test_strips_and_fans(load_gltf, mode, corners, expected):
    """Section 3.7.2.1: p_i = (v_i, v_{i + 1 + i%2}, v_{i + 2 - i%2}), and (v_{i + 1}, v_{i + 2}, v_0)."""
    file = GltfFile()
    primitive = {"mode": mode, "attributes": {"POSITION": file.accessor(STRIP)}}
    if corners is not None:
        primitive["indices"] = file.accessor(corners, "uint16")
    mesh = load_gltf(file, primitive)
    assert mesh.faces.tolist() == expected
    assert mesh.problems == ()


def test_triangles_without_indices_and_corners_that_are_left_over(load_gltf):
    file = GltfFile()
    mesh = load_gltf(file, {"attributes": {"POSITION": file.accessor(STRIP)}})
    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert mesh.problems == ("meshes[0].primitives[0] has 5 corners, no multiple of 3; the last ones are left out.",)


@pytest.mark.parametrize(("mode", "name"), [(0, "points"), (1, "lines"), (2, "a line loop"), (3, "a line strip")])
def test_points_and_lines_beside_triangles_are_left_out_and_listed(load_gltf, mode, name):
    file = GltfFile()
    mesh = load_gltf(file, file.square(mode=mode), file.square(), file.square(mode=mode))
    assert_square(mesh)
    assert mesh.problems == (f"meshes[0].primitives[0] and 1 more are left out: it is of {name}, without faces.",)
    with pytest.raises(MeshError, match=rf"a\.glb: .*of {name}, without faces. There are no faces that can be drawn"):
        load_gltf(file, file.square(mode=mode))


def test_faces_of_vertices_that_are_not_there_are_left_out_and_listed(load_gltf):
    """In the joined mesh, vertex 4 of the first square would be the first of the second."""
    file = GltfFile()
    wrong = file.square(indices=file.accessor([0, 1, 2, 0, 2, 4], "uint16"))
    mesh = load_gltf(file, wrong, file.square(attributes={"POSITION": file.accessor(SQUARE)}))
    assert mesh.faces.tolist() == [[0, 1, 2], [4, 5, 6], [4, 6, 7]]
    assert mesh.problems == ("meshes[0].primitives[0]: 1 of 2 faces are of vertices beyond its 4; left out.",)
    with pytest.raises(MeshError, match="all its faces are of vertices beyond its 4"):
        load_gltf(file, file.square(indices=file.accessor([4, 5, 6], "uint16")))


def test_primitives_of_the_same_vertices_keep_those_that_they_use(load_gltf):
    file = GltfFile()
    position, color = file.accessor(SQUARE), file.accessor(np.array(SQUARE) / 2)
    attributes = {"POSITION": position, "COLOR_0": color}
    first, second = (file.accessor(corners, "uint16") for corners in ([0, 1, 2], [3, 0, 2]))
    mesh = load_gltf(file, *({"attributes": attributes, "indices": each} for each in (first, second)))
    assert mesh.vertices.tolist() == [SQUARE[0], SQUARE[1], SQUARE[2], SQUARE[0], SQUARE[2], SQUARE[3]]
    assert mesh.faces.tolist() == [[0, 1, 2], [5, 3, 4]]
    torch.testing.assert_close(mesh.colors, mesh.vertices / 2)


BROKEN = {
    "a count beyond the view": (("accessors", 0, "count", 5), "has 5 elements, which go beyond the 48 bytes"),
    "an offset beyond the view": (("accessors", 0, "byteOffset", 8), "has 4 elements, which go beyond the 48 bytes"),
    "a view beyond the buffer": (("bufferViews", 0, "byteLength", 4000), "ends at byte 4000 of a buffer of 60 bytes"),
    "a negative offset": (("accessors", 0, "byteOffset", -4), "byteOffset must be an integer of at least 0; got -4"),
    "a count that is no integer": (("accessors", 0, "count", "4"), "count must be an integer of at least 0; got '4'"),
    "a stride below an element": (("bufferViews", 0, "byteStride", 8), "byteStride, 8, is less than the 12 bytes"),
    "an unknown component": (("accessors", 0, "componentType", 5124), "must be one of 5120, .*; got 5124"),
    "another type": (("accessors", 0, "type", "VEC2"), r"accessors\[0\].type must be VEC3; got 'VEC2'"),
    "indices with a sign": (("accessors", 1, "componentType", 5122), "must be of unsigned integers; got int16"),
    "a view that is not there": (("accessors", 0, "bufferView", 9), r"bufferViews\[9\] is referred to; there are 2"),
    "a buffer that is not there": (("bufferViews", 0, "buffer", 9), r"buffers\[9\] is referred to; there are 1"),
    "positions without data": (("accessors", 0, "bufferView", None), r"accessors\[0\] has no data"),
    "indices without data": (("accessors", 1, "bufferView", None), r"accessors\[1\] has no data"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_primitive_that_is_broken_is_listed_and_the_rest_of_the_file_loads(load_gltf, case):
    (kind, index, key, value), message = BROKEN[case]
    file = GltfFile()
    broken = file.square()
    file.header[kind][index][key] = value
    with pytest.raises(MeshError, match=rf"a\.glb: meshes\[0\]\.primitives\[0\] is left out: .*{message}"):
        load_gltf(file, broken)
    mesh = load_gltf(file, file.square(), broken)
    assert_square(mesh)
    (problem,) = mesh.problems
    assert problem.startswith("meshes[0].primitives[1] is left out: ")


def test_a_primitive_without_positions_is_listed(load_gltf):
    file = GltfFile()
    mesh = load_gltf(file, file.square(), {"attributes": {}})
    assert_square(mesh)
    assert mesh.problems == ("meshes[0].primitives[1] is left out: it has no POSITION.",)


def test_attributes_of_a_wrong_type_leave_out_their_primitive_alone(load_gltf):
    file = GltfFile()
    mesh = load_gltf(file, file.square(), {"attributes": "x"})
    assert_square(mesh)
    assert mesh.problems == (
        "meshes[0].primitives[1] is left out: meshes[0].primitives[1].attributes must be an object; got 'x'.",
    )


def test_the_stride_of_a_single_element_may_be_anything(load_gltf):
    file, changes = sparse([[0, 5, 0]], [1])
    file.header["bufferViews"][1]["byteStride"] = 10**30
    mesh = load_gltf(file, {"attributes": {"POSITION": file.accessor(SQUARE, sparse=changes)}})
    assert mesh.vertices.tolist() == [SQUARE[0], [0, 5, 0], SQUARE[2], SQUARE[3]]


def test_zeros_without_bytes_are_bounded(load_gltf):
    file = GltfFile()
    _, changes = sparse(SQUARE, [0, 1, 2, 3])
    primitive = file.square()
    file.header["accessors"][0] |= {"bufferView": None, "sparse": changes, "count": 10**12}
    with pytest.raises(MeshError, match=r"has 1000000000000 elements without a bufferView, above the limit"):
        load_gltf(file, primitive)


def test_attributes_of_other_lengths_are_left_out_and_listed(load_gltf):
    file = GltfFile()
    mesh = load_gltf(file, file.square(attributes={"COLOR_0": file.accessor(np.ones((3, 3)))}))
    assert_square(mesh)
    assert mesh.colors is None
    assert mesh.problems == (
        "meshes[0].primitives[0].attributes.COLOR_0 is left out: COLOR_0 has 3 rows for 4 vertices.",
    )


@pytest.mark.parametrize("uri", ["data:application/octet-stream;base64,", "data:,", "a b.bin", "a%20b.bin"])
def test_buffers_stand_in_data_uris_or_beside(tmp_path, uri):
    file = GltfFile()
    file.header["meshes"] = [{"primitives": [file.square()]}]
    content = bytes(file.content)
    if uri.startswith("data:"):
        uri += base64.b64encode(content).decode() if "base64" in uri else "".join(f"%{byte:02x}" for byte in content)
    else:
        (tmp_path / "a b.bin").write_bytes(content)
    file.header["buffers"] = [{"byteLength": len(content), "uri": uri}]
    (tmp_path / "a.gltf").write_bytes(b"\xef\xbb\xbf" + json.dumps(file.header).encode())
    assert_square(Mesh.load(tmp_path / "a.gltf"))


def test_base64_that_is_broken_is_an_error(load_gltf):
    file = GltfFile(buffers=[{"byteLength": 60, "uri": "data:;base64,AAAAA"}])
    with pytest.raises(MeshError, match="the data URI 'data:;base64,AAAAA' is no base64"):
        load_gltf(file, file.square())


def test_a_glb_with_chunks_of_other_types_and_bytes_after_its_end(tmp_path):
    file = GltfFile()
    file.header["meshes"] = [{"primitives": [file.square()]}]
    content = file.save(tmp_path / "a.glb").read_bytes()
    more = content + struct.pack("<II", 4, 0x12345678) + b"more"
    (tmp_path / "a.glb").write_bytes(more[:8] + struct.pack("<I", len(more)) + more[12:] + b"after")
    assert_square(Mesh.load(tmp_path / "a.glb"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack("<4sII", b"glTF", 1, 20) + bytes(8), "it is GLB version 1; only version 2 is read. Convert it"),
        (struct.pack("<4sIIII", b"glTF", 2, 20, 99, 0x4E4F534A), "a chunk of 99 bytes goes beyond its end"),
        (struct.pack("<4sIIII", b"glTF", 2, 20, 0, 0x004E4942), "a GLB without JSON"),
        (b"glTF", "truncated: 4 bytes"),
        (b'{"asset": {"version": "1.0"}, "meshes": {}}', "it is glTF 1.0; only glTF 2.0 is read. Convert it"),
        (b'{"asset": {"version": 1}}', "it is glTF 1; only"),
        (b"[]", "its JSON is no object"),
        (b"[" * 100_000, "no glTF file"),
        (b'{"scene": 1' + b"0" * 5000 + b"}", "no glTF file"),
        (b'{"nodes": [{"scale": [NaN, 1, 1]}]}', "no glTF file, truncated or broken: NaN is no JSON"),
        (b'{"asset": {"version": "2.0"}, "scene": "x"}', "scene must be an integer of at least 0; got 'x'"),
        (b'{"asset": {"version": "2.0"}, "scenes": [{}]}', "its scene places no meshes. There are no faces"),
    ],
)  # fmt: skip
def test_containers_that_are_no_gltf_are_errors_of_our_own(tmp_path, content, message):
    (tmp_path / "a.glb").write_bytes(content)
    with pytest.raises(MeshError, match=rf"a\.glb: .*{message}"):
        Mesh.load(tmp_path / "a.glb")
