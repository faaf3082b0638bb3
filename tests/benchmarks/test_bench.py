"""``python -m benchmarks``: that it measures and judges; how fast the machine is, no test asks."""

import json

import numpy
import pytest
import torch

from benchmarks import bench, render, renderers, timing, volume
from render3d.comparison.costs import peak_memory
from render3d.models.parts.batch import Batch
from render3d.randomness import Key


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_MESHES", 3)
    monkeypatch.setattr(timing, "_SECONDS", 0.0)


def set_floors(monkeypatch: pytest.MonkeyPatch, floor: float) -> None:
    monkeypatch.setattr(render, "_FLOORS", {("shaded", 162): floor, ("silhouettes", 642): floor})


def test_ratios_above_their_floors_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_floors(monkeypatch, 0.0)
    assert bench.bench(check=True, as_json=True, rounds=1) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["case"] for row in shown["comparisons"]] == ["shaded, 162 vertices", "silhouettes, 642 vertices"]
    for row in shown["comparisons"]:
        assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"])
        assert row["ratio"] > 0
    assert shown["made_with"]["GL_RENDERER"]


def test_a_ratio_below_its_floor_fails_the_check_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_floors(monkeypatch, 1e9)
    assert bench.bench(rounds=1) == 0
    assert bench.bench(check=True, rounds=1) == 1
    shown = capsys.readouterr()
    assert "Below the floor: shaded, 162 vertices; silhouettes, 642 vertices." in " ".join(shown.err.split())
    assert "1e+09" in shown.out


def test_the_volume_benchmark_compares_like_with_like(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(volume, "_SMALL", True)
    monkeypatch.setattr(volume, "peak_memory", lambda *arguments: 1.0)
    assert bench.bench("volume", as_json=True, rounds=1) == 0
    shown = json.loads(capsys.readouterr().out)
    cases = [row["case"] for row in shown["comparisons"]]
    assert len({(row["case"], row["peer"]) for row in shown["comparisons"]}) == len(cases)
    assert {case.split(",")[0] for case in cases} >= {"EmissionAbsorption", "VST"}
    assert all(row["ours"] > 0 and row["theirs"] > 0 for row in shown["comparisons"])


def test_the_plain_model_is_the_same_model() -> None:
    """What is raced against takes the same steps, by the same mathematics."""
    x = (torch.rand(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.1).float()
    ours, plain = volume._model(3, 8), volume._plain(volume._model(3, 8))
    for model in (ours, plain):
        model(Batch(x), Key(0)).total.mean().backward()
    torch.testing.assert_close(ours.start.grad, plain.start.grad, rtol=1e-4, atol=1e-4)


def test_memory_is_what_a_process_of_its_own_needs_at_its_peak() -> None:
    # 100 MiB of float64, less what the process has had and given back before.
    assert 95 < peak_memory(numpy.ones, 100 * 2**17) < 130


def test_renderers_by_name_are_timed_on_one_grid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, values in {"SUBDIVISIONS": (1, 2), "SIZES": (16,), "BATCHES": (1, 2)}.items():
        monkeypatch.setattr(renderers, name, values)
    assert bench.bench(renderers=("opengl", "pyrender"), as_json=True, rounds=1) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    assert [(row["faces"], row["images"]) for row in table["rows"]] == [(80, 1), (80, 2), (320, 1), (320, 2)]
    for row in table["rows"]:
        assert all(row[name] > 0 for name in ("opengl", "opengl, both ways", "pyrender", "pyrender, both ways"))


def test_a_renderer_that_fails_or_would_take_too_long_is_a_dash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, values in {"SUBDIVISIONS": (1,), "SIZES": (16, 24), "BATCHES": (1,)}.items():
        monkeypatch.setattr(renderers, name, values)
    monkeypatch.setattr(renderers, "PATIENCE", 1e-9)
    assert bench.bench(renderers=("opengl", "emissionabsorption"), as_json=True, rounds=1) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    first, second = table["rows"]
    assert first["opengl"] > 0 and second["opengl"] is None
    assert first["emissionabsorption"] is None
    assert "emissionabsorption: EmissionAbsorption renders Volume; got Mesh" in table["note"]


def test_renderers_by_name_are_for_rendering() -> None:
    with pytest.raises(ValueError, match="--renderers is for 'python -m benchmarks render'; got it with volume"):
        bench.bench("volume", renderers=("opengl",))
