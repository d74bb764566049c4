"""A trial and its fate.

waiting ──claim──► running ──report──► completed | pruned | failed(error, out_of_memory)
   ▲  ▲               │ │
   │  └──release──────┘ └──told to stop──► cancelled
   └──reaper (lives left)──┘└── reaper (none left) ──► failed(worker_lost)
waiting ──user──► cancelled         failed | cancelled ──user's retry──► waiting
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.domain.states import FailureKind, PruneReason, StabilityLimit, TrialState, Verdict
from service.wire.parameters import Parameters

MAX_LOST = 3
"""Lives: how often a trial may lose its worker before it has failed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of `trials` as a domain object."""

    id: str
    sweep_id: str
    number: int
    state: TrialState
    prune_reason: PruneReason | None
    prune_detail: str | None
    failure_kind: FailureKind | None
    failure_type: str | None
    failure_message: str | None
    failure_traceback: str | None
    attempt: int
    lost: int
    lease_id: str | None
    batch_limit: int | None
    not_before_ms: int
    stop_requested: bool
    signature: str
    config_hash: str
    seed: int
    replicate: int
    remedy: str | None
    parameters: Parameters
    epoch: int | None
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    val_macro_f1: float | None
    objective: float | None
    best_epoch: int | None
    test_loss: float | None
    test_accuracy: float | None
    wall_seconds: float | None
    device_seconds: float | None
    revision: int
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    stability: float | None = None
    depth_slope: float | None = None
    stability_limited_by: StabilityLimit | None = None
    stability_parts: dict[str, float | None] | None = None
    score_version: int | None = None
    verdict: Verdict | None = None
    verdict_evidence: list[dict[str, Any]] | None = None
    rule_warnings: list[dict[str, Any]] | None = None
    would_have_pruned: PruneReason | None = None
    would_have_pruned_epoch: int | None = None
    rescue_of: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """What was computed of its rows when it ended, by column (service.domain.metrics.TRIAL_METRICS)."""

    def value(self, name: str) -> float | None:
        """What the trial has of a stored metric, or its `objective`."""
        value: float | None = self.metrics[name] if name in self.metrics else getattr(self, name)
        return value


@dataclass(frozen=True, slots=True)
class TrialFact:
    """What the search needs to know of a trial: its parameters and what came of them.

    `objective` is final when the trial is completed; for a pruned trial it is the last value before the end.
    `diverged` marks a trial pruned for values that are not finite, or for a loss that blew up. `measured` holds its
    stored metrics (service.domain.metrics), as they were at its end.
    `is_rescue` marks one that no search proposed: it may lie outside the space.
    """

    number: int
    state: TrialState
    parameters: Parameters
    objective: float | None
    epoch: int | None
    diverged: bool
    revision: int
    is_rescue: bool = False
    measured: Mapping[str, float | None] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """What the trial has of a stored metric, or its `objective`."""
        return self.objective if name == "objective" else self.measured.get(name)
