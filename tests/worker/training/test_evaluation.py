"""Metrics of a confusion matrix against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from worker.training.evaluation import confusion_matrix, evaluate_confusion, predicted_classes


@pytest.mark.parametrize("n_predicted", [1, 3, 5])
def test_metrics_are_those_of_scikit_learn(n_predicted):
    generator = np.random.default_rng(n_predicted)
    labels = generator.integers(0, 4, 200).astype(np.int32)
    predictions = generator.integers(0, n_predicted, 200)
    evaluation = evaluate_confusion(confusion_matrix(labels, predictions, 6), loss=1.25)
    assert evaluation.loss == 1.25
    assert evaluation.accuracy == pytest.approx(accuracy_score(labels, predictions))
    assert evaluation.macro_f1 == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert evaluation.top_class_share == pytest.approx(np.bincount(predictions).max() / 200)


def test_balanced_accuracy_is_that_of_scikit_learn():
    labels = np.array([0] * 90 + [1] * 10, np.int32)
    predictions = np.array([0] * 95 + [1] * 5)
    evaluation = evaluate_confusion(confusion_matrix(labels, predictions, 2), loss=0.0)
    assert evaluation.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert evaluation.balanced_accuracy == pytest.approx(0.75)


def test_confusion_has_true_classes_in_rows():
    matrix = confusion_matrix(np.array([2, 2, 0], np.int32), np.array([1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 2, 0]]


def test_a_lost_net_predicts_the_first_class():
    logits = np.array([[np.nan, np.nan], [0.0, np.nan], [np.nan, 1.0], [1.0, np.inf]])
    assert predicted_classes(logits).tolist() == [0, 0, 1, 1]
