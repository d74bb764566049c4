"""A sweep as the service knows it, resolved: what was asked for, with every default filled in."""

from dataclasses import dataclass, field
from typing import Any, Literal

from service.domain.goals import Goals, Metric, stored_goals
from service.domain.states import Method, SweepReason, SweepState


@dataclass(frozen=True, slots=True)
class EarlyTermination:
    """How unpromising trials are ended. hyperband: successive halving at min_iter·eta^k, asynchronous (ASHA).

    median: prune what is worse than the median of the others at the same epoch, from `min_iter` on and once
    `min_trials` trials have a value there.
    """

    kind: Literal["none", "hyperband", "median"] = "none"
    min_iter: int = 1
    eta: float = 3.0
    min_trials: int = 5


@dataclass(frozen=True, slots=True)
class Sweep:
    """One row of `sweeps` as a domain object.

    `definition` holds what is never queried: space, bounds, further metrics, warnings.
    """

    id: str
    name: str
    state: SweepState
    state_reason: SweepReason | None
    dataset: str
    dataset_sha256: str | None
    method: Method
    metric: Metric
    run_cap: int | None
    max_parallel: int
    seed: int
    failure_limit: float
    time_budget_ms: int | None
    active_ms: int
    early_termination: EarlyTermination
    definition: dict[str, Any] = field(repr=False)
    n_trials: int
    n_events: int
    revision: int
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None

    @property
    def goals(self) -> Goals:
        """Everything that its trials are judged by: its metrics, of which `metric` is the first, and its bounds."""
        return stored_goals(self.metric, self.definition)

    @property
    def statistics_every(self) -> int:
        """Every which training step its trials are measured at, from the first of an epoch."""
        return int(self.definition.get("statistics_every", 1))

    @property
    def is_ended(self) -> bool:
        """Whether the sweep is completed or cancelled."""
        return self.state in (SweepState.COMPLETED, SweepState.CANCELLED)

    @property
    def may_claim(self) -> bool:
        """Whether waiting trials of this sweep may be given to workers."""
        return self.state in (SweepState.QUEUED, SweepState.RUNNING)
