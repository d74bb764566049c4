"""Whether a replay's rows are the stored ones: differences by epoch, tolerances, and the verdict. Plain data only.

The same program repeats to the last bit on the same machine, and to float32 rounding elsewhere at first. Two programs,
as the fused and the reference trainer are, agree closely for some 30 steps; then one ReLU at a tie may part the curves
of any two correct programs (docs/engine.md). So later epochs of another program are held to their metrics alone, and
loosely: what a wrong optimizer, schedule or normalization moves, it moves by more.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METRICS = ("train_loss", "val_loss", "val_accuracy")
FRACTIONS = frozenset({"val_accuracy", "zero_fraction", "dead_fraction", "saturated_fraction"})
"""Between 0 and 1, and counts of few: compared by their plain difference."""
SPELLED = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
STATISTICS = (
    "grad_norm_mean",
    "grad_norm_std",
    "grad_norm_max",
    "grad_rms_median",
    "grad_rms_p05",
    "bias_grad_rms_median",
    "update_ratio_median",
    "update_ratio_p95",
    "weight_norm",
    "zero_fraction",
    "activation_std",
    "dead_fraction",
    "saturated_fraction",
    "delta_rms",
)
SAME_PROGRAM = ("trainer", "tensorflow", "keras", "device", "device_kind", "tf32", "kinds", "slots_per_tile")
"""What must be as recorded for a program to be the same."""

ROUNDING = 1e-5
"""Of the same program: float32 rounds at 6e-8, and sums over a batch and an epoch carry on a hundred of these."""
COMPARABLE_STEPS = 30
PROGRAM_ROUNDING = 1e-3
"""Of another program in its comparable steps: weights agree to 1e-5, quantiles and spreads of them to less."""
FRACTION_ROUNDING = 0.01
"""Of another program: a few rows or units in a thousand lie at a tie."""
PARTED = 0.1
"""Of another program's metrics after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochNumbers:
    """What is compared of an epoch: its steps, its metrics by name, its layers' statistics by `layer.name`."""

    epoch: int
    steps: int
    metrics: Mapping[str, float | None]
    statistics: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest differences of an epoch. `statistic` names where that of the statistics is; None if nowhere.

    Differences are relative, of fractions plain; infinite where one value is missing or not finite, and the other is.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    statistics: float
    statistic: str | None
    is_equal: bool


def numbers_of(row: Any, layers: Iterable[Any]) -> EpochNumbers:
    """The numbers of a trainer's row, or of a stored epoch; values that were spelled out become floats again."""
    statistics = {
        f"{layer.layer}.{name}": value for layer in layers for name, value in _values(layer, STATISTICS).items()
    }
    return EpochNumbers(epoch=row.epoch, steps=row.steps, metrics=_values(row, METRICS), statistics=statistics)


def is_same_program(recorded: Mapping[str, str], here: Mapping[str, str]) -> bool:
    """Whether two environments compile to the same arithmetic. On a GPU sums may be taken in any order: never."""
    return here.get("device_kind") == "CPU" and all(recorded.get(name) == here.get(name) for name in SAME_PROGRAM)


def compare(stored: EpochNumbers, again: EpochNumbers, *, steps_before: int, same_program: bool) -> Difference:
    """How an epoch differs from the stored one, and whether that is too much.

    Args:
        stored: As it was reported.
        again: As the replay measured it.
        steps_before: The trial's steps in the epochs before.
        same_program: Whether the replay ran the program that the attempt ran.
    """
    metrics = {name: difference(name, stored.metrics[name], again.metrics[name]) for name in METRICS}
    names = sorted({*stored.statistics, *again.statistics})
    statistics = {name: difference(name, stored.statistics.get(name), again.statistics.get(name)) for name in names}
    worst = max(statistics, key=statistics.__getitem__, default=None)
    is_close = same_program or steps_before + again.steps <= COMPARABLE_STEPS
    judged = metrics | statistics if is_close else metrics
    limits = {name: _limit(name, is_close=is_close, same_program=same_program) for name in judged}
    return Difference(
        epoch=stored.epoch,
        **metrics,
        statistics=0.0 if worst is None else statistics[worst],
        statistic=worst if worst is not None and statistics[worst] > 0 else None,
        is_equal=stored.steps == again.steps and all(value <= limits[name] for name, value in judged.items()),
    )


def difference(name: str, one: float | None, other: float | None) -> float:
    """The relative difference of two values, of fractions the plain one; 0 if both are missing, or both nan."""
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    apart = abs(one - other)
    return apart if name.rpartition(".")[2] in FRACTIONS else apart / max(abs(one), abs(other))


def first_unequal(differences: Sequence[Difference]) -> int | None:
    """The first epoch that differs too much."""
    return next((each.epoch for each in differences if not each.is_equal), None)


def _limit(name: str, *, is_close: bool, same_program: bool) -> float:
    if same_program:
        return ROUNDING
    if not is_close:
        return PARTED
    return FRACTION_ROUNDING if name.rpartition(".")[2] in FRACTIONS else PROGRAM_ROUNDING


def _values(row: Any, names: Iterable[str]) -> dict[str, float | None]:
    spelled = getattr(row, "nonfinite", {})
    spelled = spelled if isinstance(spelled, dict) else {}  # a trainer's rows count there, and hold the values
    return {name: SPELLED[spelled[name]] if name in spelled else getattr(row, name) for name in names}
