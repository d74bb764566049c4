"""One word for what a trial's gradients did, and the evidence for it.

The first that holds: nonfinite → exploding → dead → vanishing → unsteady → stalled → stable. All but non-finite values
and a blow-up of the loss are judged by medians over the learning epochs, and slopes over depth only where no learning
follows: a converged network has tiny, noisy gradients, and batch normalization on 20 layers starts with a steep slope
and trains well. `stalled` asks the predictions, not the gradients: nothing is learned, and none of the others says why.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from service.domain.stability.derived import (
    OSCILLATING_SHARE,
    depth_range,
    entropy,
    gsr,
    is_oscillating,
    layer_medians,
    median_over,
    oscillation,
)
from service.domain.stability.rows import (
    STALLED_GAIN,
    EpochRow,
    LayerRow,
    initial_loss,
    learning_epochs,
    stalled_epochs,
)
from service.domain.states import Verdict
from service.wire.leases import EpochReport


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that crossed its threshold: what, where, since when.

    Attributes:
        metric: Name of the number (docs/gradients.md).
        value: What it was; a median over the epochs that were judged, where the metric is judged so.
        threshold: What it was held against.
        layer: Which layer, from 1; None if the number belongs to the whole network.
        epoch: The first epoch whose own value crossed the threshold.
        step: The first step in that epoch, where it is known.
    """

    metric: str
    value: float
    threshold: float
    layer: int | None = None
    epoch: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and its evidence, the strongest first; a stable trial needs none."""

    verdict: Verdict
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Where the verdicts begin (sources: docs/gradients.md). Depth ranges are in decades."""

    step_loss: float = 1e3
    doublings: int = 5
    update_ratio: float = 1.0
    exploding_range: float = -1.85
    global_norm: float = 1e3
    dead_fraction: float = 0.99
    zero_fraction: float = 0.7
    top_class_share: float = 0.995
    vanishing_range: float = 3.0
    grad_rms: float = 1e-7
    frozen_ratio: float = 1e-6
    gsr: float = 2.0
    stalled_epochs: int = 3
    prior_gain_share: float = 0.05
    prior_loss_share: float = 0.995


THRESHOLDS = Thresholds()


def judge(
    rows: Sequence[EpochRow],
    class_shares: Sequence[float] | None = None,
    thresholds: Thresholds = THRESHOLDS,
) -> Finding | None:
    """The verdict on an attempt; None while no epoch has been trained and everything is finite.

    Args:
        rows: The attempt's rows so far, in the order of the epochs.
        class_shares: Share of each class in the validation data; without it, a dead layer counts only where nearly
            all predictions fall into one class, and nothing is called stalled.
        thresholds: Where the verdicts begin.
    """
    nonfinite = first_nonfinite(rows)
    if nonfinite is not None:
        return Finding(Verdict.NONFINITE, (nonfinite,))
    if all(row.epoch == 0 for row in rows):
        return None
    judgements: tuple[tuple[Verdict, Callable[[], Iterator[Evidence]]], ...] = (
        (Verdict.EXPLODING, lambda: _exploding(rows, thresholds)),
        (Verdict.DEAD, lambda: _dead(rows, class_shares, thresholds)),
        (Verdict.VANISHING, lambda: _vanishing(rows, thresholds)),
        (Verdict.UNSTEADY, lambda: _unsteady(rows, thresholds)),
        (Verdict.STALLED, lambda: _stalled(rows, class_shares, thresholds)),
    )
    for verdict, gather in judgements:
        evidence = tuple(gather())
        if evidence:
            return Finding(verdict, evidence)
    return Finding(Verdict.STABLE)


def early_warning(rows: Sequence[EpochRow], thresholds: Thresholds = THRESHOLDS) -> tuple[Evidence, ...]:
    """Signs of vanishing before the first update: a warning, for training may yet overcome them."""
    return tuple(sign for row in rows if row.epoch == 0 for sign in signs_of_vanishing(row, thresholds))


def signs_of_vanishing(row: EpochRow, thresholds: Thresholds = THRESHOLDS) -> tuple[Evidence, ...]:
    """What in one epoch alone speaks for a gradient that vanishes."""
    return (*_steep([row], thresholds), *_faint([row], thresholds))


def first_nonfinite(rows: Sequence[EpochRow]) -> Evidence | None:
    """Where the first loss, gradient or weight was not finite: epoch, layer and step as far as they are known."""
    for row in rows:
        layers = [layer for layer in row.layers if layer.nonfinite > 0 or not _is_finite(*_gradients(layer))]
        if row.nonfinite == 0 and not layers and _is_finite(*_losses(row)):
            continue
        first = min(layers, key=_first_step, default=None)
        count = max(row.nonfinite, sum(layer.nonfinite for layer in row.layers), 1)
        return Evidence(
            metric="nonfinite",
            value=count,
            threshold=1,
            layer=None if first is None else first.layer,
            epoch=row.epoch,
            step=None if first is None else first.nonfinite_first_step,
        )
    return None


def blowup(rows: Sequence[EpochRow], thresholds: Thresholds = THRESHOLDS) -> Evidence | None:
    """The first epoch whose loss ran away: a step above 1e3, or five doublings in a row, and above its initial value.

    The initial value is asked for because a loss of 1e-5 may double five times in a row and mean nothing.
    """
    initial = initial_loss(rows) or 0.0
    for row in rows:
        if row.epoch == 0 or row.loss_max is None or not row.loss_max > initial:
            continue
        if row.loss_max > thresholds.step_loss:
            return Evidence("loss_max", row.loss_max, thresholds.step_loss, epoch=row.epoch)
        if row.loss_doublings >= thresholds.doublings:
            return Evidence("loss_doublings", row.loss_doublings, thresholds.doublings, epoch=row.epoch)
    return None


def worst_update_ratio(rows: Sequence[EpochRow], thresholds: Thresholds = THRESHOLDS) -> Evidence | None:
    """The layer whose typical update exceeds its weights by most, if any does: median of ‖ΔW‖/‖W‖ above 1."""
    found = _layers(
        rows,
        "update_ratio",
        lambda row: row.update_ratio_median,
        lambda x: x > thresholds.update_ratio,
        thresholds.update_ratio,
    )
    return max(found, key=lambda evidence: evidence.value, default=None)


def gains_nothing(
    row: EpochRow | EpochReport, class_shares: Sequence[float] | None, thresholds: Thresholds = THRESHOLDS
) -> bool:
    """Whether an epoch's predictions are no better than always naming the commonest class.

    Predictions that all name one class cannot be better, whatever the shares are.
    """
    if row.val_top_class_share is not None and row.val_top_class_share >= thresholds.top_class_share:
        return True
    if class_shares is None or row.val_accuracy is None:
        return False
    return row.val_accuracy < max(class_shares) + STALLED_GAIN


def tells_nothing(
    row: EpochRow | EpochReport, class_shares: Sequence[float] | None, thresholds: Thresholds = THRESHOLDS
) -> bool:
    """Whether an epoch's predictions are known to be no better than what the class shares alone would tell.

    Neither by the validation loss, against their entropy, nor by the accuracy on either split, which must gain a
    twentieth of what always naming the commonest class leaves. The loss of the training is not asked: dropout, label
    smoothing and class weights are in it.
    """
    if class_shares is None or row.val_loss is None:
        return False
    loss, accuracy = _known_from_shares(class_shares, thresholds)
    known = (row.val_accuracy, row.train_accuracy)
    return row.val_loss >= loss and all(value is not None and value < accuracy for value in known)


def _known_from_shares(class_shares: Sequence[float], thresholds: Thresholds) -> tuple[float, float]:
    """The loss and the accuracy that count as learning."""
    commonest = max(class_shares)
    return (
        thresholds.prior_loss_share * entropy(class_shares),
        commonest + thresholds.prior_gain_share * (1 - commonest),
    )


def _exploding(rows: Sequence[EpochRow], thresholds: Thresholds) -> Iterator[Evidence]:
    learning, stalled = learning_epochs(rows), stalled_epochs(rows)
    runaway = blowup(rows, thresholds)
    if runaway is not None:
        yield runaway
    oversized = worst_update_ratio(learning, thresholds)
    if oversized is not None:
        yield oversized
    reach = median_over(stalled, depth_range)
    if reach is not None and reach <= thresholds.exploding_range:
        since = _since(stalled, depth_range, lambda x: x <= thresholds.exploding_range)
        yield Evidence("depth_range", reach, thresholds.exploding_range, epoch=since)
    norm = median_over(learning, lambda row: row.global_norm_p50)
    if norm is not None and norm > thresholds.global_norm:
        since = _since(learning, lambda row: row.global_norm_p50, lambda x: x > thresholds.global_norm)
        yield Evidence("global_norm", norm, thresholds.global_norm, epoch=since)


def _dead(rows: Sequence[EpochRow], class_shares: Sequence[float] | None, thresholds: Thresholds) -> Iterator[Evidence]:
    if not gains_nothing(rows[-1], class_shares, thresholds) and not any(_stalled(rows, class_shares, thresholds)):
        return
    learning = learning_epochs(rows)
    yield from _layers(
        learning,
        "dead_fraction",
        lambda row: row.dead_fraction,
        lambda x: x >= thresholds.dead_fraction,
        thresholds.dead_fraction,
        hidden=True,
    )
    yield from _layers(
        learning,
        "zero_fraction",
        lambda row: row.zero_fraction,
        lambda x: x >= thresholds.zero_fraction,
        thresholds.zero_fraction,
        hidden=True,
    )


def _vanishing(rows: Sequence[EpochRow], thresholds: Thresholds) -> Iterator[Evidence]:
    stalled = stalled_epochs(rows)
    yield from _steep(stalled, thresholds)
    faint = {evidence.layer: evidence for evidence in _faint(stalled, thresholds)}
    learning = learning_epochs(rows)
    ratios = layer_medians(learning, lambda row: row.update_ratio_median)
    for evidence in _faint(learning, thresholds):
        if evidence.layer is not None and ratios.get(evidence.layer, math.inf) < thresholds.frozen_ratio:
            faint.setdefault(evidence.layer, evidence)
    yield from faint.values()


def _steep(rows: Sequence[EpochRow], thresholds: Thresholds) -> Iterator[Evidence]:
    """The gradient shrinks by three decades or more on its way to the first layer."""
    reach = median_over(rows, depth_range)
    if reach is not None and reach >= thresholds.vanishing_range:
        since = _since(rows, depth_range, lambda x: x >= thresholds.vanishing_range)
        yield Evidence("depth_range", reach, thresholds.vanishing_range, layer=1, epoch=since)


def _faint(rows: Sequence[EpochRow], thresholds: Thresholds) -> Iterator[Evidence]:
    """Layers whose gradient is below the level at which an optimizer's ε takes over."""
    return _layers(
        rows, "grad_rms", lambda row: row.grad_rms_median, lambda x: x < thresholds.grad_rms, thresholds.grad_rms
    )


def _unsteady(rows: Sequence[EpochRow], thresholds: Thresholds) -> Iterator[Evidence]:
    learning = learning_epochs(rows)
    share = oscillation(rows)
    if is_oscillating(rows) and share is not None:
        yield Evidence("oscillation", share, OSCILLATING_SHARE)
    spread = median_over(learning, gsr)
    if spread is not None and spread > thresholds.gsr:
        yield Evidence("gsr", spread, thresholds.gsr, epoch=_since(learning, gsr, lambda x: x > thresholds.gsr))


def _stalled(
    rows: Sequence[EpochRow], class_shares: Sequence[float] | None, thresholds: Thresholds
) -> Iterator[Evidence]:
    """Nothing is learned, for three epochs on end."""
    trained = [row for row in rows if row.epoch >= 1]
    if class_shares is None or len(trained) < thresholds.stalled_epochs:
        return
    learned = [row.epoch for row in trained if not tells_nothing(row, class_shares, thresholds)]
    since = [row for row in trained if row.epoch > max(learned, default=0)]
    if len(since) < thresholds.stalled_epochs:
        return
    recent = since[-thresholds.stalled_epochs :]
    loss, accuracy = _known_from_shares(class_shares, thresholds)
    yield Evidence("val_loss", min(row.val_loss or 0.0 for row in recent), loss, epoch=since[0].epoch)
    best = max(max(row.val_accuracy or 0.0, row.train_accuracy or 0.0) for row in recent)
    yield Evidence("accuracy", best, accuracy, epoch=since[0].epoch)


def _layers(
    rows: Sequence[EpochRow],
    metric: str,
    value: Callable[[LayerRow], float | None],
    crosses: Callable[[float], bool],
    threshold: float,
    *,
    hidden: bool = False,
) -> Iterator[Evidence]:
    """Evidence for each layer whose median over the epochs crosses a threshold."""
    for layer, middle in layer_medians(rows, value, hidden=hidden).items():
        if crosses(middle):
            own = [(row.epoch, found) for row in rows if (found := row.layer(layer)) is not None]
            crossing = (epoch for epoch, found in own if (x := value(found)) is not None and crosses(x))
            yield Evidence(metric, middle, threshold, layer=layer, epoch=next(crossing, None))


def _since(
    rows: Sequence[EpochRow], value: Callable[[EpochRow], float | None], crosses: Callable[[float], bool]
) -> int | None:
    """The first epoch whose own value crosses the threshold."""
    for row in rows:
        own = value(row)
        if own is not None and crosses(own):
            return row.epoch
    return None


def _first_step(layer: LayerRow) -> float:
    return math.inf if layer.nonfinite_first_step is None else layer.nonfinite_first_step


def _losses(row: EpochRow) -> tuple[float | None, ...]:
    return (row.train_loss, row.loss_max, row.val_loss, row.global_norm_max, row.global_norm_p50, row.global_norm_p99)


def _gradients(layer: LayerRow) -> tuple[float | None, ...]:
    return (
        layer.grad_norm_mean,
        layer.grad_norm_max,
        layer.grad_rms_median,
        layer.bias_grad_rms_median,
        layer.weight_norm,
    )


def _is_finite(*values: float | None) -> bool:
    return all(value is None or math.isfinite(value) for value in values)
