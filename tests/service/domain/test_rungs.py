"""Early termination: asynchronous successive halving and the median rule."""

import random

import pytest

from service.domain.goals import Metric
from service.domain.rungs import RungValue, is_rung, why_prune
from service.domain.states import Direction, MetricAt
from service.domain.sweep import EarlyTermination

UP = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST)
DOWN = Metric("val_loss", Direction.MINIMIZE, MetricAt.LAST)
ASHA = EarlyTermination("hyperband", min_iter=1, eta=3.0)
MEDIAN = EarlyTermination("median", min_iter=2, min_trials=3)


def rung(*values: float | None) -> list[RungValue]:
    return [RungValue(number, value) for number, value in enumerate(values)]


def kept(rule: EarlyTermination, metric: Metric, epoch: int, values: list[RungValue]) -> list[int]:
    return [one.number for one in values if why_prune(rule, metric, epoch, values, one.number) is None]


@pytest.mark.parametrize(
    ("rule", "epochs"),
    [
        (EarlyTermination("hyperband", 1, 3.0), [1, 3, 9, 27]),
        (EarlyTermination("hyperband", 2, 2.0), [2, 4, 8, 16]),
        (EarlyTermination("hyperband", 1, 1.5), [1, 2, 3, 5, 7, 11, 17, 25]),
        (EarlyTermination("median", 26), [26, 27, 28, 29]),
        (EarlyTermination("none"), []),
    ],
)
def test_rungs_lie_at_min_iter_times_powers_of_eta(rule: EarlyTermination, epochs: list[int]) -> None:
    assert [epoch for epoch in range(30) if is_rung(rule, epoch)] == epochs


@pytest.mark.parametrize("n", range(1, 13))
def test_the_best_third_goes_on_and_always_at_least_one(n: int) -> None:
    values = rung(*(index / 100 for index in range(n)))
    best_first = list(range(n))[::-1]
    assert kept(ASHA, UP, 3, values) == sorted(best_first[: max(1, n // 3)])
    assert kept(ASHA, DOWN, 3, values) == list(range(max(1, n // 3)))


def test_ties_go_to_the_smaller_number() -> None:
    assert kept(ASHA, UP, 1, rung(*[0.5] * 7)) == [0, 1]


def test_the_order_of_slots_decides_nothing() -> None:
    values = rung(0.1, 0.7, None, 0.7, 0.3, 0.2, 0.7)
    shuffled = random.Random(3).sample(values, k=len(values))
    assert sorted(kept(ASHA, UP, 1, shuffled)) == kept(ASHA, UP, 1, values) == [1, 3]


@pytest.mark.parametrize("metric", [UP, DOWN])
def test_no_value_is_worse_than_any(metric: Metric) -> None:
    assert kept(ASHA, metric, 1, rung(None, 0.0, None)) == [1]


def test_between_rungs_everybody_goes_on() -> None:
    assert kept(ASHA, UP, 2, rung(*[0.1] * 9)) == list(range(9))


def test_the_reason_says_rank_and_rung() -> None:
    assert why_prune(ASHA, UP, 3, rung(0.9, 0.1), 1) == "rank 2 of 2 at epoch 3; the best 1 go on"


def test_worse_than_the_median_of_the_others_ends() -> None:
    values = rung(0.1, 0.2, 0.3, 0.4, None)
    assert kept(MEDIAN, UP, 2, values) == [2, 3]
    assert why_prune(MEDIAN, UP, 2, values, 1) == "val_accuracy 0.2 at epoch 2; the median of 3 others is 0.3"


def test_as_good_as_the_median_goes_on() -> None:
    assert kept(MEDIAN, DOWN, 2, rung(0.5, 0.5, 0.5, 0.5)) == [0, 1, 2, 3]


def test_the_median_needs_enough_others_and_enough_epochs() -> None:
    assert kept(MEDIAN, UP, 2, rung(0.1, 0.2, 0.3)) == [0, 1, 2]
    assert kept(MEDIAN, UP, 1, rung(0.1, 0.2, 0.3, 0.4)) == [0, 1, 2, 3]
