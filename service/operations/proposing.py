"""Proposing trials: read what is new, ask the search outside any transaction, insert what still fits.

`suggest_trials` reads and asks; `insert_suggested` belongs to the transaction of the claim that wanted the trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from service.database.engine import Database
from service.database.sweeps import append_events, get_sweep, set_sweep_state
from service.database.trials import facts_since, insert_trials, parameter_columns
from service.database.waiting_trials import count_active
from service.domain.identifiers import new_id
from service.domain.parameters import config_hash, signature
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.operations.settling import mark_exhausted, trial_event
from service.suggestion.searches import Searches
from service.wire.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a search said: trials from number `first` on, `n_wanted` of them unless its space holds fewer."""

    sweep_id: str
    first: int
    n_wanted: int
    proposals: Sequence[Parameters]


def suggest_trials(database: Database, searches: Searches, sweep_id: str, n: int) -> Suggestion | None:
    """Have a sweep's search suggest at most n trials; None if there is no room for any.

    A short read, which ends, and then the asking, which may take seconds.
    """
    with database.read() as connection:
        # the sweep is read first: what commits between the two reads is read again next time, never missed
        sweep = get_sweep(connection, sweep_id)
        n_wanted = 0 if sweep is None else min(n, _room(connection, sweep))
        if sweep is None or n_wanted <= 0:
            return None
        search = searches.of(sweep)
        facts = facts_since(connection, sweep_id, search.revision, rescues_only=not search.learns)
    search.sync(facts, sweep.revision)
    numbers = range(sweep.n_trials, sweep.n_trials + n_wanted)
    return Suggestion(sweep_id, sweep.n_trials, n_wanted, search.suggest(numbers))


def insert_suggested(
    connection: Connection, sweep: Sweep, suggestion: Suggestion, now_ms: int
) -> tuple[Sweep, int | None]:
    """Insert what was suggested for a locked sweep as waiting, as far as there is room: state and budget may be new.

    A space without further trials is recorded, so that the sweep completes.

    Returns:
        The sweep as it is afterwards, and how many trials were inserted; None if another claim was faster and its
        trials took the numbers, so that the search must be asked anew.
    """
    if sweep.n_trials != suggestion.first:
        return sweep, None
    proposals = suggestion.proposals
    room = max(0, _room(connection, sweep))
    rows = [trial_row(sweep, sweep.n_trials + place, each, now_ms) for place, each in enumerate(proposals[:room])]
    insert_trials(connection, rows)
    if rows:
        sweep = replace(sweep, n_trials=sweep.n_trials + len(rows))
        set_sweep_state(connection, sweep, n_trials=sweep.n_trials)
        created = [trial_event("trial_created", row["id"], row["number"]) for row in rows]
        append_events(connection, sweep.id, created, now_ms)
    is_exhausted = len(proposals) < suggestion.n_wanted
    if is_exhausted and sweep.may_claim and len(rows) == len(proposals):
        sweep = mark_exhausted(connection, sweep, now_ms)
    return sweep, len(rows)  # nothing else follows for a sweep from trials that wait


def _room(connection: Connection, sweep: Sweep) -> int:
    """How many more trials the sweep may have now."""
    if not sweep.may_claim:
        return 0
    n_active = sum(count_active(connection, [sweep.id])[sweep.id].values())
    free = sweep.max_parallel - n_active
    return free if sweep.run_cap is None else min(free, sweep.run_cap - sweep.n_trials)


def trial_row(
    sweep: Sweep, number: int, parameters: Parameters, now_ms: int, *, replicate: int = 0, remedy: str | None = None
) -> dict[str, Any]:
    """A waiting trial of a locked sweep. Its seed follows its number; in an ablation, its replicate."""
    return {
        "id": new_id("trl"),
        "sweep_id": sweep.id,
        "number": number,
        "state": TrialState.WAITING,
        "signature": signature(sweep.dataset, parameters, sweep.statistics_every),
        "config_hash": config_hash(parameters),
        "seed": sweep.seed + (number if remedy is None else replicate),
        "replicate": replicate,
        "remedy": remedy,
        "rescue_of": None,
        "revision": sweep.revision,
        "created_at_ms": now_ms,
        **parameter_columns(parameters),
    }
