"""Recording: a user asks for a trial's first steps, layer by layer, and reads what a worker made of it."""

from sqlalchemy import Connection

from service.database.artifacts import artifact_text, artifacts_of
from service.database.engine import Database
from service.database.recordings import beginning_of, enqueue, get_recording
from service.database.sweeps import append_events, lock_sweep
from service.database.trials import get_trial
from service.domain.recording import require_room
from service.domain.states import ArtifactKind, RecordingState
from service.domain.steps import StepTable, read_steps
from service.domain.trial import Trial
from service.errors import Conflict, NotFound
from service.operations.settling import trial_event
from service.operations.viewing import artifact_view
from service.wire.recordings import ArtifactList

STEPS_MEDIA_TYPE = "text/csv; charset=utf-8; header=present"


def record_trial(database: Database, trial_id: str, *, steps: int, every: int) -> None:
    """Have a worker record a trial's first steps.

    While one waits or is made, the same request changes nothing. Another request takes the place of one that waits;
    one that was done stays until the new one is.

    Raises:
        NotFound: There is no such trial.
        Conflict: It has not ended, was never trained, or another recording of it is being made.
        InvalidRequest: It would have too many rows.
    """
    with database.read() as connection:
        sweep_id = _trial(connection, trial_id).sweep_id
    with database.write() as connection:
        now_ms = database.now_ms(connection)
        lock_sweep(connection, sweep_id)
        trial = _trial(connection, trial_id)
        _require_trained(connection, trial)
        require_room(steps, every, len(trial.parameters.hidden_units) + 1)
        known = get_recording(connection, trial.id)
        if known is not None and known.state.is_open:
            if known.wants(steps, every, trial.attempt):
                return
            if known.state is RecordingState.RUNNING:
                raise Conflict(
                    f"{known.steps} steps of trial {trial.number} (every {known.every}) are being recorded; "
                    "ask for others when that is done"
                )
        enqueue(connection, trial.id, steps=steps, every=every, trial_attempt=trial.attempt, now_ms=now_ms)
        event = trial_event("recording_queued", trial.id, trial.number, steps=steps, every=every)
        append_events(connection, sweep_id, [event], now_ms)


def list_artifacts(database: Database, trial_id: str) -> ArtifactList:
    """The files that were made of a trial."""
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        found = artifacts_of(connection, [trial.id])[trial.id]
    return ArtifactList(trial_id=trial.id, artifacts=tuple(map(artifact_view, found)))


def read_artifact(database: Database, trial_id: str, name: str) -> tuple[str, str]:
    """The media type and the text of a file that was made of a trial."""
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        found = artifact_text(connection, trial.id, name)
    if found is None:
        raise NotFound(
            f"Trial {trial.number} has no file {name[:64]!r}; GET /v1/trials/{trial.id}/artifacts lists all."
        )
    return found[0].media_type, found[1]


def read_recorded_steps(database: Database, trial_id: str) -> StepTable:
    """A trial's first steps, as they were recorded last.

    Raises:
        NotFound: Nothing is recorded; says how to, or why the last recording failed.
        Conflict: The first recording waits or is being made.
    """
    with database.read() as connection:
        trial = _trial(connection, trial_id)
        files = [file for file in artifacts_of(connection, [trial.id])[trial.id] if file.kind is ArtifactKind.STEPS]
        found = artifact_text(connection, trial.id, files[0].name) if files else None
        recording = get_recording(connection, trial.id)
    if found is not None:
        return read_steps(found[1])
    if recording is None:
        raise NotFound(f"No steps of trial {trial.number} are recorded: POST /v1/trials/{trial.id}:record asks for it.")
    if recording.state.is_open:
        words = "wait for a worker" if recording.state is RecordingState.QUEUED else "are being recorded"
        raise Conflict(f"The first steps of trial {trial.number} {words}; try again when they are there.")
    raise NotFound(f"No steps of trial {trial.number} are recorded: {recording.reason}")


def _trial(connection: Connection, trial_id: str) -> Trial:
    trial = get_trial(connection, trial_id)
    if trial is None:
        raise NotFound(f"There is no trial with the id '{trial_id}'; GET /v1/sweeps/SWEEP/trials lists all.")
    return trial


def _require_trained(connection: Connection, trial: Trial) -> None:
    if not trial.state.is_final:
        raise Conflict(f"trial {trial.number} is {trial.state}; record it when it has ended")
    if beginning_of(connection, trial.id, trial.attempt) is None:
        raise Conflict(f"trial {trial.number} is {trial.state} and was never trained: there are no steps to record")
