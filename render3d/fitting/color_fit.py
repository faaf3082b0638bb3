"""Find the colours or the texture of a mesh of known geometry: linear least squares through a black box."""

import dataclasses
import itertools
from typing import final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import max_pool2d

from render3d import renderers
from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.errors import FitError, ShapeError
from render3d.fitting.color_links import filled, links_of, lookup, spread, used_texels
from render3d.fitting.color_pixels import ColorPixels
from render3d.fitting.least_squares import conjugate_gradients
from render3d.fitting.targets import named
from render3d.images import to_float
from render3d.renderers.base import Renderer
from render3d.renderers.deferred_shading import DeferredShading
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_WHOLE = 0.999  # coverage of a pixel that shows nothing but the object
_TYPICAL = 3.0  # differences that are so many times the median count half
_LEAST = 1 / 255  # and the median is taken for at least this
_NO_SAY = 1e-6  # the weight of a pixel that counts where nothing else does
_POINTS = 20_000  # on the surface, for the share of it that no view shows


@final
@dataclasses.dataclass(frozen=True)
class ColorFitResult:
    """What `fit_colors` found.

    Attributes:
        mesh: The mesh in the colours found, 0-1.
        shown: ``[V]``, ``[F]`` or ``[H, W]``: how many pixels' worth of light each colour or texel sends to the views.
            Where it is zero nothing is known, and the colour was filled in from its neighbours.
        unseen: The share of the surface, by area, whose colours were filled in so, 0-1.
        agreement: ``[views]``: how well the pixels of each view agree with the colours of the first solve, 0-1: the
            mean of their weights; NaN for a view of which no pixel counts.
        outliers: The names of the views whose agreement is less than half the median: their exposure, pose or content
            is not that of the others. They have no say but where no other view looks.
        differences: Root mean square difference of the images and the views, linear light, over the pixels that
            count, before the first update and after each.
    """

    mesh: Mesh
    shown: Tensor
    unseen: float
    agreement: Tensor
    outliers: tuple[str, ...]
    differences: tuple[float, ...]


def pixel_size(cameras: Cameras, mesh: Mesh) -> float:
    """Return how large a pixel is on the surface of ``mesh``, scene units, where a camera faces it.

    The median over the cameras ``[views]`` and the vertices of one mesh. A texture with texels of this size holds what
    photographs show: ``mesh.unwrapped(pixel_size(views.cameras, mesh))``. Not differentiable.
    """
    cameras, mesh = cameras.detach(), mesh.detach()
    depth = cameras.to_camera_space(mesh.vertices)[..., 2]
    if cameras.projection == "orthographic":
        depth = torch.ones_like(depth)
    return float((depth / cameras.focal.mean(-1, keepdim=True)).median())


def fit_colors(
    views: ViewSet,
    mesh: Mesh,
    renderer: Renderer | None = None,
    *,
    updates: int = 20,
    smoothness: float = 0.3,
    margin: int = 2,
) -> ColorFitResult:
    """Find the colours of ``mesh`` in which it looks like ``views``.

    What is sought is what the mesh has: the image of its texture, colours of faces, or colours of vertices; without
    any, colours of vertices. A mesh gets a texture by `render3d.Mesh.unwrapped`. An image is linear in colours, and
    what is visible does not depend on them: the renderer is asked once for each view, and the rest is linear least
    squares by conjugate gradients, from the colours that the mesh has.

    Pixels count if the view and the mesh both cover them wholly, and the more the straighter they look at the surface.
    A second solve makes those count less that disagree with the first, by Cauchy's weights ``1 / (1 + (d / 3 m)^2)`` of
    a difference d whose median is m (Holland and Welsch, "Robust regression using iteratively reweighted
    least-squares", 1977): highlights, wrong masks, or a view as a whole.

    Args:
        views: Colours, silhouettes and cameras, taken in the light of the renderer's shading.
        mesh: One mesh, where it is in the views. Its colours are the start.
        renderer: A black box that returns which face a pixel shows; by default `render3d.renderers.OpenGL`.
        updates: Of conjugate gradients, in each of the two solves.
        smoothness: How many pixels' worth of light weigh as much as one difference of neighbouring colours, on seams of
            the texture too. Grainy photographs need more. Colours that no view shows are the smooth surface between
            those known. With 0 nothing is smoothed, and they keep what they were.
        margin: Pixels that are left out inside the silhouettes of the view and of the mesh, for silhouettes that are
            not exact.

    Returns:
        A `ColorFitResult`.

    Raises:
        CapabilityError: A renderer that does not return which face a pixel shows.
        FitError: Views without colours, with colours that are not finite, or that do not show the mesh.
        ShapeError: A batch of meshes.
        ValueError: Fewer than one update, or a smoothness or margin below zero.

    The system is solved on the CPU. It takes some 60 bytes of memory for each pixel of the views, and 200 more for one
    that counts.
    """
    if updates < 1:
        raise ValueError(f"updates must be at least 1; got {updates}.")
    if smoothness < 0 or margin < 0:
        raise ValueError(f"smoothness and margin must be at least 0; got {smoothness} and {margin}.")
    if mesh.batch_shape:
        raise ShapeError(f"mesh must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    rgb = _checked_colors(views).cpu()
    pixels = _pixels(views, mesh.detach(), DeferredShading(renderer or renderers.OpenGL()), margin)
    flat = mesh.detach().to("cpu")
    system = _System(pixels, flat, pixels.of(rgb), smoothness)
    facing = pixels.facing(views.cameras.detach().to("cpu"))
    colors, first = system.solved(_colors(flat).float().reshape(-1, 3), facing, updates)
    agreeing = _agreeing(system.residual(colors))
    agreement = pixels.mean_by_view(agreeing)
    outliers = agreement < agreement.nanmedian() / 2
    colors, second = system.solved(colors, facing * agreeing * ~outliers[pixels.view][:, None], updates)
    if smoothness > 0:
        colors = filled(colors, system.known, system.links)
    found = colors.clamp(0, 1).reshape(_colors(flat).shape)
    if flat.texture is not None and smoothness > 0:
        found = spread(found, used_texels(flat))
    return ColorFitResult(
        _painted(mesh.detach(), found.to(mesh.device)),
        system.shown.mean(-1).reshape(found.shape[:-1]).to(mesh.device),
        _unseen(flat, system.known),
        agreement,
        tuple(itertools.compress(views.names, outliers)),
        (*first, *second[1:]),  # it begins where the first ended
    )


@final
class _System:
    """The least squares: colours ``[N, 3]`` against the pixels ``[P, 3]`` of the views, and against each other.

    Attributes:
        shown: ``[N, 3]``: the light that each colour sends to the views, in pixels.
        known: ``[N]`` bool: those that send any.
        links: ``[L, N]``: differences of neighbours.
    """

    def __init__(self, pixels: ColorPixels, mesh: Mesh, target: Tensor, smoothness: float) -> None:
        self._pixels, self._target = pixels, target
        self._lookup = lookup(mesh, pixels.face, pixels.weights)
        self._lookup_transposed = self._lookup.T.tocsr()
        self.shown = self._light_of(torch.ones_like(target))
        self.known = (self.shown > 0).any(-1)
        self.links = links_of(mesh)
        # Neighbours that nobody saw have no say here: they are filled in afterwards.
        whole = abs(self.links) @ (~self.known).numpy().astype(np.float32) == 0
        self._links = self.links[whole] * np.float32(smoothness**0.5)
        self._links_transposed = self._links.T.tocsr()

    def residual(self, colors: Tensor) -> Tensor:
        """``[P, 3]``: the pixels of the views less those of the images."""
        return self._target - self._image(colors)

    def solved(self, start: Tensor, weight: Tensor, updates: int) -> tuple[Tensor, list[float]]:
        """Colours found with pixels weighted ``[P, 1]``; and the differences before the first update and after each."""
        weight = weight.clamp(min=_NO_SAY)
        root, count = weight.sqrt(), len(self._target)

        def times(colors: Tensor) -> Tensor:
            return torch.cat([root * self._image(colors), _times(self._links, colors)])

        def transposed(residual: Tensor) -> Tensor:
            return self._light_of(root * residual[:count]) + _times(self._links_transposed, residual[count:])

        squares = torch.from_numpy(self._links_transposed.power(2).sum(1))[:, None]
        # A colour that many pixels show is scaled to be as stiff as one that few do; one that none shows stays.
        scale = torch.where(self.shown > 0, self._light_of(weight.expand_as(self._target)) + squares, torch.inf).rsqrt()
        target = torch.cat([root * self._target, self._target.new_zeros(self._links.shape[0], 3)])
        colors, differences = start, []
        for colors, residual in conjugate_gradients(  # noqa: B007  # the last one is used
            times, transposed, target, start, scale, updates
        ):
            differences.append(float((residual[:count] / root).square().mean().sqrt()))
        return colors, differences

    def _image(self, colors: Tensor) -> Tensor:
        return self._pixels.mean(self._pixels.light * _times(self._lookup, colors))

    def _light_of(self, values: Tensor) -> Tensor:
        """The transpose of `_image`."""
        return _times(self._lookup_transposed, self._pixels.light * self._pixels.mean_transposed(values))


def _times(matrix: sparse.csr_array, values: Tensor) -> Tensor:
    return torch.from_numpy(matrix @ values.numpy())


def _pixels(views: ViewSet, mesh: Mesh, deferred: DeferredShading, margin: int) -> ColorPixels:
    visible = deferred.look(mesh, views.cameras, ("alpha",))
    covered = (to_float(visible.images["alpha"]) > _WHOLE) & (views.alpha > _WHOLE)
    beside = max_pool2d((~covered).float(), 2 * margin + 1, stride=1, padding=margin)
    counts = (beside == 0)[:, 0].cpu()
    if not bool(counts.any()):
        raise FitError(
            "The views must show the mesh; nowhere do the silhouettes and the mesh both cover a pixel wholly and "
            f"{margin} beside it. Check the poses (OpenCV: z forward), the units, and the place of the mesh."
        )
    surface = visible.surface
    names = ("face_index", "barycentric", "normal")
    on_cpu = type(surface)({name: surface.stored(name).cpu() for name in names})
    return ColorPixels(dataclasses.replace(visible, images={}, surface=on_cpu), counts)


def _agreeing(residual: Tensor) -> Tensor:
    """``[P, 1]``: Cauchy's weights of pixels whose colours differ by ``residual`` ``[P, 3]``."""
    squares = residual.square().mean(-1, keepdim=True)
    return 1 / (1 + squares / (_TYPICAL**2 * squares.median().clamp(min=_LEAST**2)))


def _unseen(mesh: Mesh, known: Tensor) -> float:
    """The share of the surface that shows mostly colours that are not known."""
    a, b, c = mesh.vertices[mesh.faces].double().unbind(1)
    areas = torch.linalg.cross(b - a, c - a).norm(dim=-1).cumsum(0)
    step = (torch.arange(_POINTS) + 0.5) / _POINTS
    face = torch.searchsorted(areas, step * areas[-1]).clamp(max=len(mesh.faces) - 1)
    # Evenly over each triangle: Osada et al., "Shape distributions", 2002, section 4.1.
    random = torch.rand(2, _POINTS, generator=torch.Generator().manual_seed(0))
    first, second = random[0].sqrt(), random[1]
    weights = torch.stack([1 - first, first * (1 - second), first * second], -1)
    return float((lookup(mesh, face, weights) @ known.numpy().astype(np.float32) < 0.5).mean())


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
