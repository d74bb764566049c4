"""The stability S in [0, 1]: a geometric mean of desirabilities, never shown without its parts.

S says whether a trial's gradients are fit to train with, not how well it predicts.

References:
    Derringer, Suich (1980), Simultaneous optimization of several response variables.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.stability.derived import (
    depth_range,
    gsr,
    is_oscillating,
    layer_medians,
    log10,
    median_over,
)
from service.domain.stability.rows import EpochRow, initial_loss, learning_epochs
from service.domain.stability.verdict import first_nonfinite

SCORE_VERSION = 2
"""Rises with every change of a formula below, or of a verdict; stored beside each score. 2: the verdict `stalled`."""

WEIGHTS = {"depth": 2, "update": 2, "level": 1, "steady": 1, "units": 1, "loss": 1}


@dataclass(frozen=True, slots=True)
class Score:
    """S and what made it.

    Attributes:
        stability: In [0, 1]; 0 if anything was not finite.
        parts: Desirability of each part, in [0, 1]: depth, update, level, steady, units, loss.
        limiting: The part that costs S most; "nonfinite" if the gate is shut; None when every part is 1.
        unknown: Parts that could not be measured and count as 1, such as depth with fewer than three hidden layers.
    """

    stability: float
    parts: Mapping[str, float]
    limiting: str | None
    unknown: tuple[str, ...]
    version: int = SCORE_VERSION

    @property
    def measured(self) -> dict[str, float | None]:
        """The parts, None for those that are unknown."""
        return {name: None if name in self.unknown else value for name, value in self.parts.items()}


def score(rows: Sequence[EpochRow]) -> Score | None:
    """S from an attempt's rows; None while no epoch has been trained and everything is finite."""
    is_nonfinite = first_nonfinite(rows) is not None
    if not is_nonfinite and all(row.epoch == 0 for row in rows):
        return None
    measured = _parts(rows)
    parts = {name: 1.0 if value is None else value for name, value in measured.items()}
    unknown = tuple(name for name, value in measured.items() if value is None)
    if is_nonfinite:
        return Score(0.0, parts, "nonfinite", unknown)
    return Score(combine(parts), parts, _limiting(parts), unknown)


def combine(parts: Mapping[str, float]) -> float:
    """Weighted geometric mean of the parts, in [0, 1]; depth and update count twice."""
    product = math.prod(parts[name] ** weight for name, weight in WEIGHTS.items())
    return float(product ** (1 / sum(WEIGHTS.values())))


def ramp(x: float, a: float, b: float) -> float:
    """1 at a and beyond, 0 at b and beyond, straight between: clip((x − b)/(a − b), 0, 1)."""
    return min(max((x - b) / (a - b), 0.0), 1.0)


def _limiting(parts: Mapping[str, float]) -> str | None:
    costs = {name: parts[name] ** weight for name, weight in WEIGHTS.items()}
    worst = min(costs, key=lambda name: costs[name])
    return worst if costs[worst] < 1 else None


def _parts(rows: Sequence[EpochRow]) -> dict[str, float | None]:
    learning = learning_epochs(rows)
    spread = median_over(learning, gsr)
    reach = median_over(learning, depth_range)
    return {
        "depth": None if reach is None else ramp(abs(reach), 1, 3),
        "update": _update(learning),
        "level": _level(learning),
        "steady": None if spread is None else ramp(spread, 0.5, 2),
        "units": _units(learning),
        "loss": _loss(rows),
    }


def _update(learning: Sequence[EpochRow]) -> float | None:
    """Worst hidden layer of the trapezoid of log10(update_ratio): 0 at −6, 1 from −4 to −1.5, 0 at 0."""
    exponents = [
        log10(value) for value in layer_medians(learning, lambda row: row.update_ratio_median, hidden=True).values()
    ]
    return min((min(ramp(x, -4, -6), ramp(x, -1.5, 0)) for x in exponents), default=None)


def _level(learning: Sequence[EpochRow]) -> float | None:
    """Worst layer's gradient not too small, times the global norm not too large."""
    sizes = layer_medians(learning, lambda row: row.grad_rms_median).values()
    smallest = min((ramp(log10(size), -6, -8) for size in sizes), default=None)
    norm = median_over(learning, lambda row: row.global_norm_p50)
    largest = None if norm is None else ramp(log10(norm), 2, 4)
    if smallest is None or largest is None:
        return smallest if largest is None else largest
    return smallest * largest


def _units(learning: Sequence[EpochRow]) -> float | None:
    """Worst hidden layer's share of dead or saturated units."""
    dead = layer_medians(learning, lambda row: row.dead_fraction, hidden=True)
    saturated = layer_medians(learning, lambda row: row.saturated_fraction, hidden=True)
    shares = [*dead.values(), *saturated.values()]
    return ramp(max(shares), 0.25, 0.75) if shares else None


def _loss(rows: Sequence[EpochRow]) -> float | None:
    """The largest step loss of all epochs against the loss before the first update; half under oscillation."""
    initial = initial_loss(rows)
    peaks = [
        row.loss_max for row in rows if row.epoch >= 1 and row.loss_max is not None and not math.isnan(row.loss_max)
    ]
    oscillating = is_oscillating(rows)
    if initial is None or not peaks:
        return 0.5 if oscillating else None
    return ramp(log10(max(peaks) / initial), 0.3, 2) * (0.5 if oscillating else 1.0)
