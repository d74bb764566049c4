"""What a program measures at each step and on the probe, and how a trial's share of it reads on the host.

A row of the step record holds loss, rows predicted right, K norms and L shares of zeros, each for S slots.
The K norms, in this order: L kernel gradients, L bias gradients, the rest of the gradient (scales, offsets,
projections) where there is one, L kernel updates, L kernels before the update.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from worker.training.fused.gradients import Passage
from worker.training.fused.layout import Layout, Tensor
from worker.training.fused.norms import Quantity
from worker.training.fused.sums import Sums
from worker.training.hyperparameters import Activation
from worker.training.probe import ProbeRecord, probe_record
from worker.training.statistics import ZERO_GRADIENT, StepRecord

Array = NDArray[Any]
Parts = tuple[Tensor, Tensor]  # of weights, gradients, directions: the first kernel's, and the rest's


class Probe(NamedTuple):
    """What a program saw on the probe: tensors on the device, NumPy arrays on the host.

    Attributes:
        loss, correct: Training loss and rows predicted right, (S,).
        norms: Of the gradient, the first of the K.
        zero_shares: As in `zero_shares`, (S, L).
        activations, deltas: φ(z), the logits last, and ∂L/∂z of every layer, (S, rows, n_out).
    """

    loss: Any
    correct: Any
    norms: Any
    zero_shares: Any
    activations: list[Any]
    deltas: list[Any]


def n_gradient_norms(layout: Layout) -> int:
    """How many norms make the gradient: kernels, biases, the rest if there is one."""
    return 2 * layout.n_layers + int(has_rest(layout))


def has_rest(layout: Layout) -> bool:
    """Whether anything but kernels and biases is trained."""
    start, end = layout.rest_of_gradient
    return end > start


def n_norms(layout: Layout) -> int:
    """K."""
    return n_gradient_norms(layout) + 2 * layout.n_layers


def n_rows(layout: Layout) -> int:
    """Length of a row of the step record."""
    return 2 + n_norms(layout) + layout.n_layers


def gradient_quantities(layout: Layout, gradient: Parts) -> list[Quantity]:
    """The first norms: of all that the gradient is made of, and of nothing else."""
    first, rest = gradient
    biases = [Quantity([_part(rest, layout, f"bias{k}")]) for k in layout.layers]
    others = [Quantity([rest[:, slice(*layout.rest_of_gradient)]])] if has_rest(layout) else []
    return [*_kernels(layout, first, rest), *biases, *others]


def weight_quantities(layout: Layout, weights: Parts) -> list[Quantity]:
    """The last L norms."""
    return _kernels(layout, *weights)


def update_quantities(layout: Layout, directions: Parts, weights: Parts, step: Tensor, decay: Tensor) -> list[Quantity]:
    """The L norms of what the kernels are about to move by: p - p' = step·r + decay·p, with the directions r.

    `step` and `decay` are shaped (S, 1).
    """
    if not layout.kinds.weight_decay:
        return [Quantity(q.arrays, lambda r: step * r) for q in _kernels(layout, *directions)]
    pairs = zip(_kernels(layout, *directions), _kernels(layout, *weights), strict=True)
    return [Quantity([r.arrays[0], p.arrays[0]], lambda r, p: step * r + decay * p) for r, p in pairs]


def zero_shares(tape: list[Passage], gradients: dict[str, Tensor], sums: Sums) -> Tensor:
    """Share of |g| ≤ 1e-12 in each kernel, over its rows whose input is not zero in the whole batch: (S, L)."""
    columns = []
    for k, passage in enumerate(tape, start=1):
        gradient, inputs = gradients[f"kernel{k}"], passage.dense_inputs
        is_live = sums.over_rows(ops.cast(ops.not_equal(inputs, 0.0), gradient.dtype)) > 0  # (S, 1, n_in)
        is_zero = ops.cast(ops.abs(gradient) <= ZERO_GRADIENT, gradient.dtype)
        if k == 1:  # (S, n_out, n_in)
            n_units, n_zero = gradient.shape[1], sums.over_rows(is_zero)
        else:  # (S, n_in, n_out)
            n_units, n_zero = gradient.shape[2], ops.transpose(sums.over_features(is_zero), (0, 2, 1))
        n_live = ops.sum(ops.cast(is_live, gradient.dtype), axis=(1, 2))
        columns.append(ops.sum(ops.where(is_live, n_zero, 0.0), axis=(1, 2)) / (n_live * n_units))
    return ops.stack(columns, axis=1)


def steps_of(layout: Layout, record: Array, norms_after: Array, slot: int, every: int = 1) -> StepRecord:
    """A slot's steps of an epoch.

    Args:
        layout: Of the network.
        record: (T, R, S); without statistics, R = 2, all but the loss and the rows predicted right reads nan.
        norms_after: The norms of all slots after the last step, (S, K); those of the kernels matter.
        slot: Which slot.
        every: Every which step was measured, from the first; 0: none.
    """
    steps = record[:, :, slot].astype(np.float64)
    every = every or len(steps)
    rows = steps[::every]
    missing = np.full((len(rows), n_rows(layout) - rows.shape[1]), np.nan)
    rows = np.concatenate([rows, missing], axis=1)
    n, g = layout.n_layers, n_gradient_norms(layout)
    norms, zeros = rows[:, 2 : 2 + n_norms(layout)], rows[:, 2 + n_norms(layout) :]
    return StepRecord(
        loss=steps[:, 0],
        correct=steps[:, 1],
        global_norm=np.sqrt(np.square(norms[:, :g]).sum(axis=1)),
        kernel_grad_norm=norms[:, :n],
        bias_grad_norm=norms[:, n : 2 * n],
        update_norm=norms[:, g : g + n],
        weight_norm=np.concatenate([norms[:, g + n :], norms_after[slot : slot + 1, -n:]]),
        zero_fraction=zeros,
        every=every,
    )


def probe_steps(layout: Layout, probe: Probe, norms: Array, slot: int) -> StepRecord:
    """Epoch 0 as a record of one step in which nothing was updated: the slot's gradients on the probe."""
    no_update = np.zeros(layout.n_layers)
    weights = norms[slot, -layout.n_layers :]
    row = [probe.loss[slot], probe.correct[slot], *probe.norms[slot], *no_update, *weights, *probe.zero_shares[slot]]
    column = np.array(row, np.float64).reshape(1, -1, 1)
    return steps_of(layout, column, norms[slot : slot + 1], 0)


def probe_of(probe: Probe, slot: int, activation: Activation) -> ProbeRecord:
    """A slot's measurements of every layer on the probe."""
    return probe_record([a[slot] for a in probe.activations], [d[slot] for d in probe.deltas], activation)


def first_guess(norms: Array, of_gradient: Array) -> Array:
    """A slot's norms (K,) before its first step, with the gradient's taken from the probe."""
    return np.concatenate([of_gradient, norms[len(of_gradient) :]])


def _kernels(layout: Layout, first: Tensor, rest: Tensor) -> list[Quantity]:
    return [Quantity([first]), *(Quantity([_part(rest, layout, f"kernel{k}")]) for k in layout.layers[1:])]


def _part(flat: Tensor, layout: Layout, name: str) -> Tensor:
    block = layout.parameters[name]
    return flat[:, block.offset : block.end]
