"""Settings as JSON and back: what comes back, and what is refused before anything of it is called."""

import abc
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from render3d.errors import ModelError
from render3d.settings import facts_of, settings_from_json, settings_to_json

CALLS = list[str]()


class Filter(abc.ABC):
    @abc.abstractmethod
    def strength(self) -> float: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blur(Filter):
    radius: float = 1.5

    def strength(self) -> float:
        return self.radius


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lens:
    focus: float = 2.0
    size: tuple[int, int] = (3, 4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    filter: Filter
    lens: Lens = Lens()
    spares: tuple[Lens, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    limit: float | None = None
    folder: Path | None = None
    count: int = 1
    silent: bool = False
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ModelError(f"count must be at least 0; got {self.count}.")


@dataclasses.dataclass(frozen=True)
class Intruder:
    radius: float = 1.0

    def __post_init__(self) -> None:
        CALLS.append("made")


FULL = Camera(
    filter=Blur(radius=2),
    spares=(Lens(), Lens(focus=0.5)),
    mode="slow",
    limit=0.25,
    folder=Path("a") / "b",
    notes={"places": [[1, 2], None]},
)


@pytest.mark.parametrize("settings", [FULL, Camera(filter=Blur())])
def test_settings_come_back(settings: Camera) -> None:
    written = settings_to_json(settings)
    assert json.loads(json.dumps(written)) == written
    found = settings_from_json(Camera, written, error=ModelError)
    assert found == settings and isinstance(found.lens.size, tuple)


def test_only_what_may_be_of_several_kinds_carries_its_class() -> None:
    written = settings_to_json(FULL)
    assert written["filter"]["class"] == f"{__name__}:Blur"
    assert "class" not in written["lens"] and "class" not in written["spares"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "1"}, "camera.count must be int; got '1'"),
        ({"count": True}, "camera.count must be int; got True"),
        ({"count": 1.0}, "camera.count must be int; got 1.0"),
        ({"silent": 1}, "camera.silent must be bool; got 1"),
        ({"mode": "idle"}, "camera.mode must be .*'fast', 'slow'.*; got 'idle'"),
        ({"limit": "x"}, "camera.limit must be float; got 'x'"),
        ({"folder": 3}, "camera.folder must be Path; got 3"),
        ({"lens": {"focus": 1.0}}, "camera.lens lacks 'size': it is damaged, or of another version"),
        ({"lens": {"focus": 1.0, "size": [1]}}, r"camera.lens.size must be 2 values; got \[1\]"),
        ({"lens": {"focus": 1.0, "size": [1, "2"]}}, "camera.lens.size must be int; got '2'"),
        ({"spares": [3]}, "camera.spares must be settings by name; got 3"),
        ({"spares": {}}, "camera.spares must be .*tuple.*; got {}"),
        ({"colour": 1}, "camera has 'colour', which Camera does not know"),
        ({"count": -1}, "count must be at least 0; got -1"),
        ({"filter": {"radius": 1.0}}, "camera.filter must name a dataclass, as 'class': 'module:Class'; got None"),
        ({"filter": {"class": f"{__name__}:Filter"}}, "camera.filter must name a dataclass"),
        ({"filter": {"class": f"{__name__}:Intruder", "radius": 1.0}}, "must be a subclass of Filter"),
        ({"filter": {"class": "os:system"}}, "'os:system' is not a class for camera.filter"),
        ({"filter": {"class": "no.such:Blur"}}, "cannot be imported.*PYTHONPATH"),
        ({"filter": {"class": 3}}, "There is no class for camera.filter '3'"),
        ({"lens": {"class": f"{__name__}:Intruder", "radius": 1.0}}, "must be a subclass of Lens"),
    ],
)
def test_what_does_not_fit_is_named_before_it_is_made(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        settings_from_json(Camera, settings_to_json(FULL) | change, what="camera", error=ModelError)
    assert not CALLS


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ModelError, match=r"settings must be settings by name; got \[\]"):
        settings_from_json(Camera, [], error=ModelError)


def test_what_a_file_cannot_hold_is_named_when_it_is_written() -> None:
    with pytest.raises(TypeError, match="focus is a Tensor, which settings in a file cannot hold"):
        settings_to_json(Lens(focus=torch.ones(())))  # type: ignore[arg-type]


def test_facts_have_full_names() -> None:
    old, new = settings_to_json(FULL), settings_to_json(dataclasses.replace(FULL, filter=Blur(), lens=Lens(focus=9.0)))
    assert facts_of(old)["lens.size"] == "[3, 4]" and facts_of(old, "camera.")["camera.filter.radius"] == "2"
    changed = {name for name, value in facts_of(new).items() if facts_of(old)[name] != value}
    assert changed == {"filter.radius", "lens.focus"}
    assert facts_of(old) == facts_of(json.loads(json.dumps(old)))
