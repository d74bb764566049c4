"""When a trial is unpromising: pure rules over the values that trials of a sweep had at the same epoch.

References:
    Li et al. (2020), A System for Massively Parallel Hyperparameter Tuning (ASHA).
    Golovin et al. (2017), Google Vizier, section 3.2.2 (median stopping).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from statistics import median

from service.domain.goals import Metric
from service.domain.states import Direction
from service.domain.sweep import EarlyTermination


@dataclass(frozen=True, slots=True)
class RungValue:
    """What one trial had at a rung's epoch; None if it was not finite or not measured, which is worse than any value.

    With `at: best` it is the best value up to that epoch, otherwise the value of that epoch.
    """

    number: int
    value: float | None


def is_rung(rule: EarlyTermination, epoch: int) -> bool:
    """Whether trials are judged at this epoch: min_iter·eta^k under hyperband, every one from min_iter under median."""
    if rule.kind == "none" or epoch < rule.min_iter:
        return False
    if rule.kind == "median":
        return True
    rung = float(rule.min_iter)
    while floor(rung) < epoch:
        rung *= rule.eta
    return floor(rung) == epoch


def why_prune(rule: EarlyTermination, metric: Metric, epoch: int, rung: Sequence[RungValue], number: int) -> str | None:
    """Why a trial ends at this rung, in words; None if it goes on.

    Args:
        rule: The sweep's `early_terminate`.
        metric: The sweep's metric.
        epoch: The rung's epoch.
        rung: Every trial that has reached the rung so far, the judged one included, in any order.
        number: The judged trial's number.
    """
    if not is_rung(rule, epoch):
        return None
    if rule.kind == "hyperband":
        return _why_prune_by_rank(rule, metric, epoch, rung, number)
    return _why_prune_by_median(rule, metric, epoch, rung, number)


def _why_prune_by_rank(
    rule: EarlyTermination, metric: Metric, epoch: int, rung: Sequence[RungValue], number: int
) -> str | None:
    """A trial goes on if it ranks among the best max(1, ⌊n/eta⌋) of its rung so far; ties by number."""
    n_kept = max(1, floor(len(rung) / rule.eta))
    ranked = sorted(rung, key=lambda reached: (_badness(metric, reached.value), reached.number))
    rank = next(place for place, reached in enumerate(ranked, start=1) if reached.number == number)
    if rank <= n_kept:
        return None
    return f"rank {rank} of {len(rung)} at epoch {epoch}; the best {n_kept} go on"


def _why_prune_by_median(
    rule: EarlyTermination, metric: Metric, epoch: int, rung: Sequence[RungValue], number: int
) -> str | None:
    """A trial goes on unless it is worse than the median of the others, once `min_trials` of them have a value."""
    own = next(reached.value for reached in rung if reached.number == number)
    others = [reached.value for reached in rung if reached.number != number and reached.value is not None]
    if len(others) < rule.min_trials:
        return None
    middle = median(others)
    if own is not None and not metric.is_better(middle, own):
        return None
    shown = "no finite value" if own is None else f"{own:.6g}"
    return f"{metric.name} {shown} at epoch {epoch}; the median of {len(others)} others is {middle:.6g}"


def _badness(metric: Metric, value: float | None) -> float:
    """A number to sort by: the smaller, the better."""
    if value is None:
        return float("inf")
    return -value if metric.direction is Direction.MAXIMIZE else value
