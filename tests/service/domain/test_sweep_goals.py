"""The sections `metrics` and `constraints` of a sweep file; what is refused is in the corpus of bad sweeps."""

import pytest

from service.domain.sweep_document import read_sweep_document
from service.domain.sweep_keys import population_size


def read(**keys):
    return read_sweep_document({"parameters": {"dropout": {"min": 0.0, "max": 0.5}}, "run_cap": 100} | keys)


def test_bounds_are_read_and_resolved():
    document = read(constraints={"stability": " >=0.5", "depth_slope": [">= -.3", "<= 3e-1"]})
    assert [str(each) for each in document.constraints] == [
        "depth_slope <= 0.3",
        "depth_slope >= -0.3",
        "stability >= 0.5",
    ]
    assert document.resolved["constraints"] == {"depth_slope": ["<= 0.3", ">= -0.3"], "stability": ">= 0.5"}


@pytest.mark.parametrize("empty", [None, {}, {"stability": None}])
def test_no_bounds_leave_no_trace(empty):
    document = read(constraints=empty)
    assert (document.constraints, "constraints" in document.resolved) == ((), False)


def test_several_metrics_take_the_place_of_one():
    document = read(metrics=[{"name": "val_accuracy"}, {"name": "stability", "goal": "maximize"}, {"name": "val_loss"}])
    assert [(each.name, each.direction) for each in document.metrics] == [
        ("val_accuracy", "maximize"),
        ("stability", "maximize"),
        ("val_loss", "minimize"),
    ]
    assert document.metric is document.metrics[0]
    assert "metric" not in document.resolved
    assert {"/metrics/0/goal", "/metrics/2/goal"} <= set(document.defaulted)
    assert "/metrics/1/goal" not in document.defaulted


@pytest.mark.parametrize(
    "keys",
    [
        {"constraints": {"stability": ">= 0.5", "val_loss": "<= 1"}},
        {"metrics": [{"name": "val_accuracy"}, {"name": "stability"}], "method": "nsga2"},
    ],
)
def test_a_resolved_file_is_the_same_sweep(keys):
    once = read(**keys)
    again = read_sweep_document(once.resolved)
    assert (again.metrics, again.constraints, again.resolved) == (once.metrics, once.constraints, once.resolved)


@pytest.mark.parametrize(("run_cap", "size"), [(None, 50), (10, 8), (200, 20), (10_000, 50)])
def test_a_generation_runs_at_once(run_cap, size):
    assert population_size(run_cap) == size
    assert read(method="nsga2", run_cap=run_cap, time_budget_minutes=5).max_parallel == size
