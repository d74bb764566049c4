"""A parameter as an axis: numbers on a linear or logarithmic scale, words side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.points import TrialPoint
from service.wire.parameters import Parameters

DEPTH = "depth"
"""The number of hidden layers: not a parameter of its own, but what one wants to see of `hidden_units`."""

_NAMES = (*Parameters.model_fields, DEPTH)
_LOG_SPAN = 50
"""Positive numbers whose largest is so many times the smallest are drawn on a logarithmic scale."""

_SPREAD = 0.5
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class ParameterAxis:
    """Where each trial stands on a parameter's axis.

    Attributes:
        name: The parameter.
        positions: One per trial, in the axis' own numbers; None where the parameter has no effect.
        labels: The values in words, for those who point at them.
        words: The words of a categorical axis, at the positions 0, 1, 2 …; None if it holds numbers.
        is_log: Whether the scale is logarithmic.
    """

    name: str
    positions: tuple[float | None, ...]
    labels: tuple[str, ...]
    words: tuple[str, ...] | None
    is_log: bool

    def layout(self) -> dict[str, Any]:
        """The axis as Plotly wants it."""
        if self.words is None:
            scale = {"type": "log", "dtick": 1, "exponentformat": "power"} if self.is_log else {"type": "linear"}
            return {"title": {"text": self.name}} | scale
        ticks = {"tickmode": "array", "tickvals": list(range(len(self.words))), "ticktext": list(self.words)}
        return {"title": {"text": self.name}, "type": "linear", "range": [-0.6, len(self.words) - 0.4], **ticks}


def searched(points: Sequence[TrialPoint]) -> list[str]:
    """The parameters that differ between the trials that have them."""
    return [name for name in _NAMES if len({value_of(point, name) for point in points} - {None}) > 1]


def parameter_names() -> tuple[str, ...]:
    """Every name that can be an axis."""
    return _NAMES


def value_of(point: TrialPoint, name: str) -> Any:
    """A trial's value of a parameter, or its depth."""
    if name == DEPTH:
        return len(point.parameters.hidden_units)
    return getattr(point.parameters, name)


def parameter_axis(points: Sequence[TrialPoint], name: str) -> ParameterAxis:
    """The axis of a parameter for these trials. Points that share a word are spread a little, by their numbers."""
    values = [value_of(point, name) for point in points]
    labels = tuple(map(word, values))
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        is_log = min(known) > 0 and max(known) >= _LOG_SPAN * min(known)
        return ParameterAxis(name, tuple(values), labels, None, is_log)
    words = tuple(dict.fromkeys(sorted(labels)))
    place = {word: at for at, word in enumerate(words)}
    positions = tuple(
        place[label] + _SPREAD * (point.number * _GOLDEN % 1 - 0.5) for point, label in zip(points, labels, strict=True)
    )
    return ParameterAxis(name, positions, labels, words, is_log=False)


def word(value: Any) -> str:
    """A parameter's value as people read it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return "-".join(map(str, value))
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)
