"""Recover a texture through OpenGL, which gives no gradient: images of a textured model in, its texture out.

Views of a chicken are rendered and written to disk, in 8 bits of sRGB as photographs are. Then its texture is
forgotten: the shape in plain grey and the views are all that is left. OpenGL tells which face a pixel shows, and that
makes the images linear in the texture, with exact gradients. Nothing here is random.

    python examples/texture.py --out DIR

writes the views, metrics.json, report.html and texture.png. It takes a few seconds.
"""

import dataclasses
import time
from pathlib import Path

import torch
import tyro
from torch import Tensor

import render3d as r3
from render3d import report
from render3d.atomic import atomic_write, write_json, write_text
from render3d.color import linear_to_srgb
from render3d.data import chicken
from render3d.fitting import ColorFitResult, fit_colors
from render3d.metrics import psnr
from render3d.report.pictures import image_of
from render3d.view_sets import ViewSet, read_views, write_views

GREY = 0.5
WELL_SHOWN = 0.5  # of a pixel
_SHOWN = 4  # held-out views on the page


def chicken_of(texture_size: int) -> r3.Mesh:
    """The chicken, with its texture shrunk to so many texels a side."""
    mesh = chicken().normalized()
    assert mesh.texture is not None
    image = torch.nn.functional.interpolate(mesh.texture.image.movedim(-1, 0)[None], (texture_size,) * 2, mode="area")
    return textured(mesh, image[0].movedim(0, -1).contiguous())


def textured(mesh: r3.Mesh, image: Tensor) -> r3.Mesh:
    """The mesh with another texture ``[H, W, 3]``."""
    assert mesh.texture is not None
    return dataclasses.replace(mesh, texture=dataclasses.replace(mesh.texture, image=image))


def image_in(mesh: r3.Mesh) -> Tensor:
    """The texture as an image ``[3, H, W]``."""
    assert mesh.texture is not None
    return mesh.texture.image.movedim(-1, 0)


def decibels(first: Tensor, second: Tensor, where: Tensor) -> float:
    """PSNR of images ``[..., 3, H, W]`` in linear light, compared in sRGB, over all that ``where`` says together."""
    encoded = (linear_to_srgb(picture.clamp(0, 1)) for picture in (first, second))
    flat = (torch.cat(list(picture.reshape(-1, *picture.shape[-3:])), -1) for picture in encoded)
    return float(psnr(*flat, where=torch.cat(list(where.reshape(-1, *where.shape[-3:])), -1)))


@dataclasses.dataclass(frozen=True)
class Study:
    """What was sought, from what, and what was found."""

    truth: r3.Mesh
    start: r3.Mesh
    training: ViewSet
    held_out: ViewSet
    result: ColorFitResult
    seconds: float

    def measures(self, mesh: r3.Mesh) -> dict[str, float]:
        """How near a mesh comes to the truth, in decibels."""
        shown = self.result.shown[None]
        assert self.held_out.rgb is not None
        rendered = r3.renderers.OpenGL()(mesh, self.held_out.cameras)
        return {
            "held_out_psnr": decibels(rendered.rgb, self.held_out.rgb, rendered.alpha * self.held_out.alpha > 0),
            "texture_psnr_of_shown": decibels(image_in(mesh), image_in(self.truth), shown > 0),
            "texture_psnr_of_well_shown": decibels(image_in(mesh), image_in(self.truth), shown > WELL_SHOWN),
        }

    def summary(self) -> dict[str, object]:
        """Everything that metrics.json says."""
        shown = self.result.shown
        return {
            "renders": len(self.training),
            "updates": len(self.result.differences) - 1,
            "seconds": self.seconds,
            "texels": shown.numel(),
            "share_shown": float((shown > 0).float().mean()),
            "share_well_shown": float((shown > WELL_SHOWN).float().mean()),
            "start": self.measures(self.start),
            "found": self.measures(self.result.mesh),
            "differences": self.result.differences,
        }


def study(folder: Path, views: int, held_out: int, image_size: int, texture_size: int, updates: int) -> Study:
    """Write views of the chicken to ``folder``, read them back, and find the texture."""
    truth = chicken_of(texture_size)
    cameras = r3.Cameras.sphere(
        views + held_out, distance=2.6, vertical_fov_degrees=46.0, image_size=(image_size, image_size)
    )
    write_views(folder, cameras, r3.renderers.OpenGL()(truth, cameras), renderer="OpenGL")
    training, others = read_views(folder).split(held_out)
    start = textured(truth, torch.full_like(image_in(truth).movedim(0, -1), GREY))
    begin = time.perf_counter()
    result = fit_colors(training, start, updates=updates, smoothness=0, margin=0)
    return Study(truth, start, training, others, result, time.perf_counter() - begin)


def shown_views(done: Study, mesh: r3.Mesh) -> Tensor:
    """A mesh as some of the held-out cameras see it, ``[N, 3, H, W]`` linear light."""
    return r3.renderers.OpenGL()(mesh, done.held_out.cameras[:_SHOWN]).rgb


def picture(done: Study) -> Tensor:
    """Start, found and truth side by side: the texture, and one of the held-out views below it; linear light."""
    meshes = (done.start, done.result.mesh, done.truth)
    height, width = done.held_out.cameras.image_size
    views = torch.cat([shown_views(done, mesh)[min(_SHOWN, len(done.held_out)) // 2] for mesh in meshes], -1)
    textures = [torch.nn.functional.interpolate(image_in(mesh)[None], (height, width))[0] for mesh in meshes]
    return torch.cat([torch.cat(textures, -1), views], -2)


def page(done: Study) -> str:
    """The report."""
    figures = done.summary()
    names = {
        "held_out_psnr": "held-out views, dB",
        "texture_psnr_of_shown": "texels that any pixel shows, dB",
        "texture_psnr_of_well_shown": f"texels that {WELL_SHOWN:g} pixels show, dB",
    }
    rows = []
    for name, mesh in (("start", done.start), ("found", done.result.mesh)):
        measures = done.measures(mesh)
        rows.append([name, *(f"{measures[key]:.1f}" for key in names)])
    meshes = {"start": done.start, "found": done.result.mesh, "truth": done.truth}
    logarithms = torch.tensor(done.result.differences).log10().tolist()
    shown_names = done.held_out.names[:_SHOWN]
    return report.page(
        "A texture through OpenGL",
        f"{figures['texels']:,} texels from {figures['renders']} renders in {done.seconds:.1f} seconds.",
        report.section(
            "Figures",
            report.paragraph(
                f"Some pixel of the views shows {figures['share_shown']:.1%} of the texels, and half a pixel or more "
                f"{figures['share_well_shown']:.1%}. Of the rest nothing is known; they stay grey."
            ),
            report.table(("PSNR in sRGB", *names.values()), rows, chosen=1),
        ),
        report.section(
            "Textures",
            report.gallery({"texture": torch.stack(list(map(image_in, meshes.values())))}, list(meshes), width=256),
        ),
        report.section(
            "Held-out views: start, found, truth",
            report.gallery({name: shown_views(done, mesh) for name, mesh in meshes.items()}, shown_names, width=180),
        ),
        report.section(
            "Progress",
            report.columns(
                report.curves(
                    "Difference of the pictures",
                    x_label="updates of conjugate gradients",
                    y_label="log10 of the root mean square, linear light",
                    series={"training views": (list(range(len(logarithms))), logarithms)},
                ),
                report.facts(report.provenance(r3.renderers.OpenGL())),
            ),
        ),
    )


def main(
    *,
    out: Path = Path("out/texture"),
    views: int = 24,
    held_out: int = 12,
    image_size: int = 256,
    texture_size: int = 256,
    updates: int = 20,
) -> None:
    """Recover the texture of the chicken from images of it.

    Args:
        out: The folder for the results.
        views: Images that the texture is found from.
        held_out: Further images, to measure on.
        image_size: Pixels along each side of an image.
        texture_size: Texels along each side of the texture.
        updates: Of conjugate gradients, in each of two solves.
    """
    done = study(out / "views", views, held_out, image_size, texture_size, updates)
    figures = done.summary()
    write_json(out / "metrics.json", figures | {"made_with": report.provenance()})
    write_text(out / "report.html", page(done))
    with atomic_write(out / "texture.png") as stream:
        image_of(picture(done)).save(stream, "PNG", optimize=True)
    print(f"{figures['renders']} renders, {figures['updates']} updates, {done.seconds:.1f} s.")
    for name, mesh in (("start", done.start), ("found", done.result.mesh)):
        measures = done.measures(mesh)
        print(
            f"{name}: held-out views {measures['held_out_psnr']:.1f} dB, texels shown "
            f"{measures['texture_psnr_of_shown']:.1f} dB, well shown {measures['texture_psnr_of_well_shown']:.1f} dB."
        )
    print(f"Report: {(out / 'report.html').resolve()}")


if __name__ == "__main__":
    tyro.cli(main)
