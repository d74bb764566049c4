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


STORED_METRICS: dict[str, Direction] = {
    **METRICS,
    "stability": Direction.MAXIMIZE,
    "depth_slope": Direction.MINIMIZE,
    "wall_seconds": Direction.MINIMIZE,
    "device_seconds": Direction.MINIMIZE,
}
"""What is known of every trial that ended, and can be bounded, weighed or traded. Each is a column of `trials`.

A depth slope is the better, the nearer it is to zero: its size counts.
"""

STORED_WORDS: dict[str, str] = {
    "stability": "the stability S of its gradients, 0 to 1",
    "depth_slope": "decades per layer by which the gradient shrinks toward the input; negative where it grows",
    "wall_seconds": "seconds from its first epoch to its last",
    "device_seconds": "its share of the device's seconds",
}
"""What the metrics that are no metric of an epoch are, in words."""


def is_share(name: str) -> bool:
    """Whether the metric lies in [0, 1] by definition."""
    return name == "stability" or (name in METRICS and not name.endswith("_loss"))


def loss_of(name: str, value: float) -> float:
    """A stored metric turned so that less is better."""
    if name == "depth_slope":
        return abs(value)
    return -value if STORED_METRICS[name] is Direction.MAXIMIZE else value
