"""Distributions: the unit interval onto values, their listing, and there and back through the definition."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.distributions import (
    Categorical,
    Constant,
    Distribution,
    IntUniform,
    Quantized,
    Uniform,
    distribution_from_definition,
)

FINITE = [
    Constant(3),
    Categorical(("a", "b", "c")),
    Categorical((None, 1.0), (0.25, 0.75)),
    Categorical(((64, 32), (8,))),
    IntUniform(-2, 4),
    Quantized(0.0, 0.5, 0.1),
    Quantized(0.05, 0.5, 0.1),
    Quantized(16, 100, 16),
    Quantized(1, 100, 1, log=True),
    Quantized(0.001, 0.01, 0.001, log=True),
    Quantized(1e-13, 0.01, 0.001, log=True),
    Quantized(0.0, 0.9, 1 / 3),
]
CONTINUOUS = [Uniform(-1.0, 2.0), Uniform(1e-5, 1.0, log=True)]


@pytest.mark.parametrize("distribution", [*FINITE, *CONTINUOUS], ids=repr)
def test_the_definition_says_it_all(distribution: Distribution) -> None:
    assert distribution_from_definition(distribution.to_definition()) == distribution


@pytest.mark.parametrize("distribution", FINITE, ids=repr)
def test_every_value_that_is_listed_is_drawn_and_no_other(distribution: Distribution) -> None:
    drawn = {distribution.value_at(float(u)) for u in np.linspace(0, 1, 20_000, endpoint=False)}
    assert drawn == set(distribution.values() or ())
    assert len(drawn) == distribution.size()


@pytest.mark.parametrize("distribution", CONTINUOUS, ids=repr)
def test_what_is_continuous_has_neither_list_nor_size(distribution: Distribution) -> None:
    assert (distribution.values(), distribution.size()) == (None, None)


@pytest.mark.parametrize(
    ("distribution", "u", "value"),
    [
        (Uniform(2.0, 4.0), 0.0, 2.0),
        (Uniform(2.0, 4.0), 0.5, 3.0),
        (Uniform(1e-4, 1.0, log=True), 0.5, 1e-2),
        (Uniform(1e-4, 1.0, log=True), 0.0, 1e-4),
        (IntUniform(1, 10), 0.999, 10),
        (Categorical(("a", "b"), (0.9, 0.1)), 0.89, "a"),
        (Categorical(("a", "b"), (0.9, 0.1)), 0.91, "b"),
        (Quantized(1, 100, 1, log=True), 0.5, 10),
        (Quantized(0.0, 0.5, 0.1), 0.55, 0.3),
    ],
)
def test_values_at_quantiles(distribution: Distribution, u: float, value: Any) -> None:
    assert distribution.value_at(u) == pytest.approx(value)


def test_the_multiples_of_a_decimal_step_are_decimal() -> None:
    assert Quantized(0.0, 0.5, 0.1).values() == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def test_multiples_lie_within_the_bounds_even_if_the_bounds_are_none() -> None:
    assert Quantized(0.05, 0.49, 0.1).values() == (0.1, 0.2, 0.3, 0.4)


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(1e-8, 1e3), st.floats(1.001, 1e6))
def test_draws_stay_within_the_bounds(u: float, low: float, factor: float) -> None:
    high = low * factor
    for distribution in (Uniform(low, high), Uniform(low, high, log=True)):
        assert low <= distribution.value_at(u) <= high
    assert math.isfinite(Uniform(low, high, log=True).value_at(u))
