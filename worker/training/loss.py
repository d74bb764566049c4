"""What a trial minimizes: the mean over the batch of w_y · cross-entropy(softmax(logits), smoothed one-hot(y)).

The mean is over rows, not over weights, as in Keras. Validation and test losses are the plain cross-entropy, without
weights and smoothing, so that trials which differ in these stay comparable.
"""

import numpy as np
from numpy.typing import NDArray

from worker.training.hyperparameters import ClassWeight


def class_weights(y_train: NDArray[np.int32], n_classes: int, kind: ClassWeight) -> NDArray[np.float64]:
    """w of each class, shape (n_classes,): ones, or N / (n_classes · N_class), whose mean over the rows is 1."""
    if kind == "none":
        return np.ones(n_classes)
    counts = np.bincount(y_train, minlength=n_classes)
    return len(y_train) / (n_classes * counts.astype(np.float64))


def target_rows(n_classes: int, label_smoothing: float) -> NDArray[np.float64]:
    """What the softmax should say for each label: (1 − s)·one-hot + s/C. Shape (n_classes, n_classes)."""
    identity = np.eye(n_classes)
    return identity * (1 - label_smoothing) + label_smoothing / n_classes
