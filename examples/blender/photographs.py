"""Render a GLB in Blender from the cameras of photographs: how a reader that is not ours shows what a fit wrote.

Blender's Cycles is independent of render3d in all: how it reads glTF, where it places cameras, how it filters textures.
The base colour is shown without lights, as the photographs' light is in it. Needs ``pip install bpy==5.0.1`` (GPL,
Python 3.11), and nothing of render3d:

    python examples/blender/photographs.py out/fit/mesh.glb photographs/transforms.json out/blender --frames 0 13 27
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

Y_UP_TO_Z_UP = Matrix.Rotation(math.pi / 2, 4, "X")  # what Blender's importer does to the world of a GLB


def main() -> None:
    """Write an image for each frame to the folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("glb", type=Path)
    parser.add_argument("transforms", type=Path, help="transforms.json of nerfstudio, of pinhole cameras")
    parser.add_argument("out", type=Path, help="folder of the images")
    parser.add_argument("--frames", type=int, nargs="*", default=[0], help="which of its frames")
    asked = parser.parse_args()
    transforms = json.loads(asked.transforms.read_text())
    scene = prepare(asked.glb)
    for number in asked.frames:
        frame = transforms["frames"][number]
        stand(scene, {**transforms, **frame})
        scene.render.filepath = str(asked.out.resolve() / f"{Path(frame['file_path']).stem}.png")
        bpy.ops.render.render(write_still=True)


def prepare(glb: Path) -> Any:
    """A scene that holds the file alone, its base colours emitted, before nothing."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(glb.resolve()))
    for material in bpy.data.materials:
        nodes, links = material.node_tree.nodes, material.node_tree.links
        image = next(node for node in nodes if node.type == "TEX_IMAGE")
        output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
        emission = nodes.new("ShaderNodeEmission")
        links.new(image.outputs["Color"], emission.inputs["Color"])
        links.new(emission.outputs["Emission"], output.inputs["Surface"])
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 32
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"  # plain sRGB
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(scene.camera)
    return scene


def stand(scene: Any, frame: dict[str, Any]) -> None:
    """Move the camera to where a frame of transforms.json was taken."""
    width, height = frame["w"], frame["h"]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    lens = scene.camera.data
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = frame["fl_x"] / width * lens.sensor_width
    lens.shift_x, lens.shift_y = (width / 2 - frame["cx"]) / width, (frame["cy"] - height / 2) / width
    scene.camera.matrix_world = Y_UP_TO_Z_UP @ Matrix(frame["transform_matrix"])


if __name__ == "__main__":
    main()
