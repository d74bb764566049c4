"""The values of one parameter as a few levels: each value by itself, or ranges where there are many."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.wire.parameters import Parameters

MAX_LEVELS = 8
"""More distinct numbers than these are put into ranges."""

_NEAR_DECADES = 3.0  # a span below it is cut at 1, 3, 10, 30; a longer one at whole decades


@dataclass(frozen=True, slots=True)
class Level:
    """One value, or the numbers from `low` up to `high`; `label` is what people read."""

    label: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """A parameter whose effect is looked at.

    Attributes:
        name: What it is called.
        value: Its value in a trial.
        fields: The fields of `Parameters` that say it: what two matched trials may differ in.
        is_log: Whether ranges of it are cut on a logarithmic scale.
    """

    name: str
    value: Callable[[Parameters], Any]
    fields: tuple[str, ...]
    is_log: bool = False


def optimizer_word(parameters: Parameters) -> str:
    """The optimizer as a sweep file may write it: sgd with momentum is one of its own."""
    if parameters.optimizer != "sgd" or not parameters.momentum:
        return parameters.optimizer
    return "nesterov" if parameters.nesterov else "momentum"


FACTORS = (
    Factor("learning_rate", lambda one: one.learning_rate, ("learning_rate",), is_log=True),
    Factor("optimizer", optimizer_word, ("optimizer", "momentum", "nesterov")),
    Factor("normalization", lambda one: one.normalization, ("normalization",)),
    Factor("dropout", lambda one: one.dropout, ("dropout",)),
    Factor("residual", lambda one: one.residual, ("residual",)),
    Factor("initializer", lambda one: one.initializer, ("initializer",)),
    Factor("activation", lambda one: one.activation, ("activation",)),
    Factor("depth", lambda one: len(one.hidden_units), ("hidden_units",)),
)
"""The five remedies first, then what else decides over gradients."""


def levels_of(values: Sequence[Any], *, is_log: bool) -> list[tuple[Level, list[int]]]:
    """The levels of some values, in order, each with the indices of its members; no level is empty."""
    distinct = sorted(set(values))
    if len(distinct) <= MAX_LEVELS or not _are_numbers(distinct):
        members: dict[Any, list[int]] = {value: [] for value in distinct}
        for index, value in enumerate(values):
            members[value].append(index)
        return [(Level(word(value, digits=12)), at) for value, at in members.items()]
    edges = _log_edges(distinct[0], distinct[-1]) if is_log and distinct[0] > 0 else _edges(distinct[0], distinct[-1])
    ranges: list[list[int]] = [[] for _ in edges[1:]]
    for index, value in enumerate(values):
        place = next(at for at in range(len(ranges)) if value < edges[at + 1] or at == len(ranges) - 1)
        ranges[place].append(index)
    bounds = zip(edges, edges[1:], ranges, strict=False)
    return [(Level(f"{low:.4g} to {high:.4g}", low, high), members) for low, high, members in bounds if members]


def word(value: Any, *, digits: int = 4) -> str:
    """A value as people read it; two numbers that differ within so many digits have different words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _log_edges(low: float, high: float) -> list[float]:
    """Edges at 1, 10, 100, and between them at 3 if the span is short."""
    digits = (1, 3) if math.log10(high / low) < _NEAR_DECADES else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    edges = [digit * 10.0**exponent for exponent in range(first, last + 1) for digit in digits]
    start = max((at for at, edge in enumerate(edges) if edge <= low), default=0)
    end = min((at for at, edge in enumerate(edges) if edge >= high), default=len(edges) - 1)
    return edges[start : max(end, start + 1) + 1]


def _edges(low: float, high: float) -> list[float]:
    """Edges at multiples of 1, 2 or 5 times a power of ten, for at most `MAX_LEVELS` ranges."""
    rough = (high - low) / MAX_LEVELS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        digit * power
        for digit in (1, 2, 5, 10, 20)
        if math.ceil(high / (digit * power)) - math.floor(low / (digit * power)) <= MAX_LEVELS
    )
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    return [round(multiple * step, 12) for multiple in range(first, last + 1)]
