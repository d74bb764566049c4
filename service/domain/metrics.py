"""The metrics that a sweep may rank by, and all that is stored of a trial: closed lists, each with its direction."""

import math

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

GRADIENT_METRICS: dict[str, Direction] = {
    "depth_slope": Direction.MINIMIZE,
    "depth_range": Direction.MINIMIZE,
    "flow_ratio": Direction.MINIMIZE,
    "gsr": Direction.MINIMIZE,
    "oscillation": Direction.MINIMIZE,
    "grad_rms": Direction.MAXIMIZE,
    "bias_grad_rms": Direction.MAXIMIZE,
    "update_ratio": Direction.MINIMIZE,
    "update_ratio_least": Direction.MAXIMIZE,
    "zero_fraction": Direction.MINIMIZE,
    "dead_fraction": Direction.MINIMIZE,
    "saturated_fraction": Direction.MINIMIZE,
    "global_norm_p50": Direction.MINIMIZE,
    "global_norm_p99": Direction.MINIMIZE,
    "global_norm_max": Direction.MINIMIZE,
    "clip_fraction": Direction.MINIMIZE,
    "loss_max": Direction.MINIMIZE,
    "loss_spikes": Direction.MINIMIZE,
    "loss_doublings": Direction.MINIMIZE,
    "val_top_class_share": Direction.MINIMIZE,
}
"""What the gradients of a whole trial did, one number each (docs/gradients.md): columns of `trials`."""

STABILITY_PARTS: tuple[str, ...] = ("depth", "update", "level", "steady", "units", "loss")
"""The parts of the stability, each a column `stability_NAME` of `trials`."""

STORED_METRICS: dict[str, Direction] = {
    **METRICS,
    "stability": Direction.MAXIMIZE,
    **{f"stability_{part}": Direction.MAXIMIZE for part in STABILITY_PARTS},
    **GRADIENT_METRICS,
    "wall_seconds": Direction.MINIMIZE,
    "device_seconds": Direction.MINIMIZE,
}
"""What is known of every trial that ended, and can be bounded, weighed or traded. Each is a column of `trials`."""

IDEALS: dict[str, float] = {"depth_slope": 0.0, "depth_range": 0.0, "flow_ratio": 1.0}
"""Metrics of which neither more nor less is better, and the value that is best; ratios are compared by their logarithm.
"""

AT_BEST: dict[str, str] = {name: f"{name}_at_best" for name in METRICS}
"""Metric of an epoch → the column of `trials` that holds it as it was at the best epoch."""

TRIAL_METRICS: tuple[str, ...] = (
    *(f"stability_{part}" for part in STABILITY_PARTS),
    *(name for name in GRADIENT_METRICS if name != "depth_slope"),
    *AT_BEST.values(),
)
"""Numbers of a whole trial that are computed from its rows when it ends, and are columns of `trials`."""

STORED_WORDS: dict[str, str] = {
    "stability": "the stability S of its gradients, 0 to 1",
    "stability_depth": "the part of S for the gradient's change over depth, 0 to 1; so are the next five",
    "stability_update": "the part for the size of the steps",
    "stability_level": "the part for the gradient's size",
    "stability_steady": "the part for its spread within an epoch",
    "stability_units": "the part for dead and saturated units",
    "stability_loss": "the part for the largest loss of a step",
    "depth_slope": "decades per layer by which the gradient shrinks toward the input; negative where it grows",
    "depth_range": "the same over all hidden layers, in decades",
    "flow_ratio": "gradient norm of the first kernel over that of the last",
    "gsr": "spread of the gradient norm within an epoch, in decades",
    "oscillation": "share of the epochs into which the training accuracy dips",
    "grad_rms": "size of a typical gradient element in the layer where it is smallest",
    "bias_grad_rms": "the same of the biases, hidden layers",
    "update_ratio": "what a step changes of the weights, in the layer where it changes most",
    "update_ratio_least": "the same in the hidden layer where it changes least",
    "zero_fraction": "share of gradient elements that are zero, worst hidden layer",
    "dead_fraction": "share of dead units, worst hidden layer",
    "saturated_fraction": "share of saturated units, worst hidden layer; sigmoid and tanh alone",
    "global_norm_p50": "median norm of the gradient of all weights",
    "global_norm_p99": "its 99th percentile within an epoch",
    "global_norm_max": "the largest of any step",
    "clip_fraction": "share of the steps that were clipped; null without clipping",
    "loss_max": "the largest loss of a step",
    "loss_spikes": "steps whose loss exceeds three times their epoch's median",
    "loss_doublings": "longest run of windows of 10 steps, within an epoch, whose loss at least doubled each time",
    "val_top_class_share": "share of the validation predictions in the commonest class, last epoch",
    "wall_seconds": "seconds from its first epoch to its last",
    "device_seconds": "its share of the device's seconds",
}
"""What the metrics that are no metric of an epoch are, in words."""

_SHARES = frozenset(
    {"stability", *(f"stability_{part}" for part in STABILITY_PARTS), "oscillation", "clip_fraction"}
    | {"zero_fraction", "dead_fraction", "saturated_fraction", "val_top_class_share"}
    | {name for name in METRICS if not name.endswith("_loss")}
)


def is_share(name: str) -> bool:
    """Whether the metric lies in [0, 1] by definition."""
    return name in _SHARES


def loss_of(name: str, value: float) -> float:
    """A stored metric turned so that less is better; of one that has an ideal, the distance from it."""
    if name in IDEALS:
        ideal = IDEALS[name]
        if ideal == 0:
            return abs(value)
        return abs(math.log10(value / ideal)) if value > 0 else math.inf
    return -value if STORED_METRICS[name] is Direction.MAXIMIZE else value
