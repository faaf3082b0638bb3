"""What inputs are made of: small valid files of every kind, each with the values it must be read as."""

import base64
import io
import json
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from render3d import Cameras
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.formats.shards import Shards
from render3d.datasets.view_sets.write.store import put
from tests.fuzz.mutations import Files
from tests.fuzz.readers import RECORDS, TENSORS, checkpoint_at
from tests.scenes.files.gltf_files import GltfFile
from tests.view_sets import trees


class Seed(NamedTuple):
    """A valid input.

    Attributes:
        reader: A name of `tests.fuzz.readers.READERS`.
        files: By their path in a folder.
        target: The file that is read; empty for the folder.
        known: What the reader must return of the files as they are, by name; it may return more.
    """

    reader: str
    files: Files
    target: str
    known: Mapping[str, Any]


SQUARE = [[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]]
TRIANGLES = [[0, 1, 2], [0, 2, 3]]
# Colours that are the same in sRGB, in linear light and as bytes.
COLORS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
PIXELS = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]
CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]]
_UV = [[CORNERS[corner] for corner in triangle] for triangle in TRIANGLES]
_SHAPE: dict[str, Any] = {"vertices": SQUARE, "faces": TRIANGLES}
_IMAGE: dict[str, Any] = {"image": np.divide(PIXELS, 255), "uv": _UV}


def seeds() -> list[Seed]:
    """All of them."""
    return [
        *_obj_seeds(), *_off_seeds(), *_ply_seeds(), *_stl_seeds(), *_gltf_seeds(), *_image_seeds(), *_view_seeds(),
        *_shard_seeds(), *_archive_seeds(), *_run_seeds(), *_volume_seeds(),
    ]  # fmt: skip


def image_file(pixels: ArrayLike, file_format: str = "PNG", **options: Any) -> bytes:
    """An image of 8 bits."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, format=file_format, **options)
    return stream.getvalue()


def _rows(rows: ArrayLike, before: str = "") -> str:
    return "".join(f"{before}{' '.join(map(str, row))}\n" for row in np.asarray(rows).tolist())


def _obj_seeds() -> list[Seed]:
    vertices = _rows(SQUARE, "v ")
    textured = f"mtllib a.mtl\n{vertices}{_rows(CORNERS, 'vt ')}usemtl skin\nf 1/1 2/2 3/3 4/4\n"
    skin = "newmtl skin\nKd 1 1 1\nmap_Kd a.png\n"
    plain = f"mtllib a.mtl\no thing\n{vertices}vn 0 0 1\nusemtl red\nf 1//1 2//1 3//1\nusemtl blue\nf -4 -2 -1\n"
    paints = "newmtl red\nKd 1 0 0\nd 1\nnewmtl blue\nKd 0 0 1\nillum 2\n"
    colored = _rows(np.hstack([SQUARE, COLORS]), "v ") + "s off\nf 1 2 3\nf 1 3 4\n"
    return [
        Seed("obj", {"a.obj": textured.encode(), "a.mtl": skin.encode(), "a.png": image_file(PIXELS)}, "a.obj",
             _SHAPE | _IMAGE),
        Seed("obj", {"a.obj": plain.encode(), "a.mtl": paints.encode()}, "a.obj",
             _SHAPE | {"face_colors": [[1, 0, 0], [0, 0, 1]]}),
        Seed("obj", {"a.obj": colored.encode()}, "a.obj", _SHAPE | {"colors": COLORS}),
    ]  # fmt: skip


def _off_seeds() -> list[Seed]:
    bytes_of = np.multiply(COLORS, 255)
    colored = "COFF\n4 1 0\n" + _rows(np.hstack([SQUARE, bytes_of, np.full((4, 1), 255)])) + "4 0 1 2 3\n"
    painted = f"OFF\n4 2 5\n{_rows(SQUARE)}3 0 1 2 255 0 0\n3 0 2 3 0 0 255\n"
    return [
        Seed("off", {"a.off": colored.encode()}, "a.off", _SHAPE | {"colors": COLORS}),
        Seed("off", {"a.off": painted.encode()}, "a.off", _SHAPE | {"face_colors": [[1, 0, 0], [0, 0, 1]]}),
    ]


def _ply_seeds() -> list[Seed]:
    names = [f"property float {axis}\n" for axis in "xyz"]
    names += [f"property uchar {color}\n" for color in ("red", "green", "blue")]
    properties = f"element vertex 4\n{''.join(names)}element face 2\nproperty list uchar int vertex_indices\n"
    header = "ply\nformat {} 1.0\n" + properties + "end_header\n"
    vertices = [(*place, *color) for place, color in zip(SQUARE, np.multiply(COLORS, 255).tolist(), strict=True)]
    text = header.format("ascii") + _rows(vertices) + _rows(TRIANGLES, "3 ")
    contents = [text.encode()]
    for order, name in (("<", "binary_little_endian"), (">", "binary_big_endian")):
        body = b"".join(struct.pack(f"{order}3f3B", *vertex) for vertex in vertices)
        body += b"".join(struct.pack(f"{order}B3i", 3, *triangle) for triangle in TRIANGLES)
        contents.append(header.format(name).encode() + body)
    found = [Seed("ply", {"a.ply": content}, "a.ply", _SHAPE | {"colors": COLORS}) for content in contents]
    textured = "ply\nformat ascii 1.0\ncomment TextureFile a.png\nelement vertex 4\n" + "".join(names[:3])
    textured += "element face 2\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord\n"
    faces = [[3, *triangle, 6, *np.ravel(uv)] for triangle, uv in zip(TRIANGLES, _UV, strict=True)]
    textured += f"end_header\n{_rows(SQUARE)}" + "".join(f"{' '.join(map(str, face))}\n" for face in faces)
    files = {"a.ply": textured.encode(), "a.png": image_file(PIXELS)}
    return [*found, Seed("ply", files, "a.ply", _SHAPE | _IMAGE)]


def _stl_seeds() -> list[Seed]:
    corners = np.array(SQUARE)[np.array(TRIANGLES)]
    facets = [f"facet normal 0 0 1\nouter loop\n{_rows(facet, 'vertex ')}endloop\nendfacet\n" for facet in corners]
    binary = b"a header".ljust(80) + struct.pack("<I", 2)
    binary += b"".join(struct.pack("<12fH", 0, 0, 1, *facet.ravel(), 0) for facet in corners)
    contents = [f"solid square\n{''.join(facets)}endsolid square\n".encode(), binary]
    # Which number a vertex has is the reader's choice: the corners of the faces are what is known.
    return [Seed("stl", {"a.stl": content}, "a.stl", {"corners": corners}) for content in contents]


def _gltf_seeds() -> list[Seed]:
    textured = GltfFile(
        textures=[{"source": 0, "sampler": 0}],
        samplers=[{"magFilter": 9728}],
        materials=[{"name": "skin", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    )
    textured.image(PIXELS)
    uv = textured.accessor([[u, 1 - v] for u, v in CORNERS])
    positions = textured.accessor(SQUARE, min=[0, 0, 0], max=[2, 2, 0])
    indices = textured.accessor([0, 1, 2, 0, 2, 3], "uint16")
    attributes = {"POSITION": positions, "TEXCOORD_0": uv}
    textured.add("meshes", primitives=[{"attributes": attributes, "indices": indices, "material": 0}])

    colored = GltfFile(nodes=[{"children": [1], "scale": [2, 2, 2]}, {"mesh": 0, "translation": [0, 0, 0.5]}])
    attributes = {"POSITION": colored.accessor(np.divide(SQUARE, 2)), "COLOR_0": colored.accessor(COLORS)}
    colored.add("meshes", primitives=[{"attributes": attributes, "mode": 6}])
    raised = np.add(SQUARE, [0, 0, 1])
    # The corners of a fan are in this order (glTF 2.0, 3.7.2.1).
    fan = {"vertices": raised, "faces": [[1, 2, 0], [2, 3, 0]], "colors": COLORS}
    found = []
    for file, values in ((textured, _SHAPE | _IMAGE), (colored, fan), _deformed()):
        with tempfile.TemporaryDirectory() as folder:
            found.append(Seed("glb", {"a.glb": file.save(Path(folder, "a.glb")).read_bytes()}, "a.glb", values))
        header = {**file.header, "buffers": [{"byteLength": len(file.content), "uri": "a.bin"}]}
        files = {"a.gltf": json.dumps(header).encode(), "a.bin": bytes(file.content)}
        found.append(Seed("gltf", files, "a.gltf", values))
    uri = f"data:application/octet-stream;base64,{base64.b64encode(textured.content).decode()}"
    embedded = {**textured.header, "buffers": [{"byteLength": len(textured.content), "uri": uri}]}
    return [*found, Seed("gltf", {"a.gltf": json.dumps(embedded).encode()}, "a.gltf", _SHAPE | _IMAGE)]


def _deformed() -> tuple[GltfFile, Mapping[str, Any]]:
    """A square whose third vertex is sparse, moved by (0.5, 0, 0) as a morph and by (0, 0, 1) as a skin."""
    file = GltfFile(
        nodes=[{"children": [1, 2]}, {"mesh": 0, "skin": 0}, {"translation": [0, 0, 1]}], skins=[{"joints": [2]}]
    )
    corners = {"bufferView": file.view(struct.pack("<H", 2)), "componentType": 5123}
    places = {"bufferView": file.view(struct.pack("<3f", *SQUARE[2]))}
    base = [*SQUARE[:2], [9, 9, 9], SQUARE[3]]
    attributes = {
        "POSITION": file.accessor(base, sparse={"count": 1, "indices": corners, "values": places}),
        "JOINTS_0": file.accessor([[0, 0, 0, 0]] * 4, "uint8"),
        "WEIGHTS_0": file.accessor([[1, 0, 0, 0]] * 4),
        "COLOR_0": file.accessor([[*np.multiply(color, 255), 255] for color in COLORS], "uint8", normalized=True),
    }
    indices = file.accessor([0, 1, 3, 2], "uint8")
    targets = [{"POSITION": file.accessor([[1, 0, 0]] * 4)}]
    primitive = {"attributes": attributes, "indices": indices, "mode": 5, "targets": targets}
    file.add("meshes", primitives=[primitive], weights=[0.5])
    # The second triangle of a strip is (p1, p3, p2), which turns it the right way (glTF 2.0, 3.7.2.1).
    moved = np.add(SQUARE, [0.5, 0, 1])
    return file, {"vertices": moved, "faces": [[0, 1, 3], [1, 2, 3]], "colors": COLORS}


def _image_seeds() -> list[Seed]:
    alpha = np.array([[[0], [255]], [[51], [255]]])
    rgba = np.concatenate([PIXELS, alpha], axis=-1)
    rgb = np.moveaxis(np.divide(PIXELS, 255), -1, 0)
    share = np.moveaxis(alpha / 255, -1, 0)
    white = np.full((8, 8, 3), 255)  # JPEG and WebP keep it
    palette = io.BytesIO()
    Image.fromarray(np.array(PIXELS, np.uint8)).quantize(4).save(palette, format="PNG")
    deep = io.BytesIO()
    Image.fromarray(np.array([[0, 65535], [13107, 0]], np.uint16)).save(deep, format="PNG")
    return [
        Seed("png", {"a.png": image_file(PIXELS)}, "a.png", {"rgb": rgb}),
        Seed("png", {"a.png": image_file(rgba)}, "a.png", {"rgb": rgb, "alpha": share}),
        Seed("png", {"a.png": image_file(alpha[..., 0])}, "a.png", {"alpha": share}),
        Seed("png", {"a.png": palette.getvalue()}, "a.png", {"rgb": rgb}),
        Seed("png", {"a.png": deep.getvalue()}, "a.png", {"alpha": [[[0, 1], [0.2, 0]]]}),
        Seed("jpeg", {"a.jpg": image_file(white, "JPEG")}, "a.jpg", {"rgb": np.ones((3, 8, 8))}),
        Seed("webp", {"a.webp": image_file(rgba, "WEBP", lossless=True, exact=True)}, "a.webp",
             {"rgb": rgb, "alpha": share}),
        Seed("webp", {"a.webp": image_file(white, "WEBP")}, "a.webp", {"rgb": np.ones((3, 8, 8))}),
    ]  # fmt: skip


def _files_of(make: Callable[[Path], object]) -> dict[str, bytes]:
    """What is in a folder once it has been made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "made")
        make(folder)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _view_seeds() -> list[Seed]:
    seen = trees.cameras(3)
    known = {
        "alpha": trees.pixels_of(seen)[:, None, ..., 3] / 255,
        "world_to_camera": seen.world_to_camera,
        "intrinsics": seen.intrinsics,
    }
    makers: dict[str, Callable[[Path], object]] = {
        "nerfstudio": lambda folder: trees.nerfstudio(folder, seen),
        "blender": lambda folder: trees.blender(folder, seen, (1, 1, 1)),
        "colmap": lambda folder: trees.colmap(folder, seen),
        "colmap text": lambda folder: trees.colmap(folder, seen, text=True),
    }
    files = {name: _files_of(make) for name, make in makers.items()}
    del files["colmap text"]["sparse/0/points3D.txt"]  # it is empty, and so most of its changes are none
    found = [Seed(name, content, "", known) for name, content in files.items()]
    images = trees.pixels_of(Cameras.sphere(2, 3.0, image_size=(12, 12)))
    r2n2 = {f"rendering/{number:02d}.png": image_file(pixels) for number, pixels in enumerate(images)}
    r2n2["rendering/renderings.txt"] = b"00.png\n01.png\n"
    r2n2["rendering/rendering_metadata.txt"] = b"10.5 25 0 0.8 25\n130 27.5 0 0.7 25\n"
    return [*found, Seed("r2n2", r2n2, "", {"alpha": images[:, None, ..., 3] / 255})]


def _shard_seeds() -> list[Seed]:
    shards = Shards(size=1)
    seen = Cameras.sphere(2, 3.0, image_size=(10, 8))
    drawn = trees.rendered(seen)
    objects = [CollectionObject(id_, Path("a.obj"), Path(), "", "train") for id_ in ("a/0", "b/1")]

    def make(folder: Path) -> None:
        folder.mkdir()
        for item in objects:
            put(folder, shards.place(item), shards.files(seen, drawn, None), {})
        shards.finish(folder, objects)

    files = {name: content for name, content in _files_of(make).items() if name.startswith("shards/")}
    return [Seed("shards", files, "", {"a/0 alpha": np.rint(drawn.alpha.numpy() * 255) / 255})]


def _archive_seeds() -> list[Seed]:
    members = {"a.txt": b"first", "deep/b.bin": bytes(range(64)), "deep/c.obj": b"v 0 0 0\n" * 9}
    known = {f"{name} bytes": np.frombuffer(content, np.uint8) for name, content in members.items()}
    packed, squeezed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with tarfile.open(fileobj=squeezed, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return [
        Seed("zip", {"a.zip": packed.getvalue()}, "a.zip", known),
        Seed("tar", {"a.tar": squeezed.getvalue()}, "a.tar", known),
    ]


def _run_seeds() -> list[Seed]:
    weights = torch.arange(6.0).reshape(2, 3)

    def make(folder: Path) -> None:
        folder.mkdir()
        checkpoint_at(folder / "a.safetensors").save(TENSORS | {"weights": weights}, len(RECORDS), RECORDS)

    config = {"command": "fit", "settings": {"updates": 3}, "identity": {"mesh": "a.obj"}}
    return [
        Seed("checkpoint", _files_of(make), "a.safetensors", {"weights": weights, "losses": [0.5, 0.25]}),
        Seed("config", {"config.json": json.dumps(config).encode()}, "", {"settings": 1, "identity": 1}),
    ]


def _volume_seeds() -> list[Seed]:
    values = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2) / 8
    stream = io.BytesIO()
    np.savez_compressed(stream, version=np.int64(1), values=values, extent=np.float64(1.5), to_source=np.eye(4))
    # Runs of 0, 1, 0 over x, z and then y as the fastest axis.
    binvox = b"#binvox 1\ndim 2 2 2\ntranslate 0 0 0\nscale 2\ndata\n" + bytes([0, 1, 1, 3, 0, 4])
    filled = np.zeros((2, 2, 2))  # x, z, y
    filled.ravel()[1:4] = 1
    return [
        Seed("npz", {"a.npz": stream.getvalue()}, "a.npz", {"values": values, "extent": 1.5}),
        Seed("binvox", {"a.binvox": binvox}, "a.binvox", {"occupancy": filled.transpose(1, 2, 0)[None]}),
    ]
