"""Trials, attempts, epochs and layers as the REST API shows them (docs/api.md).

Moments are RFC 3339 in UTC. Numbers are finite or null; what was not finite is spelled out in `nonfinite` beside.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from service.wire.base import Answer, PositiveCount, Request
from service.wire.parameters import Parameters
from service.wire.recordings import RecordingView
from service.wire.sweeps import MetricView

TrialStateName = Literal["waiting", "running", "completed", "pruned", "failed", "cancelled"]
PruneReasonName = Literal["unpromising", "nonfinite", "blowup", "collapsed", "vanishing", "dead", "overstep"]
VerdictName = Literal["nonfinite", "exploding", "dead", "vanishing", "unsteady", "stalled", "stable"]
StabilityLimitName = Literal["nonfinite", "depth", "update", "level", "steady", "units", "loss"]
FailureKindName = Literal["worker_lost", "out_of_memory", "error"]
SpelledNumbers = Annotated[
    dict[str, Literal["inf", "-inf", "nan"]], Field(description="Values that JSON cannot carry, spelled out by name.")
]


class FailureView(Answer):
    """Why a trial failed; `traceback` only where one trial is shown."""

    kind: FailureKindName
    type: str | None
    message: str | None
    traceback: str | None = None


class RescueView(Answer):
    """The other trial of a rescue: the one that was remedied, or the one that is to do better."""

    trial_id: str
    number: int
    state: TrialStateName
    worked: Annotated[
        bool | None,
        Field(description="The remedied trial is stable and its result better; null as long as it cannot be told."),
    ]
    summary: Annotated[str, Field(description="Verdict and metric before and after, in one sentence.")]


class RescueRequest(Request):
    """Which remedies of the diagnosis to take."""

    remedies: Annotated[
        tuple[PositiveCount, ...] | None,
        Field(min_length=1, max_length=64, description="Their places in the diagnosis, from 1; left out: all."),
    ] = None


class GradientMetrics(Answer):
    """What the gradients of a whole trial did (docs/gradients.md); null where it was not measured or not finite.

    Each name may stand in `filter`, `order_by`, `constraints`, `pareto?metrics=` and `importances?target=`.
    """

    depth_range: float | None
    flow_ratio: float | None
    gsr: float | None
    oscillation: float | None
    grad_rms: float | None
    bias_grad_rms: float | None
    update_ratio: float | None
    update_ratio_least: float | None
    zero_fraction: float | None
    dead_fraction: float | None
    saturated_fraction: float | None
    global_norm_p50: float | None
    global_norm_p99: float | None
    global_norm_max: float | None
    clip_fraction: float | None
    loss_max: float | None
    loss_spikes: float | None
    loss_doublings: float | None
    val_top_class_share: float | None


class TrialView(Answer):
    """One trial: its parameters and what came of them.

    The metrics are those of the present attempt's last epoch; `objective` is the sweep's metric, final when the trial
    is. `test_loss` and `test_accuracy` are measured once, at the end, and so are `verdict` and `stability` judged
    (docs/gradients.md).
    """

    id: str
    sweep_id: str
    number: int
    state: TrialStateName
    prune_reason: PruneReasonName | None
    prune_detail: str | None
    failure: FailureView | None
    attempt: int
    lost: Annotated[int, Field(description="Lives used: how often its worker vanished.")]
    stop_requested: bool
    worker_id: Annotated[str | None, Field(description="Who trains it now.")]
    parameters: Parameters
    seed: int
    replicate: Annotated[int, Field(description="Of an ablation: trials of one replicate share their seed.")] = 0
    remedy: Annotated[str | None, Field(description="Of an ablation: `base`, what was changed from it, or `all`.")] = (
        None
    )
    epoch: int | None
    best_epoch: int | None
    objective: float | None
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    val_macro_f1: float | None
    test_loss: float | None
    test_accuracy: float | None
    nonfinite: SpelledNumbers = {}
    verdict: VerdictName | None
    verdict_evidence: tuple[dict[str, Any], ...]
    stability: Annotated[float | None, Field(description="Between 0 and 1.")]
    stability_limited_by: StabilityLimitName | None
    stability_parts: dict[str, float | None]
    depth_slope: float | None
    gradients: Annotated[GradientMetrics | None, Field(description="Null until the trial has ended.")] = None
    metrics_at_best: Annotated[
        dict[str, float | None],
        Field(description="The metrics of an epoch as they were at `best_epoch`; empty until the trial has ended."),
    ] = {}
    rule_warnings: tuple[dict[str, Any], ...]
    would_have_pruned: Annotated[PruneReasonName | None, Field(description="By a rule that only watched.")]
    would_have_pruned_epoch: int | None
    rescue_of: Annotated[RescueView | None, Field(description="The trial that this one is to rescue.")] = None
    rescues: Annotated[tuple[RescueView, ...], Field(description="The trials that are to rescue this one.")] = ()
    recording: Annotated[RecordingView | None, Field(description="Of its first steps; null if none was asked for.")] = (
        None
    )
    wall_seconds: float | None
    device_seconds: float | None
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class TrialList(Answer):
    """One page of trials."""

    trials: tuple[TrialView, ...]
    next_page_token: str | None


class InfeasibleTrial(Answer):
    """A completed trial that breaks a bound of its sweep."""

    trial: TrialView
    reasons: Annotated[tuple[str, ...], Field(description="Why it lost, bound by bound.")]
    would_be_best: Annotated[bool, Field(description="Whether it would be the best if there were no bounds.")]


class BestTrials(Answer):
    """The best completed trials, best first; `best` is the first of them, or null while there is none.

    In a sweep with `constraints` all of them keep the bounds, and `best_infeasible` is the best of those that do not.
    """

    metric: MetricView
    best: TrialView | None
    trials: tuple[TrialView, ...]
    constraints: tuple[str, ...] = ()
    best_infeasible: InfeasibleTrial | None = None
    note: Annotated[str | None, Field(description="What to know of the ranking.")] = None


class AttemptView(Answer):
    """One go of a worker at a trial. Stream, start and data hash are enough to replay it alone.

    `outcome` is null while it runs; they are null until the attempt's first report.
    """

    attempt: int
    worker_id: str
    outcome: Literal["completed", "pruned", "failed", "cancelled", "released", "lost"] | None
    stream_seed: int | None
    start_epoch: int | None
    dataset_sha256: str | None
    environment: dict[str, str]
    started_at: AwareDatetime
    ended_at: AwareDatetime | None


class AttemptList(Answer):
    """All attempts at a trial, in order."""

    trial_id: str
    attempts: tuple[AttemptView, ...]


class EpochView(Answer):
    """One epoch of one attempt; epoch 0 is the probe before the first update."""

    attempt: int
    epoch: int
    steps: int
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None
    val_macro_f1: float | None
    val_top_class_share: float | None
    loss_max: float | None
    loss_spikes: int
    loss_doublings: int
    global_norm_mean: float | None
    global_norm_std: float | None
    global_norm_max: float | None
    global_norm_p50: float | None
    global_norm_p99: float | None
    clip_fraction: float | None
    nonfinite_entries: Annotated[int, Field(description="Gradient entries that were not finite in this epoch.")]
    wall_seconds: float | None
    device_seconds: float | None
    objective: float | None
    directive: Literal["continue", "prune", "stop", "gone", "conflict"]
    directive_reason: str | None
    nonfinite: SpelledNumbers = {}
    reported_at: AwareDatetime


class EpochList(Answer):
    """The epochs of a trial's present attempt, in order."""

    trial_id: str
    attempt: int
    epochs: tuple[EpochView, ...]


class LayerView(Answer):
    """Measured statistics of one kernel over one epoch; layer 1 is the nearest to the input."""

    epoch: int
    layer: int
    grad_norm_mean: float | None
    grad_norm_std: float | None
    grad_norm_max: float | None
    grad_rms_median: float | None
    grad_rms_p05: float | None
    bias_grad_rms_median: float | None
    update_ratio_median: float | None
    update_ratio_p95: float | None
    weight_norm: float | None
    zero_fraction: float | None
    nonfinite_entries: Annotated[int, Field(description="Gradient entries that were not finite in this epoch.")]
    nonfinite_first_step: int | None
    activation_std: float | None
    dead_fraction: float | None
    saturated_fraction: float | None
    delta_rms: float | None
    nonfinite: SpelledNumbers = {}


class GradientList(Answer):
    """Gradient statistics of a trial's present attempt, by epoch, then layer."""

    trial_id: str
    attempt: int
    layers: tuple[LayerView, ...]
