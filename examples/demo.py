"""Make meshes of images: of the bunny's silhouettes and colours, and of photographs of a teapot.

Training views of the Stanford bunny are rendered and written to disk. Then the model is forgotten: the mesh is made of
the views alone, through OpenGL, which gives no gradient. The photographs come with the package. Run it by
``make demo``.
"""

import argparse
import shutil
from pathlib import Path

import torch
from torch import Tensor

import render3d as r3
from render3d.cli.fit import fit
from render3d.data import bunny, teapot_photographs
from render3d.report.pictures import image_of
from render3d.view_sets import ViewSet, read_views, write_views

VIEWS, HELD_OUT = 20, 32  # of the bunny
PHOTOGRAPHS_HELD_OUT = 4  # of 20
ROW = 4  # pictures
MARGIN = 8  # pixels


def render_views(model: r3.Mesh, folder: Path) -> None:
    """Colours and silhouettes of 64 x 64 pixels from all round, with their cameras."""
    cameras = r3.Cameras.sphere(VIEWS + HELD_OUT, distance=3.0, vertical_fov_degrees=46.0, image_size=(64, 64))
    renderer = r3.renderers.OpenGL()
    write_views(folder, cameras, renderer(model.normalized(), cameras), renderer="OpenGL")


def picture(held_out: ViewSet, mesh: Path) -> Tensor:
    """Views that were not fitted above the mesh as the same cameras see it, ``[3, H, W]`` linear light.

    All are cut to the box of the object, and those of small images are enlarged.
    """
    shown = held_out.select([number * len(held_out) // ROW for number in range(ROW)])
    assert shown.rgb is not None
    height, width = shown.cameras.image_size
    times = max(1, 240 // height)
    shading = r3.Shading(ambient=(1.0, 1.0, 1.0), lights=(), samples_per_pixel=9)  # the colours hold the light
    cameras = shown.cameras.resize(times * height, times * width)
    fitted = r3.renderers.OpenGL(shading)(r3.Mesh.load(mesh), cameras).rgb
    photographs = shown.rgb.repeat_interleave(times, -1).repeat_interleave(times, -2)
    covered = (shown.alpha > 0.5).any(0)[0].nonzero()
    top, left = (times * (covered.amin(0) - MARGIN).clamp(min=0)).tolist()
    bottom, right = (times * (covered.amax(0) + MARGIN)).tolist()
    rows = (list(images[..., top:bottom, left:right]) for images in (photographs, fitted))
    return torch.cat([torch.cat(row, dim=-1) for row in rows], dim=-2)


def main() -> None:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where views and results go")
    parser.add_argument("--renderer", default="opengl", help="what to fit through: opengl, pyrender or module:Class")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    print(f"OpenGL is {r3.renderers.OpenGL().gl_renderer}.")
    render_views(bunny(), arguments.out / "bunny/views")
    sets = {"bunny": (arguments.out / "bunny/views", HELD_OUT), "teapot": (teapot_photographs(), PHOTOGRAPHS_HELD_OUT)}
    for name, (views, held_out) in sets.items():
        print(f"\nThe {name}: {held_out} of the views in {views} are held out.")
        folder = arguments.out / name / "fit"
        fit(views, out=folder, renderer=arguments.renderer, hold_out=held_out).show(as_json=False)
        shown = arguments.out / f"{name}.png"
        image_of(picture(read_views(views).split(held_out)[1], folder / "mesh.obj")).save(shown)
        print(f"At a glance: {shown.resolve()}")


if __name__ == "__main__":
    main()
