"""The metrics that a sweep may rank by: a closed list, each with its natural direction."""

from service.domain.states import Direction

METRICS: dict[str, Direction] = {
    "train_loss": Direction.MINIMIZE,
    "train_accuracy": Direction.MAXIMIZE,
    "val_loss": Direction.MINIMIZE,
    "val_accuracy": Direction.MAXIMIZE,
    "val_balanced_accuracy": Direction.MAXIMIZE,
    "val_macro_f1": Direction.MAXIMIZE,
}
"""Name → which way is better. Each is a column of `epochs` and of `trials`."""

TEST_METRICS = ("test_loss", "test_accuracy")
"""Reported once per trial; never a metric, a filter or an order: that would select on the test set."""

METRIC_WORDS: dict[str, str] = {
    "train_loss": "mean training loss of the epoch",
    "train_accuracy": "training accuracy of the epoch",
    "val_loss": "loss on the validation split at the epoch's end",
    "val_accuracy": "accuracy on the validation split at the epoch's end",
    "val_balanced_accuracy": "mean recall over the classes, validation split",
    "val_macro_f1": "unweighted mean of the classes' F1, validation split",
}
"""What each metric is, in words, for answers and documentation."""


def is_share(name: str) -> bool:
    """Whether the metric lies in [0, 1] by definition."""
    return not name.endswith("_loss")
