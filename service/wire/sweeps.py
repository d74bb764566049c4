"""Sweeps, events and figures as the REST API shows them (docs/api.md).

Moments are RFC 3339 in UTC. Numbers are finite or null.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from service.wire.base import Answer

SweepStateName = Literal["queued", "running", "paused", "stopping", "completed", "cancelled"]
SweepReasonName = Literal["target_reached", "run_cap", "space_exhausted", "time_budget", "failure_limit", "by_user"]
WaitingForName = Literal["no_worker", "dataset", "sampler", "compiling", "paused"]


class MetricView(Answer):
    """What the sweep ranks by."""

    name: str
    direction: Literal["maximize", "minimize"]
    at: Literal["last", "best"]
    target: float | None


class TrialCounts(Answer):
    """How many trials of the sweep are in each state."""

    waiting: int
    running: int
    completed: int
    pruned: int
    failed: int
    cancelled: int

    @property
    def total(self) -> int:
        """All trials that were made so far."""
        return self.waiting + self.running + self.ended

    @property
    def ended(self) -> int:
        """Trials that are over, well or not."""
        return self.completed + self.pruned + self.failed + self.cancelled


class Progress(Answer):
    """How far the sweep is. Totals are null while nobody can know them (a grid or a space without run_cap)."""

    trials_done: int
    trials_total: int | None
    epochs_done: int
    epochs_total: Annotated[int | None, Field(description="An estimate: pruned trials end early.")]
    epochs_per_second: float | None
    eta_seconds: Annotated[float | None, Field(description="Null unless the sweep is running and has a rate.")]


class BestView(Answer):
    """The best completed trial so far."""

    trial_id: str
    number: int
    objective: float


class VerdictCounts(Answer):
    """How many trials of the sweep got each verdict; those without one are not counted."""

    stable: int = 0
    unsteady: int = 0
    stalled: int = 0
    vanishing: int = 0
    exploding: int = 0
    dead: int = 0
    nonfinite: int = 0


class SweepSummary(Answer):
    """One sweep in a list."""

    id: str
    name: str
    state: SweepStateName
    state_reason: SweepReasonName | None
    waiting_for: WaitingForName | None
    summary: Annotated[str, Field(description="State and reason in a sentence.")]
    method: Literal["random", "grid", "tpe", "qmc", "nsga2", "ablation"]
    dataset: str
    metric: MetricView
    metrics: Annotated[tuple[MetricView, ...], Field(description="All that are traded; `metric` is the first.")] = ()
    constraints: Annotated[tuple[str, ...], Field(description="Bounds that the best must keep.")] = ()
    run_cap: int | None
    max_parallel: int
    counts: TrialCounts
    verdicts: VerdictCounts
    progress: Progress
    best: BestView | None
    last_event: Annotated[int, Field(description="Number of the sweep's newest event.")]
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class SweepView(SweepSummary):
    """One sweep, with everything that was decided for it."""

    seed: int
    resolved: Annotated[dict[str, Any], Field(description="The sweep file with every default filled in.")]
    defaulted: Annotated[tuple[str, ...], Field(description="Names in `resolved` that the file left out.")]
    warnings: tuple[str, ...]


class SweepList(Answer):
    """One page of sweeps."""

    sweeps: tuple[SweepSummary, ...]
    next_page_token: str | None


class PlanView(Answer):
    """What would happen (`validate_only=true`): nothing was written."""

    resolved: dict[str, Any]
    defaulted: tuple[str, ...]
    warnings: tuple[str, ...]
    plan: Annotated[dict[str, Any], Field(description="Programs to compile, trials per program, generations …")]


class EventView(Answer):
    """Something that happened to a sweep; `number` counts from 1 without gaps."""

    number: int
    kind: str
    at: AwareDatetime
    trial_id: str | None
    body: dict[str, Any]


class EventList(Answer):
    """Events after a number. `is_ended`: the sweep is over and these are its last events."""

    events: tuple[EventView, ...]
    last_event: Annotated[int, Field(description="Number to ask after next time.")]
    is_ended: bool


class FigureKinds(Answer):
    """Which figures can be drawn."""

    of_sweeps: tuple[str, ...]
    of_trials: tuple[str, ...]
    of_several: tuple[str, ...]
