"""Numbers that follow from the measured rows; every layer counts from the input, the output layer is the last."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from service.domain.stability.rows import EpochRow, LayerRow
from service.wire.leases import LayerReport

SMALLEST_NORMAL = 1.17549435e-38
"""Smallest normal float32; a gradient of exactly zero counts as this, so that its logarithm exists."""

SWING = 0.03
MIN_OSCILLATION_EPOCHS = 5
OSCILLATING_SHARE = 0.2


def depth_slope(row: EpochRow) -> float | None:
    """Decades per layer by which the gradient of the biases grows from the input towards the output.

    Least-squares slope of log10(bias_grad_rms_l) over the hidden layers. Positive: the gradient vanishes on its way
    to the input; negative: it explodes. None with fewer than three hidden layers, or where a value is not finite.

    Kernels would not do: in a deep ReLU network with Glorot weights the activations decay forward as the deltas
    decay backward, and the kernels' gradient norms, their products, look the same in every layer.
    """
    return bias_slope(row.hidden)


def bias_slope(hidden: Sequence[LayerRow | LayerReport]) -> float | None:
    """The depth slope of hidden layers that are in order."""
    points = [
        (layer.layer, math.log10(max(layer.bias_grad_rms_median, SMALLEST_NORMAL)))
        for layer in hidden
        if layer.bias_grad_rms_median is not None and math.isfinite(layer.bias_grad_rms_median)
    ]
    if len(points) < 3 or len(points) < len(hidden):
        return None
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def depth_range(row: EpochRow) -> float | None:
    """Decades over the whole depth: depth_slope · (H − 1), with H hidden layers."""
    slope = depth_slope(row)
    return None if slope is None else slope * (len(row.hidden) - 1)


def flow_ratio(row: EpochRow) -> float | None:
    """grad_norm of the first kernel over that of the last, for comparison with published detectors."""
    if not row.layers:
        return None
    return _ratio(row.layers[0].grad_norm_mean, row.layers[-1].grad_norm_mean)


def gsr(row: EpochRow) -> float | None:
    """Gradient spread within the epoch, log10(p99/p50) of the global norm, in decades."""
    ratio = _ratio(row.global_norm_p99, row.global_norm_p50)
    return None if ratio is None or math.isnan(ratio) else log10(ratio)


def loss_spikes(rows: Sequence[EpochRow]) -> int:
    """Steps, over all epochs, whose loss exceeded three times their epoch's median."""
    return sum(row.loss_spikes for row in rows)


def oscillation(rows: Sequence[EpochRow]) -> float | None:
    """Share of the epochs that are dips: the training accuracy falls by ≥ 0.03 into them and rises by ≥ 0.03 after.

    None before there are three epochs with a known accuracy.
    """
    accuracy = [row.train_accuracy for row in rows if row.epoch >= 1 and row.train_accuracy is not None]
    if len(accuracy) < 3:
        return None
    triples = zip(accuracy, accuracy[1:], accuracy[2:], strict=False)
    # accuracies are shares with at most seven decimals: a swing of exactly 0.03 must not be lost to rounding
    dips = sum(round(a - b, 9) >= SWING and round(c - b, 9) >= SWING for a, b, c in triples)
    return dips / len(accuracy)


def is_oscillating(rows: Sequence[EpochRow]) -> bool:
    """Whether at least a fifth of at least five epochs are dips."""
    n_epochs = sum(row.epoch >= 1 and row.train_accuracy is not None for row in rows)
    return n_epochs >= MIN_OSCILLATION_EPOCHS and (oscillation(rows) or 0.0) >= OSCILLATING_SHARE


def median(values: Iterable[float | None]) -> float | None:
    """Median of what is known; None if nothing is. Nan is not known; inf is."""
    known = sorted(value for value in values if value is not None and not math.isnan(value))
    if not known:
        return None
    upper = len(known) // 2
    return known[upper] if len(known) % 2 else (known[upper - 1] + known[upper]) / 2


def median_over(rows: Sequence[EpochRow], value: Callable[[EpochRow], float | None]) -> float | None:
    """Median of a number of the epochs."""
    return median(value(row) for row in rows)


def layer_medians(
    rows: Sequence[EpochRow], value: Callable[[LayerRow], float | None], *, hidden: bool = False
) -> dict[int, float]:
    """For each layer the median of a number over the epochs; layers for which it is never known are left out."""
    values_of: dict[int, list[float | None]] = {}
    for row in rows:
        for layer in row.hidden if hidden else row.layers:
            values_of.setdefault(layer.layer, []).append(value(layer))
    medians = {layer: median(values) for layer, values in values_of.items()}
    return {layer: value for layer, value in medians.items() if value is not None}


def log10(value: float) -> float:
    """Decimal logarithm; that of zero is −inf."""
    return math.log10(value) if value > 0 else -math.inf


def _ratio(above: float | None, below: float | None) -> float | None:
    """A quotient; x/0 is inf and 0/0 unknown."""
    if above is None or below is None or (above == 0 and below == 0):
        return None
    return above / below if below != 0 else math.inf


def entropy(shares: Sequence[float]) -> float:
    """Entropy of the class shares in nats: the loss of always predicting the shares themselves."""
    return -math.fsum(share * math.log(share) for share in shares if share > 0)
