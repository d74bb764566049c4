"""Why a trial's gradients failed, and what to change: cause and remedies in words, the theory beside the measurement.

The remedies are those that the practice knows: learning rate, optimizer, normalization, dropout, residual
connections, and with them initializer, activation, clipping and warm-up. `rescue` turns them into parameters, so that
advice can be tried, not just given.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.domain.stability.derived import depth_range, depth_slope, layer_medians, median_over
from service.domain.stability.rows import EpochRow, learning_epochs
from service.domain.stability.score import Score, score
from service.domain.stability.theory import expected_slope
from service.domain.stability.verdict import Evidence, Finding, early_warning, judge
from service.domain.states import Verdict
from service.wire.parameters import Initializer, Parameters

WANTED_UPDATE_RATIO = 1e-3
"""Size of a step relative to the weights that trains well, by rule of thumb (Karpathy, CS231n)."""

SHORT_STEP, LONG_STEP = WANTED_UPDATE_RATIO / 10, WANTED_UPDATE_RATIO * 30
"""Typical update ratios beyond which the steps are why nothing is learned: S begins to fall there."""

NOTABLE_RANGE = 1.0
"""Decades by which the gradient shrinks over depth from which on that is why: S begins to fall there."""

KEPT_BY_DROPOUT = 0.25
"""Share of the signal that passes the dropout of all layers together, below which dropout is why."""

WANTED_STABILITY = 0.5
"""Below this a stable trial gets advice on the part that limits its score."""

PRESERVING: dict[str, Initializer] = {
    "relu": "he_normal",
    "gelu": "he_normal",
    "elu": "glorot_uniform",
    "tanh": "glorot_uniform",
    "sigmoid": "glorot_uniform",
    "selu": "lecun_normal",
}
"""The initializer that keeps gradients of each activation nearest to their size over depth."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Parameters to change together, and why that helps."""

    changes: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened, why, and what to try; slopes in decades per layer, positive where the gradient vanishes."""

    finding: Finding | None
    score: Score | None
    cause: str
    measured_slope: float | None
    slope_at_initialization: float | None
    expected_slope: float | None
    early_warning: tuple[Evidence, ...] = ()
    remedies: tuple[Remedy, ...] = field(default=())


def diagnose(
    rows: Sequence[EpochRow], parameters: Parameters, class_shares: Sequence[float] | None = None
) -> Diagnosis:
    """Evidence, cause and remedies of an attempt, from its rows so far."""
    finding, stability = judge(rows, class_shares), score(rows)
    ailment = _ailment(finding, stability, rows)
    cause = _cause(finding, stability, ailment, parameters, rows)
    return Diagnosis(
        finding=finding,
        score=stability,
        cause=cause,
        measured_slope=median_over(learning_epochs(rows), depth_slope),
        slope_at_initialization=median_over([row for row in rows if row.epoch == 0], depth_slope),
        expected_slope=expected_slope(parameters),
        early_warning=early_warning(rows),
        remedies=tuple(_REMEDIES[ailment](parameters, rows)) if ailment else (),
    )


def rescue(parameters: Parameters, diagnosis: Diagnosis) -> dict[str, Any]:
    """The parameters to change, all remedies together; where two name the same, the first counts. May be empty."""
    changes: dict[str, Any] = {}
    for remedy in diagnosis.remedies:
        for name, value in remedy.changes.items():
            changes.setdefault(name, value)
    return {name: value for name, value in changes.items() if getattr(parameters, name) != value}


def _ailment(finding: Finding | None, stability: Score | None, rows: Sequence[EpochRow]) -> str | None:
    """Which list of remedies fits."""
    if finding is None:
        return None
    if finding.verdict is Verdict.NONFINITE:
        return "exploding"
    if finding.verdict is Verdict.EXPLODING and finding.evidence[0].metric == "depth_range":
        return "steep"
    if finding.verdict is not Verdict.STABLE:
        return str(finding.verdict)
    if stability is None or stability.limiting is None or stability.stability >= WANTED_STABILITY:
        return None
    slope = median_over(learning_epochs(rows), depth_slope) or 0.0
    ratio = _typical_ratio(rows)
    return {
        "depth": "vanishing" if slope > 0 else "steep",
        "update": "timid" if ratio is not None and ratio < WANTED_UPDATE_RATIO else "exploding",
        "level": "vanishing" if slope > 0 else "exploding",
        "steady": "unsteady",
        "units": "dead",
        "loss": "unsteady",
    }[stability.limiting]


_CAUSES = {
    "nonfinite": "A loss, gradient or weight left the range of the numbers: the steps were too long for the curvature "
    "(learning rate {learning_rate:g}, {optimizer}).",
    "steep": "The gradient grows from layer to layer on its way to the input, and nothing is learned.",
    "exploding": "The steps are too long (learning rate {learning_rate:g}, {optimizer}): they change the weights or "
    "the loss by more than a step may.",
    "dead": "The units of a layer ({activation}) no longer react to any input, so no gradient passes them, and every "
    "input gets the same prediction.",
    "vanishing": "The gradient shrinks from layer to layer on its way to the input ({n_hidden} hidden layers of "
    "{activation}, {initializer}), and the first layers learn nothing.",
    "stalled": "The predictions are no better than guessing by the class shares, though no gradient fails by itself: "
    "{why}.",
    "unsteady": "The gradient or the accuracy jumps between steps or epochs: the steps are long for its noise.",
}


_LIMITS = {
    "depth": "the gradient's size changes by decades over depth, though something is learned",
    "update": "the steps of a layer are far from the size that trains well",
    "level": "a layer's gradient is too small, or the gradient of the whole too large",
    "steady": "the gradient's size jumps within an epoch",
    "units": "nearly all units of a hidden layer are dead or saturated, though some still tell inputs apart",
    "loss": "the loss has been far above where it began, or the accuracy swings",
}


def _cause(
    finding: Finding | None,
    stability: Score | None,
    ailment: str | None,
    parameters: Parameters,
    rows: Sequence[EpochRow],
) -> str:
    """One or two sentences on why the verdict came about."""
    if finding is None:
        return "No epoch has been trained yet."
    if finding.verdict is Verdict.STABLE:
        if stability is not None and stability.stability < WANTED_STABILITY:
            words = _LIMITS[stability.limiting or ""]
            return (
                f"Stable only in that no verdict holds: the stability is {stability.stability:.2f}, limited by "
                f"'{stability.limiting}', for {words}."
            )
        return "The gradients are fit to train with."
    kind = str(finding.verdict) if finding.verdict is Verdict.NONFINITE else ailment
    return _CAUSES[kind or ""].format(
        n_hidden=len(parameters.hidden_units), why=_why_stalled(parameters, rows), **parameters.model_dump()
    )


def _why_stalled(parameters: Parameters, rows: Sequence[EpochRow]) -> str:
    """What most likely keeps a network from learning whose gradients are neither too small nor too large."""
    ratio, n_hidden = _typical_ratio(rows), len(parameters.hidden_units)
    reach = median_over(learning_epochs(rows), depth_range)
    if reach is not None and reach >= NOTABLE_RANGE:
        return f"it shrinks by {reach:.1f} decades over {n_hidden} layers, short of what is called vanishing"
    if ratio is not None and ratio < SHORT_STEP:
        return f"a step changes the weights by {ratio:.1e} of their size, which leads nowhere in so many epochs"
    if ratio is not None and ratio > LONG_STEP:
        return f"a step changes a layer by {ratio:.1e} of its size, too much for anything to stay"
    if _is_drowned(parameters):
        return f"dropout of {parameters.dropout:g} before each of {n_hidden} layers leaves little of the input"
    return f"what tells inputs apart is lost on the way through {n_hidden} layers of {parameters.activation}"


def _is_drowned(parameters: Parameters) -> bool:
    """Whether hardly anything passes the dropout of all layers together."""
    kept = (1 - parameters.input_dropout) * (1 - parameters.dropout) ** len(parameters.hidden_units)
    return kept < KEPT_BY_DROPOUT


_ONE_SCALE = "It keeps activations at one scale whatever the weights do."


def _for_steep(parameters: Parameters, _rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    if parameters.normalization == "none":
        yield from _initializer(parameters)
    yield from _residual(parameters, "An identity beside each block passes the gradient on unchanged.")
    yield from _batch_normalization(parameters, _ONE_SCALE)
    yield from _clipping(parameters)


def _for_exploding(parameters: Parameters, rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    yield from _smaller_steps(parameters, rows)
    yield from _batch_normalization(parameters, _ONE_SCALE)
    yield from _clipping(parameters)
    if parameters.warmup_epochs == 0:
        yield Remedy({"warmup_epochs": 1.0}, "A warm-up takes short steps while the curvature is at its largest.")


def _for_dead(parameters: Parameters, rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    yield from _smaller_steps(parameters, rows)
    yield from _batch_normalization(parameters, "Centered inputs keep units away from where they stop to react.")
    if parameters.activation in ("relu", "sigmoid"):
        yield Remedy(
            {"activation": "elu", "initializer": PRESERVING["elu"]},
            "An ELU passes a gradient for negative inputs too, so that a unit can come back.",
        )
    if max(parameters.dropout, parameters.input_dropout) > 0.3:
        yield Remedy(
            {"dropout": min(parameters.dropout, 0.2), "input_dropout": min(parameters.input_dropout, 0.2)},
            "Less dropout: with half of the inputs gone, a unit is pushed off by chance.",
        )


def _for_vanishing(parameters: Parameters, _rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    yield from _batch_normalization(
        parameters, "It undoes the shrinking of the activations; the expected slope falls to about zero."
    )
    yield from _residual(parameters, "An identity beside each block carries the gradient past the layers.")
    if parameters.activation in ("sigmoid", "tanh"):
        yield Remedy(
            {"activation": "relu", "initializer": "he_normal"},
            f"The derivative of {parameters.activation} is below 1 nearly everywhere; that of ReLU is 0 or 1, and He's "
            "initializer makes up for the zeros.",
        )
    else:
        yield from _initializer(parameters)
    if parameters.optimizer == "sgd":
        yield Remedy(
            {"optimizer": "adam", "learning_rate": 1e-3, "momentum": None, "nesterov": None},
            "Adam divides by the gradient's own size, so that layers with small gradients move as well.",
        )


def _for_unsteady(parameters: Parameters, _rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    yield Remedy(
        {"learning_rate": one_digit(parameters.learning_rate / 3)}, "A smaller learning rate averages over more steps."
    )
    if parameters.schedule == "constant":
        yield Remedy({"schedule": "cosine"}, "A falling learning rate lets the noise of the steps die away.")
    yield from _batch_normalization(parameters, "It keeps activations at one scale from step to step.")
    if parameters.dropout > 0.3:
        yield Remedy({"dropout": 0.2}, "Less dropout: its masks are part of the gradient's noise.")
    yield from _clipping(parameters)


def _for_stalled(parameters: Parameters, rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    ratio = _typical_ratio(rows)
    reach = median_over(learning_epochs(rows), depth_range)
    if reach is not None and reach >= NOTABLE_RANGE:
        yield from _for_vanishing(parameters, rows)
        return
    if ratio is not None and ratio < SHORT_STEP:
        yield from _for_timid(parameters, rows)
    if ratio is not None and ratio > LONG_STEP:
        yield from _smaller_steps(parameters, rows)
    if _is_drowned(parameters):
        yield Remedy(
            {"dropout": one_digit(min(parameters.dropout, 1 / len(parameters.hidden_units)))},
            "Less dropout: what every layer drops adds up over depth.",
        )
    yield from _batch_normalization(parameters, "It keeps apart what tells inputs apart, layer by layer.")
    yield from _residual(parameters, "An identity beside each block carries the input past the layers.")
    yield from _initializer(parameters)


def _for_timid(parameters: Parameters, rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    ratio = _typical_ratio(rows) or WANTED_UPDATE_RATIO / 10
    factor = min(max(WANTED_UPDATE_RATIO / max(ratio, 1e-30), 3.0), 100.0)
    yield Remedy(
        {"learning_rate": one_digit(parameters.learning_rate * factor)},
        f"A step changes the weights by {ratio:.1e} of their size; about {WANTED_UPDATE_RATIO:g} trains well.",
    )


_REMEDIES: dict[str, Callable[[Parameters, Sequence[EpochRow]], Iterator[Remedy]]] = {
    "steep": _for_steep,
    "exploding": _for_exploding,
    "dead": _for_dead,
    "vanishing": _for_vanishing,
    "unsteady": _for_unsteady,
    "stalled": _for_stalled,
    "timid": _for_timid,
}


def _smaller_steps(parameters: Parameters, rows: Sequence[EpochRow]) -> Iterator[Remedy]:
    """A learning rate that brings the worst layer's update near its wanted size: a third to a thousandth."""
    ratio = _typical_ratio(rows)
    factor = 0.1 if ratio is None else min(max(WANTED_UPDATE_RATIO / ratio, 1e-3), 1 / 3) if ratio > 0 else 0.1
    measured = "" if ratio is None else f" (a step changes a layer by {ratio:.1e} of its size)"
    yield Remedy(
        {"learning_rate": one_digit(parameters.learning_rate * factor)},
        f"Shorter steps{measured}; about {WANTED_UPDATE_RATIO:g} of the weights' size trains well.",
    )


def _batch_normalization(parameters: Parameters, reason: str) -> Iterator[Remedy]:
    if parameters.normalization == "none":
        yield Remedy({"normalization": "batch"}, f"Batch normalization: {reason[0].lower()}{reason[1:]}")


def _clipping(parameters: Parameters) -> Iterator[Remedy]:
    if parameters.clip_norm is None:
        yield Remedy({"clip_norm": 1.0}, "Clipping by the global norm bounds what a single step can do.")


def _residual(parameters: Parameters, reason: str) -> Iterator[Remedy]:
    if not parameters.residual and len(parameters.hidden_units) >= 2:
        yield Remedy({"residual": True}, f"Residual connections: {reason[0].lower()}{reason[1:]}")


def _initializer(parameters: Parameters) -> Iterator[Remedy]:
    wanted = PRESERVING[parameters.activation]
    if parameters.initializer != wanted:
        yield Remedy(
            {"initializer": wanted},
            f"Weights of the size that keeps the gradients of {parameters.activation} constant over depth.",
        )


def _typical_ratio(rows: Sequence[EpochRow]) -> float | None:
    """The largest layer's median update ratio, if it is finite."""
    ratios = layer_medians(learning_epochs(rows), lambda row: row.update_ratio_median)
    largest = max(ratios.values(), default=None)
    return largest if largest is not None and largest < float("inf") else None


def one_digit(value: float) -> float:
    """The value to one significant digit: advice is not more precise than that."""
    return float(f"{value:.0e}")
