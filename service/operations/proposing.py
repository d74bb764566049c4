"""Proposing trials: read what is new, ask the search outside any transaction, insert what still fits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from service.database.engine import Database
from service.database.sweeps import append_events, get_sweep, lock_sweep, set_sweep_state
from service.database.trials import facts_since, insert_trials, parameter_columns
from service.database.waiting_trials import count_active
from service.domain.identifiers import new_id
from service.domain.parameters import config_hash, signature
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.operations.settling import mark_exhausted, trial_event
from service.suggestion.search import SweepSearch
from service.suggestion.searches import Searches
from service.wire.parameters import Parameters

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Look:
    """What a proposal is made for: the sweep as it was, and how many trials it had room for."""

    sweep: Sweep
    n_wanted: int


def propose_trials(database: Database, searches: Searches, sweep_id: str, n: int) -> int:
    """Have a sweep's search propose at most n trials, and insert them as waiting.

    Three steps: a short read, which ends; the asking; a fresh write transaction, in which the sweep is locked and
    state, budget and numbers are checked again. If another claim was faster, its trials took the numbers, and the
    search is asked anew. A space without further trials is recorded, so that the sweep completes.

    Returns:
        How many trials were inserted.
    """
    for _ in range(_ATTEMPTS):
        search, look = _look(database, searches, sweep_id, n)
        if search is None or look is None:
            return 0
        first = look.sweep.n_trials
        proposals = search.suggest(range(first, first + look.n_wanted))
        with database.write() as connection:
            sweep = lock_sweep(connection, sweep_id)
            if sweep is None:
                return 0
            if sweep.n_trials == first:
                is_exhausted = len(proposals) < look.n_wanted
                return _insert(connection, sweep, proposals, database.now_ms(connection), is_exhausted=is_exhausted)
    return 0  # others keep proposing: there is enough to claim


def _look(database: Database, searches: Searches, sweep_id: str, n: int) -> tuple[SweepSearch | None, _Look | None]:
    """Bring the sweep's search up to date and see how many trials there is room for."""
    with database.read() as connection:
        # the sweep is read first: what commits between the two reads is read again next time, never missed
        sweep = get_sweep(connection, sweep_id)
        n_wanted = 0 if sweep is None else min(n, _room(connection, sweep))
        if sweep is None or n_wanted <= 0:
            return None, None
        search = searches.of(sweep)
        facts = facts_since(connection, sweep_id, search.revision, rescues_only=not search.learns)
    search.sync(facts, sweep.revision)
    return search, _Look(sweep, n_wanted)


def _room(connection: Connection, sweep: Sweep) -> int:
    """How many more trials the sweep may have now."""
    if not sweep.may_claim:
        return 0
    n_active = sum(count_active(connection, [sweep.id])[sweep.id].values())
    free = sweep.max_parallel - n_active
    return free if sweep.run_cap is None else min(free, sweep.run_cap - sweep.n_trials)


def _insert(
    connection: Connection, sweep: Sweep, proposals: Sequence[Parameters], now_ms: int, *, is_exhausted: bool
) -> int:
    """Insert as many proposals as there is room for; all of them, unless the sweep was steered meanwhile."""
    room = max(0, _room(connection, sweep))
    rows = [trial_row(sweep, sweep.n_trials + place, each, now_ms) for place, each in enumerate(proposals[:room])]
    insert_trials(connection, rows)
    if rows:
        sweep = replace(sweep, n_trials=sweep.n_trials + len(rows))
        set_sweep_state(connection, sweep, n_trials=sweep.n_trials)
        created = [trial_event("trial_created", row["id"], row["number"]) for row in rows]
        append_events(connection, sweep.id, created, now_ms)
    if is_exhausted and sweep.may_claim and len(rows) == len(proposals):
        mark_exhausted(connection, sweep, now_ms)
    return len(rows)  # nothing else follows for a sweep from trials that wait


def trial_row(
    sweep: Sweep, number: int, parameters: Parameters, now_ms: int, *, replicate: int = 0, remedy: str | None = None
) -> dict[str, Any]:
    """A waiting trial of a locked sweep. Its seed follows its number; in an ablation, its replicate."""
    return {
        "id": new_id("trl"),
        "sweep_id": sweep.id,
        "number": number,
        "state": TrialState.WAITING,
        "signature": signature(sweep.dataset, parameters),
        "config_hash": config_hash(parameters),
        "seed": sweep.seed + (number if remedy is None else replicate),
        "replicate": replicate,
        "remedy": remedy,
        "rescue_of": None,
        "revision": sweep.revision,
        "created_at_ms": now_ms,
        **parameter_columns(parameters),
    }
