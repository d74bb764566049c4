"""What the loop and a trainer say to each other: plain data, no TensorFlow, no wire.

Life of a trial in a bank:  admit → (train_epoch)* → test_metrics → evict
The loop owns the order; a bank owns the arrays. Both trainers (reference and fused) are a `Bank`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.training.hyperparameters import Hyperparameters


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpec:
    """A trial as a bank sees it. `key` is the caller's name for it; `seed` fixes the initial weights."""

    key: str
    seed: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """Measured statistics of one kernel over one epoch (definitions: docs/gradients.md).

    `layer` counts from 1 in forward order; the last is the output layer. Gradients are those of the mean
    data loss before clipping. Values may be inf or nan; None means not defined at this epoch (update_ratio
    before the first update, saturation of an activation that does not saturate).
    """

    layer: int
    grad_norm_mean: float | None
    grad_norm_std: float | None
    grad_norm_max: float | None
    grad_rms_median: float | None
    grad_rms_p05: float | None
    bias_grad_rms_median: float | None
    update_ratio_median: float | None
    update_ratio_p95: float | None
    weight_norm: float | None
    zero_fraction: float | None
    nonfinite: int
    nonfinite_first_step: int | None
    activation_std: float | None
    dead_fraction: float | None
    saturated_fraction: float | None
    delta_rms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One trial's epoch. Epoch 0 is the probe before the first update: probe loss, probe gradients, no validation.

    `loss_doublings`: longest run of successive windows of 10 steps in which the mean loss at least doubled.
    `loss_spikes`: steps whose loss exceeds three times the epoch's median.
    `val_top_class_share`: share of the validation predictions that fall into the most predicted class.
    `device_seconds`: this trial's share of the bank's time.
    """

    key: str
    epoch: int
    steps: int
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    val_macro_f1: float | None
    val_top_class_share: float | None
    loss_max: float | None
    loss_spikes: int
    loss_doublings: int
    global_norm_mean: float | None
    global_norm_std: float | None
    global_norm_max: float | None
    global_norm_p50: float | None
    global_norm_p99: float | None
    clip_fraction: float | None
    nonfinite: int
    wall_seconds: float
    device_seconds: float
    layers: tuple[LayerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestMetrics:
    """Metrics on the test split, taken once at the end and never shown to the sampler."""

    __test__ = False  # the name begins with Test; pytest need not look inside

    test_loss: float | None
    test_accuracy: float | None


class Bank(Protocol):
    """Places for trials of one signature (data set, hidden_units, batch_size) on one device.

    `stream_seed` and the bank's epoch counter fix the minibatches: a trial admitted when `bank_epoch` is e sees
    the permutations e, e+1, …; so (stream_seed, e) is all that is needed to replay it alone.
    """

    stream_seed: int
    n_slots: int

    @property
    def bank_epoch(self) -> int:
        """The next epoch's number in the stream, from 0."""

    @property
    def free_slots(self) -> int:
        """How many trials can be admitted now."""

    def admit(self, trials: Sequence[TrialSpec]) -> list[EpochRow]:
        """Place trials into free slots and return their epoch 0, in the order given."""

    def train_epoch(self) -> list[EpochRow]:
        """Train every admitted trial for one epoch and return a row for each."""

    def test_metrics(self, key: str) -> TestMetrics:
        """Evaluate an admitted trial on the test split with its present weights."""

    def evict(self, key: str) -> None:
        """Free a trial's slot. Evicting a key that is not there does nothing."""

    def steps_done(self) -> int:
        """Steps since the bank was made; rises while an epoch runs, so that a stall can be told from work."""
