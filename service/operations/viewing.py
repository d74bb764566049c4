"""Domain objects and rows as the REST API shows them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from service.database.artifacts import Artifact
from service.database.history import Event
from service.database.overview import BestSoFar, Surroundings
from service.domain.goals import Metric
from service.domain.metrics import AT_BEST
from service.domain.progress import Forecast
from service.domain.recording import Recording
from service.domain.stability.rescue import Rescue, RescueSide
from service.domain.states import ArtifactKind, RecordingState, TrialState, Verdict, WaitingFor
from service.domain.sweep import Sweep
from service.domain.trial import Trial
from service.wire.health import WorkerView
from service.wire.recordings import ArtifactView, RecordingView
from service.wire.sweeps import (
    BestView,
    EventView,
    MetricView,
    Progress,
    SweepSummary,
    SweepView,
    TrialCounts,
    VerdictCounts,
)
from service.wire.trials import (
    AttemptView,
    EpochView,
    FailureView,
    GradientMetrics,
    InfeasibleTrial,
    LayerView,
    RescueView,
    TrialView,
)

_NOTHING = Surroundings(None, {})


def moment(time_ms: int) -> datetime:
    """A moment of the database's clock, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def moment_or_none(time_ms: int | None) -> datetime | None:
    """The same for a moment that may not have come."""
    return None if time_ms is None else moment(time_ms)


def _value(member: StrEnum | None) -> Any:
    """An enum's word; the wire spells its words out as literals, and a test compares the two."""
    return None if member is None else member.value


def metric_view(metric: Metric) -> MetricView:
    """A metric that a sweep ranks by."""
    return MetricView(name=metric.name, direction=metric.direction.value, at=metric.at.value, target=metric.target)


def ranking_note(sweep: Sweep) -> str | None:
    """What to know of a ranking by the first of several metrics."""
    if len(sweep.goals.metrics) == 1:
        return None
    names = ", ".join(metric.name for metric in sweep.goals.metrics)
    return f"Ranked by {sweep.metric.name} alone; this sweep trades {names}: /v1/sweeps/{sweep.id}/pareto shows how."


def infeasible_view(sweep: Sweep, trial: Trial, view: TrialView, best: TrialView | None) -> InfeasibleTrial:
    """A trial that breaks a bound of its sweep, and why it is not the best."""
    reasons = sweep.goals.complaints(trial.value)
    if best is None or trial.objective is None or best.objective is None:
        would_win = best is None
    else:
        would_win = sweep.metric.is_better(trial.objective, best.objective)
    return InfeasibleTrial(trial=view, reasons=tuple(reasons), would_be_best=would_win)


def sweep_summary(
    sweep: Sweep,
    *,
    counts: Mapping[TrialState, int],
    verdicts: Mapping[Verdict, int],
    forecast: Forecast,
    waiting: WaitingFor | None,
    words: str,
    best: BestSoFar | None,
) -> SweepSummary:
    """One sweep in a list."""
    return SweepSummary(
        id=sweep.id,
        name=sweep.name,
        state=sweep.state.value,
        state_reason=_value(sweep.state_reason),
        waiting_for=_value(waiting),
        summary=words,
        method=sweep.method.value,
        dataset=sweep.dataset,
        metric=metric_view(sweep.metric),
        metrics=tuple(map(metric_view, sweep.goals.metrics)),
        constraints=tuple(str(each) for each in sweep.goals.constraints),
        run_cap=sweep.run_cap,
        max_parallel=sweep.max_parallel,
        counts=TrialCounts(**{state.value: counts.get(state, 0) for state in TrialState}),
        verdicts=VerdictCounts(**{verdict.value: count for verdict, count in verdicts.items()}),
        progress=Progress(
            trials_done=forecast.trials_done,
            trials_total=forecast.trials_total,
            epochs_done=forecast.epochs_done,
            epochs_total=forecast.epochs_total,
            epochs_per_second=forecast.epochs_per_second,
            eta_seconds=forecast.eta_seconds,
        ),
        best=None if best is None else BestView(trial_id=best.trial_id, number=best.number, objective=best.objective),
        last_event=sweep.n_events,
        created_at=moment(sweep.created_at_ms),
        started_at=moment_or_none(sweep.started_at_ms),
        ended_at=moment_or_none(sweep.ended_at_ms),
    )


def sweep_view(sweep: Sweep, summary: SweepSummary) -> SweepView:
    """One sweep, with everything that was decided for it."""
    definition = sweep.definition
    return SweepView(
        **dict(summary),
        seed=sweep.seed,
        resolved=definition.get("resolved", {}),
        defaulted=tuple(definition.get("defaulted", ())),
        warnings=tuple(definition.get("warnings", ())),
    )


def trial_view(
    trial: Trial,
    beside: Surroundings | None,
    rescues: Sequence[Rescue] = (),
    recording: RecordingView | None = None,
) -> TrialView:
    """One trial; `rescues` are those in which it is either side."""
    beside = beside or _NOTHING
    failure = None
    if trial.failure_kind is not None:
        failure = FailureView(
            kind=trial.failure_kind.value,
            type=trial.failure_type,
            message=trial.failure_message,
            traceback=trial.failure_traceback,
        )
    return TrialView(
        id=trial.id,
        sweep_id=trial.sweep_id,
        number=trial.number,
        state=trial.state.value,
        prune_reason=_value(trial.prune_reason),
        prune_detail=trial.prune_detail,
        failure=failure,
        attempt=trial.attempt,
        lost=trial.lost,
        stop_requested=trial.stop_requested,
        worker_id=beside.worker_id,
        parameters=trial.parameters,
        seed=trial.seed,
        replicate=trial.replicate,
        remedy=trial.remedy,
        epoch=trial.epoch,
        best_epoch=trial.best_epoch,
        objective=trial.objective,
        train_loss=trial.train_loss,
        train_accuracy=trial.train_accuracy,
        val_loss=trial.val_loss,
        val_accuracy=trial.val_accuracy,
        val_balanced_accuracy=trial.val_balanced_accuracy,
        val_macro_f1=trial.val_macro_f1,
        test_loss=trial.test_loss,
        test_accuracy=trial.test_accuracy,
        nonfinite=dict(beside.nonfinite),
        verdict=_value(trial.verdict),
        verdict_evidence=tuple(trial.verdict_evidence or ()),
        stability=trial.stability,
        stability_limited_by=_value(trial.stability_limited_by),
        stability_parts=trial.stability_parts or {},
        depth_slope=trial.depth_slope,
        gradients=_gradients(trial),
        metrics_at_best=_at_best(trial),
        rule_warnings=tuple(trial.rule_warnings or ()),
        would_have_pruned=_value(trial.would_have_pruned),
        would_have_pruned_epoch=trial.would_have_pruned_epoch,
        rescue_of=next((_rescue_view(one, one.before) for one in rescues if one.after.trial_id == trial.id), None),
        rescues=tuple(_rescue_view(one, one.after) for one in rescues if one.before.trial_id == trial.id),
        recording=recording,
        wall_seconds=trial.wall_seconds,
        device_seconds=trial.device_seconds,
        created_at=moment(trial.created_at_ms),
        started_at=moment_or_none(trial.started_at_ms),
        ended_at=moment_or_none(trial.ended_at_ms),
    )


def _gradients(trial: Trial) -> GradientMetrics | None:
    """None while the trial goes on, or where nothing was computed of it."""
    if trial.score_version is None:
        return None
    return GradientMetrics(**{name: trial.metrics.get(name) for name in GradientMetrics.model_fields})


def _at_best(trial: Trial) -> dict[str, float | None]:
    """Empty while the trial goes on, or where it has no best epoch."""
    if trial.ended_at_ms is None or trial.best_epoch is None:
        return {}
    return {name: trial.metrics.get(column) for name, column in AT_BEST.items()}


def _rescue_view(rescue: Rescue, other: RescueSide) -> RescueView:
    return RescueView(
        trial_id=other.trial_id,
        number=other.number,
        state=other.state.value,
        worked=rescue.has_worked,
        summary=rescue.sentence(),
    )


def recording_view(recording: Recording, artifacts: Sequence[Artifact]) -> RecordingView:
    """The recording that was asked for last, beside the files of its trial."""
    steps = next((file for file in artifacts if file.kind is ArtifactKind.STEPS), None)
    is_done = recording.state is RecordingState.DONE and steps is not None
    return RecordingView(
        state=recording.state.value,
        steps=recording.steps,
        every=recording.every,
        trial_attempt=recording.trial_attempt,
        reason=recording.reason,
        worker_id=recording.worker_id,
        matches=steps.matches if is_done and steps else None,
        differs_from_epoch=steps.differs_from_epoch if is_done and steps else None,
        artifact=None if steps is None else steps.name,
        requested_at=moment(recording.requested_at_ms),
        started_at=moment_or_none(recording.started_at_ms),
        made_at=moment_or_none(recording.ended_at_ms if is_done else None),
    )


def artifact_view(artifact: Artifact) -> ArtifactView:
    """A file of a trial."""
    columns = {name: getattr(artifact, name) for name in ArtifactView.model_fields if name not in ("kind", "made_at")}
    return ArtifactView(**columns, kind=artifact.kind.value, made_at=moment(artifact.made_at_ms))


def attempt_view(row: Row[Any]) -> AttemptView:
    """One row of `attempts`."""
    return AttemptView(
        attempt=row.attempt,
        worker_id=row.worker_id,
        outcome=_value(row.outcome),
        stream_seed=row.stream_seed,
        start_epoch=row.start_epoch,
        dataset_sha256=row.dataset_sha256,
        environment=row.environment or {},
        started_at=moment(row.started_at_ms),
        ended_at=moment_or_none(row.ended_at_ms),
    )


def epoch_view(row: Row[Any]) -> EpochView:
    """One row of `epochs`."""
    columns = dict(row._mapping)
    return EpochView.model_validate(
        columns
        | {
            "nonfinite_entries": row.nonfinite,
            "nonfinite": row.nonfinite_values or {},
            "reported_at": moment(row.reported_at_ms),
        }
    )


def layer_view(row: Row[Any]) -> LayerView:
    """One row of `layer_epochs`."""
    columns = dict(row._mapping)
    return LayerView.model_validate(
        columns | {"nonfinite_entries": row.nonfinite, "nonfinite": row.nonfinite_values or {}}
    )


def event_view(event: Event) -> EventView:
    """One event."""
    return EventView(
        number=event.number, kind=event.kind, at=moment(event.at_ms), trial_id=event.trial_id, body=event.body
    )


RATE_MS = 3_600_000
"""Over how long a worker's rate is taken, or since it was first seen, if that is shorter; but for a minute at least."""
_LEAST_RATE_MS = 60_000


def _printable(text: str) -> str:
    """Text that a worker told of its machine: what would move a cursor or turn the writing round is replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def worker_view(row: Row[Any], *, alive_since_ms: int, now_ms: int) -> WorkerView:
    """One row of `workers`, with the numbers of trials that it holds, and ended within RATE_MS."""
    columns = dict(row._mapping)
    over_ms = min(max(now_ms - row.first_seen_ms, _LEAST_RATE_MS), RATE_MS)
    return WorkerView.model_validate(
        columns
        | {
            "host": _printable(row.host),
            "device": _printable(row.device),
            "phase_since": moment(row.phase_since_ms),
            "idle_slot_seconds": row.idle_slot_seconds or {},
            "trials_per_hour": row.n_ended * 3_600_000 / over_ms,
            "is_alive": row.last_seen_ms >= alive_since_ms,
            "is_quarantined": row.quarantined_at_ms is not None,
            "first_seen": moment(row.first_seen_ms),
            "last_seen": moment(row.last_seen_ms),
        }
    )
