"""The study of learned cameras, at a tiny size: it compares what it says, and goes on where it was stopped."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from learned_camera.networks import WARPS, Settings, train
from learned_camera.scores import analytic_renderers, interval, score
from learned_camera.views import COARSE, FINE, ZONES, Posed, make_views
from learned_projection import run

import render3d as r3
from render3d.datasets import Primitives
from render3d.errors import ComparisonError
from render3d.renderers import Capabilities, EmissionAbsorption

TINY = Settings(updates=2, batch=2, features=2, planes=6, training_solids=2, views=2, test_solids=2)


@pytest.fixture(scope="module")
def seen() -> Posed:
    return make_views("test", "as in training", 6, 2)


@dataclasses.dataclass(frozen=True)
class Copyist:
    """A renderer that hands out the target, its depth moved back."""

    posed: Posed
    behind: float = 0.0

    @property
    def capabilities(self) -> Capabilities:
        return EmissionAbsorption().capabilities

    def __call__(
        self, scene: object, cameras: r3.Cameras, outputs: Sequence[str], *, generator: object = None
    ) -> r3.Rendering:
        return r3.Rendering({"alpha": self.posed.alpha, "depth": self.posed.depth + self.behind})


def test_the_coarse_voxels_are_the_solids_that_the_fine_ones_are() -> None:
    for index in range(12):
        coarse, fine = (Primitives("test", settings)[index].volume[0] for settings in (COARSE, FINE))
        shrunk = torch.nn.functional.avg_pool3d(fine[None], 3)[0]
        assert float(((shrunk > 0.5) != (coarse > 0.5)).sum()) < 0.06 * float(coarse.sum())


def test_each_solid_is_seen_by_its_own_cameras(seen: Posed) -> None:
    right = score(EmissionAbsorption(), seen).iou
    others = torch.arange(1, 7) % 6
    assert right > 0.7 > 0.4 > score(EmissionAbsorption(), dataclasses.replace(seen, volumes=seen.volumes[others])).iou
    picked = seen.pick(torch.tensor([2, 0, 2]), torch.tensor([0, 1, 1]))
    assert picked.alpha.shape == (3, 1, 1, 32, 32)
    assert torch.equal(picked.depth[2, 0], seen.depth[2, 1])
    assert torch.equal(picked.cameras.world_to_camera[1, 0], seen.cameras.world_to_camera[0, 1])
    assert torch.equal(picked.volumes.values[1], seen.volumes.values[0])


def test_cameras_of_the_zones_are_where_they_are_said_to_be() -> None:
    for zone, (elevation, distance) in ZONES.items():
        position = make_views("test", zone, 2, 5).cameras.position
        found = position.norm(dim=-1)
        height = torch.rad2deg(torch.asin(position[..., 1] / found))
        assert distance[0] <= float(found.min()) < float(found.max()) <= distance[1]
        assert elevation[0] - 1e-3 <= float(height.min()) < float(height.max()) <= elevation[1] + 1e-3


def test_scores_are_those_of_known_errors(seen: Posed) -> None:
    assert score(Copyist(seen), seen) == (0.0, 1.0, 0.0)
    assert score(Copyist(seen, behind=2 / 30), seen).depth == pytest.approx(1.0, rel=1e-4)  # a voxel
    inverse = dataclasses.replace(seen, alpha=1 - seen.alpha)
    assert score(Copyist(inverse), seen) == (1.0, 0.0, None)


def test_a_fitted_density_is_no_worse_than_that_of_the_voxels(seen: Posed) -> None:
    found = analytic_renderers(seen, {"here": seen})
    for name in ("EmissionAbsorption", "MaxProjection"):
        fitted, plain = found[f"{name}, density fitted"], found[name]
        assert plain.density == 1.0 and fitted.scores["here"].error < plain.scores["here"].error


def test_the_interval_is_that_of_student() -> None:
    mean, half_width = interval([1.0, 2.0, 3.0])
    assert mean == 2.0 and half_width == pytest.approx(4.302653 / 3**0.5)
    assert interval([5.0]) == (5.0, None)


def test_a_network_learns_and_its_seed_decides_how(seen: Posed) -> None:
    settings = dataclasses.replace(TINY, updates=24)
    first, again, other = (train(settings, "frustum", seed, seen, {"here": seen.first(2)}) for seed in (0, 0, 1))
    assert first.scores == again.scores and first.history == again.history
    assert first.scores != other.scores
    errors = [scores["here"].error for _, scores in first.history]
    assert len(errors) == 12 and errors[-1] < errors[0]


def test_the_command_writes_all_it_promises_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, seeds=1, settings=TINY)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["seeds"] == 1 and len(metrics["scores"]) == len(WARPS) + 4
    assert all(set(by_zone) == set(ZONES) for by_zone in metrics["scores"].values())
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == len(ZONES) and "EmissionAbsorption, density fitted" in page
    assert (tmp_path / "learned_projection.png").stat().st_size > 1000
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len(written) == 2 * len(WARPS)

    (tmp_path / "runs/affine_0.json").unlink()  # as if it had been stopped there
    run(tmp_path, seeds=1, settings=TINY)
    changed = {path.stem for path, when in written.items() if path.stat().st_mtime_ns != when}
    assert changed == {"affine_0"}
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["scores"] == metrics["scores"]

    with pytest.raises(ComparisonError, match="updates was 2 and is 5. Resume .* write to another folder"):
        run(tmp_path, seeds=1, settings=dataclasses.replace(TINY, updates=5))
    with pytest.raises(SystemExit, match="--seeds must be at least 1"):
        run(tmp_path / "none", seeds=0)
    assert not (tmp_path / "none").exists()
