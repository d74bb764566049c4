"""Class weights and smoothed targets."""

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from worker.training.loss import class_weights, target_rows


def test_balanced_weights_are_those_of_scikit_learn():
    y = np.repeat(np.arange(3, dtype=np.int32), [60, 30, 10])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=y)
    assert class_weights(y, 3, "balanced") == pytest.approx(theirs)
    assert class_weights(y, 3, "balanced")[y].mean() == pytest.approx(1.0)


def test_without_weights_all_rows_count_once():
    assert class_weights(np.array([0, 0, 1], np.int32), 2, "none").tolist() == [1.0, 1.0]


def test_smoothing_is_that_of_keras():
    logits = np.random.default_rng(0).normal(size=(5, 4))
    y = np.array([0, 1, 2, 3, 0])
    theirs = keras.losses.categorical_crossentropy(np.eye(4)[y], logits, from_logits=True, label_smoothing=0.1)
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert -(target_rows(4, 0.1)[y] * log_softmax).sum(1) == pytest.approx(np.asarray(theirs), rel=1e-6)
