"""A sample in three numbers: its median, and an interval for the median of what it was drawn from.

The interval lies between two order statistics. It assumes no distribution, so it holds for accuracies that pile up at
chance or at the best as well as for stabilities that are 0 or 1; of differences it is the sign test turned around. Its
coverage is exact for continuous values, and at least that for values with ties.

References:
    David, Nagaraja (2003), Order Statistics, 3rd edition, section 7.1.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LEVEL = 0.95
"""Coverage that an interval has at least, where the sample is large enough: from six values on."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample of `n` values. `low` and `high` bound the median with probability `coverage`; None of a single value.

    Values may be infinite (a loss that blew up), and so may the three numbers. Between as many that are infinitely
    better as infinitely worse the median is 0.
    """

    n: int
    median: float
    low: float | None
    high: float | None
    coverage: float | None


def summarize(values: Sequence[float]) -> Summary | None:
    """Median and interval; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    if len(ordered) == 1:
        return Summary(1, ordered[0], None, None, None)
    rank, coverage = interval_rank(len(ordered))
    return Summary(len(ordered), _median(ordered), ordered[rank - 1], ordered[-rank], coverage)


def _median(ordered: Sequence[float]) -> float:
    low, high = statistics.median_low(ordered), statistics.median_high(ordered)
    return 0.0 if low == -high else statistics.median(ordered)


@lru_cache(maxsize=4096)
def interval_rank(n: int) -> tuple[int, float]:
    """The rank k of an interval from the k-th smallest to the k-th largest of n values, and its coverage.

    The largest k whose coverage 1 − 2·P(B < k) is at least `LEVEL`, where B is binomial (n, ½); 1 if none is.
    """
    outside = 2 * math.exp(_log_binomial(n, 0))
    rank, coverage = 1, 1 - outside
    while rank < n / 2:
        outside += 2 * math.exp(_log_binomial(n, rank))
        if 1 - outside < LEVEL:
            break
        rank, coverage = rank + 1, 1 - outside
    return rank, coverage


def _log_binomial(n: int, k: int) -> float:
    """Logarithm of P(B = k)."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
