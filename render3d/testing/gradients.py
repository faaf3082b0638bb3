"""Whether a renderer's gradients are what it claims: each kind against differences of sharp images. They need pytest.

class TestMine(GradientContract):
    def make_renderer(self, shading):
        return Mine(shading)
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Literal, final

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from render3d.cameras import Cameras
from render3d.errors import GradientError
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.renderers.base import GradientKind, Renderer
from render3d.renderers.shading import DirectionalLight, Shading
from render3d.scenes import Mesh
from render3d.testing.contracts import PROJECTIONS, Projection
from render3d.testing.parity import edges
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import blob, uneven_cameras

Image = Literal["alpha", "rgb", "depth"]
_Measure = Callable[[Rendering], Tensor]

_FINE = 64  # samples of a pixel where edges move
_BLUR = 2  # pixels by which a renderer may blur its edges
_STEPS = {"alpha": 0.04, "rgb": 1e-3, "depth": 1e-3}  # of the differences: a pixel where edges move


class GradientContract:
    """Tests of the gradients of a mesh renderer.

    An image is weighted by smooth functions of the pixel and summed, and that sum is differentiated in the seven
    numbers of a similarity (three shifts, three turns, a scale) of the mesh, or in the six of each camera's pose. The
    reference is central differences: of the alpha of `OpenGL` with 64 samples a pixel, over steps of about a pixel; of
    the colours and the depth of `NumpyRenderer`, between edges only. What a renderer does not claim, it must refuse.

    Attributes:
        tolerance: Of the norm of the difference to the reference, as a share of the reference's.
        calls: Gradients that are averaged, for renderers that are random; three standard errors of their mean are then
            allowed for.
        shading: That of colours, without jumps between faces.
    """

    tolerance = 0.05
    calls = 1
    shading = Shading(normals="smooth")

    def make_renderer(self, shading: Shading) -> Renderer:
        """The renderer under test; to be overridden."""
        raise NotImplementedError

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("image", ["rgb", "depth"])
    def test_shapes_between_edges(self, projection: Projection, image: Image) -> None:
        if self._has("interior", image):
            self._check(MotionProblem(image, "mesh", projection, self.shading))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_shapes_by_their_edges(self, projection: Projection) -> None:
        if self._has("silhouette", "alpha"):
            self._check(MotionProblem("alpha", "mesh", projection, self.shading))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("image", ["alpha", "rgb"])
    def test_poses(self, projection: Projection, image: Image) -> None:
        if self._has("pose", image) and self._has("silhouette" if image == "alpha" else "interior", image):
            self._check(MotionProblem(image, "poses", projection, self.shading))

    def test_colours(self) -> None:
        """The image is linear in them, so that a step of any size gives the derivative."""
        if not self._has("colors", "rgb"):
            return
        mesh, cameras = blob(), _cameras("perspective")
        assert mesh.colors is not None
        direction = torch.rand(mesh.colors.shape, generator=torch.Generator().manual_seed(1))
        colors = mesh.colors.clone().requires_grad_()
        measure = _Weighted("rgb", torch.ones(2, 1, *cameras.image_size))
        renderer = self.make_renderer(self.shading)
        before, after = (
            measure(_reference(_painted(mesh, values), cameras, "rgb", self.shading))
            for values in (mesh.colors, mesh.colors + direction)
        )

        def measured(key: Key) -> Tensor:
            return measure(renderer(_painted(mesh, colors), cameras, ("rgb",), generator=key))

        self._compare(measured, colors, (after - before).float(), lambda gradient: (gradient * direction).sum())

    def test_lights(self) -> None:
        """By central differences, which are exact in colours; the direction is far from every face's kink."""
        if not self._has("lights", "rgb"):
            return
        mesh, cameras, step = blob(), _cameras("perspective"), 3e-3
        measure = _Weighted("rgb", torch.ones(2, 1, *cameras.image_size))
        values = torch.tensor([0.3, 0.2, 0.4, 0.5, 0.1, 0.9, 0.1, 0.2, 0.9, 0.6, 0.3, 0.8])

        def lit(numbers: Tensor) -> Shading:
            """By ambient light, one light's colour, its direction, and the background."""
            ambient, color, towards, background = numbers.reshape(4, 3)
            lamp = DirectionalLight(towards=towards, color=color)
            return dataclasses.replace(self.shading, ambient=ambient, lights=(lamp,), background=background)

        expected = _by_differences(
            lambda numbers: measure(_reference(mesh, cameras, "rgb", lit(numbers))), values, step
        )
        sizes = expected.reshape(4, 3).norm(dim=1).repeat_interleave(3)  # that each of the four counts
        unknown = values.clone().requires_grad_()

        def measured(key: Key) -> Tensor:
            return measure(self.make_renderer(lit(unknown))(mesh, cameras, ("rgb",), generator=key))

        self._compare(measured, unknown, expected / sizes, lambda gradient: gradient / sizes)

    def test_what_is_not_claimed_is_refused(self) -> None:
        mesh, cameras = blob(), _cameras("perspective")
        renderer = self.make_renderer(self.shading)
        able = renderer.capabilities.gradients
        assert mesh.colors is not None
        colors = _painted(mesh, mesh.colors.clone().requires_grad_())
        shape = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
        pose = cameras.retract(torch.zeros(2, 6, requires_grad=True))
        calls: list[tuple[set[GradientKind], str, Mesh, Cameras]] = [
            ({"colors"}, "rgb", colors, cameras),
            ({"interior", "silhouette"}, "rgb", shape, cameras),
            ({"silhouette"}, "alpha", shape, cameras),
            ({"pose"}, "rgb", mesh, pose),
        ]
        for kinds, output, scene, views in calls:
            if able.isdisjoint(kinds):
                with pytest.raises(GradientError, match=r"require a gradient|must get a gradient"):
                    renderer(scene, views, (output,))
            elif "silhouette" in able:
                assert renderer(scene, views, (output,)).as_dict()[output].requires_grad

    # How it is done

    def _has(self, kind: GradientKind, image: Image) -> bool:
        able = self.make_renderer(self.shading).capabilities
        return kind in able.gradients and image in able.outputs

    def _check(self, problem: "MotionProblem") -> None:
        renderer, motion = self.make_renderer(self.shading), problem.rest()
        self._compare(lambda key: problem.measured(renderer, motion, key), motion, problem.expected)

    def _compare(
        self,
        measured: Callable[[Key], Tensor],
        of: Tensor,
        expected: Tensor,
        project: Callable[[Tensor], Tensor] = lambda gradient: gradient,
    ) -> None:
        """The gradient of ``measured`` in ``of``, as far as it is asked for, is what was ``expected``."""
        calls = [project(torch.autograd.grad(measured(Key(call)), of)[0]) for call in range(self.calls)]
        found = torch.stack(calls).mean(0)
        noise = torch.stack(calls).std(0).norm() / self.calls**0.5 if self.calls > 1 else torch.tensor(0.0)
        assert 3 * noise < 0.7 * expected.norm(), f"too noisy to tell: {float(noise):.3g} of {expected.tolist()}"
        error = (found - expected).norm()
        assert error <= self.tolerance * expected.norm() + 3 * noise, (
            f"{found.tolist()}, and {expected.tolist()} by differences: relative error "
            f"{float(error / expected.norm()):.3f}, noise {float(noise / expected.norm()):.3f}"
        )


@dataclasses.dataclass(frozen=True)
class _Weighted:
    """The sum of an image under smooth weights, where ``mask`` ``[views, 1, H, W]`` is one."""

    image: Image
    mask: Tensor

    def __call__(self, rendering: Rendering) -> Tensor:
        values = rendering.as_dict()[self.image]
        height, width = values.shape[-2:]
        y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
        view = torch.arange(values.shape[0])[:, None, None, None]
        weights = 1 + (3 * x + view).sin() + (4 * y + 1 - view).cos() + x * y
        return (values * weights.to(values) * self.mask.to(values)).sum() / (height * width)


def _moved_mesh(mesh: Mesh, cameras: Cameras, motion: Tensor) -> tuple[Mesh, Cameras]:
    """By the similarity of seven numbers."""
    a, b, c = motion[3:6]
    zero = torch.zeros_like(a)
    turn = torch.linalg.matrix_exp(torch.stack([zero, -c, b, c, zero, -a, -b, a, zero]).reshape(3, 3))
    return mesh.with_vertices(motion[6].exp() * mesh.vertices @ turn.mT + motion[:3]), cameras


def _moved_cameras(mesh: Mesh, cameras: Cameras, motion: Tensor) -> tuple[Mesh, Cameras]:
    """All by the same twist."""
    return mesh, cameras.retract(motion.expand(cameras.views, 6))


Motion = Literal["mesh", "poses"]
_MOTIONS = {"mesh": (_moved_mesh, 7), "poses": (_moved_cameras, 6)}


@final
@dataclasses.dataclass(frozen=True)
class MotionProblem:
    """A number made of an image, and its derivatives in a motion, by central differences of the reference.

    Attributes:
        image: What the number is made of.
        motion: ``"mesh"``: by the seven numbers of a similarity; ``"poses"``: by the six of a twist of all cameras.
        projection: Of the cameras.
        shading: Of the image.
    """

    image: Image
    motion: Motion
    projection: Projection
    shading: Shading = GradientContract.shading

    def rest(self) -> Tensor:
        """No motion: zeros ``[7]`` or ``[6]`` that require a gradient."""
        return torch.zeros(_MOTIONS[self.motion][1], requires_grad=True)

    def moved(self, motion: Tensor) -> tuple[Mesh, Cameras]:
        """The scene after a motion ``[7]`` or ``[6]``."""
        return _MOTIONS[self.motion][0](blob(), _cameras(self.projection), motion)

    def measured(self, renderer: Renderer, motion: Tensor, key: Key | None = None) -> Tensor:
        """The number ``[]``, of the image by ``renderer`` after a motion."""
        measure, _ = _differences(self)
        return measure(renderer(*self.moved(motion), (self.image,), generator=key))

    @property
    def expected(self) -> Tensor:
        """The derivatives at rest, ``[7]`` or ``[6]``."""
        return _differences(self)[1]

    def relative_error(self, renderer: Renderer) -> float:
        """Of the gradient that ``renderer`` gives, in the norm of the expected one."""
        motion = self.rest()
        found = torch.autograd.grad(self.measured(renderer, motion), motion)[0]
        return float((found - self.expected).norm() / self.expected.norm())


@functools.cache
def _differences(problem: MotionProblem) -> tuple[_Measure, Tensor]:
    """What is differentiated, and its derivatives by central differences of the reference."""
    rest, step = problem.rest().detach(), _STEPS[problem.image]
    axes = [sign * axis for axis in torch.eye(len(rest)) for sign in (1, -1)]
    mask = torch.ones(2, 1, *_cameras(problem.projection).image_size)
    if problem.image != "alpha":
        for scene, views in [problem.moved(0.01 * axis) for axis in (rest, *axes)]:
            mask = mask * ~edges(NumpyRenderer()(scene, views, ("alpha", "depth")), steep=0.1)
        mask = 1 - max_pool2d(1 - mask, 2 * _BLUR + 1, 1, _BLUR)
        assert mask.mean() > 0.05, "too little lies between edges to tell"
    measure = _Weighted(problem.image, mask)

    def number(motion: Tensor) -> Tensor:
        return measure(_reference(*problem.moved(motion), problem.image, problem.shading))

    return measure, _by_differences(number, rest, step)


def _by_differences(number: Callable[[Tensor], Tensor], at: Tensor, step: float) -> Tensor:
    """The derivatives ``[N]`` of a number at ``at`` ``[N]``, by central differences."""
    moved = [at + sign * step * axis for axis in torch.eye(len(at)) for sign in (1, -1)]
    ahead, behind = torch.stack([number(each) for each in moved]).reshape(len(at), 2).unbind(-1)
    return ((ahead - behind) / (2 * step)).float()


def _reference(mesh: Mesh, cameras: Cameras, image: Image, shading: Shading) -> Rendering:
    if image == "alpha":
        return OpenGL(dataclasses.replace(shading, samples_per_pixel=_FINE))(mesh, cameras, (image,))
    return NumpyRenderer(shading)(mesh, cameras, (image,))


def _cameras(projection: Projection) -> Cameras:
    return uneven_cameras(projection)[:2].resize(48, 80)


def _painted(mesh: Mesh, colors: Tensor) -> Mesh:
    return dataclasses.replace(mesh, colors=colors)
