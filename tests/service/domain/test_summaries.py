"""Medians and their intervals, against numbers that were worked out by hand and by simulation."""

import math
import random
import statistics

import pytest

from service.domain.summaries import interval_rank, summarize


@pytest.mark.parametrize(
    ("n", "rank", "coverage"),
    [
        (2, 1, 1 - 2 / 4),
        (3, 1, 1 - 2 / 8),
        (5, 1, 1 - 2 / 32),
        (6, 1, 1 - 2 / 64),
        (8, 1, 1 - 2 / 256),
        (9, 2, 1 - 2 * (1 + 9) / 512),
        (10, 2, 1 - 2 * (1 + 10) / 1024),
        (12, 3, 1 - 2 * (1 + 12 + 66) / 4096),
    ],
)
def test_ranks_are_those_of_the_binomial_distribution(n: int, rank: int, coverage: float) -> None:
    found = interval_rank(n)
    assert found == (rank, pytest.approx(coverage, abs=1e-12))


def test_of_many_values_the_interval_is_near_that_of_the_normal_distribution() -> None:
    rank, coverage = interval_rank(10_000)
    assert rank == pytest.approx(5_000 - 1.96 * 50, abs=2)
    assert 0.95 <= coverage < 0.96


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    draw = random.Random(0)
    samples = [[draw.expovariate(1.0) for _ in range(7)] for _ in range(4000)]
    intervals = [summarize(sample) for sample in samples]
    covered = statistics.mean(one.low <= math.log(2) <= one.high for one in intervals)  # type: ignore[union-attr, operator]
    assert covered == pytest.approx(interval_rank(7)[1], abs=0.01)


def test_a_sample_in_three_numbers() -> None:
    found = summarize([9.0, 1.0, 3.0, 2.0, 8.0, 4.0, 7.0, 6.0, 5.0])
    assert found is not None
    assert (found.n, found.median, found.low, found.high) == (9, 5.0, 2.0, 8.0)


def test_nothing_and_a_single_value_have_no_interval() -> None:
    assert summarize([]) is None
    single = summarize([0.5])
    assert single is not None
    assert (single.median, single.low, single.high, single.coverage) == (0.5, None, None, None)


def test_values_may_be_infinite() -> None:
    found = summarize([math.inf, math.inf, 0.2])
    assert found is not None
    assert (found.median, found.low, found.high) == (math.inf, 0.2, math.inf)


def test_between_as_many_far_better_as_far_worse_the_median_is_zero() -> None:
    found = summarize([math.inf, -math.inf])
    assert found is not None
    assert (found.median, found.low, found.high) == (0.0, -math.inf, math.inf)
