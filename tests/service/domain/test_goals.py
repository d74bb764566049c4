"""Bounds and metrics of a sweep: what they make of a trial."""

import math

import pytest

from service.domain.goals import MAX_VIOLATION, UNKNOWN_VIOLATION, Constraint, Goals, Metric, plain_constraints
from service.domain.states import Direction, MetricAt

ACCURACY = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST)
STABLE = Constraint("stability", ">=", 0.5)
SLOPE = Constraint("depth_slope", "<=", 0.3)
GOALS = Goals((ACCURACY,), (SLOPE, STABLE))


@pytest.mark.parametrize(
    ("constraint", "value", "violation"),
    [
        (STABLE, 0.75, -0.25),
        (STABLE, 0.5, 0.0),
        (STABLE, 0.25, 0.25),
        (SLOPE, 0.55, 0.25),
        (SLOPE, -1.0, -1.3),
        (STABLE, None, UNKNOWN_VIOLATION),
        (STABLE, math.nan, UNKNOWN_VIOLATION),
        (SLOPE, math.inf, UNKNOWN_VIOLATION),
        (SLOPE, 1e300, MAX_VIOLATION),
        (SLOPE, -1e300, -MAX_VIOLATION),
    ],
)
def test_a_violation_is_finite_and_positive_beyond_the_bound(constraint, value, violation):
    assert constraint.violation(value) == pytest.approx(violation)


@pytest.mark.parametrize(
    ("measured", "complaints"),
    [
        ({"stability": 0.9, "depth_slope": 0.1}, []),
        ({"stability": 0.25, "depth_slope": 0.1}, ["its stability of 0.25 is below 0.5"]),
        (
            {"stability": None, "depth_slope": 0.612345},
            ["its depth_slope of 0.6123 is above 0.3", "its stability is not known, and must be >= 0.5"],
        ),
    ],
)
def test_complaints_say_which_bound_and_by_what(measured, complaints):
    assert GOALS.complaints(measured.get) == complaints
    assert GOALS.is_feasible(measured.get) is (not complaints)


def test_a_bound_on_the_metric_itself_is_on_the_objective():
    """With `at: best` the two differ: the objective is the best epoch's."""
    goals = Goals((ACCURACY,), (Constraint("val_accuracy", ">=", 0.9),))
    assert goals.violations({"objective": 0.95, "val_accuracy": 0.1}.get) == {
        "val_accuracy >= 0.9": pytest.approx(-0.05)
    }


@pytest.mark.parametrize("bound", [1234567.0, 0.9999999, -1e-9, 1e300, 0.5, 60.0])
def test_a_bound_that_is_written_and_read_is_the_same_number(bound):
    written = plain_constraints([Constraint("wall_seconds", "<=", bound)])["wall_seconds"]
    assert float(str(written).removeprefix("<= ")) == bound


def test_bounds_are_written_as_they_were_read():
    both = (Constraint("depth_slope", "<=", 0.3), Constraint("depth_slope", ">=", -0.3), STABLE)
    assert plain_constraints(both) == {"depth_slope": ["<= 0.3", ">= -0.3"], "stability": ">= 0.5"}


def test_where_the_best_epoch_counts_other_metrics_are_bounded_there():
    best = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.BEST)
    bounds = (Constraint("val_loss", "<=", 0.3), Constraint("val_accuracy", ">=", 0.9), STABLE)
    assert Goals((best,), bounds).columns == ("objective", "val_loss_at_best", "stability")
    assert Goals((ACCURACY,), bounds).columns == ("objective", "val_loss", "stability")
    measured = {"objective": 0.95, "val_loss": 0.5, "val_loss_at_best": 0.2, "stability": 1.0}
    assert Goals((best,), bounds).is_feasible(measured.get)
    assert Goals((ACCURACY,), bounds).complaints(measured.get) == ["its val_loss of 0.5 is above 0.3"]
