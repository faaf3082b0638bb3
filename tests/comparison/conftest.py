import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from render3d import Mesh
from render3d.comparison import fits, scenes

FAULTY = '''
"""Renderers of a third party, each with a fault of its own."""

import dataclasses
import math
import os

import torch

from render3d.images import Rendering
from render3d.renderers import OpenGL


class Good:
    outputs = OpenGL().capabilities.outputs
    calls = 0

    def __init__(self):
        self._renderer = OpenGL()
        able = self._renderer.capabilities
        self.capabilities = dataclasses.replace(able, name=type(self).__name__, outputs=self.outputs, licence="WTFPL")

    def __call__(self, scene, cameras, outputs=("rgb", "alpha"), *, generator=None):
        type(self).calls += 1
        return Rendering(self.change(self._renderer(scene, cameras, outputs).as_dict()))

    def change(self, images):
        return images


class Shifted(Good):
    def change(self, images):
        return {name: image.roll(1, -1) for name, image in images.items()}


class Large(Good):
    """Everything a quarter too large."""

    def __call__(self, scene, cameras, outputs=("rgb", "alpha"), *, generator=None):
        return super().__call__(scene.with_vertices(1.25 * scene.vertices), cameras, outputs)


class Bright(Good):
    def change(self, images):
        return {name: image + 0.1 if name == "rgb" else image for name, image in images.items()}


class Deep(Good):
    def change(self, images):
        return {name: 1.01 * image if name == "depth" else image for name, image in images.items()}


class Tilted(Good):
    """Normals that are turned by five degrees, about an axis across each of them."""

    def change(self, images):
        if "normal" in images:
            normal = images["normal"]
            across = torch.linalg.cross(normal, torch.tensor([0.3, -0.5, 0.8])[:, None, None].expand_as(normal), dim=-3)
            across = torch.nn.functional.normalize(across, dim=-3)
            images["normal"] = math.cos(math.radians(5)) * normal + math.sin(math.radians(5)) * across
        return images


class Soft(Good):
    """Coverage between 0 and 1 at edges, which more than half decides as before."""

    def change(self, images):
        return {name: 0.8 * image + 0.1 if name == "alpha" else image for name, image in images.items()}


class Plain(Good):
    outputs = ("rgb", "alpha")


class Blind(Good):
    outputs = ("rgb", "depth")


class NotFinite(Good):
    def change(self, images):
        images["rgb"][0, 0, 0, :3] = math.nan
        return images


class Small(Good):
    def change(self, images):
        return {name: image[..., 1:] for name, image in images.items()}


class Silent(Good):
    def change(self, images):
        return {"rgb": images["rgb"]}


class Raises(Good):
    def change(self, images):
        raise RuntimeError("out of <b>cheese</b>")


class Crashes(Good):
    def change(self, images):
        os._exit(3)


class Stops(Good):
    """Whose user presses ctrl-C, once."""

    stopped = False

    def change(self, images):
        if type(self).calls >= 3 and not Stops.stopped:
            Stops.stopped = True
            raise KeyboardInterrupt
        return images
'''


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of renderers that are wrong, each in its way; it is new for every test."""
    name = f"faulty_{abs(hash(tmp_path))}"
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / f"{name}.py").write_text(FAULTY, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return name


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial in a process of its own, which takes seconds to start."""
    for module in (scenes, fits):
        monkeypatch.setattr(module, "memory_of", lambda *arguments: 1.0)
    monkeypatch.setattr(scenes, "rate", lambda action, count: action() and 100.0)


@pytest.fixture
def egg() -> Mesh:
    ball = Mesh.icosphere(2)
    return ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6]))


def read_json(path: Path) -> dict:
    """JSON without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


class Page(HTMLParser):
    """A strict reader of a page that must need nothing but itself: every element is closed, in order."""

    VOID = ("meta", "img")

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.links: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, pairs) -> None:
        attributes = dict(pairs)
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        assert not {"srcset", "data", "action", "background"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert "url(" not in attributes.get("style", "")
        if tag == "img":
            assert attributes["src"].startswith("data:image/")
            self.images.append(attributes)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def text(self, tag: str) -> list[str]:
        return [data for name, data in self.texts if name == tag]


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    return lambda folder: Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def read_metrics() -> Callable[[Path], dict]:
    return lambda folder: read_json(folder / "metrics.json")
