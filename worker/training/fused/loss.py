"""The loss of every slot on the logits, and its gradient: softmax cross-entropy with smoothing and class weights."""

from typing import NamedTuple

from keras import ops

from worker.training.fused.choices import Choices, cube
from worker.training.fused.kinds import Kinds
from worker.training.fused.layout import Tensor


class Loss(NamedTuple):
    """Mean loss (S,), rows predicted right (S,), and ∂loss/∂logits (S, B, C)."""

    mean: Tensor
    correct: Tensor
    d_logits: Tensor


def training_loss(logits: Tensor, labels: Tensor, choices: Choices, kinds: Kinds) -> Loss:
    """What a trial minimizes: the mean over the rows of w_y·(log Σ exp(z) - target·z).

    Args:
        logits: (S, B, C).
        labels: (B,), int32.
        choices: Targets and class weights of the slots.
        kinds: Whether targets are smoothed and classes weighted.
    """
    _, rows, n_classes = logits.shape
    is_label = one_hot(labels, n_classes)
    target = ops.cast(is_label, logits.dtype)
    if kinds.smoothing:
        target = ops.where(is_label, cube(choices["target_on"]), cube(choices["target_off"]))
    per_row, softmax = _cross_entropy(logits, target)
    d_logits = (softmax - target) * (1.0 / rows)
    if kinds.class_weights:
        weights = ops.expand_dims(choices["class_weights"], 1)  # (S, 1, C)
        weight = ops.sum(ops.where(is_label, weights, 0.0), axis=2)
        per_row, d_logits = per_row * weight, d_logits * ops.expand_dims(weight, 2)
    is_right = ops.equal(predictions(logits), labels)
    return Loss(ops.mean(per_row, axis=1), ops.sum(ops.cast(is_right, logits.dtype), axis=1), d_logits)


def evaluation_loss(logits: Tensor, labels: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Plain cross-entropy and confusion matrix, summed over the rows that count.

    Args:
        logits: (S, B, C).
        labels: (B,), int32.
        counts: (B,), bool; the other rows are padding.

    Returns:
        Sum of the losses (S,); counts of (true, predicted) classes (S, C, C).
    """
    n_classes = logits.shape[2]
    is_label = one_hot(labels, n_classes) & ops.reshape(counts, (1, -1, 1))
    per_row, _ = _cross_entropy(logits, ops.cast(is_label, logits.dtype))
    total = ops.sum(ops.where(counts, per_row, 0.0), axis=1)
    predicted = ops.equal(ops.expand_dims(predictions(logits), 2), ops.arange(n_classes, dtype="int32"))
    truth = ops.transpose(ops.cast(is_label, logits.dtype), (0, 2, 1))
    return total, ops.matmul(truth, ops.cast(predicted, logits.dtype))


def predictions(logits: Tensor) -> Tensor:
    """The class of the largest logit, the first of equals, nan counting as least: (S, B, C) → (S, B), int32."""
    known = ops.where(ops.isnan(logits), -float("inf"), logits)
    return ops.cast(ops.argmax(known, axis=2), "int32")


def one_hot(labels: Tensor, n_classes: int) -> Tensor:
    """Which class is the label's: bool, (1, B, C)."""
    return ops.equal(ops.reshape(labels, (1, -1, 1)), ops.arange(n_classes, dtype="int32"))


def _cross_entropy(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """-Σ target·log softmax for targets that sum to 1, (S, B), and the softmax, (S, B, C)."""
    largest = ops.max(logits, axis=2, keepdims=True)
    shifted = logits - largest
    exponentials = ops.exp(shifted)
    total = ops.sum(exponentials, axis=2, keepdims=True)
    loss = ops.log(total[..., 0]) - ops.sum(shifted * target, axis=2)
    return loss, exponentials / total
