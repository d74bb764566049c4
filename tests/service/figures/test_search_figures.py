"""What the figures of a search show: fronts, shares, ranks, a smoothed plane, and bars in time."""

import pytest

from service.domain.goals import Metric
from service.domain.states import Direction, MetricAt, TrialState
from service.figures.kinds import SWEEP_FIGURES
from service.figures.sweep_figures import SweepFacts

ACCURACY = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST)
SECONDS = Metric("wall_seconds", Direction.MINIMIZE, MetricAt.LAST)
STABILITY = Metric("stability", Direction.MAXIMIZE, MetricAt.LAST)


def by_name(figure):
    return {trace["name"]: trace for trace in figure["data"] if trace.get("name")}


@pytest.fixture
def plane(point):
    """Trials on a plane: the objective rises with the dropout and does not care for the batch size."""
    return [
        point(number, number % 10 / 20, parameters={"dropout": number % 10 / 20, "batch_size": 16 + number // 10})
        for number in range(100)
    ]


def test_bars_are_those_of_the_importances_of_metric_and_stability(point, sweep_facts):
    shares = {"val_accuracy": {"dropout": 0.7, "optimizer": 0.3}, "stability": {"learning_rate": 1.0}}
    drawn = SWEEP_FIGURES["importances"](sweep_facts([point(0)], weighed=lambda target: (shares[target], None)))
    bars = by_name(drawn)
    assert list(bars["val_accuracy"]["y"]) == ["optimizer", "dropout", "learning_rate"]
    assert bars["val_accuracy"]["x"] == [0.3, 0.7, 0.0]
    assert bars["stability"]["x"] == [0.0, 0.0, 1.0]


def test_importances_that_cannot_be_told_say_why(point, sweep_facts):
    told = {"val_accuracy": ({"dropout": 1.0}, None), "stability": ({}, "all trials are equal in stability")}
    drawn = SWEEP_FIGURES["importances"](sweep_facts([point(0)], weighed=told.get))
    assert "stability: all trials are equal" in drawn["layout"]["title"]["text"]
    empty = SWEEP_FIGURES["importances"](sweep_facts([point(0)]))
    assert "too few trials" in empty["layout"]["annotations"][0]["text"]


def test_the_front_is_joined_and_what_breaks_a_bound_is_crossed(point, sweep_facts):
    points = [
        point(0, 0.9, measured={"stability": 0.9}),
        point(1, 0.95, measured={"stability": 0.6}),
        point(2, 0.9, measured={"stability": 0.6}),
        point(3, 0.99, measured={"stability": 0.1}, is_feasible=False),
        point(4, 1.0, measured={"stability": 1.0}, state=TrialState.PRUNED),
        point(5, 1.0, measured={"stability": None}),
    ]
    traces = by_name(SWEEP_FIGURES["pareto"](sweep_facts(points, metrics=(ACCURACY, STABILITY))))
    numbers = {name: [each[1] for each in trace["customdata"]] for name, trace in traces.items()}
    assert numbers == {"no other beats it": [1, 0], "beaten": [2], "breaks a bound": [3]}


def test_the_front_knows_which_way_each_metric_is_better(point, sweep_facts):
    points = [point(0, 0.9, measured={"wall_seconds": 5.0}), point(1, 0.9, measured={"wall_seconds": 2.0})]
    traces = by_name(SWEEP_FIGURES["pareto"](sweep_facts(points, metrics=(ACCURACY, SECONDS))))
    assert [each[1] for each in traces["no other beats it"]["customdata"]] == [1]


def test_the_distribution_of_those_that_keep_the_bounds_stands_beside(point, sweep_facts):
    points = [point(number, number / 4, is_feasible=number > 1) for number in range(4)]
    traces = by_name(SWEEP_FIGURES["edf"](sweep_facts(points)))
    assert traces["completed trials"]["x"][:4] == [0.0, 0.25, 0.5, 0.75]
    assert traces["completed trials"]["y"][:4] == [0.25, 0.5, 0.75, 1.0]
    assert traces["those that keep the bounds"]["x"][:2] == [0.5, 0.75]


@pytest.mark.parametrize(("name", "goal", "best"), [("val_accuracy", "maximize", 9), ("val_loss", "minimize", 0)])
def test_the_best_has_rank_zero(plane, name, goal, best):
    metric = Metric(name, Direction(goal), MetricAt.LAST)
    facts = SweepFacts(metric, plane, lambda _: [], "dropout", "batch_size")
    (trace,) = SWEEP_FIGURES["rank"](facts)["data"]
    colors = dict(zip([each[1] for each in trace["customdata"]], trace["marker"]["color"], strict=True))
    assert (min(colors.values()), colors[best]) == (0, 0)
    assert max(colors.values()) > 0.85


def test_a_contour_follows_the_objective(plane, sweep_facts):
    area, dots = SWEEP_FIGURES["contour"](sweep_facts(plane, x="dropout", y="batch_size"))["data"]
    assert (len(area["z"]), len(area["z"][0]), len(dots["x"])) == (24, 24, 100)
    row = area["z"][12]
    assert row == sorted(row)
    assert row[-1] - row[0] > 0.2
    column = [line[12] for line in area["z"]]
    assert max(column) - min(column) < 0.05


def test_where_no_trial_is_near_a_contour_is_empty(point, sweep_facts):
    points = [point(at, 0.5, parameters={"dropout": at * 0.4, "batch_size": 16 + 100 * at}) for at in range(2)]
    area = SWEEP_FIGURES["contour"](sweep_facts(points, x="dropout", y="batch_size"))["data"][0]
    assert area["z"][0][23] is None
    assert area["z"][0][0] == 0.5


def test_words_make_a_contour_of_tiles(point, sweep_facts):
    points = [
        point(at, 0.9 if at % 2 else 0.1, parameters={"dropout": at / 50, "optimizer": ["sgd", "adam"][at % 2]})
        for at in range(40)
    ]
    area = SWEEP_FIGURES["contour"](sweep_facts(points, x="dropout", y="optimizer"))["data"][0]
    assert (area["type"], len(area["z"])) == ("heatmap", 2)
    assert area["z"][0][5] == pytest.approx(0.9)  # adam comes before sgd
    assert area["z"][1][5] == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["contour", "rank"])
def test_axes_are_those_that_decide(plane, sweep_facts, kind):
    def weighed(_target):
        return {"batch_size": 0.9, "dropout": 0.1}, None

    layout = SWEEP_FIGURES[kind](sweep_facts(plane, weighed=weighed))["layout"]
    assert (layout["xaxis"]["title"]["text"], layout["yaxis"]["title"]["text"]) == ("batch_size", "dropout")
    chosen = SWEEP_FIGURES[kind](sweep_facts(plane, weighed=weighed, y="batch_size"))["layout"]
    assert (chosen["xaxis"]["title"]["text"], chosen["yaxis"]["title"]["text"]) == ("dropout", "batch_size")


@pytest.mark.parametrize("kind", ["contour", "rank"])
def test_one_parameter_makes_no_plane(point, sweep_facts, kind):
    points = [point(at, parameters={"dropout": at / 10}) for at in range(3)]
    assert "Two parameters" in SWEEP_FIGURES[kind](sweep_facts(points))["layout"]["annotations"][0]["text"]


def test_bars_last_from_start_to_end_and_running_ones_to_the_newest_news(point, sweep_facts):
    points = [
        point(0, started_at_ms=1_000, ended_at_ms=3_500),
        point(1, started_at_ms=2_000, state=TrialState.RUNNING),
        point(2, state=TrialState.WAITING),
    ]
    traces = by_name(SWEEP_FIGURES["timeline"](sweep_facts(points)))
    assert traces["completed"]["base"] == ["1970-01-01 00:00:01.000"]
    assert (traces["completed"]["x"], traces["running"]["x"]) == ([2_500], [1_500])
    assert set(traces) == {"completed", "running"}


@pytest.mark.parametrize(("kind", "name"), [("history", "best so far"), ("learning_curves", "best: trial 1")])
def test_what_breaks_a_bound_is_nowhere_the_best(point, sweep_facts, kind, name):
    points = [point(0, 0.99, is_feasible=False), point(1, 0.9), point(2, 0.8)]
    trace = by_name(SWEEP_FIGURES[kind](sweep_facts(points)))[name]
    assert {each[1] for each in trace["customdata"]} == {1}


def test_two_parameters_that_no_trial_has_together_have_no_contour(point, sweep_facts):
    points = [
        point(0, parameters={"optimizer": "sgd", "momentum": 0.9}),
        point(1, parameters={"optimizer": "adam", "clip_norm": 1.0}),
    ]
    drawn = SWEEP_FIGURES["contour"](sweep_facts(points, x="momentum", y="clip_norm"))
    assert drawn["data"] == []
    assert "No trial has both momentum and clip_norm" in drawn["layout"]["annotations"][0]["text"]
