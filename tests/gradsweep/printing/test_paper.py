"""The whole page: panels where Plotly has them, axes, legend and notes, and the same bytes each time."""

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from gradsweep.printing.inks import DoesNotFit
from gradsweep.printing.paper import save

LINE = {"mode": "lines", "name": "one", "x": [1, 10, 100], "y": [0.5, 0.6, 0.7]}
SIZE = {"width": 3.5, "height": None, "font_size": 8.0, "dpi": 100, "with_title": False}


def test_a_lone_panel_has_its_scale_range_and_title(on_paper):
    (axes,) = on_paper(LINE, xaxis={"type": "log", "range": [-1, 3], "title": {"text": "rate"}}).axes
    assert (axes.get_xscale(), axes.get_xlim(), axes.get_xlabel()) == ("log", (0.1, 1000.0), "rate")


def test_panels_stand_in_rows_and_columns(on_paper):
    domains = {"xaxis": [0, 0.45], "xaxis2": [0.55, 1], "yaxis": [0.6, 1], "yaxis2": [0.6, 1], "yaxis3": [0, 0.4]}
    layout = {name: {"domain": domain} for name, domain in domains.items()}
    traces = [LINE | {"xaxis": x, "yaxis": y} for x, y in (("x", "y"), ("x2", "y2"), ("x", "y3"))]
    first, right, below = (axes.get_position() for axes in on_paper(*traces, **layout).axes)
    assert right.x0 > first.x1
    assert right.y0 == pytest.approx(first.y0)
    assert below.y1 < first.y0
    assert below.x0 == pytest.approx(first.x0)


def test_axes_that_match_have_one_range_and_one_label(on_paper):
    traces = [LINE, LINE | {"xaxis": "x2", "yaxis": "y2", "y": [5.0, 6.0, 9.0]}]
    right = {"matches": "y", "title": {"text": "value"}}
    page = on_paper(*traces, xaxis={"domain": [0, 0.4]}, xaxis2={"domain": [0.6, 1]}, yaxis2=right)
    assert page.axes[0].get_ylim() == page.axes[1].get_ylim()
    assert page.axes[1].get_ylabel() == ""


def test_the_legend_names_each_trace_once_above_the_panels(on_paper):
    quiet = LINE | {"name": "quiet", "showlegend": False}
    page = on_paper(LINE, LINE, LINE | {"name": "two"}, quiet)
    (legend,) = page.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]
    assert legend.get_window_extent().y0 >= page.axes[0].bbox.y1


def test_a_wide_legend_breaks_into_rows_and_stays_on_the_page(on_paper):
    page = on_paper(*(LINE | {"name": f"a rather long name {at}"} for at in range(5)))
    box = page.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= page.bbox.x1


def test_notes_say_why_there_is_nothing(on_paper):
    reason = "No trial was judged yet: verdicts are given when a trial ends."
    note = {"text": reason, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    page = on_paper(annotations=[note], xaxis={"visible": False}, yaxis={"visible": False})
    assert " ".join(page.axes[0].texts[0].get_text().split()) == reason


def test_notes_above_a_panel_are_its_title(on_paper):
    traces = [LINE, LINE | {"xaxis": "x2", "yaxis": "y2"}]
    notes = [
        {"text": text, "xref": "paper", "yref": "paper", "x": x, "y": 1.0}
        for text, x in (("with", 0.2), ("without", 0.8))
    ]
    page = on_paper(*traces, xaxis={"domain": [0, 0.45]}, xaxis2={"domain": [0.55, 1]}, annotations=notes)
    assert [axes.get_title() for axes in page.axes] == ["with", "without"]


def test_names_are_text_and_no_formula(tmp_path: Path):
    hostile = LINE | {"name": r"$\frac{1}{$ <script> 100%"}
    figure = {"data": [hostile, LINE], "layout": {"title": {"text": r"$x_{$"}, "xaxis": {"title": {"text": "$_^"}}}}
    save(figure, tmp_path / "hostile.svg", **SIZE | {"with_title": True})
    assert "&lt;script&gt;" in (tmp_path / "hostile.svg").read_text()


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_same_figure_gives_the_same_bytes(kind, tmp_path: Path):
    files = [tmp_path / f"{name}.{kind}" for name in ("first", "second")]
    for file in files:
        save({"data": [LINE], "layout": {}}, file, **SIZE)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_inches_and_dots_are_as_asked(tmp_path: Path):
    inches = save({"data": [LINE], "layout": {}}, tmp_path / "a.png", **SIZE | {"width": 2.0, "height": 1.5})
    assert inches == (2.0, 1.5)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (200, 150)


def test_a_page_that_is_too_small_is_told(on_paper):
    with pytest.raises(DoesNotFit, match=r"more than fits into 0.5 × 1.45 inches"):
        on_paper(LINE, width=0.5, yaxis={"title": {"text": "value"}})


@pytest.mark.parametrize("n_words", [3, 60])
def test_labels_do_not_run_into_each_other(n_words, on_paper):
    bars = {"type": "bar", "x": [f"word number {at}" for at in range(n_words)], "y": [1] * n_words}
    page = on_paper(bars)
    feet = sorted(label.get_window_extent().x1 for label in page.axes[0].get_xticklabels() if label.get_text())
    assert all(after - before >= 9 for before, after in pairwise(feet))
