"""The 100 models of Debian's assimp-testmodels (5.2.5) in formats that are read: made, refused, or without faces.

What must become of a file was decided by the description of its format. The faces and the longest side of those that
are made were counted by trimesh, or by hand where trimesh does not read them.
"""

import csv
import json
from pathlib import Path

import pytest

from render3d import Mesh, cli
from render3d.errors import MeshError
from render3d.scenes.files.meshes import READ
from tests.fuzz.readers import read_mesh

MODELS = Path("/usr/share/assimp/models")

pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason="Debian's assimp-testmodels is not installed: make testmodels"
)

_MODES = "glTF2/glTF-Asset-Generator/Mesh_PrimitiveMode/Mesh_PrimitiveMode_{:02d}.gltf"

# The number of faces, and the longest side of the bounding box.
MADE = {
    "OBJ/WusonOBJ.obj": (3732, 3.244),
    "OBJ/box.obj": (12, 1),
    "OBJ/box_UTF16BE.obj": (12, 1),
    "OBJ/box_longline.obj": (944, 1),  # most of them of the same corners, in lines that go on after a backslash
    "OBJ/box_mat_with_spaces.obj": (12, 1),
    "OBJ/box_without_lineending.obj": (12, 1),
    "OBJ/concave_polygon.obj": (64, 1.485),  # one of 66 corners
    "OBJ/cube_mtllib_after_g.obj": (12, 1),
    "OBJ/cube_usemtl.obj": (12, 1),
    "OBJ/cube_with_vertexcolors.obj": (12, 1),
    "OBJ/cube_with_vertexcolors_uni.obj": (12, 1),
    "OBJ/empty_mat.obj": (256, 3.802),
    "OBJ/multiple_spaces.obj": (1, 2),
    "OBJ/regr01.obj": (2710, 1636),
    "OBJ/regr_3429812.obj": (4, 0.008021),
    "OBJ/space_in_material_name.obj": (64, 1.485),
    "OBJ/spider.obj": (1368, 193.4),
    "OBJ/testmixed.obj": (12, 1),
    "OFF/Cube.off": (12, 1),
    "OFF/Wuson.off": (3732, 3.244),
    "PLY/Wuson.ply": (3732, 3.244),
    "PLY/cube.ply": (12, 1),
    "PLY/cube_binary.ply": (12, 1),
    "PLY/cube_uv.ply": (12, 2),
    "PLY/float-color.ply": (1, 200),
    "STL/3DSMaxExport.STL": (2000, 57.03),
    "STL/Spider_ascii.stl": (1368, 8),
    "STL/Spider_binary.stl": (1368, 8),
    "STL/Wuson.stl": (3732, 3.244),
    "STL/sphereWithHole.stl": (285, 3),
    "STL/triangle.stl": (1, 2),
    "STL/triangle_with_empty_solid.stl": (1, 2),
    "STL/triangle_with_two_solids.stl": (2, 4),
    "glTF2/2CylinderEngine-glTF-Binary/2CylinderEngine.glb": (121496, 743.4),
    "glTF2/BoxBadNormals-glTF-Binary/BoxBadNormals.glb": (12, 1),
    "glTF2/BoxTexcoords-glTF/boxTexcoords.gltf": (12, 2),
    "glTF2/BoxTextured-glTF/BoxTextured.gltf": (12, 1),
    "glTF2/BoxTextured-glTF-Binary/BoxTextured.glb": (12, 1),
    "glTF2/BoxTextured-glTF-Embedded/BoxTextured.gltf": (12, 1),
    "glTF2/BoxTextured-glTF-pbrSpecularGlossiness/BoxTextured.gltf": (12, 1),
    "glTF2/ClearCoat-glTF/ClearCoatTest.gltf": (37116, 13.1),
    "glTF2/IncorrectVertexArrays/Cube.gltf": (46, 7),  # of 36, 35, 36 and 35 corners, beside lines
    "glTF2/IndexOutOfRange/IndexOutOfRange.gltf": (11, 1),  # the twelfth is out of range
    "glTF2/cameras/Cameras.gltf": (2, 1),
    "glTF2/draco/2CylinderEngine.gltf": (110336, 743.4),
    **{_MODES.format(number): (2, 1) for number in (4, 5, 6, 11, 12, 13, 14, 15)},
    "glTF2/glTF-Sample-Models/AnimatedMorphCube-glTF/AnimatedMorphCube.gltf": (12, 2),
    "glTF2/issue_3269/texcoord_crash.gltf": (10, 2.4),
    "glTF2/simple_skin/simple_skin.gltf": (8, 2),
    "glTF2/textureTransform/TextureTransformTest.gltf": (24, 3.2),
    "glTF2/wrongTypes/badExtension.gltf": (12, 1),
    "glTF2/wrongTypes/badNumber.gltf": (12, 1),  # the scale of a normal map, which is not drawn
    "glTF2/wrongTypes/badObject.gltf": (12, 1),
    "glTF2/wrongTypes/badString.gltf": (12, 1),  # the name of a scene
    "glTF2/wrongTypes/badUint.gltf": (12, 1),
    "invalid/malformed2.obj": (10, 1),
}

# What must be told of those that are made although something in them is wrong, or is not drawn.
TOLD = {
    "OBJ/cube_mtllib_after_g.obj": "'cube_mtllib_after_g.mat', which is missing",
    "OBJ/cube_usemtl.obj": "'mtl3'",
    "glTF2/IncorrectVertexArrays/Cube.gltf": "35 corners, no multiple of 3",
    "glTF2/IndexOutOfRange/IndexOutOfRange.gltf": "1 of 12 faces are of vertices beyond its 24",
    "glTF2/issue_3269/texcoord_crash.gltf": "2 faces have a texture image but no texture coordinates",
    "glTF2/wrongTypes/badExtension.gltf": "KHR_texture_transform must be an object",
    "glTF2/wrongTypes/badObject.gltf": "pbrMetallicRoughness must be an object",
    "glTF2/wrongTypes/badUint.gltf": "baseColorTexture.index must be an integer of at least 0; got -1",
    "invalid/malformed2.obj": "fewer than three corners",
}

REFUSED = {
    "OBJ/number_formats.obj": "line 11: cannot read",  # 3.1+e2 is no number
    "OFF/invalid.off": "truncated or broken",  # a face of two corners that are not there
    "PLY/issue623.ply": "6 values where 7 are expected",  # without an element of faces, its list is of the vertices
    "PLY/pond.0.ply": "70048 of 70051 vertex rows",
    **{
        f"glTF/{name}": "only glTF 2.0 is read"
        for name in (
            "BoxTextured-glTF/BoxTextured.gltf",
            "BoxTextured-glTF-Embedded/BoxTextured.gltf",
            "BoxTextured-glTF-MaterialsCommon/BoxTextured.gltf",
            "CesiumMilkTruck/CesiumMilkTruck.gltf",
            "IncorrectVertexArrays/Cube_v1.gltf",
            "TwoBoxes/TwoBoxes.gltf",
        )
    },
    "glTF/BoxTextured-glTF-Binary/BoxTextured.glb": "GLB version 1",
    "glTF2/BoxTextured-glTF-techniqueWebGL/BoxTextured.gltf": "KHR_technique_webgl",  # which it requires
    "glTF2/BoxWithInfinites-glTF-Binary/BoxWithInfinites.glb": "vertices must be finite",
    "glTF2/IndexOutOfRange/AllIndicesOutOfRange.gltf": "all its faces are of vertices beyond its 24",
    "glTF2/MissingBin/BoxTextured.gltf": "'BoxTextured0.bin', which is missing",
    "glTF2/RecursiveNodes/RecursiveNodes.gltf": "among their own ancestors",
    "glTF2/SchemaFailures/sceneWrongType.gltf": "scene must be an integer",
    "glTF2/TestNoRootNode/NoScene.gltf": "there are 0 scenes",  # and the first is asked for
    "glTF2/wrongTypes/badArray.gltf": "primitives must be a list of objects",
    "invalid/OutOfMemory.off": "truncated or broken",  # 353535235358 vertices
    "invalid/empty.obj": "empty",
    "invalid/empty.off": "empty",
    "invalid/empty.ply": "empty",
    "invalid/malformed.obj": "faces must index 8 vertices",  # its faces name the vertices 12 and 0
}

# Valid, of points and lines.
WITHOUT_FACES = {
    **dict.fromkeys(("OBJ/point_cloud.obj", "OBJ/testline.obj", "OBJ/testpoints.obj", "PLY/points.ply"), "no faces"),
    **{_MODES.format(number): "no faces" for number in (0, 1, 2, 3, 7, 8, 9, 10)},
    "glTF2/TestNoRootNode/SceneWithoutNodes.gltf": "no faces",
}


def test_the_table_names_every_model() -> None:
    found = {path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*") if path.suffix.lower() in READ}
    assert found == {*MADE, *REFUSED, *WITHOUT_FACES}
    assert len(found) == len(MADE) + len(REFUSED) + len(WITHOUT_FACES) == 100


@pytest.mark.parametrize("name", MADE)
def test_a_model_is_made(name: str) -> None:
    """All of it is finite and in range, and drawn."""
    if "/draco/" in name:
        pytest.importorskip("DracoPy", reason="DracoPy is not installed: pip install render3d[draco]")
    values = read_mesh(MODELS / name)
    faces, longest = MADE[name]
    corners = values["corners"].reshape(-1, 3)
    assert len(values["faces"]) == faces
    assert (corners.max(0) - corners.min(0)).max() == pytest.approx(longest, rel=1e-3)
    assert values["drawn alpha"].any()


@pytest.mark.parametrize("name", TOLD)
def test_what_is_wrong_with_a_model_is_told(name: str) -> None:
    assert TOLD[name] in " ".join(Mesh.load(MODELS / name).problems)


@pytest.mark.parametrize(("name", "reason"), [*REFUSED.items(), *WITHOUT_FACES.items()])
def test_a_model_is_refused(name: str, reason: str) -> None:
    with pytest.raises(MeshError) as caught:
        Mesh.load(MODELS / name).check_values()
    assert reason in str(caught.value)


def test_one_run_of_views_tells_what_became_of_every_file(tmp_path: Path) -> None:
    pytest.importorskip("DracoPy", reason="DracoPy is not installed: pip install render3d[draco]")
    flags = ["--layout", "recursive", "--views", "1", "--size", "16", "--workers", "2", "--quiet"]
    assert cli.main(["views", str(MODELS), "--out", str(tmp_path / "out"), *flags]) == 0
    objects = (tmp_path / "out").rglob("object.json")
    made = {json.loads(path.read_bytes())["source"]["path"] for path in objects}
    failed, skipped = (_column(tmp_path / "out" / name) for name in ("failures.csv", "skipped.csv"))
    empty = {name for name, reason in REFUSED.items() if reason == "empty"}
    assert made == set(MADE)
    assert failed == {*REFUSED, *WITHOUT_FACES} - empty
    others = {path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*") if path.suffix.lower() not in READ}
    assert skipped - empty <= others and empty <= skipped
    assert {"Collada/COLLADA.dae", "FBX/box.fbx"} <= skipped


def _column(path: Path) -> set[str]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row.get("source") or row["path"]).removeprefix(f"{MODELS}/") for row in rows}
