"""Recover real meshes from their images, through a renderer that gives no gradient.

Training views of the Stanford bunny and of the Utah teapot are rendered and written to disk. Then the models are
forgotten: meshes and their textures are made of the images alone, through OpenGL. Run it by ``make demo``.
"""

import argparse
import shutil
from pathlib import Path

import torch
from torch import Tensor

import render3d as r3
from render3d.cli.fit import fit
from render3d.data import bunny, teapot
from render3d.report.pictures import image_of

VIEWS, HELD_OUT = 20, 32


def render_views(model: r3.Mesh, folder: Path) -> None:
    """Colours and silhouettes of 64 x 64 pixels from all round, with their cameras."""
    cameras = r3.Cameras.sphere(VIEWS + HELD_OUT, distance=3.0, vertical_fov_degrees=46.0, image_size=(64, 64))
    renderer = r3.renderers.OpenGL()
    r3.view_sets.write_views(folder, cameras, renderer(model.normalized(), cameras), renderer="OpenGL")


def picture(folder: Path) -> Tensor:
    """Held-out views above the fitted mesh as the same cameras see it, ``[3, 2 * 192, 6 * 192]`` linear light."""
    _, held_out = r3.view_sets.read_views(folder / "views").split(HELD_OUT)
    shown = held_out.select(list(range(0, HELD_OUT, HELD_OUT // 5))[:6])
    shading = r3.Shading(ambient=(1.0, 1.0, 1.0), lights=(), samples_per_pixel=9)  # the texture holds the light
    fitted = r3.renderers.OpenGL(shading)(r3.Mesh.load(folder / "fit/mesh.obj"), shown.cameras.resize(192, 192)).rgb
    assert shown.rgb is not None
    seen = (shown.rgb * shown.alpha + 1 - shown.alpha).repeat_interleave(3, -1).repeat_interleave(3, -2)
    return torch.cat([torch.cat(list(row), dim=-1) for row in (seen, fitted)], dim=-2)


def main() -> None:
    """Both models, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where views and results go")
    parser.add_argument("--renderer", default="opengl", help="what to fit through: opengl, pyrender or module:Class")
    arguments = parser.parse_args()
    print(f"OpenGL is {r3.renderers.OpenGL().gl_renderer}.")
    pictures = []
    for name, load in (("bunny", bunny), ("teapot", teapot)):
        folder = arguments.out / name
        shutil.rmtree(folder, ignore_errors=True)
        render_views(load(), folder / "views")
        print(f"\nThe {name}: {VIEWS} views to fit, {HELD_OUT} to test, in {folder / 'views'}.")
        fit(folder / "views", out=folder / "fit", renderer=arguments.renderer, hold_out=HELD_OUT).show(as_json=False)
        pictures.append(picture(folder))
    image_of(torch.cat(pictures, dim=-2)).save(arguments.out / "demo.png")
    print(f"\nBoth at a glance: {(arguments.out / 'demo.png').resolve()}")


if __name__ == "__main__":
    main()
