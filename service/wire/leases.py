"""What a worker and the service say to each other (docs/leases.md).

Every entry of a report carries the fence (trial, attempt) and stands under the lease in the path. Durations
cross the wire, never absolute times. Values that are not finite are null, and spelled out in `nonfinite_values`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from service.wire.base import (
    ONLY_A_NUMBER,
    PROTOCOL_VERSION,
    Answer,
    Count,
    Identifier,
    Number,
    PositiveCount,
    Request,
    Seconds,
    Share,
)
from service.wire.parameters import Parameters

DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
IdleCause = Literal["starting", "loading", "compiling", "recording", "draining", "no_work", "yielding", "service_away"]
"""The process starts; a data set loads; the bank compiles (until its first epoch is trained); a trial's first steps are
recorded; the worker drains; nothing waits; the bank is emptied for another signature; reports fill the spool, so
training waits."""
Phase = Literal["starting", "loading", "compiling", "training", "recording", "idle", "draining"]
Spelling = Literal["inf", "-inf", "nan"]
Spelled = dict[Annotated[str, Field(max_length=32)], Spelling]
EMPTY: JsonDict = {"default": {}}
"""A default that is made costs a third of one that is copied, and a report has one for each layer."""


class WorkerInfo(Request):
    """Who claims: shown on the workers' page and kept with each attempt."""

    worker_id: Identifier
    host: Annotated[str, Field(max_length=255)]
    pid: PositiveCount
    version: Annotated[str, Field(max_length=32)]
    trainer: Literal["reference", "fused"]
    device: Annotated[str, Field(max_length=255)]
    n_slots: PositiveCount
    datasets: tuple[DatasetName, ...]


class ClaimRequest(Request):
    """Ask for trials of one signature; the same `claim_key` always gets the same answer."""

    protocol: PositiveCount = PROTOCOL_VERSION
    claim_key: Identifier
    worker: WorkerInfo
    lease_id: Identifier | None = None
    max_trials: Annotated[int, Field(ge=1, le=4096), ONLY_A_NUMBER]
    signature: Annotated[str, Field(max_length=64)] | None = None


class Objective(Answer):
    """What the sweep ranks by; the worker needs it to know which epoch's weights to test."""

    name: str
    direction: Literal["maximize", "minimize"]
    at: Literal["last", "best"]


class Grant(Answer):
    """One trial to train. (trial_id, attempt) is the fence; `seed` fixes the initial weights."""

    trial_id: Identifier
    sweep_id: Identifier
    number: Count
    attempt: PositiveCount
    seed: Count
    parameters: Parameters
    objective: Objective


class ClaimAnswer(Answer):
    """Trials of one signature, or none and when to ask again.

    Every `statistics_every`-th step of an epoch is to be measured, from the first, and the loss of each.
    `representatives` are not to be trained: together they show every kind of value that their sweeps search, so that
    a worker compiles one program for all the trials to come.
    """

    lease_id: Identifier | None
    signature: str | None = None
    dataset: str | None = None
    dataset_sha256: str | None = None
    stream_seed: Count | None = None
    statistics_every: PositiveCount = 1
    lease_seconds: Seconds
    heartbeat_seconds: Seconds
    grants: tuple[Grant, ...]
    representatives: tuple[Parameters, ...] = ()
    retry_after_ms: Count = 0


class LayerReport(Request):
    """Measured statistics of one kernel over one epoch (definitions: docs/gradients.md)."""

    layer: Annotated[int, Field(ge=1, le=1024), ONLY_A_NUMBER]
    grad_norm_mean: Number | None = None
    grad_norm_std: Number | None = None
    grad_norm_max: Number | None = None
    grad_rms_median: Number | None = None
    grad_rms_p05: Number | None = None
    bias_grad_rms_median: Number | None = None
    update_ratio_median: Number | None = None
    update_ratio_p95: Number | None = None
    weight_norm: Number | None = None
    zero_fraction: Number | None = None
    nonfinite: Count = 0
    nonfinite_first_step: Count | None = None
    activation_std: Number | None = None
    dead_fraction: Number | None = None
    saturated_fraction: Number | None = None
    delta_rms: Number | None = None
    nonfinite_values: Spelled = Field(default_factory=dict, json_schema_extra=EMPTY)


class EpochReport(Request):
    """Measured values of one trial's epoch; epoch 0 is the probe before the first update."""

    epoch: Annotated[int, Field(ge=0, le=100_000), ONLY_A_NUMBER]
    steps: Count
    train_loss: Number | None = None
    train_accuracy: Share | None = None
    val_loss: Number | None = None
    val_accuracy: Share | None = None
    val_balanced_accuracy: Share | None = None
    val_macro_f1: Share | None = None
    val_top_class_share: Share | None = None
    loss_max: Number | None = None
    loss_spikes: Count = 0
    loss_doublings: Count = 0
    global_norm_mean: Number | None = None
    global_norm_std: Number | None = None
    global_norm_max: Number | None = None
    global_norm_p50: Number | None = None
    global_norm_p99: Number | None = None
    clip_fraction: Share | None = None
    nonfinite: Count = 0
    wall_seconds: Seconds = 0.0
    device_seconds: Seconds = 0.0
    nonfinite_values: Spelled = Field(default_factory=dict, json_schema_extra=EMPTY)
    layers: Annotated[tuple[LayerReport, ...], Field(max_length=1024)] = ()


class Start(Request):
    """How an attempt began: enough to replay it alone. Sent with its epoch 0.

    `class_shares`: of the validation split, by class; the rules that ask for more than the commonest class need them.
    """

    stream_seed: Count
    start_epoch: Count
    dataset_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    class_shares: Annotated[tuple[Share, ...], Field(max_length=65_536)] | None = None
    environment: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] = {}


def _require_kind(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that `kind` cannot be left out: it tells which of three the object is."""
    schema["required"] = [*schema.get("required", ()), "kind"]


class Completed(Request):
    """The trial has trained all its epochs. `best_epoch` is the epoch whose weights were tested."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["completed"] = "completed"
    test_loss: Number | None = None
    test_accuracy: Share | None = None
    best_epoch: PositiveCount


class Failed(Request):
    """The trial could not be trained: a bug or the infrastructure, never divergence."""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["failed"] = "failed"
    failure_kind: Literal["out_of_memory", "error"]
    error_type: Annotated[str, Field(max_length=255)]
    message: Annotated[str, Field(max_length=4096)]
    traceback: Annotated[str, Field(max_length=16384)] = ""


class Stopped(Request):
    """The worker has obeyed `stop`: the slot is free and the trial is cancelled. (A pruned trial needs no word.)"""

    model_config = ConfigDict(json_schema_extra=_require_kind)

    kind: Literal["stopped"] = "stopped"


class ReportEntry(Request):
    """One trial's news: an epoch, an end, or both. The same entry twice changes nothing."""

    trial_id: Identifier
    attempt: PositiveCount
    start: Start | None = None
    epoch: EpochReport | None = None
    final: Annotated[Completed | Failed | Stopped, Field(discriminator="kind")] | None = None


class ReportRequest(Request):
    """News of any number of trials of one lease; good entries are stored whatever the others are."""

    entries: Annotated[tuple[ReportEntry, ...], Field(min_length=1, max_length=4096)]


class EntryAnswer(Answer):
    """What to do with the trial now.

    continue: train on. prune: it is over, `reason` says why; free the slot. stop: the user or the sweep ended it;
    acknowledge with `final: stopped`. gone: the fence no longer holds; free the slot, nothing was stored.
    conflict: the same key was reported before with another body; the first stands.
    """

    trial_id: Identifier
    attempt: PositiveCount
    epoch: Count | None
    directive: Literal["continue", "prune", "stop", "gone", "conflict"]
    reason: str | None = None


class ReportAnswer(Answer):
    """One answer per entry, in the order of the entries."""

    entries: tuple[EntryAnswer, ...]


class HeartbeatRequest(Request):
    """Renew the lease; `steps_done` rises while the worker makes progress.

    `idle_slot_seconds`: how long slots stood idle since the worker's process began, summed over slots, by cause.
    """

    steps_done: Count
    phase: Phase
    slots_filled: Count = 0
    idle_slot_seconds: dict[IdleCause, Seconds] = {}


class HeartbeatAnswer(Answer):
    """The trials that the lease still holds, and those of them that must stop at the epoch's end."""

    lease_seconds: Seconds
    held: tuple[Identifier, ...]
    stop: tuple[Identifier, ...]


class Release(Request):
    """One trial handed back."""

    trial_id: Identifier
    attempt: PositiveCount


class ReleaseRequest(Request):
    """Hand trials back without costing a life; `trials` null hands back all and ends the lease."""

    trials: Annotated[tuple[Release, ...], Field(max_length=4096)] | None = None


class ReleaseAnswer(Answer):
    """The trials that wait again."""

    released: tuple[Identifier, ...]
