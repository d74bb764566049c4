"""Three published detectors of training problems, on our rows; thresholds are the published defaults.

Each is applied as far as the rows of an epoch carry what it asks for; where it samples one batch, we take the epoch's
typical step.

References:
    Zhang, Zhai, Ma, Shen (2021), AUTOTRAINER: an automatic DNN training problem detection and repair system.
    Rauschmayr et al. (2021), Amazon SageMaker Debugger: a system for real-time insights into machine learning models.
    Ben Braiek, Khomh (2022), Testing feedforward neural networks training programs (TheDeepChecker).
"""

import itertools
import math
from collections.abc import Sequence

from service.domain.stability.derived import flow_ratio
from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.verdict import first_nonfinite

WANTED_ACCURACY = 0.7


def autotrainer(rows: Sequence[EpochRow]) -> set[str]:
    """explode, relu, vanish, not_converge or unstable.

    A ratio rule (first over last kernel's gradient, below 1e-3 and itself below 1e-4, or above 70) or 70 % zeros count
    only while the accuracy is below what is wanted or rises by less than 0.01 in every epoch; swings only otherwise.
    """
    trained = [row for row in rows if row.epoch >= 1]
    if first_nonfinite(rows) or any((row.val_loss or 0.0) >= 1e5 for row in trained):
        return {"explode"}
    accuracy = [row.train_accuracy or 0.0 for row in trained]
    rise = max((b - a for a, b in itertools.pairwise(accuracy)), default=1.0)
    if max(accuracy) >= WANTED_ACCURACY and rise >= 0.01:
        return {"unstable"} if _swings(accuracy) >= 0.2 * len(accuracy) else set()
    last = trained[-1]
    ratio, first = flow_ratio(last), last.layers[0].grad_norm_mean or 0.0
    zeros = [layer.zero_fraction for layer in last.layers if layer.zero_fraction is not None]
    if zeros and sum(zeros) / len(zeros) >= 0.7:
        return {"relu"}
    if ratio is not None and ratio > 70:
        return {"explode"}
    if ratio is not None and ratio < 1e-3 and first < 1e-4:
        return {"vanish"}
    return {"not_converge"} if rise < 0.01 else set()


def sagemaker(rows: Sequence[EpochRow]) -> set[str]:
    """ExplodingTensor, VanishingGradient, DeadRelu, WeightUpdateRatio, LossNotDecreasing.

    A gradient below 1e-7 on average, more than half of a layer's units silent, updates above ten times or below 1e-8
    of the weights, a loss that falls by less than 0.1 % from epoch to epoch.
    """
    found = set()
    if first_nonfinite(rows):
        found.add("ExplodingTensor")
    trained = [row for row in rows if row.epoch >= 1]
    for row in trained:
        for layer in row.layers:
            if _is_below(layer.grad_rms_median, 1e-7):
                found.add("VanishingGradient")
            if _is_above(layer.dead_fraction, 0.5):
                found.add("DeadRelu")
            if _is_above(layer.update_ratio_median, 10) or _is_below(layer.update_ratio_median, 1e-8):
                found.add("WeightUpdateRatio")
    losses = [row.train_loss for row in trained if row.train_loss is not None]
    if any(not b < a * 0.999 for a, b in itertools.pairwise(losses)):
        found.add("LossNotDecreasing")
    return found


def deep_checker(rows: Sequence[EpochRow]) -> set[str]:
    """numerical, dead, saturated, updates: a layer with half of its units silent (the 95th percentile below 1e-5) or
    saturated, or with updates outside 1e-4 to 1e-1 of the weights."""
    found = {"numerical"} if first_nonfinite(rows) else set()
    for row in rows:
        for layer in row.hidden:
            found |= _layer_problems(layer) if row.epoch >= 1 else set()
    return found


def _layer_problems(layer: LayerRow) -> set[str]:
    found = set()
    if _is_above(layer.dead_fraction, 0.5):
        found.add("dead")
    if _is_above(layer.saturated_fraction, 0.5):
        found.add("saturated")
    if _is_below(layer.update_ratio_median, 1e-4) or _is_above(layer.update_ratio_median, 1e-1):
        found.add("updates")
    return found


def _is_above(value: float | None, threshold: float) -> bool:
    return value is not None and value > threshold


def _is_below(value: float | None, threshold: float) -> bool:
    return value is not None and not math.isnan(value) and value < threshold


def _swings(accuracy: Sequence[float]) -> int:
    """Pairs of a peak and a trough, in their order, that are at least 0.03 apart."""
    triples = list(zip(accuracy, accuracy[1:], accuracy[2:], strict=False))
    peaks = [b for a, b, c in triples if b >= a and b >= c]
    troughs = [b for a, b, c in triples if b <= a and b <= c]
    return sum(peak - trough >= 0.03 for peak, trough in zip(peaks, troughs, strict=False))
