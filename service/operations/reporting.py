"""Reporting: measured rows go in, directives come out, each stored once and answered the same for ever.

One transaction per report, and work per report rather than per entry. First every entry is sorted: news, a
repetition, a contradiction, or no longer this lease's business. Then all news of the report goes in, and only then
is it judged, so the order of slots decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from service.database.attempts import EndedAttempt, Fence, describe_starts, end_attempts
from service.database.bulk import json_text
from service.database.cases import read_cases
from service.database.engine import Database
from service.database.epochs import (
    MEASURED_EPOCH,
    MEASURED_LAYER,
    EpochKey,
    StoredEpoch,
    insert_epochs,
    rung_values,
    stored_epochs,
)
from service.database.leased_trials import LeasedTrial, read_fences, sweeps_of, write_results
from service.database.leases import renew_if_active
from service.database.sweeps import NewEvent, append_events, lock_sweeps, set_sweep_state
from service.database.workers import count_failures
from service.domain.lease import LeaseSettings, returns_to_waiting
from service.domain.report import Course, Decision, epoch_hash, final_hash, repeated_final
from service.domain.rungs import RungValue, is_rung, why_prune
from service.domain.stability.enforcement import Case, appraise, enforce, is_plain, may_hold
from service.domain.stability.rows import EpochRow, epoch_row_from_report
from service.domain.states import AttemptOutcome, Directive
from service.domain.sweep import Sweep
from service.domain.sweep_rules import GradientRules, stored_gradient_rules
from service.operations.settling import settle_sweep, trial_event
from service.wire.leases import EntryAnswer, EpochReport, ReportAnswer, ReportEntry, ReportRequest, Start

GONE = Decision(Directive.GONE, "the trial is no longer this lease's in this attempt")
EPOCH_CONFLICT = Decision(Directive.CONFLICT, "this epoch was reported before with other values; the first stand")
FINAL_CONFLICT = Decision(Directive.CONFLICT, "this attempt was ended before by another final; the first stands")
NO_SUCH_EPOCH = Decision(Directive.CONFLICT, "the trial has fewer epochs")

_MEASURED = itemgetter(*MEASURED_EPOCH)
_MEASURED_LAYER = itemgetter(*MEASURED_LAYER)

APPRAISED_OUTCOMES = frozenset(
    {AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED, AttemptOutcome.FAILED, AttemptOutcome.CANCELLED}
)
"""A trial that goes back to waiting begins again with nothing."""


def report(database: Database, lease_id: str, request: ReportRequest, settings: LeaseSettings) -> ReportAnswer:
    """Store what a worker measured and tell it, entry by entry, what to do.

    Good entries are stored whatever the others are. An entry that came before is answered as it was then, even if
    the lease has ended since; one whose fence no longer holds is answered `gone`, and so is every new entry under a
    lease that is unknown or has ended.
    """
    hashes = [None if entry.epoch is None else epoch_hash(entry) for entry in request.entries]
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        worker_id = renew_if_active(connection, lease_id, now_ms + settings.lease_ms)
        ledger = _open(connection, lease_id, request, is_active=worker_id is not None)
        places = [ledger.sort(entry, fingerprint) for entry, fingerprint in zip(request.entries, hashes, strict=True)]
        told = _judge(connection, ledger)
        if worker_id is not None:
            outcomes = _write(connection, ledger, told, now_ms)
            failed = [outcome is AttemptOutcome.FAILED for outcome in outcomes]
            count_failures(connection, worker_id, failed, quarantine_after=settings.quarantine_after, now_ms=now_ms)
    decisions = [place if isinstance(place, Decision) else told[place] for place in places]
    return ReportAnswer(
        entries=tuple(
            EntryAnswer(
                trial_id=entry.trial_id,
                attempt=entry.attempt,
                epoch=None if entry.epoch is None else entry.epoch.epoch,
                directive=decision.directive.value,
                reason=decision.reason,
            )
            for entry, decision in zip(request.entries, decisions, strict=True)
        )
    )


@dataclass(slots=True)
class _Ledger:
    """What is known at the beginning of a report, and the news that is found in it."""

    sweeps: dict[str, Sweep]
    held: dict[Fence, LeasedTrial]
    attempts: dict[Fence, EndedAttempt]
    stored: dict[EpochKey, StoredEpoch]
    courses: dict[Fence, Course] = field(default_factory=dict)
    fresh: set[Fence] = field(default_factory=set)
    epochs: dict[EpochKey, EpochReport] = field(default_factory=dict)
    hashes: dict[EpochKey, str] = field(default_factory=dict)
    starts: dict[Fence, Start] = field(default_factory=dict)
    finals: dict[Fence, str] = field(default_factory=dict)
    rules: dict[str, GradientRules] = field(default_factory=dict)
    suspects: set[Fence] = field(default_factory=set)
    cases: dict[Fence, Case] = field(default_factory=dict)

    def sort(self, entry: ReportEntry, fingerprint: str | None) -> Decision | Fence:
        """Take in an entry's news, if it is news: the fence to look its decision up by, or the decision at once.

        Args:
            entry: The entry.
            fingerprint: The hash of its epoch, if it has one.
        """
        fence = (entry.trial_id, entry.attempt)
        if fence not in self.attempts:
            return GONE
        known_epoch = self._known_epoch(entry, fence, fingerprint)
        known_final = self._known_final(entry, fence)
        for known in (known_epoch, known_final):
            if isinstance(known, Decision) and known.directive is Directive.CONFLICT:
                return known
        has_news = (entry.epoch is not None and known_epoch is None) or (
            entry.final is not None and known_final is None
        )
        if not has_news and (known_final or known_epoch):
            return known_final or known_epoch or GONE
        trial = self.held.get(fence)
        if trial is None or (fence in self.finals and has_news):
            return GONE
        if entry.epoch is not None and entry.epoch.epoch > trial.epochs:
            return NO_SUCH_EPOCH
        self._take_in(entry, fence, trial, new_hash=fingerprint if known_epoch is None else None)
        return fence

    def _known_epoch(self, entry: ReportEntry, fence: Fence, fingerprint: str | None) -> Decision | Fence | None:
        """What an entry's epoch was answered before, or will be; None if it has none or it is new."""
        if entry.epoch is None:
            return None
        key = (*fence, entry.epoch.epoch)
        if key in self.hashes:
            return fence if self.hashes[key] == fingerprint else EPOCH_CONFLICT
        if key in self.stored:
            stored = self.stored[key]
            is_same = stored.content_hash == fingerprint
            return Decision(stored.directive, stored.reason) if is_same else EPOCH_CONFLICT
        return None

    def _known_final(self, entry: ReportEntry, fence: Fence) -> Decision | Fence | None:
        """What an entry's final was answered before, or will be; None if it has none or it is new."""
        if entry.final is None:
            return None
        if fence in self.finals:
            return fence if self.finals[fence] == final_hash(entry.final) else FINAL_CONFLICT
        ended = self.attempts[fence]
        if ended.final_hash is None:
            return None
        is_same = ended.final_hash == final_hash(entry.final)
        return repeated_final(ended.outcome, ended.prune_reason) if is_same else FINAL_CONFLICT

    def _take_in(self, entry: ReportEntry, fence: Fence, trial: LeasedTrial, *, new_hash: str | None) -> None:
        sweep = self.sweeps[trial.sweep_id]
        if fence not in self.courses:
            may_wait = returns_to_waiting(sweep.state)
            if trial.values["epoch"] is None:
                self.fresh.add(fence)
            self.courses[fence] = Course(trial.values, sweep.metric, trial.stop_requested, may_wait)
        course = self.courses[fence]
        if entry.epoch is not None and new_hash is not None:
            key = (*fence, entry.epoch.epoch)
            self.epochs[key], self.hashes[key] = entry.epoch, new_hash
            if entry.start is not None:
                self.starts[fence] = entry.start
            if self._is_suspect(entry.epoch, fence, sweep):
                self.suspects.add(fence)
            course.add_epoch(entry.epoch)
        if entry.final is not None:
            self.finals[fence] = final_hash(entry.final)
            course.final = entry.final

    def _is_suspect(self, epoch: EpochReport, fence: Fence, sweep: Sweep) -> bool:
        """Whether a gradient rule may hold after this epoch, so that the attempt's earlier rows must be read."""
        if sweep.id not in self.rules:
            self.rules[sweep.id] = stored_gradient_rules(sweep.definition)
        accuracy_before = self.courses[fence].accuracy_before(epoch.epoch)
        shares = self._class_shares(fence)
        row = epoch if is_plain(epoch) else epoch_row_from_report(epoch)
        return may_hold(self.rules[sweep.id].rules, row, accuracy_before, shares)

    def load_cases(self, connection: Connection, fences: set[Fence]) -> None:
        """Read the earlier rows of attempts, and put the news of the report behind them."""
        for fence, case in read_cases(connection, fences - self.cases.keys()).items():
            rows = sorted([*case.rows, *self._new_rows(fence)], key=lambda row: row.epoch)
            self.cases[fence] = Case(rows, case.parameters, self._class_shares(fence))

    def _new_rows(self, fence: Fence) -> list[EpochRow]:
        rows = [epoch_row_from_report(epoch) for key, epoch in self.epochs.items() if key[:2] == fence]
        return sorted(rows, key=lambda row: row.epoch)

    def _class_shares(self, fence: Fence) -> Sequence[float] | None:
        start = self.starts.get(fence)
        return self.attempts[fence].class_shares if start is None else start.class_shares

    def appraise(self, connection: Connection, ended: set[Fence]) -> None:
        """Say of trials that ended what their gradients did. An attempt whose rows all came just now is not read."""
        self.load_cases(connection, ended - self.fresh)
        for fence in ended:
            rows = self.cases[fence].rows if fence in self.cases else self._new_rows(fence)
            values = self.held[fence].values
            values.update(appraise(rows, self._class_shares(fence), values["best_epoch"]))

    def enforce_rules(self, connection: Connection) -> None:
        """Ask the gradient rules about every trial that one of them may speak about."""
        self.load_cases(connection, self.suspects)
        for fence in self.suspects:
            trial = self.held[fence]
            rules, sweep = self.rules[trial.sweep_id], self.sweeps[trial.sweep_id]
            self.courses[fence].enforcement = enforce(
                rules.rules,
                self.cases[fence],
                {epoch for trial_id, attempt, epoch in self.epochs if (trial_id, attempt) == fence},
                sweep_seed=sweep.seed,
                number=trial.number,
                audit_fraction=rules.audit_fraction,
            )
            self.courses[fence].note_warnings()


def _open(connection: Connection, lease_id: str, request: ReportRequest, *, is_active: bool) -> _Ledger:
    """Lock the sweeps of a report and read what is known of its entries. An ended lease holds nothing."""
    trial_ids = {entry.trial_id for entry in request.entries}
    epochs = {entry.epoch.epoch for entry in request.entries if entry.epoch is not None}
    sweeps = lock_sweeps(connection, sweeps_of(connection, trial_ids)) if is_active else {}
    attempts, held = read_fences(connection, lease_id, trial_ids, is_active=is_active)
    return _Ledger(
        sweeps=sweeps,
        held=held,
        attempts=attempts,
        stored=stored_epochs(connection, trial_ids, epochs),
    )


def _judge(connection: Connection, ledger: _Ledger) -> dict[Fence, Decision]:
    """Decide about every trial that has news, over rungs that contain all news of the report."""
    rungs: dict[tuple[str, int], list[RungValue]] = {}
    for fence, course in ledger.courses.items():
        trial = ledger.held[fence]
        rule = ledger.sweeps[trial.sweep_id].early_termination
        for epoch, objective in course.objectives.items():
            if is_rung(rule, epoch):
                rungs.setdefault((trial.sweep_id, epoch), []).append(RungValue(trial.number, objective))
    for (sweep_id, epoch), rung in rungs.items():
        rung.extend(rung_values(connection, ledger.sweeps[sweep_id], epoch))
    ledger.enforce_rules(connection)
    return {
        fence: course.judge(
            _why_unpromising(ledger.sweeps[ledger.held[fence].sweep_id], ledger.held[fence], course, rungs)
        )
        for fence, course in ledger.courses.items()
    }


def _why_unpromising(
    sweep: Sweep, trial: LeasedTrial, course: Course, rungs: dict[tuple[str, int], list[RungValue]]
) -> str | None:
    """What the first of the trial's new rungs says against it. Nothing is saved by ending a trial at its last epoch."""
    for epoch in sorted(course.objectives):
        rung = rungs.get((sweep.id, epoch))
        if rung is not None and epoch < trial.epochs:
            why = why_prune(sweep.early_termination, sweep.metric, epoch, rung, trial.number)
            if why is not None:
                return why
    return None


def _write(connection: Connection, ledger: _Ledger, told: dict[Fence, Decision], now_ms: int) -> list[AttemptOutcome]:
    """Write rows, trials, attempts and events; settle the sweeps in which a trial ended.

    Returns:
        How attempts ended, in the order of the report.
    """
    ended: dict[Fence, tuple[AttemptOutcome, str | None]] = {}
    for fence, course in ledger.courses.items():
        trial = ledger.held[fence]
        trial.values["revision"] = ledger.sweeps[trial.sweep_id].revision
        outcome = course.end(told[fence], now_ms)
        if outcome is not None:
            ended[fence] = (outcome, ledger.finals.get(fence))
    ledger.appraise(connection, {fence for fence, (outcome, _hash) in ended.items() if outcome in APPRAISED_OUTCOMES})
    write_results(connection, [ledger.held[fence] for fence in ledger.courses])
    _write_rows(connection, ledger, told, now_ms)
    _write_starts(connection, ledger)
    end_attempts(connection, ended, now_ms)
    for sweep in ledger.sweeps.values():
        append_events(connection, sweep.id, _events(ledger, sweep.id, told, ended), now_ms)
        outcomes = {outcome for fence, (outcome, _hash) in ended.items() if ledger.held[fence].sweep_id == sweep.id}
        if outcomes:
            settle_sweep(connection, sweep, now_ms, has_failed=AttemptOutcome.FAILED in outcomes)
    return [outcome for outcome, _hash in ended.values()]


def _write_rows(connection: Connection, ledger: _Ledger, told: dict[Fence, Decision], now_ms: int) -> None:
    epoch_rows: list[tuple[Any, ...]] = []
    layer_rows: list[tuple[Any, ...]] = []
    for key, epoch in ledger.epochs.items():
        fence, number = key[:2], key[2]
        decision, objective = told[fence], ledger.courses[fence].objectives[number]
        made = (objective, decision.directive.value, decision.reason, ledger.hashes[key], now_ms)
        epoch_rows.append((*fence, *_MEASURED(vars(epoch)), json_text(epoch.nonfinite_values or None), *made))
        layer_rows += [
            (*key, *_MEASURED_LAYER(vars(layer)), json_text(layer.nonfinite_values or None)) for layer in epoch.layers
        ]
    insert_epochs(connection, epoch_rows, layer_rows)


def _write_starts(connection: Connection, ledger: _Ledger) -> None:
    """Record how attempts began; the first to begin fixes the hash of the sweep's data."""
    starts = {fence: start.model_dump() for fence, start in ledger.starts.items()}
    describe_starts(connection, starts)
    for fence, start in starts.items():
        sweep = ledger.sweeps[ledger.held[fence].sweep_id]
        if sweep.dataset_sha256 is None:
            set_sweep_state(connection, sweep, dataset_sha256=start["dataset_sha256"])


def _events(
    ledger: _Ledger,
    sweep_id: str,
    told: dict[Fence, Decision],
    ended: dict[Fence, tuple[AttemptOutcome, str | None]],
) -> list[NewEvent]:
    """One event for all new epochs of a sweep, and one for every trial that ended."""
    rows = [
        [ledger.held[(trial_id, attempt)].number, epoch, ledger.courses[(trial_id, attempt)].objectives[epoch]]
        for trial_id, attempt, epoch in ledger.epochs
        if ledger.held[(trial_id, attempt)].sweep_id == sweep_id
    ]
    events = [NewEvent("epochs_reported", {"trials": rows})] if rows else []
    for fence in ended:
        trial = ledger.held[fence]
        if trial.sweep_id == sweep_id:
            state, objective = trial.values["state"], trial.values["objective"]
            reason = told[fence].reason or trial.values.get("failure_kind")
            body = {"attempt": trial.attempt, "epoch": trial.values["epoch"], "objective": objective, "reason": reason}
            events.append(trial_event(f"trial_{state}", trial.id, trial.number, **body))
    return events
