"""How values are put into words."""

from collections.abc import Callable
from typing import Any

import pytest

from gradsweep.cli.wording import duration, idleness, number, parameter, searched_names, sweep_state, total
from service.wire.sweeps import SweepView


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (0.0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (3599.9, "1 h 0 min"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(None, ""), (0.98765, "0.9877"), (1e-5, "1e-05"), (0.0, "0")])
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (True, "true"), (0.00123456, "0.001235"), ((32, 16), "32-16"), ("adam", "adam"), (64, "64")],
)
def test_parameters(value: Any, words: str) -> None:
    assert parameter(value) == words


def test_what_is_searched_is_named(make_sweep: Callable[..., SweepView]) -> None:
    assert searched_names(make_sweep()) == ["learning_rate", "optimizer"]


def test_a_searched_shape_is_named_once(make_sweep: Callable[..., SweepView]) -> None:
    parameters = {"depth": {"values": [1, 2]}, "dropout": {"value": 0.1}, "width": {"min": 8, "max": 64}}
    assert searched_names(make_sweep(resolved={"parameters": parameters})) == ["hidden_units"]


def test_idle_time_is_told_with_its_causes_the_longest_first() -> None:
    assert idleness({"compiling": 12.2, "no_work": 200.0}) == "no work 3 min 20 s, compiling 12 s"
    assert idleness({}) == ""


def test_the_state_of_a_sweep_fits_a_column(make_sweep: Callable[..., SweepView]) -> None:
    assert sweep_state(make_sweep(state="completed", state_reason="run_cap")) == "completed (run cap)"
    assert sweep_state(make_sweep()) == "running"


@pytest.mark.parametrize(("n", "words"), [(None, "?"), (0, "0"), (12, "12")])
def test_a_total_of_nothing_is_known(n: int | None, words: str) -> None:
    assert total(n) == words
