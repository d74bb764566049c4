"""The plan: programs, generations, minutes, and what to reconsider."""

from typing import Any

import pytest

from service.domain.plan import SweepPlan, make_plan
from service.domain.sweep_keys import population_size


def plan(**keys: Any) -> SweepPlan:
    return make_plan({"parameters": {"learning_rate": {"min": 0.01, "max": 0.1}}, "run_cap": 128, **keys})


def test_a_plain_sweep() -> None:
    numbers = plan(dataset="mnist-5k").numbers()
    minutes = numbers.pop("estimated_minutes")
    assert numbers == {
        "programs": 1,
        "trials": 128,
        "distinct_trials": None,
        "trials_per_program": 128.0,
        "max_parallel": 8,
        "generations": 16.0,
    }
    assert 0 < minutes < 60


@pytest.mark.parametrize(
    ("parameters", "n_programs"),
    [
        ({"hidden_units": {"values": [[64], [64, 64]]}, "batch_size": {"values": [32, 64, 128]}}, 6),
        ({"depth": {"min": 1, "max": 4}, "width": {"values": [32, 64]}}, 8),
        ({"optimizer": {"values": ["adam", "sgd"]}}, 1),
    ],
)
def test_programs_are_shapes(parameters: dict[str, Any], n_programs: int) -> None:
    assert plan(parameters=parameters).n_programs == n_programs


def test_shapes_searched_too_finely_are_warned_of() -> None:
    coarse = plan(
        run_cap=64, parameters={"batch_size": {"values": [32, 64]}, "learning_rate": {"min": 0.1, "max": 0.2}}
    )
    fine = plan(
        run_cap=64, parameters={"batch_size": {"min": 16, "max": 64}, "learning_rate": {"min": 0.1, "max": 0.2}}
    )
    assert coarse.warnings == ()
    assert any("49 shapes" in warning for warning in fine.warnings)


@pytest.mark.parametrize(("keys", "n_warnings"), [({}, 0), ({"max_parallel": 16}, 0), ({"max_parallel": 64}, 1)])
def test_too_few_generations_are_warned_of_if_the_user_chose_them(keys: dict[str, Any], n_warnings: int) -> None:
    assert sum("generations" in warning for warning in plan(**keys).warnings) == n_warnings
    assert not any("generations" in warning for warning in plan(method="random", **keys).warnings)


def test_evolution_learns_from_whole_generations_however_few_run_at_once() -> None:
    one_by_one = plan(method="nsga2", run_cap=100, max_parallel=1)
    assert one_by_one.generations == 100 / population_size(100) < 20


def test_a_grid_knows_its_trials() -> None:
    grid = plan(method="grid", run_cap=None, parameters={"dropout": {"values": [0.0, 0.1, 0.2]}})
    assert (grid.n_trials, grid.n_distinct) == (3, 3)


def test_without_an_end_in_trials_nothing_is_estimated() -> None:
    numbers = plan(run_cap=None, time_budget_minutes=10).numbers()
    assert [numbers[key] for key in ("trials", "trials_per_program", "generations", "estimated_minutes")] == [None] * 4


def test_data_of_unknown_size_are_not_estimated() -> None:
    assert plan(dataset="mine").estimated_minutes is None


def test_more_work_is_estimated_to_take_longer() -> None:
    minutes = [plan(dataset="mnist", parameters={"epochs": epochs}).estimated_minutes or 0 for epochs in (1, 10)]
    assert minutes[0] < minutes[1]
