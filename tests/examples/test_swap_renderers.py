"""One network through several renderers, at a tiny size."""

import json
from pathlib import Path

import pytest
import swap_renderers
import torch
from one_image.networks import ShapeFromImage
from one_image.objects import Objects
from one_image.training import Settings, score, train

from render3d import Mesh, Volume
from render3d.errors import ComparisonError
from render3d.renderers import EmissionAbsorption, OpenGL

TINY = Settings(updates=2, batch=2, image_size=16, training=6, test=6)


def test_the_head_alone_depends_on_the_renderer_and_its_scene_is_what_the_renderer_takes() -> None:
    image = torch.rand(2, 3, 16, 16)
    torch.manual_seed(0)
    mesh_network = ShapeFromImage(OpenGL(), 16)
    torch.manual_seed(0)
    volume_network = ShapeFromImage(EmissionAbsorption(), 16)
    assert torch.equal(mesh_network.encoder(image), volume_network.encoder(image))
    mesh, volume = mesh_network(image), volume_network(image)
    assert isinstance(mesh, Mesh) and mesh.vertices.shape == (2, 162, 3)
    assert isinstance(volume, Volume) and volume.values.shape[:2] == (2, 1)


@pytest.mark.parametrize("renderer", [OpenGL(), EmissionAbsorption()])
def test_what_is_learned_from_pictures_is_better_than_where_it_began(renderer) -> None:
    settings = Settings(updates=60, batch=6, image_size=16, training=12, test=6)
    training, test = Objects.make("train", 12, 16), Objects.make("test", 6, 16)
    trained = train(renderer, settings, training, test, {})
    assert trained.curve[-1][2] > trained.curve[0][2] + 0.1
    assert trained.curve[-1][2] == pytest.approx(score(trained.network, renderer, test), abs=1e-6)


def test_a_second_call_trains_only_what_is_new_and_other_settings_are_refused(tmp_path: Path, monkeypatch) -> None:
    swap_renderers.run(tmp_path, renderers=("opengl",), settings=TINY)
    first = json.loads((tmp_path / "metrics.json").read_text())["renderers"]
    trained = []
    monkeypatch.setattr(
        swap_renderers, "train", lambda renderer, *rest: (trained.append(renderer), train(renderer, *rest))[1]
    )
    swap_renderers.run(tmp_path, renderers=("opengl", "emissionabsorption"), settings=TINY)
    second = json.loads((tmp_path / "metrics.json").read_text())["renderers"]
    assert len(trained) == 1 and isinstance(trained[0], EmissionAbsorption)
    assert [each["scene"] for each in second.values()] == ["mesh", "volume"]
    assert next(iter(first.items())) in second.items()
    assert {"report.html", "pictures.png", "by_updates.svg", "by_seconds.svg"} <= {p.name for p in tmp_path.iterdir()}
    with pytest.raises(ComparisonError, match="which holds another run: updates was 2 and is 3"):
        swap_renderers.run(tmp_path, renderers=("opengl",), settings=Settings(updates=3))
