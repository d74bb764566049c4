"""Single steps of a trial, layer by layer: what `StepRecord` holds, as rows that a table can have."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

import numpy as np

from worker.training.statistics import StepRecord

Listener = Callable[[str, StepRecord, Sequence[tuple[int, int]]], None]
"""Told of each trained epoch: the trial's key, its steps, and (n_in, n_out) of its kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One kernel at one step; definitions as in docs/gradients.md, of a single step.

    `step` counts the trial's steps from 1. `loss` and `global_norm` belong to the whole network, and are the same in
    all rows of a step. Values may be inf or nan.
    """

    step: int
    layer: int
    loss: float
    global_norm: float
    grad_norm: float
    grad_rms: float
    bias_grad_rms: float
    update_ratio: float
    weight_norm: float


def step_rows(
    record: StepRecord, shapes: Sequence[tuple[int, int]], *, steps_before: int, every: int, last_step: int
) -> Iterator[StepRow]:
    """The rows of an epoch's measured steps up to `last_step`: of the trial's first and each `every`-th after it.

    Args:
        record: The epoch.
        shapes: (n_in, n_out) of the kernels.
        steps_before: The trial's steps before this epoch.
        every: 1 takes all steps.
        last_step: The last step that is wanted, counted from 1.
    """
    n_weights = np.array([n_in * n_out for n_in, n_out in shapes], np.float64)
    n_out = np.array([n for _, n in shapes], np.float64)
    with np.errstate(all="ignore"):  # inf and nan are measurements here
        rms = record.kernel_grad_norm.astype(np.float64) / np.sqrt(n_weights)
        bias_rms = record.bias_grad_norm.astype(np.float64) / np.sqrt(n_out)
        ratio = record.update_norm.astype(np.float64) / record.weight_norm[:-1].astype(np.float64)
    for at in range(len(record.global_norm)):
        step = steps_before + at * record.every + 1
        if step > last_step or (step - 1) % every:
            continue
        for layer in range(len(shapes)):
            yield StepRow(
                step=step,
                layer=layer + 1,
                loss=float(record.loss[at * record.every]),
                global_norm=float(record.global_norm[at]),
                grad_norm=float(record.kernel_grad_norm[at, layer]),
                grad_rms=float(rms[at, layer]),
                bias_grad_rms=float(bias_rms[at, layer]),
                update_ratio=float(ratio[at, layer]),
                weight_norm=float(record.weight_norm[at + 1, layer]),
            )


def steps_csv(rows: Sequence[StepRow]) -> str:
    """Rows under their names, as csv; values that are not finite are spelled inf, -inf, nan.

    Nine digits are enough to tell any float32 from its neighbors.
    """
    step, layer, *names = (field.name for field in fields(StepRow))
    values_of = attrgetter(*names)
    lines = [",".join((step, layer, *names))]
    lines += [",".join((f"{row.step},{row.layer}", *(f"{value:.9g}" for value in values_of(row)))) for row in rows]
    return "\n".join(lines) + "\n"
