"""The probe: what a trial's layers do on one fixed batch, in evaluation mode, at the end of each epoch.

Epoch 0 is the probe before the first update. There batch normalization takes the statistics of the probe itself:
with its initial moving statistics the net would be judged as one without normalization.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.training.hyperparameters import Activation

N_PROBE_ROWS = 256
PROBE_KEY = 20260101  # fixed for good: rows of stored trials were measured on this batch
SILENT = 1e-5  # |a| below which a unit says nothing
SILENT_SHARE = 0.95  # of the rows in which a dead unit is silent
SATURATED_SHARE = 0.05  # of the largest slope, below which a value is saturated


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbeRecord:
    """Statistics of every layer on the probe; arrays of shape (L,), float64 (definitions: docs/gradients.md).

    `activation_std`: over all rows and units of a = φ(z), for the output layer of its logits. `dead_fraction`: units
    with |a| < 1e-5 in more than 95 % of the rows. `saturated_fraction`: values whose slope |φ'(z)| is below 5 % of its
    maximum. `delta_rms`: root mean square of ∂L/∂z. The two fractions mean nothing where `epoch_row` says so.
    """

    activation_std: NDArray[np.float64]
    dead_fraction: NDArray[np.float64]
    saturated_fraction: NDArray[np.float64]
    delta_rms: NDArray[np.float64]


def probe_rows(n_rows: int) -> NDArray[np.int64]:
    """Which rows of the training split make the probe: 256 of them, all if there are fewer; ascending."""
    generator = np.random.Generator(np.random.Philox(key=PROBE_KEY))
    return np.sort(generator.permutation(n_rows)[:N_PROBE_ROWS])


def saturates(activation: Activation) -> bool:
    """Whether the activation flattens on both sides, so that a share of saturated values is defined."""
    return activation in ("sigmoid", "tanh")


def probe_record(
    activations: Sequence[NDArray[np.floating]], deltas: Sequence[NDArray[np.floating]], activation: Activation
) -> ProbeRecord:
    """Reduce what was seen on the probe.

    Args:
        activations: a of every layer, the logits last; shapes (rows, n_out).
        deltas: ∂L/∂z of every layer, L the mean loss over the probe; the same shapes.
        activation: φ of the hidden layers.
    """
    a64 = [np.asarray(a, np.float64) for a in activations]
    d64 = [np.asarray(d, np.float64) for d in deltas]
    with np.errstate(invalid="ignore", over="ignore"):
        return ProbeRecord(
            activation_std=np.array([a.std() for a in a64]),
            dead_fraction=np.array([dead_fraction(a) for a in a64]),
            saturated_fraction=np.array([saturated_fraction(a, activation) for a in a64]),
            delta_rms=np.array([np.sqrt(np.mean(d * d)) for d in d64]),
        )


def dead_fraction(a: NDArray[np.float64]) -> float:
    """Share of units that are silent in more than 95 % of the rows; a unit that says nan is not silent."""
    silent = (np.abs(a) < SILENT).mean(axis=0)
    return float((silent > SILENT_SHARE).mean())


def saturated_fraction(a: NDArray[np.float64], activation: Activation) -> float:
    """Share of values on the flat ends of φ, its slope taken from a = φ(z); 0 for activations that have none."""
    if activation == "sigmoid":
        slope, steepest = a * (1 - a), 0.25
    elif activation == "tanh":
        slope, steepest = 1 - a * a, 1.0
    else:
        return 0.0
    return float((np.abs(slope) < SATURATED_SHARE * steepest).mean())
