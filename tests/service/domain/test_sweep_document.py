"""The document: defaults, presets, aliases, warnings; what is resolved is a sweep file again."""

from typing import Any

import pytest

from service.domain.distributions import Categorical, Constant, IntUniform, Quantized, Uniform
from service.domain.states import Direction, Method, MetricAt
from service.domain.sweep import EarlyTermination
from service.domain.sweep_document import SweepDocument, read_sweep_document
from service.domain.sweep_keys import WANDB_KEYS
from service.errors import InvalidSweep, NotSupportedYet


def read(**keys: Any) -> SweepDocument:
    return read_sweep_document({"parameters": {"learning_rate": 0.01}, "run_cap": 100, **keys})


def constant(document: SweepDocument, name: str) -> Any:
    distribution = document.distributions[name]
    assert isinstance(distribution, Constant)
    return distribution.value


def test_a_wandb_file_with_our_parameters_runs_as_it_is() -> None:
    document = read_sweep_document(
        {
            "program": "train.py",
            "project": "mnist",
            "entity": "us",
            "command": ["${env}", "python"],
            "method": "bayes",
            "metric": {"name": "val_loss", "goal": "minimize"},
            "run_cap": 50,
            "early_terminate": {"type": "hyperband", "min_iter": 3},
            "parameters": {
                "learning_rate": {"distribution": "log_uniform", "min": -9.21, "max": -2.3},
                "optimizer": {"values": ["adam", "sgd"]},
                "batch_size": {"distribution": "q_log_uniform_values", "q": 8, "min": 32, "max": 256},
                "epochs": {"value": 5},
                "dropout": {"min": 0.1, "max": 0.5},
            },
        }
    )
    assert document.method is Method.TPE
    assert document.metric.direction is Direction.MINIMIZE
    assert document.early_termination == EarlyTermination("hyperband", min_iter=3, eta=3.0)
    assert document.distributions["learning_rate"] == Uniform(
        pytest.approx(1e-4, rel=1e-2), pytest.approx(0.1, rel=1e-2), log=True
    )
    assert document.distributions["batch_size"] == Quantized(32, 256, 8, log=True)
    assert [warning.split(" ")[0] for warning in document.warnings] == ["/program", "/project", "/entity", "/command"]


@pytest.mark.parametrize("key", WANDB_KEYS)
def test_what_only_wandb_can_use_is_accepted_with_a_warning(key: str) -> None:
    assert f"/{key} is of use to W&B only; it is ignored" in read(**{key: "x"}).warnings


def test_defaults_are_neutral_and_marked() -> None:
    document = read()
    assert (document.name, document.dataset, document.method) == ("tpe-mnist", "mnist", Method.TPE)
    assert (document.metric.name, document.metric.direction, document.metric.at) == (
        "val_accuracy",
        Direction.MAXIMIZE,
        MetricAt.LAST,
    )
    assert (document.failure_limit, document.seed, document.time_budget_ms) == (0.5, None, None)
    assert document.early_termination.kind == "none"
    assert document.statistics_every == 1
    assert constant(document, "dropout") == 0.0
    assert {"/name", "/dataset", "/method", "/metric", "/early_terminate", "/parameters/dropout"} <= set(
        document.defaulted
    )
    assert not {"/run_cap", "/parameters", "/parameters/learning_rate"} & set(document.defaulted)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"preset": "article", "seed": 3, "name": "x"},
        {"parameters": {"optimizer": {"values": ["adam", "momentum", "nesterov"]}}},
        {"parameters": {"depth": {"min": 1, "max": 4}, "width": 32}},
        {"parameters": {"learning_rate": {"distribution": "log_uniform", "min": -9, "max": 0}}},
        {"metric": {"name": "val_loss", "target": 0.1, "at": "best"}, "early_terminate": {"type": "median"}},
        {"time_budget_minutes": 2.5, "run_cap": None, "failure_limit": 0.25, "max_parallel": 3},
        {"statistics_every": 8},
        {"method": "random", "parameters": {"optimizer": {"values": ["adam", "sgd"], "probabilities": [0.9, 0.1]}}},
    ],
    ids=str,
)
def test_what_is_resolved_is_a_file_that_resolves_to_itself(keys: dict[str, Any]) -> None:
    document = read(**keys)
    again = read_sweep_document(document.resolved)
    assert again.resolved == document.resolved
    assert again.definition()["space"] == document.definition()["space"]
    assert set(again.defaulted) <= {"/seed"}


def test_the_preset_fills_in_what_is_left_out_and_nothing_else() -> None:
    document = read(preset="article", parameters={"dropout": {"min": 0.1, "max": 0.3}})
    assert constant(document, "normalization") == "batch"
    assert constant(document, "input_dropout") == 0.5
    assert document.distributions["dropout"] == Uniform(0.1, 0.3)
    assert "/parameters/input_dropout" in document.defaulted


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (3, Constant(3)),
        ({"value": 3}, Constant(3)),
        ({"distribution": "constant", "value": 3}, Constant(3)),
        ({"values": [1, 2]}, Categorical((1, 2))),
        ({"distribution": "categorical", "values": [1, 2.0]}, Categorical((1, 2))),
        ({"min": 1, "max": 5}, IntUniform(1, 5)),
        ({"distribution": "int_uniform", "min": 1, "max": 5.0}, IntUniform(1, 5)),
        ({"min": 2, "max": 10, "q": 2}, Quantized(2, 10, 2)),
        ({"distribution": "q_uniform", "min": 2, "max": 10, "q": 2}, Quantized(2, 10, 2)),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 10}, Quantized(1, 10, 1, log=True)),
    ],
)
def test_distributions_of_a_whole_number(entry: Any, expected: Any) -> None:
    assert read(parameters={"epochs": entry}).distributions["epochs"] == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"min": 0.0, "max": 0.5}, Uniform(0.0, 0.5)),
        ({"distribution": "uniform", "min": 0, "max": 0.5}, Uniform(0.0, 0.5)),
        ({"min": 0.0, "max": 0.5, "q": 0.1}, Quantized(0.0, 0.5, 0.1)),
        ({"distribution": "log_uniform_values", "min": 0.01, "max": 0.5}, Uniform(0.01, 0.5, log=True)),
    ],
)
def test_distributions_of_a_real_number(entry: Any, expected: Any) -> None:
    assert read(parameters={"dropout": entry}).distributions["dropout"] == expected


def test_groups_are_opened() -> None:
    parameters = {"net": {"parameters": {"dropout": 0.1, "more": {"parameters": {"residual": True}}}}}
    document = read(parameters=parameters)
    assert (constant(document, "dropout"), constant(document, "residual")) == (0.1, True)


def test_whole_bounds_of_a_real_parameter_are_not_changed_silently() -> None:
    document = read(parameters={"learning_rate": {"min": 1, "max": 2}})
    assert document.distributions["learning_rate"] == Uniform(1.0, 2.0)
    assert any("W&B would take int_uniform" in warning for warning in document.warnings)


def test_an_unusual_bound_is_warned_of() -> None:
    document = read(parameters={"learning_rate": {"min": 0.5, "max": 500.0}})
    assert any("/parameters/learning_rate/max: 500.0 is unusual" in warning for warning in document.warnings)


def test_what_has_no_effect_is_warned_of_and_not_searched() -> None:
    document = read(parameters={"momentum": {"min": 0.1, "max": 0.9}, "learning_rate": {"min": 0.01, "max": 0.1}})
    assert any("/parameters/momentum has no effect" in warning for warning in document.warnings)
    assert document.space.names == ("learning_rate",)


def test_a_space_smaller_than_run_cap_is_warned_of() -> None:
    document = read(parameters={"dropout": {"values": [0.1, 0.2]}})
    assert any("2 distinct trials" in warning for warning in document.warnings)


def test_a_misspelled_built_in_data_set_is_warned_of() -> None:
    assert any("written mnist-5k" in warning for warning in read(dataset="mnist_5k").warnings)
    assert read(dataset="my.own-data_2").warnings == ["nothing is searched: the space holds one trial"]


@pytest.mark.parametrize(
    ("method", "run_cap", "parallel"),
    [("tpe", 100, 8), ("tpe", 128, 8), ("tpe", 320, 20), ("tpe", 10**6, 4096), ("random", 100, 1024)],
)
def test_model_based_methods_learn_between_generations(method: str, run_cap: int, parallel: int) -> None:
    assert read(method=method, run_cap=run_cap).max_parallel == parallel


def test_a_grid_ends_by_itself() -> None:
    document = read(method="grid", run_cap=None, parameters={"dropout": {"values": [0.1, 0.2]}})
    assert (document.run_cap, document.space.n_distinct) == (None, 2)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidSweep) as caught:
        read(seed=-1, metod="grid", parameters={"dropout": 7, "optimizer": "adm"}, constraints={"stability": 1})
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/metod", "/parameters/dropout", "/parameters/optimizer", "/constraints/stability", "/seed"]
    assert "and 2 more" in caught.value.detail


def test_what_is_planned_is_refused_rather_than_ignored() -> None:
    with pytest.raises(NotSupportedYet) as caught:
        read(exclusive=True, confirm={"top": 3})
    assert [problem.pointer for problem in caught.value.problems] == ["/exclusive", "/confirm"]


def test_null_is_the_same_as_left_out() -> None:
    document = read(method=None, metric=None, seed=None, name=None, early_terminate=None, preset=None)
    assert document.resolved == read().resolved


@pytest.mark.parametrize("section", ["parameters", "metric", "early_terminate"])
def test_a_heap_of_nonsense_is_not_read_to_its_end(section: str) -> None:
    heap = {f"nonsense_{number}": 1 for number in range(10_000)}
    with pytest.raises(InvalidSweep) as caught:
        read(**{section: heap})
    assert len(caught.value.problems) == 50


def test_nor_are_its_keys() -> None:
    with pytest.raises(InvalidSweep) as caught:
        read(**{f"nonsense_{number}": 1 for number in range(10_000)})
    assert len(caught.value.problems) == 50
