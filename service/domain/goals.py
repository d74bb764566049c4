"""What a sweep is for: the metrics it ranks by, and the bounds that a trial must keep.

    metrics      val_accuracy, stability      one, or several that are traded against one another
    constraints  stability >= 0.5             a trial that breaks one loses to every trial that keeps all

A value that is not known keeps no bound. Violations are numbers as Optuna wants them: not positive where the bound is
kept, always finite.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.domain.metrics import AT_BEST
from service.domain.states import Direction, MetricAt

MAX_VIOLATION = 1e6
"""The violation of a trial that diverged, and the largest there is."""

UNKNOWN_VIOLATION = 1.0
"""The violation of a bound on a value that was never measured."""

Measured = Callable[[str], float | None]
"""Name of a stored metric, or `objective` → what a trial has there."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a sweep ranks by. `target` ends the sweep when a trial reaches it."""

    name: str
    direction: Direction
    at: MetricAt
    target: float | None = None

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` beats `than`; equal values do not."""
        return value > than if self.direction is Direction.MAXIMIZE else value < than

    def is_reached(self, value: float | None) -> bool:
        """Whether a value is at or beyond the target."""
        if value is None or self.target is None:
            return False
        return value == self.target or self.is_better(value, self.target)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on a stored metric of a trial."""

    metric: str
    operator: Literal[">=", "<="]
    bound: float

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {_exactly(self.bound)}"

    def violation(self, value: float | None) -> float:
        """How far a value is beyond the bound; zero or less if it keeps it."""
        if value is None or not math.isfinite(value):
            return UNKNOWN_VIOLATION
        beyond = self.bound - value if self.operator == ">=" else value - self.bound
        return min(max(beyond, -MAX_VIOLATION), MAX_VIOLATION)

    def complaint(self, value: float | None) -> str:
        """Why a value does not keep the bound."""
        if value is None or not math.isfinite(value):
            return f"its {self.metric} is not known, and must be {self.operator} {_exactly(self.bound)}"
        side = "below" if self.operator == ">=" else "above"
        return f"its {self.metric} of {value:.4g} is {side} {_exactly(self.bound)}"


@dataclass(frozen=True, slots=True)
class Goals:
    """What the trials of a sweep are judged by. The first metric is the one that they are ended early by."""

    metrics: tuple[Metric, ...]
    constraints: tuple[Constraint, ...] = ()

    def column_of(self, name: str) -> str:
        """Where a trial holds a metric: the first one is its objective, at the last or the best epoch as agreed.

        Where the best epoch counts, it does for the other metrics of an epoch as well.
        """
        first = self.metrics[0]
        if name == first.name:
            return "objective"
        return AT_BEST.get(name, name) if first.at is MetricAt.BEST else name

    @property
    def columns(self) -> tuple[str, ...]:
        """Where a trial holds what its metrics and bounds ask for."""
        names = [*(metric.name for metric in self.metrics), *(each.metric for each in self.constraints)]
        return tuple(dict.fromkeys(map(self.column_of, names)))

    def values(self, measured: Measured) -> tuple[float | None, ...]:
        """What a trial has of each metric."""
        return tuple(measured(self.column_of(metric.name)) for metric in self.metrics)

    def violations(self, measured: Measured) -> dict[str, float]:
        """Every bound with its violation."""
        return {str(each): each.violation(measured(self.column_of(each.metric))) for each in self.constraints}

    def is_feasible(self, measured: Measured) -> bool:
        """Whether a trial keeps all bounds."""
        return all(violation <= 0 for violation in self.violations(measured).values())

    def complaints(self, measured: Measured) -> list[str]:
        """Why a trial is not feasible, bound by bound; none if it is."""
        found = ((each, measured(self.column_of(each.metric))) for each in self.constraints)
        return [each.complaint(value) for each, value in found if each.violation(value) > 0]


def stored_goals(first: Metric, definition: Mapping[str, Any]) -> Goals:
    """The goals that a sweep's row holds: the first metric in columns, the others and the bounds as JSON."""
    others = [
        Metric(each["name"], Direction(each["goal"]), MetricAt.LAST) for each in definition.get("metrics", [])[1:]
    ]
    bounds = [Constraint(each["metric"], each["operator"], each["bound"]) for each in definition.get("constraints", [])]
    return Goals((first, *others), tuple(bounds))


def plain_constraints(constraints: Sequence[Constraint]) -> dict[str, str | list[str]]:
    """Bounds as they stand in a sweep file."""
    plain: dict[str, list[str]] = {}
    for each in constraints:
        plain.setdefault(each.metric, []).append(f"{each.operator} {_exactly(each.bound)}")
    return {metric: bounds[0] if len(bounds) == 1 else bounds for metric, bounds in plain.items()}


def _exactly(bound: float) -> str:
    """A bound with all its digits, as short as they allow: what is read again is the same number."""
    return str(int(bound)) if bound.is_integer() and abs(bound) < 1e15 else repr(bound)
