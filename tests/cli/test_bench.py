"""``render3d bench``: that it measures and judges; how fast the machine is, no test asks."""

import json

import pytest

from render3d.cli import bench


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_MESHES", 3)
    monkeypatch.setattr(bench, "_SECONDS", 0.0)


def set_floors(monkeypatch: pytest.MonkeyPatch, floor: float) -> None:
    monkeypatch.setattr(bench, "_FLOORS", {("shaded", 162): floor, ("silhouettes", 642): floor})


def test_ratios_above_their_floors_pass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_floors(monkeypatch, 0.0)
    assert bench.bench(check=True, as_json=True, rounds=1) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(row["images"], row["vertices"]) for row in shown["comparisons"]] == [("shaded", 162), ("silhouettes", 642)]
    for row in shown["comparisons"]:
        assert row["ratio"] == pytest.approx(row["opengl"] / row["pyrender"])
        assert row["ratio"] > 0
    assert shown["made_with"]["GL_RENDERER"]


def test_a_ratio_below_its_floor_fails_the_check_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_floors(monkeypatch, 1e9)
    assert bench.bench(rounds=1) == 0
    assert bench.bench(check=True, rounds=1) == 1
    shown = capsys.readouterr()
    assert "Below the floor: shaded at 162 vertices, silhouettes at 642 vertices." in shown.err
    assert "1e+09" in shown.out
