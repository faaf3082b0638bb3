from xml.etree import ElementTree

from render3d.report import columns, facts, figures, page, paragraph, section, table

HOSTILE = '<b>&"x"</b>'


def cells(markup: str) -> list[list[str]]:
    return [[cell.text for cell in row.iter("td")] for row in ElementTree.fromstring(markup).find("tbody").iter("tr")]


def test_cells_are_text_fractions_of_four_decimals_whole_numbers_or_a_dash():
    found = table(["", "a", "b", "c"], [["fit", 0.123456, 7, None], ["sphere", 1.0, 0, 0.00001]])
    assert cells(found) == [["fit", "0.1235", "7", "–"], ["sphere", "1.0000", "0", "0.0000"]]  # noqa: RUF001
    assert [head.text for head in ElementTree.fromstring(found).iter("th")] == [None, "a", "b", "c"]


def test_the_chosen_row_stands_out_and_no_other():
    rows = [["a", 1], ["b", 2], ["c", 3]]
    marked = ElementTree.fromstring(table(["", "n"], rows, chosen=1)).find("tbody")
    assert [row.get("class") for row in marked] == [None, "chosen", None]
    assert "chosen" not in table(["", "n"], rows)


def test_figures_are_written_by_their_column_on_one_line_or_as_a_dash():
    columns = {"error": ("error", ".1e"), "images": ("images", ",.0f")}
    rows = {"one": {"error": 0.00012, "images": 12345.6, "more": 1.0}, "two": {"error": None}}
    found = figures(columns, rows, corner="who", chosen=1)
    assert cells(found) == [["one", "1.2e\u201104", "12,346"], ["two", "–", "–"]]  # noqa: RUF001
    assert [head.text for head in ElementTree.fromstring(found).iter("th")] == ["who", "error", "images"]
    assert found.count("chosen") == 1


def test_a_table_without_rows_has_its_head():
    assert cells(table(["a"], [])) == []


def test_text_is_escaped_in_every_part():
    for part in (
        paragraph(HOSTILE),
        section(HOSTILE),
        table([HOSTILE], [[HOSTILE]]),
        facts({HOSTILE: HOSTILE}),
    ):
        tree = ElementTree.fromstring(part)
        assert not list(tree.iter("b"))
        assert HOSTILE in {element.text for element in tree.iter()}
    whole = page(HOSTILE, HOSTILE)
    assert "<b>" not in whole
    assert whole.count("&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;") == 3  # title, heading and lead


def test_parts_are_put_together_as_they_are_and_in_order():
    first, second = paragraph("one"), paragraph("two")
    for part in (section("title", first, second), columns(first, second)):
        assert [element.text for element in ElementTree.fromstring(part).iter("p")] == ["one", "two"]
        assert part in page("title", "lead", part)


def test_facts_are_pairs():
    tree = ElementTree.fromstring(facts({"steps": 12, "noise": (1.0, 0.5)}))
    assert [(element.tag, element.text) for element in tree] == [
        ("dt", "steps"),
        ("dd", "12"),
        ("dt", "noise"),
        ("dd", "(1.0, 0.5)"),
    ]


def test_a_page_says_that_it_is_utf_8_before_any_text():
    whole = page("Größe", "lead")
    assert whole.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert "http" not in whole
