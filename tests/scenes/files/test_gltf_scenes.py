"""glTF: nodes, instances, skins and morph targets, against what section 3 of the specification says of them."""

import math

import numpy as np
import pytest
import torch

from render3d.errors import MeshError
from tests.scenes.files.gltf_files import CORNERS, SQUARE, GltfFile

HALF = math.sqrt(0.5)
QUARTER_TURN = [0, 0, HALF, HALF]  # x, y, z, w: of 90 degrees round z, which takes x to y


def assert_vertices(mesh, expected):
    torch.testing.assert_close(mesh.vertices, torch.tensor(np.array(expected), dtype=torch.float32), atol=1e-6, rtol=0)


def test_a_node_scales_then_turns_then_moves_within_its_parent(load_gltf):
    file = GltfFile()
    file.header["nodes"] = [
        {"children": [1], "translation": [10, 0, 0], "rotation": QUARTER_TURN},
        {"mesh": 0, "scale": [2, 3, 1], "rotation": QUARTER_TURN, "translation": [0, 0, 5]},
    ]
    # (x, y) is scaled to (2x, 3y), turned twice to (-2x, -3y), and moved.
    expected = [[10 - 2 * x, -3 * y, 5] for x, y, _ in SQUARE]
    assert_vertices(load_gltf(file, file.square()), expected)


def test_matrices_are_stored_by_columns_and_mirrors_turn_faces_over(load_gltf):
    matrix = [0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 7, 8, 9, 1]  # x to 2y, y to x: a mirror
    file = GltfFile(nodes=[{"mesh": 0, "matrix": matrix}])
    mesh = load_gltf(file, file.square())
    assert_vertices(mesh, [[y + 7, 2 * x + 8, 9] for x, y, _ in SQUARE])
    assert mesh.face_normals().tolist() == [[0, 0, 1], [0, 0, 1]]


def test_a_thousand_nested_nodes(load_gltf):
    nodes = [{"children": [index + 1], "translation": [1, 0, 0]} for index in range(1000)]
    file = GltfFile(nodes=[*nodes, {"mesh": 0}])
    assert_vertices(load_gltf(file, file.square()), np.add(SQUARE, [1000, 0, 0]))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([{"mesh": 0, "children": [0]}], "nodes 0 are among their own ancestors"),
        ([{"mesh": 0}, {"children": [2]}, {"children": [1]}], "nodes 1, 2 are among their own ancestors"),
        ([{"children": [1, 2]}, {"children": [2]}, {"mesh": 0}], "node 2 is a child of nodes 0 and 1"),
        ([{"children": [7]}], r"nodes\[7\] is referred to; there are 1 nodes"),
        ([{"mesh": 0, "rotation": [0, 0, 0, 0]}], r"nodes\[0\].rotation must be a unit quaternion; got zeros"),
        ([{"mesh": 0, "scale": [1, 1]}], r"nodes\[0\].scale must be 3 finite numbers; got \[1, 1\]"),
        ([{"mesh": 0, "scale": [1, 1, 10**400]}], r"nodes\[0\].scale must be 3 finite numbers"),
    ],
)
def test_nodes_that_form_no_trees_or_have_no_place_are_errors(load_gltf, nodes, message):
    file = GltfFile(nodes=nodes)
    with pytest.raises(MeshError, match=rf"a\.glb: {message}"):
        load_gltf(file, file.square())


def test_only_the_scene_that_is_named_is_drawn(load_gltf):
    file = GltfFile(scene=1, scenes=[{"nodes": [0]}, {"nodes": [1]}])
    file.header["nodes"] = [{"mesh": 0, "scale": [9, 9, 9]}, {"mesh": 0}]
    mesh = load_gltf(file, file.square())
    assert_vertices(mesh, SQUARE)
    assert mesh.problems == ("It has 2 scenes; scenes[1] is read.",)


def test_files_without_scenes_or_without_nodes_are_drawn_whole(load_gltf):
    file = GltfFile(nodes=[{"children": [1]}, {"mesh": 0}])
    for key in ("scene", "scenes"):
        del file.header[key]
    assert_vertices(load_gltf(file, file.square()), SQUARE)
    del file.header["nodes"]
    mesh = load_gltf(file)
    assert_vertices(mesh, SQUARE)
    assert mesh.problems == ("No node places its meshes; they are drawn as they stand.",)


def test_nodes_that_are_made_invisible_are_not_drawn(load_gltf):
    hidden = {"KHR_node_visibility": {"visible": False}}
    file = GltfFile(
        scenes=[{"nodes": [0, 2]}], nodes=[{"children": [1], "extensions": hidden}, {"mesh": 0}, {"mesh": 0}]
    )
    assert_vertices(load_gltf(file, file.square()), SQUARE)


def instanced(**attributes):
    file = GltfFile()
    numbers = {name: file.accessor(values, dtype) for name, (values, dtype) in attributes.items()}
    extensions = {"EXT_mesh_gpu_instancing": {"attributes": numbers}}
    file.header["nodes"] = [{"mesh": 0, "translation": [0, 0, 1], "extensions": extensions}]
    return file


def test_instances_stand_each_in_its_place_within_that_of_the_node(load_gltf):
    turns = np.round(np.array([[0, 0, 0, 1], QUARTER_TURN, [0, 0, 0, 1]]) * 127)
    file = instanced(
        TRANSLATION=([[5, 0, 0], [0, 5, 0], [0, 0, 5]], "float32"),
        ROTATION=(turns, "int8"),
        SCALE=([[1, 1, 1], [2, 2, 2], [-1, 1, 1]], "float32"),
    )
    mesh = load_gltf(file, file.square())
    first = [[x + 5, y, 1] for x, y, _ in SQUARE]
    second = [[-2 * y, 2 * x + 5, 1] for x, y, _ in SQUARE]
    third = [[-x, y, 6] for x, y, _ in SQUARE]
    assert_vertices(mesh, [*first, *second, *third])
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7], [10, 9, 8], [11, 10, 8]]
    assert mesh.face_normals()[:, 2].tolist() == [1] * 6


def test_instances_that_disagree_on_their_number_are_listed(load_gltf):
    file = instanced(TRANSLATION=([[5, 0, 0]] * 2, "float32"), SCALE=([[1, 1, 1]], "float32"))
    file.header["nodes"].append({"mesh": 0})
    file.header["scenes"] = [{"nodes": [0, 1]}]
    mesh = load_gltf(file, file.square())
    assert_vertices(mesh, SQUARE)
    assert mesh.problems[0].startswith("nodes[0] is left out: ")
    assert "equally many of each of its attributes; got [1, 2]" in mesh.problems[0]


def test_instances_without_a_rotation_that_is_one_are_listed(load_gltf):
    with pytest.raises(MeshError, match=r"nodes\[0\] is left out: .*ROTATION must be unit quaternions; got zeros"):
        file = instanced(ROTATION=([QUARTER_TURN, [0, 0, 0, 0]], "float32"))
        load_gltf(file, file.square())


def test_a_small_file_cannot_place_a_mesh_any_number_of_times(load_gltf):
    file = instanced(TRANSLATION=([[5, 0, 0]], "float32"))
    file.header["accessors"][0] |= {"bufferView": None, "count": 1_000_000}
    many = file.accessor(np.zeros((300, 3)))
    with pytest.raises(MeshError, match="the scene would have more than 200,000,000 vertices and faces"):
        load_gltf(file, {"attributes": {"POSITION": many}})


def skinned(joints, weights, inverse=None, **node):
    """The square, whose mesh's node moves it far away, and two joints, within one another."""
    file = GltfFile(scenes=[{"nodes": [0, 1]}])
    skin = {"joints": [1, 2]}
    if inverse is not None:
        skin["inverseBindMatrices"] = file.accessor(np.array(inverse).transpose(0, 2, 1).reshape(2, 16), type="MAT4")
    file.header |= {
        "skins": [skin],
        "nodes": [
            {"mesh": 0, "skin": 0, "translation": [100, 0, 0], **node},
            {"children": [2], "translation": [0, 2, 0]},
            {"translation": [0, 0, 4], "rotation": QUARTER_TURN},
        ],
    }
    attributes = {}
    for number, (joint, weight) in enumerate(zip(joints, weights, strict=True)):
        attributes |= {f"JOINTS_{number}": file.accessor(joint, "uint8")}
        attributes |= {f"WEIGHTS_{number}": file.accessor(*weight)}
    return file, file.square(attributes=attributes)


FIRST, SECOND, NONE = [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]


def test_skins_follow_their_joints_and_not_the_node_of_the_mesh(load_gltf):
    weights = np.array([FIRST, SECOND, SECOND, [0.5, 0.5, 0, 0]])
    file, square = skinned([[[0, 1, 0, 0]] * 4], [(weights, "float32")])
    # Joint 0 moves by (0, 2, 0); joint 1 turns x to y, y to -x, and moves by (0, 2, 4); the last vertex is halfway.
    assert_vertices(load_gltf(file, square), [[0, 2, 0], [0, 3, 4], [-1, 3, 4], [-0.5, 2.5, 2]])


def test_inverse_bind_matrices_come_first(load_gltf):
    inverse = np.tile(np.eye(4), (2, 1, 1))
    inverse[0, :3, 3], inverse[1, :3, 3] = [0, -2, 0], [1, 1, 1]
    file, square = skinned([[[0, 1, 0, 0]] * 4], [([FIRST, SECOND, SECOND, FIRST], "float32")], inverse)
    # Joint 1: (x, y, z) + (1, 1, 1), then turned, then moved by (0, 2, 4).
    assert_vertices(load_gltf(file, square), [[0, 0, 0], [-1, 4, 5], [-2, 4, 5], [0, 1, 0]])


def test_weights_are_fractions_of_several_sets_made_to_sum_to_one(load_gltf):
    """Section 3.7.3.3; the second vertex has none, and its first joint moves it."""
    first = ([[255, 0, 0, 0], NONE, [0, 0, 0, 0], [51, 0, 0, 0]], "uint8")
    second = ([NONE, NONE, [0.25, 0, 0, 0], [0.2, 0, 0, 0]], "float32")
    file, square = skinned([[[0, 9, 9, 9]] * 4, [[1, 9, 9, 9]] * 4], [first, second])
    assert_vertices(load_gltf(file, square), [[0, 2, 0], [1, 2, 0], [-1, 3, 4], [-0.5, 2.5, 2]])


def test_joints_that_mirror_turn_faces_over(load_gltf):
    file, square = skinned([[[0, 0, 0, 0]] * 4], [([FIRST] * 4, "float32")])
    file.header["nodes"][1]["scale"] = [-1, 1, 1]
    mesh = load_gltf(file, square)
    assert_vertices(mesh, [[-x, y + 2, 0] for x, y, _ in SQUARE])
    assert mesh.face_normals().tolist() == [[0, 0, 1], [0, 0, 1]]


def test_joints_that_are_not_there_leave_the_mesh_out(load_gltf):
    file, square = skinned([[[0, 0, 5, 0]] * 4], [([[0.5, 0, 0.5, 0]] * 4, "float32")])
    with pytest.raises(MeshError, match="is left out: its vertices are moved by joint 5 of a skin of 2"):
        load_gltf(file, square)
    file, square = skinned([[[0, 0, 0, 0]] * 4], [([FIRST] * 4, "float32")], np.tile(np.eye(4), (2, 1, 1)))
    file.header["accessors"][0]["count"] = 1
    with pytest.raises(MeshError, match=r"nodes\[0\] is left out: skins\[0\] has 2 joints and 1 inverse bind matrices"):
        load_gltf(file, square)


@pytest.mark.parametrize(
    ("of_mesh", "of_node", "expected"), [(None, None, 0), ([0.5, 1], None, 0.5), ([0.5, 1], [2, 1], 2), ([1], None, 1)]
)
def test_morph_targets_move_vertices_by_the_weights_of_the_node_or_else_of_the_mesh(
    load_gltf, of_mesh, of_node, expected
):
    """The first target moves x, and colours; the second is of zeros without bytes."""
    file = GltfFile(nodes=[{"mesh": 0}])
    move, colors = file.accessor([[1, 0, 0]] * 4), file.accessor([[0.25, 0.5, 0]] * 4)
    nothing = file.accessor_of(np.zeros(1, np.float32), count=4, type="VEC3")
    base = file.accessor([[0.25, 0.25, 0.25]] * 4)
    targets = [{"POSITION": move, "COLOR_0": colors}, {"POSITION": nothing}]
    file.header["meshes"] = [{"primitives": [file.square(attributes={"COLOR_0": base}, targets=targets)]}]
    if of_mesh is not None:
        file.header["meshes"][0]["weights"] = of_mesh
    if of_node is not None:
        file.header["nodes"][0]["weights"] = of_node
    mesh = load_gltf(file)
    assert_vertices(mesh, np.add(SQUARE, [expected, 0, 0]))
    color = torch.tensor([0.25 + expected / 4, min(1, 0.25 + expected / 2), 0.25])  # clamped to 1
    torch.testing.assert_close(mesh.colors, color.expand(4, 3))


def test_sparse_morph_targets_that_are_quantised(load_gltf):
    """As gltfpack writes them: normalized integers, most of them zero."""
    file = GltfFile()
    rows = file.view(np.array([2], dtype=np.uint8).tobytes())
    values = file.view(np.array([[32767, -32767, 0]], dtype=np.int16).tobytes())
    parts = {"indices": {"bufferView": rows, "componentType": 5121}, "values": {"bufferView": values}}
    target = file.accessor_of(
        np.zeros(1, np.int16), count=4, type="VEC3", normalized=True, sparse={"count": 1, **parts}
    )
    file.header["meshes"] = [{"primitives": [file.square(targets=[{"POSITION": target}])], "weights": [3]}]
    assert_vertices(load_gltf(file), [[0, 0, 0], [1, 0, 0], [4, -2, 0], [0, 1, 0]])


def test_morph_targets_of_other_lengths_leave_the_primitive_out(load_gltf):
    file = GltfFile(nodes=[{"mesh": 0, "weights": [1]}])
    targets = [{"POSITION": file.accessor([[1, 0, 0]] * 3)}]
    with pytest.raises(MeshError, match=r"targets\[0\]\.POSITION must be as POSITION, \(4, 3\); got \(3, 3\)"):
        load_gltf(file, file.square(targets=targets))


def test_draco(load_gltf, monkeypatch):
    """What DracoPy packs is unpacked; without it, the plain copy is read, or the extra is named."""
    library = pytest.importorskip("DracoPy")
    packed = library.encode(
        np.array(SQUARE, dtype=np.float32),
        np.array(CORNERS, dtype=np.uint32).reshape(-1, 3),
        preserve_order=True,
        colors=np.array([[255, 51, 0]] * 4, dtype=np.uint8),
    )
    held = library.decode(packed).attributes
    names = {each["attribute_type"]: each["unique_id"] for each in held}
    file = GltfFile(extensionsUsed=["KHR_draco_mesh_compression"], extensionsRequired=["KHR_draco_mesh_compression"])
    color = file.accessor_of(np.zeros(1, np.uint8), count=4, type="VEC3", normalized=True)
    square = file.square(attributes={"COLOR_0": color})
    compressed = {"bufferView": file.view(packed), "attributes": {"POSITION": names[0], "COLOR_0": names[2]}}
    square["extensions"] = {"KHR_draco_mesh_compression": compressed}
    copy = [file.header["accessors"][square["attributes"]["POSITION"]], file.header["accessors"][square["indices"]]]
    views = [accessor.pop("bufferView") for accessor in copy]
    mesh = load_gltf(file, square)
    torch.testing.assert_close(mesh.vertices, torch.tensor(SQUARE, dtype=torch.float32), atol=1e-3, rtol=0)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    torch.testing.assert_close(mesh.colors, torch.tensor([[1.0, 0.2, 0]]).expand(4, 3))
    compressed["attributes"]["TEXCOORD_0"] = names[2]
    square["attributes"]["TEXCOORD_0"] = file.accessor(np.zeros((4, 2)))
    material = file.add("materials", pbrMetallicRoughness={"baseColorTexture": {"index": 0}})
    file.header["textures"] = [{"source": file.image([[[0, 0, 0]]])}]
    (problem, *_) = load_gltf(file, square | {"material": material}).problems
    assert problem.endswith("TEXCOORD_0 must be VEC2; its Draco buffer has shape (4, 3).")
    compressed["attributes"]["POSITION"] = 77
    with pytest.raises(MeshError, match="its Draco buffer has no attribute 77"):
        load_gltf(file, square)
    file.content[file.header["bufferViews"][compressed["bufferView"]]["byteOffset"]] ^= 1
    with pytest.raises(MeshError, match=r"its Draco buffer cannot be decoded \(FileTypeException"):
        load_gltf(file, square)
    for accessor, view in zip(copy, views, strict=True):
        accessor["bufferView"] = view
    del square["attributes"]["COLOR_0"]
    assert_vertices(load_gltf(file, square), SQUARE)  # the plain copy


def test_draco_that_is_not_installed_names_the_extra(load_gltf, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "DracoPy", None)
    file = GltfFile(extensionsUsed=["KHR_draco_mesh_compression"])
    square = file.square(extensions={"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}})
    assert_vertices(load_gltf(file, square), SQUARE)
    for accessor in file.header["accessors"]:
        del accessor["bufferView"]
    with pytest.raises(MeshError, match=r"compressed by Draco.*DracoPy.*(pip install 'render3d\[draco\]'|Install it)"):
        load_gltf(file, square)


def test_meshopt_is_read_where_a_plain_copy_is_there_and_refused_by_name_elsewhere(load_gltf):
    file = GltfFile(extensionsRequired=["EXT_meshopt_compression"])
    square = file.square()
    compressed = {"buffer": 0, "byteLength": 8, "byteStride": 12, "count": 4, "mode": "ATTRIBUTES"}
    file.header["bufferViews"][0]["extensions"] = {"EXT_meshopt_compression": compressed}
    assert_vertices(load_gltf(file, square), SQUARE)
    file.header["buffers"] = [
        {"byteLength": len(file.content)},
        {"byteLength": 48, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]
    file.header["bufferViews"][0]["buffer"] = 1
    with pytest.raises(
        MeshError, match=r"bufferViews\[0\] is compressed by meshopt .*cannot be read. Export it without"
    ):
        load_gltf(file, square)
