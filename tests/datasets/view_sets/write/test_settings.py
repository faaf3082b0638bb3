"""Settings: to JSON and back, and what is refused."""

import json

import pytest

from render3d import Cameras, DirectionalLight, Shading
from render3d.datasets.view_sets.write.protocols import Given, Orbit, R2N2Cameras, Random
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import CapabilityError, DatasetError

PLAIN = ViewsSettings()


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        ViewsSettings(protocol=Orbit(views=3), outputs=("alpha",), radius=None, seed=4, renderer="pyrender"),
        ViewsSettings(protocol=Random(elevation_degrees=(0.0, 30.0)), format="shards"),
        ViewsSettings(
            protocol=R2N2Cameras(), shading=Shading(lights=(DirectionalLight(towards=(0, 1, 0)),), cull="back")
        ),
        ViewsSettings(protocol=Given.of(Cameras.sphere(2, 3.0)), shading=Shading.unlit()),
    ],
)
def test_settings_come_back_from_json(settings: ViewsSettings) -> None:
    written = json.loads(json.dumps(settings.to_json()))
    assert written == settings.to_json()
    assert ViewsSettings.from_json(written) == settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": {"class": "render3d:Mesh"}}, "must be a subclass of CameraProtocol"),
        ({"protocol": {"views": 3}}, "views.protocol must name a dataclass, as 'class': 'module:Class'; got None"),
        ({"shading": None}, "views.shading must be settings by name; got None"),
        ({"shading": {**PLAIN.to_json()["shading"], "cull": "left"}}, "views.shading.cull must be .*; got 'left'"),
        ({"seed": -1}, "seed must be from 0"),
        ({"colour": 3}, "has 'colour', which ViewsSettings does not know"),
    ],
)
def test_what_is_no_settings_is_an_error(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        ViewsSettings.from_json(PLAIN.to_json() | change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"outputs": ("rgb",)}, "outputs must hold 'alpha'"),
        ({"outputs": ("alpha", "alpha")}, "each once"),
        ({"outputs": ("alpha", "barycentric")}, "outputs must be one of .* got 'barycentric'"),
        ({"seed": -1}, "seed must be from 0"),
        ({"radius": 0.0}, "radius must be at least"),
    ],
)
def test_values_out_of_range_are_refused(values, message) -> None:
    with pytest.raises(DatasetError, match=message):
        ViewsSettings(**values)


def test_the_renderer_gets_the_shading_and_must_have_the_outputs() -> None:
    shading = Shading(background=(0.0, 0.0, 0.0))
    assert ViewsSettings(shading=shading).make_renderer().shading == shading  # type: ignore[attr-defined]
    with pytest.raises(CapabilityError, match="must render meshes and have rgb, alpha, depth; EmissionAbsorption has"):
        ViewsSettings(renderer="emissionabsorption").make_renderer()
    with pytest.raises(CapabilityError, match="There is no renderer 'crayon'"):
        ViewsSettings(renderer="crayon").make_renderer()
