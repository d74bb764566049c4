"""Claiming: a worker asks for trials and gets a lease for them, however often it has to ask."""

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.database.attempts import insert_attempts
from service.database.claims import StoredClaim, get_claim, insert_claim
from service.database.engine import Database
from service.database.leased_trials import held_by
from service.database.leases import insert_lease, renew_if_active
from service.database.sweeps import append_events, lock_sweeps, unended_sweeps
from service.database.trials import parameters_from_row
from service.database.waiting_trials import (
    count_active,
    last_proposed_ms,
    oldest_waiting,
    sweeps_trying,
    sweeps_with_waiting,
    take_waiting,
    waiting_trials,
)
from service.database.workers import end_quarantine, quarantined_at, see_claiming_worker
from service.domain.ablation import representatives
from service.domain.batch import MAX_GROUP, choose_batch, share_proposals
from service.domain.identifiers import new_id
from service.domain.lease import LeaseSettings, retry_after_ms
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.errors import Conflict, ProtocolTooOld
from service.operations.proposing import Suggestion, insert_suggested, suggest_trials
from service.operations.settling import start_if_queued, trial_event
from service.suggestion.searches import Searches
from service.wire.base import PROTOCOL_VERSION
from service.wire.leases import ClaimAnswer, ClaimRequest, Grant, Objective
from service.wire.parameters import Parameters

_ROUNDS = 5
"""How often a claim looks again when others took what it had seen, or the numbers of what was suggested for it."""


def claim(
    database: Database,
    searches: Searches,
    request: ClaimRequest,
    settings: LeaseSettings,
    *,
    chance: Callable[[], float] = random.random,
) -> ClaimAnswer:
    """Give a worker trials of one signature under its lease, or under a new one if it names none.

    The claimable trials are looked at first; if they are too few, the search is asked for some, outside any
    transaction; then one transaction inserts those, takes the trials and stores the answer under the claim's key.

    The same claim again gets the stored answer, for a day. An answer without trials binds nothing and is not
    stored: the same claim may get trials later.

    Raises:
        Conflict: The key was used for another claim, or the lease has ended or is another worker's.
        ProtocolTooOld: The worker speaks another protocol.
    """
    if request.protocol != PROTOCOL_VERSION:
        raise ProtocolTooOld(f"the worker speaks protocol {request.protocol}, this service {PROTOCOL_VERSION}")
    for _ in range(_ROUNDS):
        with database.read() as connection:
            stored = _stored_answer(connection, request)
            if stored is not None:
                return stored
            now_ms = database.now_ms(connection)
            quarantined_ms = quarantined_at(connection, request.worker.worker_id)
            n_waiting, shares = _look(connection, request, now_ms)
        if quarantined_ms is not None and _stays_quarantined(database, request, settings, quarantined_ms, now_ms):
            break
        suggestions = [suggest_trials(database, searches, sweep_id, n) for sweep_id, n in shares.items()]
        news = [suggestion for suggestion in suggestions if suggestion is not None]
        answer, is_late = _take_once(database, request, settings, news)
        if answer is not None:
            return answer
        if not is_late or not (n_waiting or news):
            break  # otherwise another claim has taken what was there for this one: look again
    return _nothing(request, settings, chance)


def _take_once(
    database: Database, request: ClaimRequest, settings: LeaseSettings, news: Sequence[Suggestion]
) -> tuple[ClaimAnswer | None, bool]:
    """Take trials; if the same claim, sent twice at once, was faster, its answer is the answer.

    Returns:
        The answer, or None; and whether others were faster, so that it is worth while to look again.
    """
    try:
        answer, is_late = _take(database, request, settings, news)
    except IntegrityError:
        answer = _answer_of_twin(database, request)
        if answer is None:
            raise
        return answer, False
    return answer or _answer_of_twin(database, request), is_late


def _hash(request: ClaimRequest) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()


def _answer_of_twin(database: Database, request: ClaimRequest) -> ClaimAnswer | None:
    with database.read() as connection:
        return _stored_answer(connection, request)


def _stored_answer(connection: Connection, request: ClaimRequest) -> ClaimAnswer | None:
    stored = get_claim(connection, request.claim_key)
    if stored is None:
        return None
    if stored.request_hash != _hash(request):
        raise Conflict(f"claim_key {request.claim_key} was used for another claim; make a new key for each claim")
    return ClaimAnswer.model_validate_json(stored.answer)


def _stays_quarantined(
    database: Database, request: ClaimRequest, settings: LeaseSettings, since_ms: int, now_ms: int
) -> bool:
    """Whether a worker that failed too often in a row must wait longer; if not, it gets one more chance."""
    with database.write() as connection:
        see_claiming_worker(connection, request.worker, now_ms)
        if now_ms < since_ms + settings.quarantine_seconds * 1000:
            return True
        end_quarantine(connection, request.worker.worker_id, settings.quarantine_after)
    return False


def _look(connection: Connection, request: ClaimRequest, now_ms: int) -> tuple[int, dict[str, int]]:
    """How many suitable trials wait, and how many each sweep should propose so that the claim can be filled.

    Which signature a proposal will have is the search's business. So the sweeps that tried this signature lately, or
    nothing yet, share what is missing; where none of them has room, or no signature is known, one sweep proposes all
    of it, the one with the fewest trials waiting or running, and of several such the one whose turn was longest ago.
    """
    signature = request.signature or oldest_waiting(connection, request.worker.datasets, now_ms)
    sweeps = [
        sweep for sweep in unended_sweeps(connection) if sweep.may_claim and sweep.dataset in request.worker.datasets
    ]
    ids = [sweep.id for sweep in sweeps]
    n_waiting = 0
    if signature is not None:
        n_waiting = len(waiting_trials(connection, ids, signature, now_ms, request.max_trials))
    n_missing = request.max_trials - n_waiting
    if n_missing <= 0:
        return n_waiting, {}
    active = {sweep_id: sum(counts.values()) for sweep_id, counts in count_active(connection, ids).items()}
    room = {sweep.id: _room(sweep, active[sweep.id]) for sweep in sweeps}
    likely = set() if signature is None else sweeps_trying(connection, sweeps, signature)
    shares = share_proposals({sweep_id: n for sweep_id, n in room.items() if sweep_id in likely}, active, n_missing)
    with_room = [sweep_id for sweep_id in ids if room[sweep_id]]
    if not shares and with_room:
        last_ms = last_proposed_ms(connection, with_room)
        chosen = min(with_room, key=lambda sweep_id: (active[sweep_id], last_ms.get(sweep_id, 0)))
        shares = {chosen: min(room[chosen], n_missing)}
    return n_waiting, shares


def _room(sweep: Sweep, n_active: int) -> int:
    """How many more trials a sweep may have now."""
    left = sweep.max_parallel if sweep.run_cap is None else sweep.run_cap - sweep.n_trials
    return max(0, min(left, sweep.max_parallel - n_active))


def _take(
    database: Database, request: ClaimRequest, settings: LeaseSettings, news: Sequence[Suggestion]
) -> tuple[ClaimAnswer | None, bool]:
    """Insert what was suggested and take waiting trials, in one transaction. Renews the lease in any case."""
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        _renew(connection, request, now_ms + settings.lease_ms)
        signature = request.signature or oldest_waiting(connection, request.worker.datasets, now_ms)
        locked, is_late = _lock(connection, request, signature, news, now_ms)
        sweeps, chosen = _choose(connection, request, signature, locked, now_ms)
        see_claiming_worker(connection, request.worker, now_ms)
        if not chosen:
            return None, is_late or not sweeps
        used = set(chosen.values())
        sweeps = [sweep for sweep in sweeps if sweep.id in used]
        lease_id = request.lease_id
        if lease_id is None:
            lease_id = new_id("lse")
            expires_at_ms = now_ms + settings.lease_ms
            insert_lease(connection, lease_id, request.worker.worker_id, now_ms=now_ms, expires_at_ms=expires_at_ms)
        rows = [
            row
            for sweep in sweeps
            for row in take_waiting(
                connection,
                [trial_id for trial_id, sweep_id in chosen.items() if sweep_id == sweep.id],
                lease_id=lease_id,
                revision=sweep.revision,
                now_ms=now_ms,
            )
        ]
        order = {trial_id: place for place, trial_id in enumerate(chosen)}
        rows.sort(key=lambda row: order[row.id])
        _tell(connection, request.worker.worker_id, sweeps, rows, lease_id=lease_id, now_ms=now_ms)
        answer = _answer({sweep.id: sweep for sweep in sweeps}, rows, lease_id, settings)
        insert_claim(
            connection,
            request.claim_key,
            StoredClaim(_hash(request), answer.model_dump_json()),
            worker_id=request.worker.worker_id,
            lease_id=lease_id,
            now_ms=now_ms,
        )
        return answer, False


def _renew(connection: Connection, request: ClaimRequest, expires_at_ms: int) -> None:
    if request.lease_id is None:
        return
    worker_id = renew_if_active(connection, request.lease_id, expires_at_ms)
    if worker_id is None:
        raise Conflict(f"lease {request.lease_id} has ended; claim without lease_id to get a new one")
    if worker_id != request.worker.worker_id:
        raise Conflict(f"lease {request.lease_id} belongs to worker {worker_id}, not to {request.worker.worker_id}")


def _lock(
    connection: Connection, request: ClaimRequest, signature: str | None, news: Sequence[Suggestion], now_ms: int
) -> tuple[list[Sweep], bool]:
    """Lock the sweeps that have suitable trials and those that get some, and insert these.

    Returns:
        The locked sweeps, the oldest first, and whether another claim took the numbers of what was suggested.
    """
    ids = {suggestion.sweep_id for suggestion in news}
    if signature is not None:
        ids.update(sweeps_with_waiting(connection, signature, request.worker.datasets, now_ms))
    locked, is_late = lock_sweeps(connection, ids), False
    for suggestion in news:
        sweep = locked.get(suggestion.sweep_id)
        if sweep is not None:
            locked[sweep.id], n_inserted = insert_suggested(connection, sweep, suggestion, now_ms)
            is_late = is_late or n_inserted is None
    return sorted(locked.values(), key=lambda sweep: (sweep.created_at_ms, sweep.id)), is_late


def _choose(
    connection: Connection, request: ClaimRequest, signature: str | None, locked: Sequence[Sweep], now_ms: int
) -> tuple[list[Sweep], dict[str, str]]:
    """Choose from the trials of locked sweeps.

    Returns:
        The sweeps that have candidates, and for each chosen trial its sweep, in the order of choice.
    """
    by_id = {sweep.id: sweep for sweep in locked if sweep.may_claim}
    signature = signature or oldest_waiting(connection, request.worker.datasets, now_ms)
    if signature is None or not by_id:
        return [], {}
    found = waiting_trials(connection, list(by_id), signature, now_ms, request.max_trials + MAX_GROUP)
    with_candidates = {candidate.sweep_id for candidate in found}
    sweeps = _with_same_data([sweep for sweep in by_id.values() if sweep.id in with_candidates])
    candidates = [candidate for candidate in found if candidate.sweep_id in sweeps]
    held = [] if request.lease_id is None else held_by(connection, request.lease_id)
    counts = count_active(connection, list(sweeps))
    chosen = choose_batch(
        candidates,
        {sweep_id: count[TrialState.RUNNING] for sweep_id, count in counts.items()},
        held_limits=[trial.batch_limit for trial in held],
        held_sweeps={trial.sweep_id for trial in held},
        max_trials=request.max_trials,
    )
    sweep_of = {candidate.trial_id: candidate.sweep_id for candidate in candidates}
    return list(sweeps.values()), {trial_id: sweep_of[trial_id] for trial_id in chosen}


def _with_same_data(by_age: Sequence[Sweep]) -> dict[str, Sweep]:
    """The sweeps whose data have the same hash as the oldest one's: a claim names one hash for all its trials."""
    return {sweep.id: sweep for sweep in by_age if sweep.dataset_sha256 == by_age[0].dataset_sha256}


def _tell(
    connection: Connection, worker_id: str, sweeps: Sequence[Sweep], rows: Sequence[Any], *, lease_id: str, now_ms: int
) -> None:
    """Begin the attempts, tell of them, and let the sweeps draw their conclusions."""
    fences = [(row.id, row.attempt) for row in rows]
    insert_attempts(connection, fences, lease_id=lease_id, worker_id=worker_id, now_ms=now_ms)
    for sweep in sweeps:
        started = [
            trial_event("trial_started", row.id, row.number, attempt=row.attempt, worker_id=worker_id)
            for row in rows
            if row.sweep_id == sweep.id
        ]
        append_events(connection, sweep.id, started, now_ms)
        start_if_queued(connection, sweep, now_ms)


def _answer(sweeps: dict[str, Sweep], rows: Sequence[Any], lease_id: str, settings: LeaseSettings) -> ClaimAnswer:
    first = sweeps[rows[0].sweep_id]
    return ClaimAnswer(
        lease_id=lease_id,
        signature=rows[0].signature,
        dataset=first.dataset,
        dataset_sha256=first.dataset_sha256,
        stream_seed=first.seed,
        statistics_every=first.statistics_every,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        grants=tuple(_grant(sweeps[row.sweep_id], row) for row in rows),
        representatives=_representatives(sweeps[sweep_id] for sweep_id in {row.sweep_id: None for row in rows}),
    )


def _representatives(sweeps: Iterable[Sweep]) -> tuple[Parameters, ...]:
    return tuple(parameters for sweep in sweeps for parameters in representatives(sweep.definition))


def _grant(sweep: Sweep, row: Any) -> Grant:
    metric = sweep.metric
    return Grant(
        trial_id=row.id,
        sweep_id=row.sweep_id,
        number=row.number,
        attempt=row.attempt,
        seed=row.seed,
        parameters=parameters_from_row(row),
        objective=Objective(name=metric.name, direction=metric.direction.value, at=metric.at.value),
    )


def _nothing(request: ClaimRequest, settings: LeaseSettings, chance: Callable[[], float]) -> ClaimAnswer:
    return ClaimAnswer(
        lease_id=request.lease_id,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        grants=(),
        retry_after_ms=retry_after_ms(settings, chance()),
    )
