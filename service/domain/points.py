"""Trials and curves as figures draw them: what was read once, in the order of the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.states import TrialState, Verdict
from service.wire.parameters import Parameters


@dataclass(frozen=True, slots=True)
class TrialPoint:
    """One trial among the others of its sweep."""

    id: str
    number: int
    state: TrialState
    objective: float | None
    verdict: Verdict | None
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Curve:
    """The metric of one trial over the epochs of its present attempt; None where it was not finite."""

    point: TrialPoint
    epochs: Sequence[int]
    values: Sequence[float | None]
