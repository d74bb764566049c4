"""The measured rows of one attempt as values, with inf and nan put back where they were spelled out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from service.wire.leases import EpochReport

LEARNED_SHARE = 0.1
"""Learning is over once the training loss is below this share of its value before the first update."""

STALLED_GAIN = 0.01
"""A rise of the training accuracy below this is no learning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """One kernel over one epoch; the fields are those of `service.wire.leases.LayerReport`.

    None is "not defined at this epoch"; inf and nan are what was measured.
    """

    layer: int
    grad_norm_mean: float | None = None
    grad_norm_std: float | None = None
    grad_norm_max: float | None = None
    grad_rms_median: float | None = None
    grad_rms_p05: float | None = None
    bias_grad_rms_median: float | None = None
    update_ratio_median: float | None = None
    update_ratio_p95: float | None = None
    weight_norm: float | None = None
    zero_fraction: float | None = None
    nonfinite: int = 0
    nonfinite_first_step: int | None = None
    activation_std: float | None = None
    dead_fraction: float | None = None
    saturated_fraction: float | None = None
    delta_rms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch of a trial, layers in forward order; fields as in `EpochReport`. Epoch 0 is the probe."""

    epoch: int
    steps: int = 0
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    val_balanced_accuracy: float | None = None
    val_macro_f1: float | None = None
    val_top_class_share: float | None = None
    loss_max: float | None = None
    loss_spikes: int = 0
    loss_doublings: int = 0
    global_norm_mean: float | None = None
    global_norm_std: float | None = None
    global_norm_max: float | None = None
    global_norm_p50: float | None = None
    global_norm_p99: float | None = None
    clip_fraction: float | None = None
    nonfinite: int = 0
    wall_seconds: float = 0.0
    device_seconds: float = 0.0
    layers: tuple[LayerRow, ...] = ()

    def layer(self, number: int) -> LayerRow | None:
        """The layer with this number, counted from 1 at the input."""
        return next((layer for layer in self.layers if layer.layer == number), None)

    @property
    def hidden(self) -> tuple[LayerRow, ...]:
        """Every layer but the output."""
        return self.layers[:-1]


_LAYER_FIELDS = tuple(field.name for field in fields(LayerRow))
_EPOCH_FIELDS = tuple(field.name for field in fields(EpochRow) if field.name != "layers")


def epoch_row_from_report(report: EpochReport) -> EpochRow:
    """The row that a worker's report holds."""
    layers = [_values(_LAYER_FIELDS, vars(layer)) for layer in report.layers]
    return EpochRow(**_values(_EPOCH_FIELDS, vars(report)), layers=_in_order(layers))


def epoch_rows(epochs: Iterable[Mapping[str, Any]], layers: Iterable[Mapping[str, Any]]) -> list[EpochRow]:
    """The rows of one attempt, in the order of the epochs.

    Args:
        epochs: Stored rows of `epochs`, one attempt of one trial, as mappings by column.
        layers: The stored rows of `layer_epochs` that belong to them.
    """
    layers_of: dict[int, list[dict[str, Any]]] = {}
    for stored in layers:
        layers_of.setdefault(stored["epoch"], []).append(_values(_LAYER_FIELDS, stored))
    rows = [
        EpochRow(**_values(_EPOCH_FIELDS, stored), layers=_in_order(layers_of.get(stored["epoch"], [])))
        for stored in epochs
    ]
    return sorted(rows, key=lambda row: row.epoch)


def learning_epochs(rows: Sequence[EpochRow]) -> list[EpochRow]:
    """Epochs 1, 2, … before the first whose training loss is below a tenth of its probe value; at least the first.

    A network that has fitted its data has tiny, noisy gradients; judging it there would take success for vanishing.
    Without a finite probe loss every epoch from 1 on is a learning epoch.
    """
    trained = [row for row in rows if row.epoch >= 1]
    floor = LEARNED_SHARE * (initial_loss(rows) or 0.0)
    for count, row in enumerate(trained):
        if row.train_loss is not None and row.train_loss < floor:
            return trained[: max(count, 1)]
    return trained


def stalled_epochs(rows: Sequence[EpochRow]) -> list[EpochRow]:
    """The learning epochs that no learning follows.

    From the accuracy before such an epoch on, neither it nor a later epoch rises by 0.01 or more; for the last epoch
    that is `epoch_gain` < 0.01. An epoch whose accuracy before is unknown is not stalled: a rule needs evidence.
    """
    accuracy = {row.epoch: row.train_accuracy for row in rows}
    stalled = []
    for row in learning_epochs(rows):
        before = accuracy.get(row.epoch - 1)
        after = [value for epoch, value in accuracy.items() if epoch >= row.epoch and value is not None]
        if before is not None and after and _rise(before, max(after)) < STALLED_GAIN:
            stalled.append(row)
    return stalled


def epoch_gain(rows: Sequence[EpochRow], epoch: int) -> float | None:
    """Rise of the training accuracy over the epoch before; None where either is unknown."""
    accuracy = {row.epoch: row.train_accuracy for row in rows}
    now, before = accuracy.get(epoch), accuracy.get(epoch - 1)
    return None if now is None or before is None else _rise(before, now)


def initial_loss(rows: Sequence[EpochRow]) -> float | None:
    """The loss on the probe batch before the first update, if it was measured, finite and positive."""
    for row in rows:
        if row.epoch == 0 and row.train_loss is not None and math.isfinite(row.train_loss) and row.train_loss > 0:
            return row.train_loss
    return None


def _rise(before: float, after: float) -> float:
    """A difference of two shares, rounded so that 0.11 − 0.10 is 0.01 and a threshold means what it says."""
    return round(after - before, 9)


def _values(names: Sequence[str], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The named values of a stored row; what was spelled out ("inf", "-inf", "nan") is a number again."""
    spelled = stored.get("nonfinite_values") or {}
    return {name: float(spelled[name]) if name in spelled else stored[name] for name in names}


def _in_order(layers: Iterable[Mapping[str, Any]]) -> tuple[LayerRow, ...]:
    return tuple(sorted((LayerRow(**values) for values in layers), key=lambda layer: layer.layer))
