"""What holds for every test."""

import os

import pytest

# Whether Ray asks for tokens is read once a process, by its first session. Clusters that tests make have none.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# The programs that tests start would compile the package each, for a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# They wait more than they compute: begun first, they are done while the other files keep the cores busy.
WAITING = ("test_ray.py", "test_local.py", "test_run_stopped.py", "test_model.py", "test_scene.py", "test_renderer.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in WAITING)


@pytest.fixture
def small_turntables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports get turntables of two views, and small ones: for tests that do not look at them."""
    from render3d import report
    from render3d.fitting import fit_report

    turntable = report.turntable
    for module in (report, fit_report):
        monkeypatch.setattr(
            module, "turntable", lambda scene, renderer=None, **usual: turntable(scene, renderer, views=2, size=20)
        )
