"""Values as levels: each by itself, or ranges at round numbers."""

from typing import Any

import pytest

from service.domain.levels import FACTORS, MAX_LEVELS, levels_of, optimizer_word
from service.domain.parameters import canonical


def labels(values: list[Any], *, is_log: bool = False) -> dict[str, int]:
    return {level.label: len(members) for level, members in levels_of(values, is_log=is_log)}


def test_few_values_are_levels_by_themselves() -> None:
    assert labels(["none", "batch", "none"]) == {"batch": 1, "none": 2}
    assert labels([0.1, 0.001, 0.1]) == {"0.001": 1, "0.1": 2}
    assert labels([True, False, False]) == {"false": 2, "true": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([10 ** (-5 + k / 2) for k in range(10)], {"1e-05 to 0.0001": 2, "0.0001 to 0.001": 2, "0.001 to 0.01": 2,
                                                   "0.01 to 0.1": 2, "0.1 to 1": 2}),
        ([0.002 * k for k in range(1, 11)], {"0.001 to 0.003": 1, "0.003 to 0.01": 3, "0.01 to 0.03": 6}),
    ],
)  # fmt: skip
def test_many_rates_are_put_into_decades_or_parts_of_them(values: list[float], expected: dict[str, int]) -> None:
    assert labels(values, is_log=True) == expected


def test_many_shares_are_put_into_even_ranges() -> None:
    assert labels([k / 20 for k in range(10)]) == {
        "0 to 0.1": 2,
        "0.1 to 0.2": 2,
        "0.2 to 0.3": 2,
        "0.3 to 0.4": 2,
        "0.4 to 0.5": 2,
    }


@pytest.mark.parametrize("high", [0.5, 0.93, 1.0, 7.0, 100.0])
@pytest.mark.parametrize("low", [0.0, 0.013, 0.31])
def test_ranges_are_few_and_hold_every_value_once(low: float, high: float) -> None:
    values = [low + (high - low) * k / 40 for k in range(41)]
    found = levels_of(values, is_log=False)
    assert len(found) <= MAX_LEVELS
    assert sorted(index for _, members in found for index in members) == list(range(41))
    for level, members in found:
        assert all(level.low <= values[index] <= level.high for index in members)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"optimizer": "sgd"}, "sgd"),
        ({"optimizer": "sgd", "momentum": 0.5}, "momentum"),
        ({"optimizer": "nesterov"}, "nesterov"),
        ({"optimizer": "adagrad"}, "adagrad"),
    ],
)
def test_sgd_with_momentum_is_an_optimizer_of_its_own(values: dict[str, Any], word: str) -> None:
    assert optimizer_word(canonical(values)) == word


def test_the_five_remedies_come_first() -> None:
    names = [factor.name for factor in FACTORS]
    assert names[:5] == ["learning_rate", "optimizer", "normalization", "dropout", "residual"]
