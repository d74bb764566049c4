"""Each kind of trace is where its numbers are, and looks as it says."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection, QuadMesh
from matplotlib.colors import to_rgba

from gradsweep.printing.inks import Unprintable

HEAT = {"type": "heatmap", "x": [0, 1, 2], "y": [1, 2], "z": [[-4.0, -3.0, None], [-2.0, -1.0, 0.0]]}


def collections(page, kind):
    return [each for axes in page.axes for each in axes.collections if isinstance(each, kind)]


def test_a_line_has_gaps_dashes_and_steps(on_paper):
    line = {"color": "#000000", "dash": "dash", "width": 4, "shape": "hv"}
    page = on_paper({"type": "scatter", "mode": "lines", "x": [0, 1, 2], "y": [1.0, None, 3.0], "line": line})
    (drawn,) = page.axes[0].lines
    np.testing.assert_array_equal(drawn.get_ydata(), [1.0, np.nan, 3.0])
    assert (drawn.get_drawstyle(), drawn.get_linestyle(), drawn.get_linewidth()) == ("steps-post", "--", 2.2)


def test_pale_lines_are_darkened_and_dark_ones_kept(on_paper):
    pale, dark = (
        {"mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"color": each}} for each in ("#eeeeee", "#102030")
    )
    drawn = on_paper(pale, dark).axes[0].lines
    assert drawn[0].get_color()[0] == pytest.approx(0.5)
    assert drawn[1].get_color() == to_rgba("#102030")


def test_points_have_their_own_symbols_and_colors(on_paper):
    marker = {"symbol": ["circle", "x", "circle"], "color": ["#ff0000", "#00ff00", "#0000ff"], "size": 10}
    page = on_paper({"mode": "markers", "x": [1, 2, 3], "y": [1, 2, 3], "marker": marker})
    round_ones, crosses = collections(page, PathCollection)
    assert round_ones.get_offsets().tolist() == [[1, 1], [3, 3]]
    assert round_ones.get_facecolor().tolist() == [list(to_rgba("#ff0000")), list(to_rgba("#0000ff"))]
    assert crosses.get_offsets().tolist() == [[2, 2]]


def test_a_band_lies_between_two_lines(on_paper):
    low = {"mode": "lines", "x": [0, 1], "y": [1.0, 2.0], "line": {"width": 0}}
    high = low | {"y": [3.0, 5.0], "fill": "tonexty", "fillcolor": "rgba(10, 20, 30, 0.2)"}
    page = on_paper(low, high)
    (band,) = collections(page, FillBetweenPolyCollection)
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(0, 1), (1, 2), (0, 3), (1, 5)} <= corners
    assert band.get_facecolor()[0, 3] == 0.2
    assert not page.axes[0].lines


def test_error_bars_reach_as_far_as_told(on_paper):
    dots = {"mode": "markers", "x": [1.0], "y": [5.0], "error_x": {"array": [2.0], "arrayminus": [0.5]}}
    (segment,) = on_paper(dots).axes[0].containers[0].lines[2][0].get_segments()
    assert segment.tolist() == [[0.5, 5.0], [3.0, 5.0]]


@pytest.mark.parametrize(
    ("mode", "places"),
    [("stack", [(0.0, 0.0, 0.5), (0.0, 0.5, 0.25)]), ("group", [(-0.2, 0.0, 0.5), (0.2, 0.0, 0.25)])],
)
def test_bars_are_stacked_or_side_by_side(on_paper, mode, places):
    bars = [{"type": "bar", "x": ["a", "b"], "y": values} for values in ([0.5, 0.1], [0.25, 0.2])]
    first = [each[0] for each in on_paper(*bars, barmode=mode).axes[0].containers]
    drawn = [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in first]
    assert drawn == [pytest.approx(each) for each in places]


def test_flat_bars_of_time_begin_at_their_moment(on_paper):
    day = 86_400_000
    bars = {"type": "bar", "orientation": "h", "y": ["trial 1"], "x": [2 * day], "base": ["2026-01-02T00:00:00"]}
    page = on_paper(bars, xaxis={"type": "date"})
    (bar,) = page.axes[0].patches
    assert (mpl.dates.num2date(bar.get_x()).date().isoformat(), bar.get_width()) == ("2026-01-02", 2.0)


def test_bars_carry_patterns(on_paper):
    page = on_paper({"type": "bar", "x": [1], "y": [1], "marker": {"pattern": {"shape": "/"}, "color": "#ff0000"}})
    assert page.axes[0].patches[0].get_hatch() == "///"


def test_a_heat_map_has_a_cell_around_each_place_and_says_where_nothing_is(on_paper):
    page = on_paper(HEAT | {"zmin": -5, "zmax": -1, "colorbar": {"title": {"text": "unit"}}})
    (cells,) = collections(page, QuadMesh)[:1]
    assert cells.get_clim() == (-5, -1)
    assert np.ma.getmaskarray(cells.get_array()).tolist() == [[False, False, True], [False, False, False]]
    assert page.axes[0].get_xlim() == (-0.5, 2.5)
    assert page.axes[0].patch.get_hatch()
    assert page.axes[1].get_ylabel() == "unit"


def test_panels_share_a_color_scale(on_paper):
    first = HEAT | {"coloraxis": "coloraxis"}
    second = first | {"xaxis": "x2", "yaxis": "y2", "z": [[9.0, 9.0, 9.0], [9.0, 9.0, 9.0]]}
    page = on_paper(
        first, second, coloraxis={"cmin": -4, "cmax": 4}, xaxis={"domain": [0, 0.45]}, xaxis2={"domain": [0.55, 1]}
    )
    assert [cells.get_clim() for cells in collections(page, QuadMesh)[:2]] == [(-4, 4), (-4, 4)]
    assert len(page.axes) == 3


def test_contours_are_drawn_over_words_and_numbers(on_paper):
    page = on_paper(HEAT | {"type": "contour", "y": ["adam", "sgd"]})
    assert [label.get_text() for label in page.axes[0].get_yticklabels()] == ["adam", "sgd"]
    assert page.axes[0].collections


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ({"type": "violin"}, "type 'violin'"),
        ({"y": [1], "fill": "tonextx"}, "fill 'tonextx'"),
        ({"y": [1], "line": {"dash": "5px 2px"}}, "dash '5px 2px'"),
        ({"y": [1], "mode": "markers", "marker": {"symbol": "hexagram"}}, "symbol 'hexagram'"),
        ({"y": [1], "line": {"color": "nocolor"}}, "color 'nocolor'"),
        ({"type": "bar", "y": [1], "marker": {"pattern": {"shape": "?"}}}, "pattern '?'"),
        (HEAT | {"type": "contour", "z": [[1.0] * 3] * 2}, "a single value"),
    ],
)
def test_what_has_no_form_on_paper_is_refused_by_name(on_paper, trace, words):
    with pytest.raises(Unprintable, match=words.replace("?", r"\?")):
        on_paper(trace)


def test_a_shape_without_a_form_is_refused(on_paper):
    with pytest.raises(Unprintable, match="'path'"):
        on_paper({"y": [1]}, shapes=[{"type": "path", "x0": 0, "x1": 1, "y0": 0, "y1": 1}])


def test_two_scales_in_one_panel_are_refused(on_paper):
    with pytest.raises(Unprintable, match="two scales"):
        on_paper({"y": [1]}, {"y": [1], "yaxis": "y2"}, yaxis2={"overlaying": "y"})
