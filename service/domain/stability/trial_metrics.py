"""What the gradients of a whole trial did, one number per metric: what lists, bounds and importances go by.

Medians over the learning epochs, first within each layer, then the worst layer; extremes and counts over all epochs
from 1 on. A number that is not finite, or was not measured, is None: the verdict says what happened.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from service.domain.metrics import AT_BEST, STABILITY_PARTS
from service.domain.stability.derived import (
    depth_range,
    flow_ratio,
    gsr,
    layer_medians,
    loss_spikes,
    median_over,
    oscillation,
)
from service.domain.stability.rows import EpochRow, LayerRow, learning_epochs
from service.domain.stability.score import Score


def gradient_metrics(rows: Sequence[EpochRow]) -> dict[str, float | None]:
    """The gradient metrics of an attempt (`service.domain.metrics`), the depth slope apart; None where unknown."""
    trained = [row for row in rows if row.epoch >= 1]
    learning = learning_epochs(rows)
    found = {
        "depth_range": median_over(learning, depth_range),
        "flow_ratio": median_over(learning, flow_ratio),
        "gsr": median_over(learning, gsr),
        "oscillation": oscillation(rows),
        "grad_rms": _worst(min, learning, lambda layer: layer.grad_rms_median),
        "bias_grad_rms": _worst(min, learning, lambda layer: layer.bias_grad_rms_median, hidden=True),
        "update_ratio": _worst(max, learning, lambda layer: layer.update_ratio_median),
        "update_ratio_least": _worst(min, learning, lambda layer: layer.update_ratio_median, hidden=True),
        "zero_fraction": _worst(max, learning, lambda layer: layer.zero_fraction, hidden=True),
        "dead_fraction": _worst(max, learning, lambda layer: layer.dead_fraction, hidden=True),
        "saturated_fraction": _worst(max, learning, lambda layer: layer.saturated_fraction, hidden=True),
        "global_norm_p50": median_over(learning, lambda row: row.global_norm_p50),
        "global_norm_p99": median_over(learning, lambda row: row.global_norm_p99),
        "global_norm_max": _largest(trained, lambda row: row.global_norm_max),
        "clip_fraction": median_over(learning, lambda row: row.clip_fraction),
        "loss_max": _largest(trained, lambda row: row.loss_max),
        "loss_spikes": loss_spikes(trained) if trained else None,
        "loss_doublings": _largest(trained, lambda row: row.loss_doublings),
        "val_top_class_share": trained[-1].val_top_class_share if trained else None,
    }
    return {name: _finite(value) for name, value in found.items()}


def part_columns(score: Score | None) -> dict[str, float | None]:
    """The parts of a stability as columns; None where a part was not measured."""
    measured: Mapping[str, float | None] = {} if score is None else score.measured
    return {f"stability_{part}": measured.get(part) for part in STABILITY_PARTS}


def at_best(rows: Sequence[EpochRow], best_epoch: int | None) -> dict[str, float | None]:
    """The metrics of an epoch as they were at the best one, by column; None where there is no such row."""
    row = next((row for row in rows if row.epoch == best_epoch), None)
    return {column: None if row is None else _finite(getattr(row, name)) for name, column in AT_BEST.items()}


def _worst(
    choose: Callable[[Sequence[float]], float],
    learning: Sequence[EpochRow],
    value: Callable[[LayerRow], float | None],
    *,
    hidden: bool = False,
) -> float | None:
    """The smallest or largest of the layers' medians."""
    medians = list(layer_medians(learning, value, hidden=hidden).values())
    return choose(medians) if medians else None


def _largest(rows: Sequence[EpochRow], value: Callable[[EpochRow], float | None]) -> float | None:
    """The largest of the epochs' values; nan if one of them is, for then it is not known."""
    known = [found for row in rows if (found := value(row)) is not None]
    return math.nan if any(map(math.isnan, known)) else max(known, default=None)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
