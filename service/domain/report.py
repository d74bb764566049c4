"""What a report does to a trial: which of its news is new, what the trial shows afterwards, whether it goes on.

Pure: rows come in, rows go out. The caller holds the sweep's lock, so nothing can change in between.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from service.domain.goals import Metric
from service.domain.stability.enforcement import Enforcement, plain_decision
from service.domain.states import AttemptOutcome, Directive, FailureKind, PruneReason, TrialState
from service.wire.leases import Completed, EpochReport, Failed, ReportEntry, Stopped

MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1")
"""Values of an epoch that its trial shows too."""

LOSSES = frozenset({"train_loss", "val_loss", "loss_max"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What the worker is told about a trial, and why."""

    directive: Directive
    reason: str | None = None


CONTINUE = Decision(Directive.CONTINUE)
TOLD_TO_STOP = Decision(Directive.STOP, "the trial or its sweep was stopped")


def epoch_hash(entry: ReportEntry) -> str:
    """The fingerprint of an entry's measured values; a value at its default counts like one that is missing."""
    content = entry.model_dump_json(include={"start", "epoch"}, exclude_defaults=True)
    return hashlib.sha256(content.encode()).hexdigest()


def final_hash(final: Completed | Failed | Stopped) -> str:
    """The fingerprint of a final result."""
    return hashlib.sha256(final.model_dump_json().encode()).hexdigest()


def is_diverged(epoch: EpochReport) -> bool:
    """Whether a loss, a gradient or a weight was not finite in an epoch."""
    return (
        epoch.nonfinite > 0
        or any(layer.nonfinite > 0 for layer in epoch.layers)
        or not LOSSES.isdisjoint(epoch.nonfinite_values)
    )


@dataclass(slots=True)
class Course:
    """One trial through one report: its columns, the epochs that are new, and how it ended, if it did.

    Args:
        values: The trial's columns that a report may change, as they were; they are brought up to date in place.
        metric: The sweep's metric.
        stop_requested: Whether the user or the sweep wants the trial to stop.
        may_wait: Whether the sweep would take the trial back; otherwise a trial that comes back is cancelled.
    """

    values: dict[str, Any]
    metric: Metric
    stop_requested: bool
    may_wait: bool = True
    objectives: dict[int, float | None] = field(default_factory=dict)
    diverged_at: int | None = None
    final: Completed | Failed | Stopped | None = None
    enforcement: Enforcement = field(default_factory=Enforcement)
    prune_reason: PruneReason | None = None

    def accuracy_before(self, epoch: int) -> float | None:
        """The training accuracy of the epoch before this one, if that was the last to be taken in."""
        accuracy: float | None = self.values["train_accuracy"] if self.values["epoch"] == epoch - 1 else None
        return accuracy

    def add_epoch(self, epoch: EpochReport) -> None:
        """Take in an epoch's measured values."""
        values = self.values
        if values["epoch"] is None or epoch.epoch > values["epoch"]:
            values["epoch"] = epoch.epoch
            values.update((name, getattr(epoch, name)) for name in MEASURED)
        values["wall_seconds"] = (values["wall_seconds"] or 0.0) + epoch.wall_seconds
        values["device_seconds"] = (values["device_seconds"] or 0.0) + epoch.device_seconds
        self.objectives[epoch.epoch] = self._objective_at(epoch)
        if self.diverged_at is None and is_diverged(epoch):
            self.diverged_at = epoch.epoch

    def _objective_at(self, epoch: EpochReport) -> float | None:
        """The metric at this epoch, or the best so far; the probe before the first update counts for nothing."""
        value: float | None = getattr(epoch, self.metric.name) if epoch.epoch > 0 else None
        best: float | None = self.values["objective"]
        if (
            self.metric.at == "best"
            and value is not None
            and best is not None
            and not self.metric.is_better(value, best)
        ):
            return best
        is_last = epoch.epoch >= self.values["epoch"]
        if value is not None and (is_last or self.metric.at == "best"):
            self.values["objective"], self.values["best_epoch"] = value, epoch.epoch
        return best if value is None and self.metric.at == "best" else value

    def judge(self, why_unpromising: str | None) -> Decision:
        """What the worker is told, once all rows of the report are in. A trial that diverged is pruned, never failed.

        An entry with `final` ends the trial whatever the rung or the rules say.

        Args:
            why_unpromising: What the sweep's rule for early termination says against the trial, if anything.
        """
        if self.diverged_at is not None:
            return self._prune(PruneReason.NONFINITE, f"{PruneReason.NONFINITE}: values that are not finite")
        if self.final is not None:
            return TOLD_TO_STOP if isinstance(self.final, Stopped) else CONTINUE
        if self.stop_requested:
            return TOLD_TO_STOP
        if self.enforcement.prune is not None:
            return self._prune(PruneReason(self.enforcement.prune.rule), str(self.enforcement.prune))
        if why_unpromising is not None:
            return self._prune(PruneReason.UNPROMISING, f"{PruneReason.UNPROMISING}: {why_unpromising}")
        return CONTINUE

    def _prune(self, reason: PruneReason, words: str) -> Decision:
        self.prune_reason = reason
        return Decision(Directive.PRUNE, words)

    def note_warnings(self) -> None:
        """Write what the rules said, short of ending the trial, into its columns.

        Each rule once, the first time, and once more if that was before the first update.
        """
        told = self.values["rule_warnings"] or []
        news = [plain_decision(one) for one in self.enforcement.warnings]
        known = {(one["rule"], one["epoch"] == 0) for one in told}
        fresh = [one for one in news if (one["rule"], one["epoch"] == 0) not in known]
        self.values["rule_warnings"] = [*told, *fresh] or None
        let_off = self.enforcement.let_off
        if let_off is not None and self.values["would_have_pruned"] is None:
            self.values["would_have_pruned"] = PruneReason(let_off.rule)
            self.values["would_have_pruned_epoch"] = let_off.epoch

    def end(self, decision: Decision, now_ms: int) -> AttemptOutcome | None:
        """Write how the trial ended into its columns, if it did.

        Returns:
            The attempt's outcome; None if the trial goes on.
        """
        if decision.directive is Directive.PRUNE:
            self.values["prune_reason"] = self.prune_reason
            self.values["prune_detail"] = decision.reason
            return self._end_as(TrialState.PRUNED, now_ms)
        if isinstance(self.final, Completed):
            self.values |= self.final.model_dump(include={"test_loss", "test_accuracy", "best_epoch"})
            return self._end_as(TrialState.COMPLETED, now_ms)
        if isinstance(self.final, Failed):
            self.values["failure_kind"] = FailureKind(self.final.failure_kind)
            self.values["failure_type"] = self.final.error_type
            self.values["failure_message"] = self.final.message
            self.values["failure_traceback"] = self.final.traceback
            return self._end_as(TrialState.FAILED, now_ms)
        if isinstance(self.final, Stopped):
            if self.stop_requested or not self.may_wait:
                return self._end_as(TrialState.CANCELLED, now_ms)
            self.values |= {"state": TrialState.WAITING, "lease_id": None}
            return AttemptOutcome.RELEASED
        return None

    def _end_as(self, state: TrialState, now_ms: int) -> AttemptOutcome:
        self.values |= {"state": state, "lease_id": None, "ended_at_ms": now_ms}
        return AttemptOutcome(state.value)


def repeated_final(outcome: AttemptOutcome | None, prune_reason: PruneReason | None) -> Decision:
    """What a `final` was answered when it came first, told from how its attempt ended."""
    if outcome in (AttemptOutcome.CANCELLED, AttemptOutcome.RELEASED):
        return TOLD_TO_STOP
    if outcome is AttemptOutcome.PRUNED:
        return Decision(Directive.PRUNE, f"{prune_reason}: values that are not finite")
    return CONTINUE
