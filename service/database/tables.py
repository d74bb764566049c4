"""Every table, declared once, those of recordings in `recording_tables`. Migrations equal them, by test; every
constraint has a name.

    sweeps ─┬─ trials ─┬─ attempts ── epochs ── layer_epochs      leases ── claims
            └─ events  ├─ (lease_id) ─────────────────────────►  leases ── workers      idempotency_keys
                       ├─ recordings ── (lease_id) ───────────►  leases
                       └─ artifacts

Times are integers, milliseconds since 1970-01-01 UTC by the database's clock, in columns that end in `_ms`.
Floating-point columns hold finite numbers or NULL; values that were not finite are spelled out beside them in
`nonfinite_values`. JSON columns hold what is never queried.

`revision` is the sweep's change counter: every transaction that changes a sweep or one of its trials holds the
sweep's row, adds one to `sweeps.revision` and writes that number into the rows it changed. So "what changed since
revision r" is one indexed query, and nothing can slip in behind it.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from service.database.columns import identifier, metadata, numbers, one_of
from service.database.recording_tables import artifacts, recordings
from service.domain.metrics import TRIAL_METRICS
from service.domain.states import (
    AttemptOutcome,
    Direction,
    Directive,
    FailureKind,
    LeaseState,
    Method,
    MetricAt,
    PruneReason,
    StabilityLimit,
    SweepReason,
    SweepState,
    TrialState,
    Verdict,
)

__all__ = [
    "artifacts",
    "attempts",
    "claims",
    "epochs",
    "events",
    "idempotency_keys",
    "layer_epochs",
    "leases",
    "metadata",
    "recordings",
    "sweeps",
    "trials",
    "workers",
]

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("state", one_of(SweepState, "state"), nullable=False),
    Column("state_reason", one_of(SweepReason, "state_reason")),
    Column("dataset", String(64), nullable=False),
    Column("dataset_sha256", String(64)),
    Column("method", one_of(Method, "method"), nullable=False),
    Column("metric_name", String(64), nullable=False),
    Column("metric_direction", one_of(Direction, "metric_direction"), nullable=False),
    Column("metric_at", one_of(MetricAt, "metric_at"), nullable=False),
    Column("metric_target", Double),
    Column("run_cap", BigInteger),
    Column("max_parallel", BigInteger, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("failure_limit", Double, nullable=False),
    Column("time_budget_ms", BigInteger),
    Column("active_ms", BigInteger, nullable=False, server_default=text("0")),  # with at least one live lease
    Column("active_seen_ms", BigInteger),  # up to when `active_ms` is counted; NULL while no lease is live
    Column("definition", JSON, nullable=False),  # the sweep as resolved: space, early_terminate, preset, warnings
    Column("submitted", Text, nullable=False),  # the sweep file as it came
    Column("n_trials", BigInteger, nullable=False, server_default=text("0")),  # the next trial's number
    Column("n_events", BigInteger, nullable=False, server_default=text("0")),  # the last event's number
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    CheckConstraint("run_cap IS NULL OR n_trials <= run_cap", name="run_cap_kept"),
    CheckConstraint("max_parallel >= 1", name="max_parallel_positive"),
    CheckConstraint("(state IN ('completed', 'cancelled')) = (ended_at_ms IS NOT NULL)", name="ended_when_final"),
    Index("ix_sweeps_created_at_ms_id", "created_at_ms", "id"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("version", String(32), nullable=False),
    Column("trainer", String(32), nullable=False),
    Column("device", String(255), nullable=False),
    Column("n_slots", Integer, nullable=False),
    Column("datasets", JSON, nullable=False),
    Column("phase", String(32), nullable=False),
    Column("phase_since_ms", BigInteger, nullable=False),
    Column("slots_filled", Integer, nullable=False, server_default=text("0")),
    Column("steps_done", BigInteger, nullable=False, server_default=text("0")),
    Column("idle_slot_seconds", JSON(none_as_null=True)),
    Column("failures_in_a_row", Integer, nullable=False, server_default=text("0")),
    Column("quarantined_at_ms", BigInteger),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("worker_id", identifier(), ForeignKey("workers.id"), nullable=False, index=True),
    Column("state", one_of(LeaseState, "state"), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    CheckConstraint("(state = 'active') = (ended_at_ms IS NULL)", name="ended_when_not_active"),
    Index(
        "ix_leases_active",
        "expires_at_ms",
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
)

claims = Table(
    "claims",
    metadata,
    Column("claim_key", identifier(), primary_key=True),
    Column("worker_id", identifier(), ForeignKey("workers.id"), nullable=False),
    Column("lease_id", identifier(), ForeignKey("leases.id")),
    Column("request_hash", String(64), nullable=False),  # the same key with another body is a conflict
    Column("answer", Text, nullable=False),  # the ClaimAnswer as sent
    Column("created_at_ms", BigInteger, nullable=False, index=True),
)

trials = Table(
    "trials",
    metadata,
    Column("id", identifier(), primary_key=True),
    Column("sweep_id", identifier(), ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("state", one_of(TrialState, "state"), nullable=False),
    Column("prune_reason", one_of(PruneReason, "prune_reason")),
    Column("prune_detail", Text),
    Column("failure_kind", one_of(FailureKind, "failure_kind")),
    Column("failure_type", String(255)),
    Column("failure_message", Text),
    Column("failure_traceback", Text),
    # the lease
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("lost", Integer, nullable=False, server_default=text("0")),
    Column("lease_id", identifier(), ForeignKey("leases.id"), index=True),
    Column("batch_limit", Integer),
    Column("not_before_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("stop_requested", Boolean, nullable=False, server_default=text("false")),
    Column("signature", String(64), nullable=False),
    # the parameters (service.wire.parameters); hidden_units as "128,64,32"
    Column("config_hash", String(64), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("replicate", Integer, nullable=False, server_default=text("0")),  # the same configuration once more
    Column("remedy", String(64)),  # of an ablation: what this trial changes from its base
    Column("learning_rate", Double, nullable=False),
    Column("schedule", String(32), nullable=False),
    Column("warmup_epochs", Double, nullable=False),
    Column("optimizer", String(32), nullable=False),
    Column("momentum", Double),
    Column("nesterov", Boolean),
    Column("normalization", String(32), nullable=False),
    Column("dropout", Double, nullable=False),
    Column("input_dropout", Double, nullable=False),
    Column("residual", Boolean, nullable=False),
    Column("hidden_units", Text, nullable=False),
    Column("activation", String(32), nullable=False),
    Column("initializer", String(32), nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("weight_decay", Double, nullable=False),
    Column("clip_norm", Double),
    Column("label_smoothing", Double, nullable=False),
    Column("class_weight", String(32), nullable=False),
    # the present attempt: its last epoch, and what counts
    Column("epoch", Integer),
    *numbers("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1"),
    Column("objective", Double),  # the metric at the last or the best epoch so far; final when the trial is
    Column("best_epoch", Integer),
    *numbers("test_loss", "test_accuracy", "wall_seconds", "device_seconds"),
    Column("revision", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    # what its gradients did (service.domain.stability), written when it ends
    *numbers("stability", "depth_slope", *TRIAL_METRICS),
    Column("stability_limited_by", one_of(StabilityLimit, "stability_limited_by")),
    Column("stability_parts", JSON(none_as_null=True)),
    Column("score_version", Integer),
    Column("verdict", one_of(Verdict, "verdict")),
    Column("verdict_evidence", JSON(none_as_null=True)),
    # what the rules said while it ran
    Column("rule_warnings", JSON(none_as_null=True)),
    Column("would_have_pruned", one_of(PruneReason, "would_have_pruned")),
    Column("would_have_pruned_epoch", Integer),
    # the number of the trial whose failure this one is to remedy
    Column("rescue_of", BigInteger),
    UniqueConstraint("sweep_id", "number"),
    UniqueConstraint("sweep_id", "config_hash", "replicate"),
    CheckConstraint("(state = 'running') = (lease_id IS NOT NULL)", name="running_iff_leased"),
    CheckConstraint(
        "(state IN ('completed', 'pruned', 'failed', 'cancelled')) = (ended_at_ms IS NOT NULL)",
        name="ended_when_final",
    ),
    CheckConstraint("(state = 'pruned') = (prune_reason IS NOT NULL)", name="pruned_with_reason"),
    CheckConstraint("(state = 'failed') = (failure_kind IS NOT NULL)", name="failed_with_kind"),
    CheckConstraint("attempt >= 0 AND lost >= 0 AND lost <= attempt", name="lives_counted"),
    CheckConstraint("stability >= 0 AND stability <= 1", name="stability_in_range"),
    CheckConstraint("(stability IS NULL) = (score_version IS NULL)", name="scored_with_version"),
    CheckConstraint("(would_have_pruned IS NULL) = (would_have_pruned_epoch IS NULL)", name="audited_with_epoch"),
    ForeignKeyConstraint(["sweep_id", "rescue_of"], ["trials.sweep_id", "trials.number"], name="fk_trials_rescue_of"),
    CheckConstraint("rescue_of < number", name="rescues_an_earlier_one"),
    Index(
        "ix_trials_rescues",
        "sweep_id",
        "rescue_of",
        sqlite_where=text("rescue_of IS NOT NULL"),
        postgresql_where=text("rescue_of IS NOT NULL"),
    ),
    Index("ix_trials_sums", "sweep_id", "state", "verdict", "epoch", "epochs"),  # covers a sweep's sums
    Index("ix_trials_sweep_id_revision", "sweep_id", "revision"),
    Index("ix_trials_sweep_id_objective_number", "sweep_id", "objective", "number"),
    Index(
        "ix_trials_waiting",
        "signature",
        "created_at_ms",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("trial_id", identifier(), ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_id", identifier(), ForeignKey("leases.id"), nullable=False, index=True),
    Column("worker_id", identifier(), ForeignKey("workers.id"), nullable=False),
    Column("outcome", one_of(AttemptOutcome, "outcome")),
    Column("final_hash", String(64)),  # of the `final` that ended it: the same again is answered the same
    Column("stream_seed", BigInteger),
    Column("start_epoch", BigInteger),
    Column("dataset_sha256", String(64)),
    Column("environment", JSON),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("class_shares", JSON(none_as_null=True)),  # of the validation data, by class
    PrimaryKeyConstraint("trial_id", "attempt"),
    CheckConstraint("attempt >= 1", name="counts_from_one"),
    CheckConstraint("(outcome IS NULL) = (ended_at_ms IS NULL)", name="ended_with_outcome"),
)

epochs = Table(
    "epochs",
    metadata,
    Column("trial_id", identifier(), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("steps", BigInteger, nullable=False),
    *numbers(
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "val_balanced_accuracy",
        "val_macro_f1",
        "val_top_class_share",
        "loss_max",
        "global_norm_mean",
        "global_norm_std",
        "global_norm_max",
        "global_norm_p50",
        "global_norm_p99",
        "clip_fraction",
    ),
    Column("loss_spikes", BigInteger, nullable=False),
    Column("loss_doublings", BigInteger, nullable=False),
    Column("nonfinite", BigInteger, nullable=False),
    *numbers("wall_seconds", "device_seconds"),
    Column("nonfinite_values", JSON(none_as_null=True)),
    # what the service made of it
    Column("objective", Double),
    Column("directive", one_of(Directive, "directive"), nullable=False),
    Column("directive_reason", Text),
    Column("content_hash", String(64), nullable=False),
    Column("reported_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("trial_id", "attempt", "epoch"),
    ForeignKeyConstraint(["trial_id", "attempt"], ["attempts.trial_id", "attempts.attempt"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

layer_epochs = Table(
    "layer_epochs",
    metadata,
    Column("trial_id", identifier(), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("layer", Integer, nullable=False),
    *numbers(
        "grad_norm_mean",
        "grad_norm_std",
        "grad_norm_max",
        "grad_rms_median",
        "grad_rms_p05",
        "bias_grad_rms_median",
        "update_ratio_median",
        "update_ratio_p95",
        "weight_norm",
        "zero_fraction",
    ),
    Column("nonfinite", BigInteger, nullable=False),
    Column("nonfinite_first_step", BigInteger),
    *numbers("activation_std", "dead_fraction", "saturated_fraction", "delta_rms"),
    Column("nonfinite_values", JSON(none_as_null=True)),
    PrimaryKeyConstraint("trial_id", "attempt", "epoch", "layer"),
    ForeignKeyConstraint(
        ["trial_id", "attempt", "epoch"],
        ["epochs.trial_id", "epochs.attempt", "epochs.epoch"],
        ondelete="CASCADE",
    ),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("sweep_id", identifier(), ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    Column("number", BigInteger, nullable=False),  # counts from 1 within its sweep, without gaps
    Column("kind", String(64), nullable=False),
    Column("trial_id", identifier()),
    Column("body", JSON, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("sweep_id", "number"),
    sqlite_with_rowid=False,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
)
