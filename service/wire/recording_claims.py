"""What a worker and the service say to each other about recordings (docs/leases.md).

(trial_id, attempt) is the fence, and `attempt` the recording's own: it rises each time the recording is given out.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from service.wire.base import Answer, Count, Identifier, PositiveCount, Request, Seconds
from service.wire.leases import WorkerInfo
from service.wire.parameters import Parameters
from service.wire.trials import EpochView, LayerView

MAX_CSV_LETTERS = 8_000_000
"""A table of the most rows that a recording may have is shorter."""


class RecordingClaim(Request):
    """Ask for one recording to make; the same `claim_key` gets the same one for as long as it is held."""

    claim_key: Identifier
    worker: WorkerInfo
    lease_id: Identifier | None = None


class RecordingGrant(Answer):
    """One recording to make: the attempt to train again, and what was stored of it, to compare with."""

    trial_id: Identifier
    sweep_id: Identifier
    number: Count
    attempt: PositiveCount
    steps: PositiveCount
    every: PositiveCount
    dataset: str
    dataset_sha256: str
    seed: Count
    parameters: Parameters
    stream_seed: Count
    start_epoch: Count
    environment: dict[str, str]
    epochs: tuple[EpochView, ...]
    layers: tuple[LayerView, ...]


class RecordingClaimAnswer(Answer):
    """A recording, or none and when to ask again."""

    lease_id: Identifier | None
    lease_seconds: Seconds
    heartbeat_seconds: Seconds
    recording: RecordingGrant | None = None
    retry_after_ms: Count = 0


def _require_kind(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that `kind` cannot be left out: it tells which of three the object is."""
    schema["required"] = [*schema.get("required", ()), "kind"]


class Recorded(Request):
    """The recording is made. `differs_from_epoch`: the first epoch that is not the stored one, judged as by replay."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["recorded"] = "recorded"
    csv: Annotated[str, Field(max_length=MAX_CSV_LETTERS, description="A row per step and layer.")]
    same_program: bool
    differs_from_epoch: Count | None = None


class RecordingFailed(Request):
    """It cannot be made; another worker would fare no better."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["failed"] = "failed"
    reason: Annotated[str, Field(min_length=1, max_length=4096)]


class RecordingReleased(Request):
    """It is handed back at no cost: this worker cannot make it, another may."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["released"] = "released"


class RecordingReport(Request):
    """What came of a recording. The same again is answered the same."""

    trial_id: Identifier
    attempt: PositiveCount
    result: Annotated[Recorded | RecordingFailed | RecordingReleased, Field(discriminator="kind")]


class RecordingReportAnswer(Answer):
    """stored: taken, now or before. gone: the fence no longer holds, nothing was stored. conflict: it came before with
    other content; the first stands.
    """

    outcome: Literal["stored", "gone", "conflict"]
