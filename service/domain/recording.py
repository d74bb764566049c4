"""Recordings: the first steps of a trial that has ended, trained again by a worker and kept layer by layer.

queued ──claim──► running ──result──► done | failed
  ▲                  │
  └── handed back, or its worker vanished; the third time `failed`

A recording has a fence of its own, (trial, recording attempt, lease): the trial itself does not move.
"""

from dataclasses import dataclass

from service.domain.lease import back_off_ms
from service.domain.states import RecordingState
from service.errors import InvalidRequest, Problem

MAX_ROWS = 50_000
"""A row per step and layer; so many are some five megabytes of text, and a third of that packed."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of `recordings`. Its fields are the columns."""

    trial_id: str
    state: RecordingState
    steps: int
    every: int
    trial_attempt: int
    attempt: int
    lost: int
    lease_id: str | None
    worker_id: str | None
    claim_key: str | None
    not_before_ms: int
    reason: str | None
    result_hash: str | None
    requested_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None

    def wants(self, steps: int, every: int, trial_attempt: int) -> bool:
        """Whether this is what is asked for."""
        return (self.steps, self.every, self.trial_attempt) == (steps, every, trial_attempt)

    def is_held_by(self, lease_id: str, attempt: int) -> bool:
        """Whether a result under this fence counts."""
        return self.state is RecordingState.RUNNING and (self.lease_id, self.attempt) == (lease_id, attempt)


@dataclass(frozen=True, slots=True)
class RecordingFate:
    """What becomes of a recording whose worker vanished."""

    state: RecordingState
    lost: int
    wait_ms: int


def fate_of_lost_recording(lost: int, max_lost: int) -> RecordingFate:
    """It waits again, longer each time; when it has lost as many workers as a trial may, it has failed."""
    lost += 1
    if lost >= max_lost:
        return RecordingFate(RecordingState.FAILED, lost, 0)
    return RecordingFate(RecordingState.QUEUED, lost, back_off_ms(lost))


def n_recorded(steps: int, every: int) -> int:
    """How many of the first `steps` steps are kept: the first, and each `every`-th after it."""
    return -(-steps // every)


def require_room(steps: int, every: int, n_layers: int) -> None:
    """Refuse a recording that would be too large to keep.

    Raises:
        InvalidRequest: Says what would fit.
    """
    n_rows = n_recorded(steps, every) * n_layers
    if n_rows > MAX_ROWS:
        most = MAX_ROWS // n_layers
        message = f"{n_layers} layers leave room for {most:,} steps: ask for fewer, or for a larger every"
        detail = f"{n_rows:,} rows are more than the {MAX_ROWS:,} that a recording may have."
        raise InvalidRequest(detail, [Problem("/steps", message)])
