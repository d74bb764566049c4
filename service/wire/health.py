"""The service and its workers about themselves, as the REST API shows them (docs/api.md)."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from service.wire.base import Answer


class WorkerView(Answer):
    """One worker process, as it last told of itself."""

    id: str
    host: str
    pid: int
    version: str
    trainer: str
    device: str
    n_slots: int
    slots_filled: int
    datasets: tuple[str, ...]
    phase: str
    phase_since: AwareDatetime
    steps_done: int
    idle_slot_seconds: Annotated[
        dict[str, float], Field(description="How long slots stood idle since the process began, by cause.")
    ] = {}
    failures_in_a_row: int
    is_alive: Annotated[bool, Field(description="Whether it was heard of within one lease period.")]
    is_quarantined: bool
    n_trials: Annotated[int, Field(description="Trials that it holds now.")]
    trials_per_hour: Annotated[
        float, Field(description="Trials that it completed or pruned within the last hour, or since it came.")
    ] = 0.0
    first_seen: AwareDatetime
    last_seen: AwareDatetime


class WorkerList(Answer):
    """All workers that were heard of, the latest first."""

    workers: tuple[WorkerView, ...]


class CheckView(Answer):
    """Whether the service can do its work, part by part; each part is `ok` or says what is wrong."""

    status: Literal["ok", "not_ready"]
    database: str
    migrations: str
    reaper: str


class LiveView(Answer):
    """The process answers; it says nothing of the database."""

    status: Literal["ok"] = "ok"
    version: str


class SessionView(Answer):
    """Whether a browser must log in with the token, and has."""

    is_token_needed: bool
    is_logged_in: bool
