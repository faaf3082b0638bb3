"""The page that shows what a fit found."""

import base64
import dataclasses
import importlib
import io
import re
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image
from torch import Tensor

from render3d import Mesh
from render3d.fitting import FitRecord, Measure, TemplateFitResult
from render3d.renderers import OpenGL, Renderer
from render3d.view_sets import ViewSet

REPORT = importlib.import_module("render3d.fitting.fit_report")  # the module has a function of that name
TURNTABLE = REPORT.turntable
VOID = {"meta", "img", "br", "hr", "input", "link"}
HOSTILE = '<b>&"x"'


class Page(HTMLParser):
    """A strict reader: every element is closed, in order; all text and attributes are kept."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [data for name, data in self.texts if name == tag]


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the usual size take a second."""

    def small(mesh: Mesh, renderer: Renderer, *, views: int, size: int) -> Tensor:
        return TURNTABLE(mesh, renderer, views=views, size=8)

    monkeypatch.setattr(REPORT, "turntable", small)


RECORDS = (
    FitRecord(update=1, seconds=0.5, loss=0.25),
    FitRecord(update=2, seconds=1.0, loss=0.125, training_iou=0.5, held_out_iou=0.4),
    FitRecord(update=3, seconds=1.5, loss=0.0625, training_iou=0.75, held_out_iou=0.6),
)
MEASURES = {
    "fit": Measure(training_iou=0.75, held_out_iou=0.6, held_out_disagreement=0.0123),
    "best <sphere>": Measure(training_iou=0.5, held_out_iou=0.45, held_out_disagreement=0.2),
    "visual hull": Measure(training_iou=0.7, held_out_iou=0.65, held_out_disagreement=0.1),
}


@pytest.fixture
def split(make_views, ellipsoid) -> tuple[ViewSet, ViewSet]:
    views = make_views(ellipsoid, views=8)
    return dataclasses.replace(views, names=(HOSTILE, *views.names[1:])).split(held_out=2)


@pytest.fixture
def result() -> TemplateFitResult:
    return TemplateFitResult(Mesh.icosphere(1, 0.6), Mesh.icosphere(1), RECORDS)


@pytest.fixture
def markup(result, split, renderer, quick) -> str:
    return REPORT.fit_report(result, *split, MEASURES, renderer, quick)


@pytest.fixture
def page(markup) -> Page:
    return Page(markup)


def test_every_element_is_closed_and_the_page_is_one_document(page):
    assert [tag for tag, _ in page.elements[:3]] == ["html", "head", "meta"]
    assert {"charset": "utf-8"} in page.all("meta")
    assert page.text("title") == page.text("h1") == ["A mesh fitted to silhouettes"]


def test_nothing_is_fetched_from_anywhere(page, markup):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    for _, attributes in page.elements:
        assert not {"href", "srcset", "data", "action", "background"} & set(attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", markup))


def test_names_are_escaped_wherever_they_stand(page, markup):
    assert HOSTILE not in markup
    assert "<sphere>" not in markup
    assert not page.all("b")
    assert any(caption.startswith(HOSTILE) for caption in page.text("figcaption"))
    assert any(image["alt"].startswith(f"{HOSTILE} ") for image in page.all("img"))
    assert "best <sphere>" in page.text("td")


def test_there_are_three_pictures_of_each_view_and_one_that_turns(page):
    sources = [image["src"] for image in page.all("img")]
    assert len(sources) == 1 + 3 * 8
    pictures = [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]
    assert pictures[0].format == "WEBP"
    assert pictures[0].n_frames == 48
    assert {(picture.format, picture.size) for picture in pictures[1:]} == {("PNG", (32, 32))}
    assert [image["alt"].rpartition(": ")[2] for image in page.all("img")[1:]] == ["target", "fit", "difference"] * 8


def test_views_go_from_the_worst_to_the_best_held_out_ones_first(page):
    captions = page.text("figcaption")
    values = [float(caption.split()[-1]) for caption in captions]
    assert values[:2] == sorted(values[:2])
    assert values[2:] == sorted(values[2:])
    headings = page.text("h2")
    assert headings == ["Held-out views", "Training views", "Progress", "How it was made"]
    assert {caption.rpartition(" ")[0] for caption in captions[:2]} == {"view 2", "view 6"}


def test_the_caption_is_the_iou_of_that_view(result, split, renderer, quick):
    training, _ = split
    one = training.select([3])
    page = Page(REPORT.fit_report(result, one, None, {"fit": MEASURES["fit"]}, renderer, quick))
    found = renderer(result.mesh, one.cameras, ("alpha",)).alpha > 0.5
    wanted = one.alpha > 0.5
    iou = ((found & wanted).sum() / (found | wanted).sum()).item()
    assert page.text("figcaption") == [f"{one.names[0]} {iou:.3f}"]


def test_the_table_has_the_measures_with_the_fit_in_front(page):
    cells = page.text("td")
    assert cells[:4] == ["fit", "0.6000", "0.7500", "0.0123"]
    assert cells[4:8] == ["best <sphere>", "0.4500", "0.5000", "0.2000"]
    assert page.all("tr")[1] == {"class": "chosen"}


def test_there_are_four_plots_with_the_hull_as_a_level(page):
    assert [plot["aria-label"] for plot in page.all("svg")] == [
        "Silhouette IoU over updates: mean IoU against updates",
        "Loss over updates: mean squared difference against updates",
        "Silhouette IoU over seconds: mean IoU against seconds",
        "Loss over seconds: mean squared difference against seconds",
    ]
    lines = [len(line["points"].split()) for line in page.all("polyline")]
    assert lines == [2, 2, 3] * 2  # training and held out where they were measured; the loss of every step
    assert page.text("text").count("visual hull") == 2


def test_the_lead_says_what_came_out(page):
    assert page.text("p")[0] == (
        "80 faces, fitted through OpenGL to 6 silhouettes in 2 s: mean IoU 0.6000 on held-out views."
    )


def test_settings_and_versions_are_listed(page):
    names, values = page.text("dt"), page.text("dd")
    listed = dict(zip(names, values, strict=True))
    assert listed["updates"] == "12"
    assert listed["gradient"] == "edges"
    assert listed["learning rate"] == "0.05 to 0.02"
    assert listed["renderer"] == "OpenGL"
    assert listed["torch"] == torch.__version__


def test_without_held_out_views_the_page_goes_without_them(result, split, renderer, quick):
    records = tuple(dataclasses.replace(record, held_out_iou=None) for record in RECORDS)
    measures = {"fit": Measure(training_iou=0.75, held_out_iou=None, held_out_disagreement=None)}
    page = Page(
        REPORT.fit_report(dataclasses.replace(result, records=records), split[0], None, measures, renderer, quick)
    )
    assert page.text("td") == ["fit", "–", "0.7500", "–"]  # noqa: RUF001
    assert page.text("p")[0].endswith("mean IoU 0.7500 on training views.")
    assert page.text("h2") == ["Training views", "Progress", "How it was made"]
    assert len(page.all("polyline")) == 4


def test_a_fit_of_one_step_has_its_page(result, split, renderer, quick):
    one = dataclasses.replace(result, records=RECORDS[1:2])
    page = Page(REPORT.fit_report(one, *split, MEASURES, renderer, quick))
    assert [len(line["points"].split()) for line in page.all("polyline")] == [1] * 6


def test_of_many_views_some_are_shown_and_the_page_says_so(result, make_views, ellipsoid, renderer, quick):
    views = make_views(ellipsoid, views=30, size=16)
    page = Page(REPORT.fit_report(result, views, None, MEASURES, renderer, quick))
    captions = page.text("figcaption")
    assert len(captions) == len(set(captions)) == 22
    assert any(text.endswith("22 of 30 views are shown.") for text in page.text("p"))


def test_large_views_are_shown_small(result, make_views, ellipsoid, renderer, quick):
    page = Page(REPORT.fit_report(result, make_views(ellipsoid, views=2, size=200), None, MEASURES, renderer, quick))
    picture = Image.open(io.BytesIO(base64.b64decode(page.all("img")[1]["src"].partition(",")[2])))
    assert picture.size == (128, 128)


def test_the_turntable_shows_the_whole_mesh_in_the_middle(renderer):
    mesh = Mesh.icosphere(2, 5.0)
    far_away = mesh.with_vertices(mesh.vertices + 100)
    frames = TURNTABLE(far_away, renderer, views=3, size=60)
    assert frames.shape == (3, 3, 60, 60)
    covered = (frames < 0.99).any(1)
    assert covered[:, 10:50, 29:31].all()
    assert not covered[:, [0, -1]].any()
    assert not covered[:, :, [0, -1]].any()


def test_the_turntable_of_a_renderer_without_colours_is_grey(renderer):
    class Masks:
        capabilities = dataclasses.replace(OpenGL().capabilities, outputs=("alpha",))

        def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
            return renderer(scene, cameras, outputs)

    frames = TURNTABLE(Mesh.icosphere(1), Masks(), views=2, size=16)
    assert frames.shape == (2, 3, 16, 16)
    assert torch.equal(frames[:, 0], frames[:, 2])
