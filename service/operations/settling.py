"""What follows for a sweep when its trials have changed: it starts, pauses itself, drains, completes.

queued ──first lease──► running ──nothing left──► completed
running ──too many failed──► paused      running ──target reached, time is up──► stopping ──nothing runs──► completed
stopping ──nothing runs──► cancelled, if `definition["cancelled"]` says that the user cancelled it
completed ──rescue, retry──► running ──it has ended──► completed as before; `definition["reopened"]` says how that was

Every function here works on a sweep that the caller has locked, inside the caller's transaction.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from service.database.settled import (
    best_completed,
    cancel_waiting,
    count_ended_since_resumed,
    stop_running,
)
from service.database.sweeps import NewEvent, append_events, set_sweep_state
from service.database.waiting_trials import count_active
from service.domain.states import SweepReason, SweepState, TrialState
from service.domain.sweep import Sweep

MIN_ENDED_FOR_FAILURE_LIMIT = 8
"""A sweep's share of failures says nothing before so many trials have ended."""


def settle_sweep(connection: Connection, sweep: Sweep, now_ms: int, *, has_failed: bool = False) -> Sweep:
    """Draw the conclusions from the trials of a locked sweep as they are now, and append the sweep's events.

    Call it at the end of every transaction in which a trial ended or went back.

    Args:
        connection: In the transaction.
        sweep: As it is after the change.
        now_ms: The time.
        has_failed: Whether a trial failed by itself in this transaction; a lost worker says nothing about the sweep.

    Returns:
        The sweep as it is afterwards.
    """
    if sweep.is_ended:
        return sweep
    active = count_active(connection, [sweep.id])[sweep.id]
    if active[TrialState.RUNNING]:
        sweep = start_if_queued(connection, sweep, now_ms)
    if sweep.state is not SweepState.STOPPING:
        sweep = _stop_if_reached(connection, sweep, now_ms)
        if sweep.state is SweepState.STOPPING:
            active[TrialState.WAITING] = 0
    if not active[TrialState.RUNNING] and not active[TrialState.WAITING]:
        sweep = _end_if_done(connection, sweep, now_ms)
    if has_failed and sweep.state is SweepState.RUNNING and _fails_too_often(connection, sweep):
        reason = SweepReason.FAILURE_LIMIT
        sweep = _change(connection, sweep, now_ms, "sweep_paused", state=SweepState.PAUSED, state_reason=reason)
    return sweep


def start_if_queued(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """Start a locked sweep of which trials run, if none did before: all that can follow from giving trials out."""
    if sweep.state is not SweepState.QUEUED:
        return sweep
    return _change(connection, sweep, now_ms, "sweep_started", state=SweepState.RUNNING, started_at_ms=now_ms)


def drain_sweep(connection: Connection, sweep: Sweep, reason: SweepReason, now_ms: int) -> Sweep:
    """Let the leased trials of a locked sweep finish, and cancel those that wait; `settle_sweep` ends it."""
    sweep = _change(connection, sweep, now_ms, "sweep_stopping", state=SweepState.STOPPING, state_reason=reason)
    cancelled = cancel_waiting(connection, sweep, now_ms)
    append_events(connection, sweep.id, [trial_event("trial_cancelled", *one) for one in cancelled], now_ms)
    return sweep


def kill_sweep(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """Cancel a locked sweep: what waits is cancelled at once, what runs is told to stop; `settle_sweep` ends it."""
    definition = sweep.definition | {"cancelled": True}
    set_sweep_state(connection, sweep, definition=definition)
    sweep = drain_sweep(connection, replace(sweep, definition=definition), SweepReason.BY_USER, now_ms)
    stop_running(connection, sweep)
    return sweep


def reopen_sweep(connection: Connection, sweep: Sweep, now_ms: int, *, n_more: int) -> Sweep:
    """Let a completed, locked sweep run trials again, or `n_more` of the user's choice; `settle_sweep` completes it.

    The search proposes none: `run_cap` leaves room for those alone. Why the sweep had ended, and its `run_cap`,
    are kept and come back with the end; meanwhile neither a target that was reached nor a budget that is used up,
    nor failures, count.
    """
    before = {"state_reason": sweep.state_reason, "run_cap": sweep.run_cap}
    return _change(
        connection,
        sweep,
        now_ms,
        "sweep_reopened",
        state=SweepState.RUNNING,
        state_reason=None,
        ended_at_ms=None,
        run_cap=sweep.n_trials + n_more,
        definition=sweep.definition | {"reopened": before},
    )


def mark_exhausted(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """Record that a locked sweep's space has no more trials, so that it completes when its last trial has ended."""
    definition = sweep.definition | {"exhausted": True}
    set_sweep_state(connection, sweep, definition=definition, run_cap=sweep.n_trials)
    return settle_sweep(connection, replace(sweep, definition=definition, run_cap=sweep.n_trials), now_ms)


def trial_event(kind: str, trial_id: str, number: int, **body: Any) -> NewEvent:
    """An event about one trial; its body begins with the trial's number."""
    return NewEvent(kind, {"number": number, **body}, trial_id)


def _stop_if_reached(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """Stop a sweep whose target a trial has reached, or whose time is up."""
    if "reopened" in sweep.definition:
        return sweep
    if sweep.metric.is_reached(best_completed(connection, sweep)):
        sweep = drain_sweep(connection, sweep, SweepReason.TARGET_REACHED, now_ms)
        stop_running(connection, sweep)
    elif sweep.time_budget_ms is not None and sweep.active_ms >= sweep.time_budget_ms:
        sweep = drain_sweep(connection, sweep, SweepReason.TIME_BUDGET, now_ms)
    return sweep


def _end_if_done(connection: Connection, sweep: Sweep, now_ms: int) -> Sweep:
    """End a sweep that has nothing waiting and nothing running, unless it may still propose trials."""
    if sweep.state is SweepState.STOPPING:
        if sweep.definition.get("cancelled"):
            return _end(connection, sweep, now_ms, SweepState.CANCELLED, sweep.state_reason)
        return _end(connection, sweep, now_ms, SweepState.COMPLETED, sweep.state_reason)
    if sweep.run_cap is not None and sweep.n_trials >= sweep.run_cap:
        is_exhausted = sweep.definition.get("exhausted")
        reason = SweepReason.SPACE_EXHAUSTED if is_exhausted else SweepReason.RUN_CAP
        return _end(connection, sweep, now_ms, SweepState.COMPLETED, reason)
    return sweep


def _end(connection: Connection, sweep: Sweep, now_ms: int, state: SweepState, reason: SweepReason | None) -> Sweep:
    kind = "sweep_completed" if state is SweepState.COMPLETED else "sweep_cancelled"
    values: dict[str, Any] = {"state": state, "state_reason": reason, "ended_at_ms": now_ms}
    before = sweep.definition.get("reopened")
    if before is not None:
        gone = ("reopened", "cancelled")  # who cancels it ends the rescue; the sweep had completed and stays so
        values["definition"] = {name: value for name, value in sweep.definition.items() if name not in gone}
        values["run_cap"] = None if before["run_cap"] is None else max(before["run_cap"], sweep.n_trials)
        values["state"], kind = SweepState.COMPLETED, "sweep_completed"
        if before["state_reason"] is not None:
            values["state_reason"] = SweepReason(before["state_reason"])
    return _change(connection, sweep, now_ms, kind, **values)


def _fails_too_often(connection: Connection, sweep: Sweep) -> bool:
    """Whether the share of failures since the last resume is too large, lost workers apart."""
    if "reopened" in sweep.definition:
        return False
    n_ended, n_failed = count_ended_since_resumed(connection, sweep.id)
    return n_ended >= MIN_ENDED_FOR_FAILURE_LIMIT and n_failed > sweep.failure_limit * n_ended


def _change(connection: Connection, sweep: Sweep, now_ms: int, event: str, **values: Any) -> Sweep:
    """Write columns of the sweep and tell of it."""
    set_sweep_state(connection, sweep, **values)
    sweep = replace(sweep, **values)
    body = {"state": sweep.state, "state_reason": sweep.state_reason}
    append_events(connection, sweep.id, [NewEvent(event, body)], now_ms)
    return sweep
