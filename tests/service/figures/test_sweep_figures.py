"""What the figures of a sweep say."""

import pytest

from service.domain.states import TrialState, Verdict
from service.figures.frame import bounded
from service.figures.parallel import parallel_coordinate
from service.figures.sweep_figures import history, learning_curves, slices, stability_map, verdicts


def traces_of(figure):
    return {trace.get("name"): trace for trace in figure["data"]}


@pytest.mark.parametrize(
    ("direction", "best", "numbers"),
    [("maximize", [0.3, 0.6, 0.6], [0, 2, 3]), ("minimize", [0.3, 0.1, 0.1], [0, 1, 3])],
)
def test_best_so_far_is_a_stair_in_the_metric_s_direction(direction, best, numbers, point, sweep_facts):
    points = [point(number, value) for number, value in enumerate([0.3, 0.1, 0.6, 0.2])]
    line = traces_of(history(sweep_facts(points, direction)))["best so far"]
    assert (line["y"], line["x"]) == (best, numbers)


def test_a_pruned_trial_is_never_best_so_far(point, sweep_facts):
    points = [point(0, 0.3), point(1, 0.9, state=TrialState.PRUNED)]
    assert traces_of(history(sweep_facts(points)))["best so far"]["y"] == [0.3, 0.3]


def test_points_lead_to_their_trials(point, sweep_facts):
    trace = traces_of(history(sweep_facts([point(7)])))["completed"]
    assert trace["customdata"] == [["trl_7", 7]]


def test_the_best_are_always_drawn(point, sweep_facts):
    points = [point(number, number / 1000) for number in range(1000)]
    shown, note = bounded(points, 10, sweep_facts(points).metric)
    assert [each.number for each in shown] == [0, 199, 398, 597, 796, *range(995, 1000)]
    assert "10 of 1,000" in note


def test_slices_show_what_differs_and_nothing_else(point, sweep_facts):
    points = [point(0, parameters={"optimizer": "sgd"}), point(1, parameters={"optimizer": "adam"})]
    layout = slices(sweep_facts(points))["layout"]
    assert layout["xaxis"]["title"]["text"] == "optimizer"
    assert layout["xaxis"]["ticktext"] == ["adam", "sgd"]
    assert "xaxis2" not in layout  # momentum is absent under adam: that is no difference


def test_a_wide_range_is_drawn_on_a_logarithmic_scale(point, sweep_facts):
    points = [point(number, parameters={"learning_rate": rate}) for number, rate in enumerate([1e-4, 1e-1])]
    assert slices(sweep_facts(points))["layout"]["xaxis"]["type"] == "log"


def test_parallel_lines_stay_within_the_figure(point, sweep_facts):
    points = [
        point(number, number / 10, parameters={"normalization": ["none", "batch"][number % 2]}) for number in range(9)
    ]
    heights = [y for trace in parallel_coordinate(sweep_facts(points))["data"] for y in trace["y"] if y is not None]
    assert min(heights) >= 0
    assert max(heights) <= 1


def test_verdict_shares_add_up(point, sweep_facts):
    points = [point(n, verdict=[Verdict.STABLE, Verdict.DEAD][n % 2]) for n in range(100)]
    bars = verdicts(sweep_facts(points))["data"]
    assert [sum(shares) for shares in zip(*(bar["y"] for bar in bars), strict=True)] == pytest.approx([1.0] * 20)
    assert len({bar["marker"]["pattern"]["shape"] for bar in bars}) == 2  # told apart without color


def test_the_map_takes_the_axes_that_are_asked_for(point, sweep_facts):
    points = [point(n, parameters={"dropout": n / 10, "hidden_units": (8,) * (n + 1)}) for n in range(3)]
    layout = stability_map(sweep_facts(points, x="depth", y="dropout"))["layout"]
    assert (layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]) == ("depth", "dropout")


def test_the_best_curve_has_a_name(point, sweep_facts):
    figure = learning_curves(sweep_facts([point(0, 0.2), point(1, 0.8)]))
    assert traces_of(figure)["best: trial 1"]["y"] == [None, 0.0, 0.8, None]
