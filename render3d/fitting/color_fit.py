"""Find the colours or the texture of a mesh of known geometry: linear least squares through a black box."""

import dataclasses
from typing import final

import torch
from torch import Tensor

from render3d import renderers
from render3d.color import NEUTRAL_GREY
from render3d.errors import FitError, ShapeError
from render3d.fitting.least_squares import conjugate_gradients
from render3d.fitting.targets import named
from render3d.images import to_float
from render3d.renderers.base import Renderer
from render3d.renderers.deferred_shading import DeferredShading
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_WHOLE = 0.999  # coverage of a pixel that shows nothing but the object


@final
@dataclasses.dataclass(frozen=True)
class ColorFitResult:
    """What `fit_colors` found.

    Attributes:
        mesh: The mesh in the colours found, 0-1.
        shown: ``[V]``, ``[F]`` or ``[H, W]``: how many pixels' worth of light each colour or texel sends to the views.
            Where it is zero nothing is known, and the colour stays what it was.
        differences: Root mean square difference of the images and the views, linear light, over the pixels that
            count, before each update and after the last.
    """

    mesh: Mesh
    shown: Tensor
    differences: tuple[float, ...]


def fit_colors(views: ViewSet, mesh: Mesh, renderer: Renderer | None = None, *, updates: int = 20) -> ColorFitResult:
    """Find the colours of ``mesh`` in which it looks like ``views``.

    What is sought is what the mesh has: the image of its texture, colours of faces, or colours of vertices; without
    any, colours of vertices from a neutral grey. An image is linear in them (`DeferredShading`), and what is visible
    does not depend on them: the renderer is asked once for each view, and the rest is linear least squares by
    conjugate gradients, from the colours that the mesh has.

    Pixels count if the view and the mesh both cover them wholly, so that the background of the views does not matter.

    Args:
        views: Colours, silhouettes and cameras, taken in the light of the renderer's shading.
        mesh: One mesh, where it is in the views. Its colours are the start, and what no view shows keeps them.
        renderer: A black box that returns which face a pixel shows; by default `render3d.renderers.OpenGL`.
        updates: Of conjugate gradients. Few are needed; many follow the noise in colours that hardly any pixel shows.

    Returns:
        A `ColorFitResult`.

    Raises:
        CapabilityError: A renderer that does not return which face a pixel shows.
        FitError: Views without colours, with colours that are not finite, or that do not show the mesh.
        ShapeError: A batch of meshes.
        ValueError: Fewer than one update.

    It takes some 60 bytes of memory for each pixel of the views, and 100 more for one that counts.
    """
    if updates < 1:
        raise ValueError(f"updates must be at least 1; got {updates}.")
    if mesh.batch_shape:
        raise ShapeError(f"mesh must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    target = _checked_colors(views)
    deferred = DeferredShading(renderer or renderers.OpenGL())
    mesh = mesh.detach()
    visible = deferred.look(mesh, views.cameras, ("alpha",))
    counts = ((to_float(visible.images["alpha"]) > _WHOLE) & (views.alpha > _WHOLE))[:, 0]
    if not bool(counts.any()):
        raise FitError(
            "The views must show the mesh; nowhere do the silhouettes and the mesh both cover a whole pixel. Check the "
            "poses (OpenCV: z forward), the units, and the place of the mesh."
        )

    def pixels_of(rgb: Tensor) -> Tensor:
        """``[P, 3]``: those that count."""
        return rgb.movedim(1, -1)[counts]

    def shaded(colors: Tensor) -> Tensor:
        with torch.no_grad():
            return pixels_of(visible.rgb(_painted(mesh, colors)))

    start = _colors(mesh).float().clone()
    with torch.enable_grad():
        variable = start.clone().requires_grad_()
        pixels = pixels_of(visible.rgb(_painted(mesh, variable)))

    def transposed(residual: Tensor) -> Tensor:
        (colors,) = torch.autograd.grad(pixels, variable, residual, retain_graph=True)
        return colors

    shown = transposed(torch.ones_like(pixels))
    # A colour that many pixels show is scaled to be as stiff as one that few do; one that none shows stays.
    scale = torch.where(shown > 0, shown, torch.inf).rsqrt()
    colors, differences = start, []
    for colors, residual in conjugate_gradients(  # noqa: B007  # the last one is used
        shaded, transposed, pixels_of(target), start, scale, updates
    ):
        differences.append(float(residual.square().mean().sqrt()))
    return ColorFitResult(_painted(mesh, colors.clamp(0, 1)), shown.mean(-1), tuple(differences))


def _checked_colors(views: ViewSet) -> Tensor:
    if views.cameras.batch_shape:
        raise FitError(
            f"views must be those of one object, cameras of shape [views]; got {list(views.cameras.leading_shape)}. "
            "Call fit_colors once for each object."
        )
    if views.rgb is None:
        raise FitError("views must have colours; got silhouettes alone. Write them with rgb: write_views.")
    broken = ~views.rgb.isfinite().flatten(1).all(1)
    if bool(broken.any()):
        raise FitError(f"rgb of views must be finite; got NaN or infinite values in {named(views, broken)}.")
    return views.rgb


def _colors(mesh: Mesh) -> Tensor:
    """What is sought, as it is in the mesh."""
    if mesh.texture is not None:
        return mesh.texture.image
    if mesh.face_colors is not None:
        return mesh.face_colors
    return torch.tensor(NEUTRAL_GREY).to(mesh.vertices).expand_as(mesh.vertices) if mesh.colors is None else mesh.colors


def _painted(mesh: Mesh, colors: Tensor) -> Mesh:
    if mesh.texture is not None:
        return dataclasses.replace(mesh, texture=dataclasses.replace(mesh.texture, image=colors))
    if mesh.face_colors is not None:
        return dataclasses.replace(mesh, face_colors=colors)
    return dataclasses.replace(mesh, colors=colors)
