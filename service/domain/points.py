"""Trials and curves as figures draw them: what was read once, in the order of the numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.domain.states import TrialState, Verdict
from service.wire.parameters import Parameters


@dataclass(frozen=True, slots=True)
class TrialPoint:
    """One trial among the others of its sweep; `is_feasible` tells whether it keeps the bounds, as far as is known."""

    id: str
    number: int
    state: TrialState
    objective: float | None
    verdict: Verdict | None
    parameters: Parameters
    measured: Mapping[str, float | None] = field(default_factory=dict)
    is_feasible: bool = True
    started_at_ms: int | None = None
    ended_at_ms: int | None = None

    def value(self, name: str) -> float | None:
        """What the trial has of a stored metric, or its `objective`."""
        return self.objective if name == "objective" else self.measured.get(name)


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A completed trial by its metrics alone."""

    id: str
    number: int
    objective: float | None
    measured: Mapping[str, float | None]

    def value(self, name: str) -> float | None:
        """What the trial has of a stored metric, or its `objective`."""
        return self.objective if name == "objective" else self.measured.get(name)


@dataclass(frozen=True, slots=True)
class Curve:
    """The metric of one trial over the epochs of its present attempt; None where it was not finite."""

    point: TrialPoint
    epochs: Sequence[int]
    values: Sequence[float | None]
