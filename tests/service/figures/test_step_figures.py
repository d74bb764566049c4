"""The figure of a recording: a line per layer in both panels, bounded, with what cannot be drawn marked."""

import math

import pytest

from service.domain.steps import OF_LAYER, StepTable
from service.figures.palette import SEQUENTIAL, sequential
from service.figures.step_figures import MAX_LINES, MAX_POINTS, steps


@pytest.fixture(scope="session")
def recorded(trial_facts):
    """Facts with a recording: for each layer the gradient norms, and a tenth of them as update ratios."""

    def make(*norms):
        layers = dict.fromkeys(OF_LAYER, norms)
        layers |= {"update_ratio": [[value / 10 for value in layer] for layer in norms]}
        return trial_facts([0.1], steps=StepTable(range(1, len(norms[0]) + 1), layers))

    return make


def lines(figure, axis):
    return [trace for trace in figure["data"] if trace.get("yaxis") == axis and trace["name"].startswith("layer")]


def test_each_layer_has_a_line_in_both_panels(recorded):
    figure = steps(recorded([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]))
    assert [trace["y"] for trace in lines(figure, "y")] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert [trace["y"] for trace in lines(figure, "y2")] == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
    assert [trace["name"] for trace in lines(figure, "y")] == ["layer 1", "layer 2", "layer 3 · output"]
    assert [trace["line"]["color"] for trace in lines(figure, "y")] == [stop[1] for stop in SEQUENTIAL]
    assert [figure["layout"][axis]["type"] for axis in ("yaxis", "yaxis2")] == ["log", "log"]
    assert lines(figure, "y")[0]["x"] == [1, 2]


def test_a_deep_network_shows_some_layers_the_first_and_the_last_among_them(recorded):
    figure = steps(recorded(*[[float(layer)] for layer in range(1, 32)]))
    shown = [trace["name"] for trace in lines(figure, "y")]
    assert (len(shown), shown[0], shown[-1]) == (MAX_LINES, "layer 1", "layer 31 · output")
    assert f"{MAX_LINES} of 31 layers" in figure["layout"]["title"]["text"]


def test_a_long_recording_is_thinned_and_keeps_its_spikes(recorded):
    values = [1.0] * 10_000
    values[7_654] = 1e6
    [line, output] = lines(steps(recorded(values, [1.0] * 10_000)), "y")
    assert len(line["y"]) <= MAX_POINTS
    assert line["x"][line["y"].index(1e6)] == 7_655
    assert max(output["y"]) == 1.0


def test_a_line_breaks_where_it_is_zero_or_not_finite_and_says_from_where(recorded):
    figure = steps(recorded([1.0, 0.0, 0.5, math.inf, math.nan], [1.0] * 5))
    assert lines(figure, "y")[0]["y"] == [1.0, None, 0.5, None, None]
    [mark] = [trace for trace in figure["data"] if trace["name"].startswith("not finite")]
    assert (mark["x"], mark["y"]) == ([4], [0.5])


def test_nothing_recorded_is_said(trial_facts):
    assert "gradsweep record" in steps(trial_facts([0.1], steps=None))["layout"]["annotations"][0]["text"]


@pytest.mark.parametrize(("share", "color"), [(0.0, "#d0a03c"), (0.25, "#b8956c"), (0.5, "#a08a9c"), (1.0, "#5a76e2")])
def test_colors_lie_between_the_stops(share, color):
    assert sequential(share) == color
