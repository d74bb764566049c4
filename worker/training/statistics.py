"""From what was recorded at every step to the row of an epoch: NumPy in float64, shared by both trainers.

Axes: T steps of the epoch, M measured ones, L layers in forward order, the output layer last. A sweep chooses how many
steps are measured: the first of an epoch and each `every`-th after it. The loss is known at all of them. Quantiles are
over the measured steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worker.training.contract import EpochRow, LayerRow
from worker.training.evaluation import Evaluation
from worker.training.hyperparameters import Hyperparameters
from worker.training.probe import ProbeRecord, saturates

Array = NDArray[np.floating]

WINDOW_STEPS = 10
SPIKE_FACTOR = 3.0
ZERO_GRADIENT = 1e-12  # |g| up to which `zero_fraction` counts an element
COUNT_ZEROS_EVERY = 64  # steps: `zero_fraction` is counted at the first of an epoch and about every so many after it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRecord:
    """What a trainer measures at each step, float32 or float64. Gradients: of the mean data loss, before clipping.

    Norms, not squares: the square of a float32 overflows at 1.8e19 and vanishes below 1e-23. A norm must be finite
    exactly if all that it is taken over is finite; `nonfinite` is counted from that.
    """

    loss: Array  # (T,) the mean data loss of the batch, with its weights and smoothing
    correct: Array  # (T,) rows of the batch that were predicted right, before the update
    global_norm: Array  # (M,) of the gradients of all trainable weights, skip projections and normalization included
    kernel_grad_norm: Array  # (M, L)
    bias_grad_norm: Array  # (M, L)
    update_norm: Array  # (M, L) of the kernel's actual change: after optimizer, clipping and decay
    weight_norm: Array  # (M + 1, L) of the kernel before each measured step, and after the last step of the epoch
    zero_fraction: Array  # (M, L) share of |g| ≤ 1e-12 in the kernel's rows whose input is not zero in the whole batch;
    #                               nan where there is no such row, or at steps that were not counted
    every: int = 1  # the measured steps are 0, every, 2·every, …


def epoch_row(
    *,
    key: str,
    epoch: int,
    hyperparameters: Hyperparameters,
    shapes: Sequence[tuple[int, int]],
    rows_per_step: int,
    record: StepRecord,
    probe: ProbeRecord,
    evaluation: Evaluation | None,
    wall_seconds: float,
    device_seconds: float,
) -> EpochRow:
    """Reduce an epoch of a trial.

    Args:
        key: The trial's key.
        epoch: Its epoch; at 0 the record holds one step, the probe's, in which nothing was updated.
        hyperparameters: For what is defined: saturation by `activation`, clipping by `clip_norm`.
        shapes: (n_in, n_out) of the L kernels.
        rows_per_step: Rows behind each entry of `record.correct`.
        record: What was measured at each step.
        probe: What was measured on the probe at the epoch's end.
        evaluation: Metrics on the validation split; None at epoch 0.
        wall_seconds: How long the epoch took.
        device_seconds: The trial's share of it.
    """
    with np.errstate(all="ignore"):  # inf and nan are measurements here
        loss = record.loss.astype(np.float64)
        norm = record.global_norm.astype(np.float64)
        clip_norm = hyperparameters.clip_norm if epoch > 0 else None
        return EpochRow(
            key=key,
            epoch=epoch,
            steps=len(loss) if epoch > 0 else 0,
            train_loss=float(loss.mean()),
            train_accuracy=float(record.correct.astype(np.float64).mean() / rows_per_step),
            val_loss=evaluation.loss if evaluation else None,
            val_accuracy=evaluation.accuracy if evaluation else None,
            val_balanced_accuracy=evaluation.balanced_accuracy if evaluation else None,
            val_macro_f1=evaluation.macro_f1 if evaluation else None,
            val_top_class_share=evaluation.top_class_share if evaluation else None,
            loss_max=float(loss.max()),
            loss_spikes=int((loss > SPIKE_FACTOR * quantile(loss, 0.5)).sum()),
            loss_doublings=longest_doubling(loss),
            global_norm_mean=float(norm.mean()),
            global_norm_std=float(norm.std()),
            global_norm_max=float(norm.max()),
            global_norm_p50=float(quantile(norm, 0.5)),
            global_norm_p99=float(quantile(norm, 0.99)),
            clip_fraction=None if clip_norm is None else float((norm > clip_norm).mean()),
            nonfinite=int(nonfinite_steps(record).sum()),
            wall_seconds=wall_seconds,
            device_seconds=device_seconds,
            layers=layer_rows(epoch, hyperparameters, shapes, record, probe),
        )


def layer_rows(
    epoch: int,
    hyperparameters: Hyperparameters,
    shapes: Sequence[tuple[int, int]],
    record: StepRecord,
    probe: ProbeRecord,
) -> tuple[LayerRow, ...]:
    """The rows of all layers; arguments as in `epoch_row`."""
    n_weights = np.array([n_in * n_out for n_in, n_out in shapes], np.float64)
    n_out = np.array([n_out for _, n_out in shapes], np.float64)
    gradient = record.kernel_grad_norm.astype(np.float64)
    weight = record.weight_norm.astype(np.float64)
    ratio = record.update_norm.astype(np.float64) / weight[:-1]
    rms = gradient / np.sqrt(n_weights)
    bias_rms = record.bias_grad_norm.astype(np.float64) / np.sqrt(n_out)
    lost = nonfinite_layers(record)
    mean, std, largest = gradient.mean(0), gradient.std(0), gradient.max(0)
    rms_median, rms_p05, bias_median = quantile(rms, 0.5), quantile(rms, 0.05), quantile(bias_rms, 0.5)
    ratio_median, ratio_p95 = quantile(ratio, 0.5), quantile(ratio, 0.95)
    rows = []
    for i in range(len(shapes)):
        is_hidden = i < len(shapes) - 1
        has_saturation = is_hidden and saturates(hyperparameters.activation)
        rows.append(
            LayerRow(
                layer=i + 1,
                grad_norm_mean=float(mean[i]),
                grad_norm_std=float(std[i]),
                grad_norm_max=float(largest[i]),
                grad_rms_median=float(rms_median[i]),
                grad_rms_p05=float(rms_p05[i]),
                bias_grad_rms_median=float(bias_median[i]),
                update_ratio_median=float(ratio_median[i]) if epoch > 0 else None,
                update_ratio_p95=float(ratio_p95[i]) if epoch > 0 else None,
                weight_norm=float(weight[-1, i]),
                zero_fraction=mean_of_counted(record.zero_fraction[:, i]),
                nonfinite=int(lost[:, i].sum()),
                nonfinite_first_step=int(lost[:, i].argmax()) * record.every if lost[:, i].any() else None,
                activation_std=float(probe.activation_std[i]),
                dead_fraction=float(probe.dead_fraction[i]) if is_hidden else None,
                saturated_fraction=float(probe.saturated_fraction[i]) if has_saturation else None,
                delta_rms=float(probe.delta_rms[i]),
            )
        )
    return tuple(rows)


def nonfinite_layers(record: StepRecord) -> NDArray[np.bool_]:
    """At which measured steps a layer's gradients, or its kernel until the next of them, were not finite: (M, L)."""
    finite = np.isfinite(record.kernel_grad_norm) & np.isfinite(record.bias_grad_norm)
    return ~(finite & np.isfinite(record.weight_norm[1:]))


def nonfinite_steps(record: StepRecord) -> NDArray[np.bool_]:
    """At which steps the loss or, where they were measured, a gradient or a kernel after it was not finite: (T,)."""
    lost: NDArray[np.bool_] = ~np.isfinite(record.loss)
    lost[:: record.every] |= ~np.isfinite(record.global_norm) | nonfinite_layers(record).any(axis=1)
    return lost


def quantile(values: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """Quantile over axis 0 with linear interpolation, in which inf stays inf and nan counts as larger than inf.

    NumPy's own turns into nan what has a nan anywhere, and interpolates inf to nan: one lost step would hide a median.
    """
    ordered = np.sort(values, axis=0)
    place = (len(ordered) - 1) * q
    below, share = int(place), place - int(place)
    low: NDArray[np.float64] = ordered[below]
    if share == 0:
        return low
    high: NDArray[np.float64] = ordered[below + 1]
    with np.errstate(invalid="ignore"):  # inf − inf
        return np.where(np.isinf(high), high, low + (high - low) * share)


def longest_doubling(loss: NDArray[np.float64]) -> int:
    """Longest run of successive windows of ten steps whose mean loss is at least twice that of the window before."""
    n_windows = len(loss) // WINDOW_STEPS
    windows = loss[: n_windows * WINDOW_STEPS].reshape(n_windows, WINDOW_STEPS).mean(axis=1)
    longest = run = 0
    for before, after in pairwise(windows):
        run = run + 1 if after >= 2 * before and after > before else 0
        longest = max(longest, run)
    return longest


def count_zeros_every(every: int) -> int:
    """Steps from one count of zeros to the next, if every `every`-th step is measured: 64, or a little less or more.

    Counting is dear, and the share of zeros changes slowly: at every step it would cost the engine 5 % of its time.
    """
    return every * max(1, COUNT_ZEROS_EVERY // every)


def measured_now_and_then(record: StepRecord, every: int) -> StepRecord:
    """What a trainer that measures every `every`-th step records of an epoch in which all were measured."""
    steps = np.arange(0, len(record.loss), every)
    is_counted = steps % count_zeros_every(every) == 0
    return replace(
        record,
        global_norm=record.global_norm[steps],
        kernel_grad_norm=record.kernel_grad_norm[steps],
        bias_grad_norm=record.bias_grad_norm[steps],
        update_norm=record.update_norm[steps],
        weight_norm=record.weight_norm[[*steps, -1]],
        zero_fraction=np.where(is_counted[:, None], record.zero_fraction[steps], np.nan),
        every=every,
    )


def mean_of_counted(values: Array) -> float | None:
    """Mean over the entries that are not nan; None if there is none."""
    counted = values[~np.isnan(values)].astype(np.float64)
    return float(counted.mean()) if len(counted) else None
