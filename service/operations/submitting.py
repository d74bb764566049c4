"""Submitting a sweep: read, resolve, store once."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.database.engine import Database
from service.database.submissions import free_name, insert_sweep
from service.database.sweeps import NewEvent, append_events, get_sweep
from service.database.trials import insert_trials
from service.domain.ablation import Ablation
from service.domain.identifiers import new_id
from service.domain.plan import SweepPlan, make_plan
from service.domain.states import SweepState
from service.domain.sweep import Sweep
from service.domain.sweep_keys import MAX_SEED
from service.errors import Conflict
from service.operations.proposing import trial_row
from service.operations.repeating import answered_before, check_key, fingerprint, remember
from service.operations.settling import trial_event

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Submission:
    """A submitted sweep. `replayed`: it had been stored before under the same Idempotency-Key."""

    sweep: Sweep
    warnings: list[str]
    replayed: bool


def plan_sweep(document: Mapping[str, Any]) -> SweepPlan:
    """Validate and resolve a sweep file's document, and say what it amounts to; nothing is written.

    Raises:
        InvalidSweep: Such a sweep cannot run; all problems at once, with JSON pointers.
        NotSupportedYet: It uses what is planned, but not built.
    """
    return make_plan(document)


def submit_sweep(
    database: Database,
    document: Mapping[str, Any],
    *,
    submitted: str,
    idempotency_key: str | None,
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(MAX_SEED + 1),
) -> Submission:
    """Store a sweep as queued.

    Args:
        database: Where to.
        document: The sweep file, read.
        submitted: The sweep file as it came; the key's fingerprint is taken of it.
        idempotency_key: If it was used before with the same text, that sweep is returned and nothing is stored.
        draw_seed: Gives the seed of a sweep that names none.

    Raises:
        InvalidSweep, NotSupportedYet: See `plan_sweep`.
        InvalidRequest: The key is too long or not printable.
        IdempotencyMismatch: The key was used with another text.
        Conflict: The key's sweep was deleted since.
    """
    check_key(idempotency_key)
    plan = plan_sweep(document)
    seed = draw_seed() if plan.document.seed is None else plan.document.seed
    request_hash = fingerprint(submitted)
    for _ in range(_ATTEMPTS):
        try:
            with database.write() as connection:
                now_ms = database.now_ms(connection)
                known = answered_before(connection, idempotency_key, request_hash)
                if known is not None:
                    return _replay(connection, idempotency_key, known)
                submission = _insert(connection, plan, seed, submitted, now_ms)
                answer = {"sweep_id": submission.sweep.id, "warnings": submission.warnings}
                remember(connection, idempotency_key, request_hash, answer, now_ms)
                return submission
        except IntegrityError:
            continue  # another submission took the name or the key between our look and our insert: look again
    raise Conflict(f"the name {plan.document.name!r} is wanted by too many submissions at once; try again")


def _replay(connection: Connection, key: str | None, known: Mapping[str, Any]) -> Submission:
    sweep = get_sweep(connection, known["sweep_id"])
    if sweep is None:
        raise Conflict(f"the sweep of the Idempotency-Key {key!r} was deleted; use a new key to submit it again")
    return Submission(sweep, list(known["warnings"]), replayed=True)


def _insert(connection: Connection, plan: SweepPlan, seed: int, submitted: str, now_ms: int) -> Submission:
    document = plan.document
    name = free_name(connection, document.name)
    warnings = list(plan.warnings)
    if name != document.name:
        warnings.append(f"the name {document.name!r} is taken; the sweep is called {name!r}")
    resolved = {**document.resolved, "name": name, "seed": seed}
    defaulted = [*document.defaulted, *(["/seed"] if document.seed is None else [])]
    definition = {**document.definition(), "resolved": resolved, "defaulted": defaulted, "warnings": warnings}
    run_cap, n_distinct = document.run_cap, plan.n_distinct
    if n_distinct is not None and (run_cap is None or n_distinct < run_cap):
        # the end is known from the beginning: progress has a total, and the last trial completes the sweep
        run_cap, definition["exhausted"] = n_distinct, True
    sweep = insert_sweep(
        connection,
        {
            "id": new_id("swp"),
            "name": name,
            "state": SweepState.QUEUED,
            "dataset": document.dataset,
            "method": document.method,
            "metric_name": document.metric.name,
            "metric_direction": document.metric.direction,
            "metric_at": document.metric.at,
            "metric_target": document.metric.target,
            "run_cap": run_cap,
            "max_parallel": document.max_parallel,
            "seed": seed,
            "failure_limit": document.failure_limit,
            "time_budget_ms": document.time_budget_ms,
            "definition": definition,
            "submitted": submitted,
            "revision": 1,
            "n_trials": 0 if document.ablation is None else document.ablation.n_trials,
            "created_at_ms": now_ms,
        },
    )
    append_events(connection, sweep.id, [NewEvent("sweep_submitted", {"name": name, "warnings": warnings})], now_ms)
    if document.ablation is not None:
        _insert_all(connection, sweep, document.ablation, now_ms)
    return Submission(get_sweep(connection, sweep.id) or sweep, warnings, replayed=False)


def _insert_all(connection: Connection, sweep: Sweep, ablation: Ablation, now_ms: int) -> None:
    """All trials of an ablation at once: matched trials wait together, so that one claim can take them together."""
    rows = [
        trial_row(sweep, number, variant.parameters, now_ms, replicate=replicate, remedy=variant.remedy)
        for number, replicate, variant in ablation.trials()
    ]
    insert_trials(connection, rows)
    append_events(
        connection, sweep.id, [trial_event("trial_created", row["id"], row["number"]) for row in rows], now_ms
    )
