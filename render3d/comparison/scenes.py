"""The same scene by several renderers."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as encode

from render3d.atomic import atomic_write
from render3d.cameras import Cameras
from render3d.comparison.costs import memory_of, rate
from render3d.comparison.differences import figures_of
from render3d.comparison.scene_report import scene_report
from render3d.comparison.scene_settings import SceneSettings
from render3d.comparison.turns import Figures, Summary, begin, check_names, finish, take_turns
from render3d.errors import CapabilityError, ComparisonError
from render3d.images import Rendering
from render3d.renderers import Renderer, make_renderer
from render3d.report.volumes import shown
from render3d.runs.identity import fingerprint
from render3d.scenes import SceneKind
from render3d.settings import facts_of

OUTPUTS = ("rgb", "alpha", "depth", "normal")
_RENDERING = "rendering.safetensors"
_DEFAULTS = SceneSettings()


def compare_scene(
    out: Path,
    scene: SceneKind,
    names: Sequence[str],
    settings: SceneSettings = _DEFAULTS,
    *,
    resume: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Render a scene through several renderers, and write what differs to a folder.

    There will be ``config.json``, ``metrics.json``, ``report.html``, and for each renderer a folder with its images,
    as files and, unrounded, as ``rendering.safetensors``. A renderer that fails is reported, and the others go on.

    Args:
        out: A folder; made if it is not there.
        scene: One scene of any kind, no batch. It is moved and scaled into the unit sphere. A volume without colours is
            `lit`, so that there is something to see.
        names: Of two renderers at least, as `render3d.renderers.make_renderer` takes them. The others are
            compared with the first that works.
        settings: Everything else.
        resume: Keep what the renderers in ``out`` have finished. Without it, a folder with results is an error.
        progress: Called with the name of each renderer whose turn it is.

    Returns:
        What ``metrics.json`` holds; see `summary`.

    Raises:
        ComparisonError: Fewer than two names, or one twice; a folder with results without ``resume``, or none or
            another one with it.
        MeshError, VolumeError: A scene without a size.
        KeyboardInterrupt: Passed on, after what was finished has been written.
    """
    check_names(names)
    if scene.batch_shape:
        raise ComparisonError(f"scene must be one, and no batch; got a batch of shape {list(scene.batch_shape)}.")
    scene, cameras = shown(scene.detach()).in_unit_sphere(settings.cameras())
    begin(out, dataclasses.asdict(settings), _identity(scene, settings), names, resume=resume)
    work = functools.partial(_work, scene=scene, cameras=cameras, rounds=settings.rounds)
    turns, stopped = take_turns(out, names, work, progress)
    renderings = {turn.label: Rendering(load_file(turn.folder / _RENDERING)) for turn in turns if turn.worked}
    differences = figures_of(renderings)
    page = scene_report(scene, settings, turns, renderings, differences)
    return finish(out, turns, differences, page, stopped=stopped)


def _work(renderer: Renderer, name: str, folder: Path, scene: SceneKind, cameras: Cameras, rounds: int) -> Figures:
    outputs = tuple(output for output in OUTPUTS if output in renderer.capabilities.outputs)
    if "alpha" not in outputs:
        raise CapabilityError(f"{renderer.capabilities.name} makes no alpha, without which nothing can be compared.")
    memory = memory_of(_render, name, scene, cameras, outputs)
    with torch.no_grad():
        rendering = renderer(scene, cameras, outputs).detach().to("cpu")
        _check(rendering, cameras, outputs)
        shown = outputs[:2] if "rgb" in outputs else ("alpha",)
        rates = [rate(lambda: renderer(scene, cameras, shown), cameras.views) for _ in range(rounds)]
    _save(rendering, folder)
    return {"images_per_second": max(rates), "peak_mib": memory}


def _render(name: str, scene: SceneKind, cameras: Cameras, outputs: tuple[str, ...]) -> None:
    with torch.no_grad():
        make_renderer(name)(scene, cameras, outputs)


def _check(rendering: Rendering, cameras: Cameras, outputs: tuple[str, ...]) -> None:
    """Raise `ComparisonError` for images that cannot be compared, which a renderer from elsewhere may return."""
    for output in outputs:
        image = rendering.as_dict().get(output)
        if image is None:
            raise ComparisonError(f"It was asked for {output}, and returned {', '.join(rendering.outputs)}.")
        wanted = (cameras.views, *cameras.image_size)
        if (*image.shape[:-3], *image.shape[-2:]) != wanted:
            raise ComparisonError(
                f"{output} must be {wanted[0]} views of {wanted[1]} x {wanted[2]} pixels; got {list(image.shape)}."
            )
        broken = int((~image.isfinite()).sum())
        if broken:
            raise ComparisonError(f"{output} must be finite; got {broken} values that are NaN or infinite.")


def _save(rendering: Rendering, folder: Path) -> None:
    rendering.save(folder)
    with atomic_write(folder / _RENDERING) as stream:
        stream.write(encode({name: image.contiguous() for name, image in rendering.as_dict().items()}))


def _identity(scene: SceneKind, settings: SceneSettings) -> Mapping[str, str]:
    return {
        "kind": type(scene).__name__.lower(),
        "scene": fingerprint(*scene.tensors()),
        **facts_of(dataclasses.asdict(settings), "settings."),
    }
