"""Metrics of a split from one confusion matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a trial does on a split. `loss` is the plain mean cross-entropy; shares are in [0, 1]."""

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    top_class_share: float


def predicted_classes(logits: NDArray[np.floating]) -> NDArray[np.int64]:
    """The class of the largest logit, the first of equals; nan counts as the least, so a lost net predicts class 0.

    Args:
        logits: Shape (…, n_classes).

    Returns:
        Shape (…).
    """
    classes: NDArray[np.int64] = np.argmax(np.where(np.isnan(logits), -np.inf, logits), axis=-1)
    return classes


def confusion_matrix(labels: NDArray[np.int32], predictions: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Counts, shape (n_classes, n_classes): a row for each true class, a column for each predicted one."""
    pairs = labels.astype(np.int64) * n_classes + predictions
    return np.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def evaluate_confusion(confusion: NDArray[np.int64], loss: float) -> Evaluation:
    """Metrics of a confusion matrix, as scikit-learn defines them.

    Balanced accuracy is the mean recall over classes that occur; macro-F1 the mean F1 over classes that occur or are
    predicted.
    """
    right = np.diag(confusion).astype(np.float64)
    true, predicted, total = confusion.sum(1), confusion.sum(0), confusion.sum()
    occurs, counts = true > 0, true + predicted > 0
    return Evaluation(
        loss=loss,
        accuracy=float(right.sum() / total),
        balanced_accuracy=float((right[occurs] / true[occurs]).mean()),
        macro_f1=float((2 * right[counts] / (true + predicted)[counts]).mean()),
        top_class_share=float(predicted.max() / total),
    )
