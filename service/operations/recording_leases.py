"""Recordings under leases: given to a worker, taken in from it, handed back or lost with it.

As for trials: a recording's attempt rises each time it is given out, (trial, attempt, lease) is the fence, and what a
worker sends counts only while it holds. Locks: the lease, then the sweep.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.database.artifacts import Artifact, Packed, replace_artifact
from service.database.engine import Database
from service.database.history import epochs_of, layers_of
from service.database.leases import insert_lease, renew_if_active
from service.database.recordings import (
    Beginning,
    beginning_of,
    claimed_with,
    end_recording,
    get_recording,
    give_recording_back,
    oldest_queued,
    recordings_held_by,
    take_if_queued,
)
from service.database.sweeps import append_events, get_sweep, lock_sweep
from service.database.trials import get_trial
from service.database.workers import quarantined_at, see_claiming_worker
from service.domain.identifiers import new_id
from service.domain.lease import LeaseSettings, retry_after_ms
from service.domain.recording import Recording, RecordingFate, fate_of_lost_recording
from service.domain.states import ArtifactKind, RecordingState
from service.domain.steps import check_steps
from service.domain.trial import Trial
from service.errors import Conflict
from service.operations.recording import STEPS_MEDIA_TYPE
from service.operations.settling import trial_event
from service.operations.viewing import epoch_view, layer_view
from service.wire.recording_claims import (
    Recorded,
    RecordingClaim,
    RecordingClaimAnswer,
    RecordingFailed,
    RecordingGrant,
    RecordingReleased,
    RecordingReport,
    RecordingReportAnswer,
)

_STORED, _GONE, _CONFLICT = (RecordingReportAnswer(outcome=word) for word in ("stored", "gone", "conflict"))


def claim_recording(
    database: Database,
    request: RecordingClaim,
    settings: LeaseSettings,
    *,
    chance: Callable[[], float] = random.random,
) -> RecordingClaimAnswer:
    """Give a worker the recording that has waited longest, under its lease, or under a new one if it names none.

    The same claim again gets the same recording for as long as it is held. A claim that gets nothing binds nothing.

    Raises:
        Conflict: The lease has ended or is another worker's.
    """
    with database.read() as connection:
        found = claimed_with(connection, request.claim_key) or _waiting(database, connection, request)
    taken = None
    if isinstance(found, Recording):
        taken = found
    elif found is not None:
        taken = _take_once(database, request, found, settings)
    grant = None if taken is None else _grant(database, taken)
    return RecordingClaimAnswer(
        lease_id=request.lease_id if grant is None or taken is None else taken.lease_id,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        recording=grant,
        retry_after_ms=0 if grant is not None else retry_after_ms(settings, chance()),
    )


def _waiting(database: Database, connection: Connection, request: RecordingClaim) -> tuple[str, str] | None:
    """The trial and sweep of a recording for this worker. One that fails too often gets none."""
    if quarantined_at(connection, request.worker.worker_id) is not None:
        return None
    return oldest_queued(connection, request.worker.datasets, database.now_ms(connection))


def _take_once(
    database: Database, request: RecordingClaim, found: tuple[str, str], settings: LeaseSettings
) -> Recording | None:
    """Take a recording; if the same claim, sent twice at once, was faster, what it took is the answer.

    Without this the worker could be told "none" of a recording that its lease holds, and would keep it for ever.
    """
    try:
        taken = _take(database, request, found, settings)
    except IntegrityError:  # the key is unique
        taken = None
    if taken is not None:
        return taken
    with database.read() as connection:
        return claimed_with(connection, request.claim_key)


def _take(
    database: Database, request: RecordingClaim, found: tuple[str, str], settings: LeaseSettings
) -> Recording | None:
    """Take a recording in one transaction; None if another claim was faster."""
    trial_id, sweep_id = found
    worker_id = request.worker.worker_id
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        expires_at_ms = now_ms + settings.lease_ms
        _renew(connection, request, expires_at_ms)
        lock_sweep(connection, sweep_id)
        trial, waiting = get_trial(connection, trial_id), get_recording(connection, trial_id)
        if trial is None or waiting is None or waiting.state is not RecordingState.QUEUED:
            return None
        see_claiming_worker(connection, request.worker, now_ms)
        lease_id = request.lease_id
        if lease_id is None:
            lease_id = new_id("lse")
            insert_lease(connection, lease_id, worker_id, now_ms=now_ms, expires_at_ms=expires_at_ms)
        taken = take_if_queued(
            connection, trial_id, lease_id=lease_id, worker_id=worker_id, claim_key=request.claim_key, now_ms=now_ms
        )
        if taken is not None:
            _tell(connection, trial, "recording_started", now_ms, attempt=taken.attempt, worker_id=worker_id)
        return taken


def _renew(connection: Connection, request: RecordingClaim, expires_at_ms: int) -> None:
    if request.lease_id is None:
        return
    worker_id = renew_if_active(connection, request.lease_id, expires_at_ms)
    if worker_id is None:
        raise Conflict(f"lease {request.lease_id} has ended; claim without lease_id to get a new one")
    if worker_id != request.worker.worker_id:
        raise Conflict(f"lease {request.lease_id} belongs to worker {worker_id}, not to {request.worker.worker_id}")


def _grant(database: Database, taken: Recording) -> RecordingGrant | None:
    """All that is needed to make a recording; None if its trial was deleted meanwhile."""
    with database.read() as connection:
        trial = get_trial(connection, taken.trial_id)
        sweep = None if trial is None else get_sweep(connection, trial.sweep_id)
        beginning = beginning_of(connection, taken.trial_id, taken.trial_attempt)
        if trial is None or sweep is None or beginning is None:
            return None
        epochs = [epoch_view(row) for row in epochs_of(connection, trial.id, taken.trial_attempt)]
        layers = layers_of(connection, trial.id, taken.trial_attempt, layer=None, from_epoch=0)
    ends = accumulate(epoch.steps for epoch in epochs)
    needed = [epoch for epoch, end in zip(epochs, ends, strict=True) if end - epoch.steps < taken.steps]
    numbers = {epoch.epoch for epoch in needed}
    return RecordingGrant(
        trial_id=trial.id,
        sweep_id=trial.sweep_id,
        number=trial.number,
        attempt=taken.attempt,
        steps=taken.steps,
        every=taken.every,
        dataset=sweep.dataset,
        seed=trial.seed,
        parameters=trial.parameters,
        **_described(beginning),
        epochs=tuple(needed),
        layers=tuple(layer_view(row) for row in layers if row.epoch in numbers),
    )


def _described(beginning: Beginning) -> dict[str, object]:
    names = ("dataset_sha256", "stream_seed", "start_epoch", "environment")
    return {name: getattr(beginning, name) for name in names}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of steps that was found good, packed; the last step in it."""

    packed: Packed
    last_step: int


def report_recording(
    database: Database, lease_id: str, request: RecordingReport, settings: LeaseSettings
) -> RecordingReportAnswer:
    """Take in what came of a recording. Reading and packing the table is done before the transaction.

    Raises:
        InvalidRequest: The table is not what was asked for; the recording is still held.
    """
    result_hash = hashlib.sha256(request.result.model_dump_json().encode()).hexdigest()
    with database.read() as connection:
        trial, recording = get_trial(connection, request.trial_id), get_recording(connection, request.trial_id)
    if trial is None or recording is None:
        return _GONE
    if not recording.is_held_by(lease_id, request.attempt):
        return _answer_again(recording, lease_id, request, result_hash)
    table = _read_table(request.result, trial, recording)
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        is_active = renew_if_active(connection, lease_id, now_ms + settings.lease_ms) is not None
        lock_sweep(connection, trial.sweep_id)
        recording = get_recording(connection, request.trial_id)
        if recording is None:
            return _GONE
        if not (is_active and recording.is_held_by(lease_id, request.attempt)):
            return _answer_again(recording, lease_id, request, result_hash)
        _end(connection, trial, recording, request.result, table, result_hash=result_hash, now_ms=now_ms)
    return _STORED


def _answer_again(
    recording: Recording, lease_id: str, request: RecordingReport, result_hash: str
) -> RecordingReportAnswer:
    """The answer to a result that comes when the recording is no longer held: as before, if it came before."""
    is_ours = (recording.lease_id, recording.attempt) == (lease_id, request.attempt)
    if not is_ours or recording.result_hash is None:
        return _GONE
    return _STORED if recording.result_hash == result_hash else _CONFLICT


def _read_table(
    result: Recorded | RecordingFailed | RecordingReleased, trial: Trial, recording: Recording
) -> _Table | None:
    if not isinstance(result, Recorded):
        return None
    n_layers = len(trial.parameters.hidden_units) + 1
    last_step = check_steps(result.csv, steps=recording.steps, every=recording.every, n_layers=n_layers)
    return _Table(Packed.of(result.csv), last_step)


def _end(
    connection: Connection,
    trial: Trial,
    recording: Recording,
    result: Recorded | RecordingFailed | RecordingReleased,
    table: _Table | None,
    *,
    result_hash: str,
    now_ms: int,
) -> None:
    """Write what came of a recording that is held."""
    if isinstance(result, RecordingReleased):
        _hand_back(connection, trial, recording, now_ms)
        return
    if isinstance(result, RecordingFailed) or table is None:
        reason = result.reason if isinstance(result, RecordingFailed) else "nothing was recorded"
        state = RecordingState.FAILED
        end_recording(connection, trial.id, state, reason=reason, result_hash=result_hash, now_ms=now_ms)
        _tell(connection, trial, "recording_failed", now_ms, attempt=recording.attempt, reason=reason)
        return
    artifact = Artifact(
        trial_id=trial.id,
        name=f"steps-{recording.attempt}.csv",
        kind=ArtifactKind.STEPS,
        media_type=STEPS_MEDIA_TYPE,
        n_bytes=table.packed.n_bytes,
        sha256=table.packed.sha256,
        trial_attempt=recording.trial_attempt,
        steps=table.last_step,
        every=recording.every,
        same_program=result.same_program,
        matches=result.differs_from_epoch is None,
        differs_from_epoch=result.differs_from_epoch,
        made_at_ms=now_ms,
    )
    replace_artifact(connection, artifact, table.packed.content)
    end_recording(connection, trial.id, RecordingState.DONE, reason=None, result_hash=result_hash, now_ms=now_ms)
    told = {"attempt": recording.attempt, "artifact": artifact.name, "matches": artifact.matches}
    _tell(connection, trial, "recording_done", now_ms, **told)


def hand_back_recordings(connection: Connection, lease_id: str, now_ms: int) -> None:
    """Let the recordings of a lease that ends in good order wait again, at no cost; their sweeps are locked."""
    for trial, recording in _held(connection, lease_id):
        _hand_back(connection, trial, recording, now_ms)


def lose_recordings(
    connection: Connection, lease_id: str, *, worker_id: str, settings: LeaseSettings, now_ms: int
) -> None:
    """Take the recordings of a lease whose worker vanished; their sweeps are locked."""
    for trial, recording in _held(connection, lease_id):
        fate = fate_of_lost_recording(recording.lost, settings.max_lost)
        reason = f"{fate.lost} workers vanished while they recorded it, the last was {worker_id}"
        give_recording_back(connection, trial.id, fate, reason=reason, now_ms=now_ms)
        told = {"attempt": recording.attempt, "lost": fate.lost, "reason": "worker_lost"}
        _tell(connection, trial, f"recording_{fate.state}", now_ms, **told)


def _held(connection: Connection, lease_id: str) -> Sequence[tuple[Trial, Recording]]:
    pairs = ((get_trial(connection, one.trial_id), one) for one in recordings_held_by(connection, lease_id))
    return [(trial, recording) for trial, recording in pairs if trial is not None]


def _hand_back(connection: Connection, trial: Trial, recording: Recording, now_ms: int) -> None:
    fate = RecordingFate(RecordingState.QUEUED, recording.lost, 0)
    give_recording_back(connection, trial.id, fate, reason=None, now_ms=now_ms)
    _tell(connection, trial, "recording_queued", now_ms, attempt=recording.attempt, reason="released")


def _tell(connection: Connection, trial: Trial, kind: str, now_ms: int, **body: object) -> None:
    append_events(connection, trial.sweep_id, [trial_event(kind, trial.id, trial.number, **body)], now_ms)
