"""The recording of a trial's first steps, and files that were made of a trial, as the REST API shows them."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from service.wire.base import ONLY_A_NUMBER, Answer, Request

RecordingStateName = Literal["queued", "running", "done", "failed"]
MAX_STEPS = 10_000
DEFAULT_STEPS = 500

_UpToMaxSteps = Annotated[int, Field(ge=1, le=MAX_STEPS), ONLY_A_NUMBER]


class RecordRequest(Request):
    """Which steps of a trial to record."""

    steps: Annotated[_UpToMaxSteps, Field(description="How many of the trial's first steps.")] = DEFAULT_STEPS
    every: Annotated[_UpToMaxSteps, Field(description="The first step, and each N-th after it.")] = 1


class RecordingView(Answer):
    """The recording that was asked for last.

    `artifact` is the file of the last one that was done: it stays until the next one is.
    """

    state: RecordingStateName
    steps: Annotated[int, Field(description="How many of the first steps were asked for.")]
    every: int
    trial_attempt: Annotated[int, Field(description="The attempt that is trained again.")]
    reason: Annotated[str | None, Field(description="Why it failed.")]
    worker_id: Annotated[str | None, Field(description="Who has it, or had it last.")]
    matches: Annotated[
        bool | None,
        Field(description="Whether its epochs are the stored ones, judged as `replay` does; null until it is done."),
    ]
    differs_from_epoch: Annotated[int | None, Field(description="The first epoch that is not.")]
    artifact: str | None
    requested_at: AwareDatetime
    started_at: AwareDatetime | None
    made_at: Annotated[AwareDatetime | None, Field(description="When it was done.")]


class ArtifactView(Answer):
    """A file that was made of a trial. `steps`: a row per step and layer, up to the step that is named."""

    name: str
    kind: Literal["steps"]
    media_type: str
    n_bytes: int
    sha256: str
    trial_attempt: int
    steps: int
    every: int
    same_program: Annotated[bool, Field(description="Whether the program was the attempt's own.")]
    matches: Annotated[bool, Field(description="Whether its epochs are the stored ones, judged as `replay` does.")]
    differs_from_epoch: int | None
    made_at: AwareDatetime


class ArtifactList(Answer):
    """The files of a trial, the newest first."""

    trial_id: str
    artifacts: tuple[ArtifactView, ...]
