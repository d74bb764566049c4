"""The first record: sweeps, trials, attempts, epochs, layers; workers, leases, claims; events and keys.

Times are milliseconds since 1970-01-01 UTC. This file never changes again: what comes later comes as a revision of
its own, and nothing of the service is imported, so an old database can be migrated by any later version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    _create_idempotency_keys()
    _create_sweeps()
    _create_workers()
    _create_events()
    _create_leases()
    _create_claims()
    _create_trials()
    _create_attempts()
    _create_epochs()
    _create_layer_epochs()


def downgrade() -> None:
    """Drop every table, the ones that refer to others first; their indexes go with them."""
    op.drop_table("layer_epochs")
    op.drop_table("epochs")
    op.drop_table("attempts")
    op.drop_table("trials")
    op.drop_table("claims")
    op.drop_table("leases")
    op.drop_table("events")
    op.drop_table("workers")
    op.drop_table("sweeps")
    op.drop_table("idempotency_keys")


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at_ms", "idempotency_keys", ["created_at_ms"])


def _create_sweeps() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("state_reason", sa.String(length=32), nullable=True),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=True),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("metric_name", sa.String(length=64), nullable=False),
        sa.Column("metric_direction", sa.String(length=32), nullable=False),
        sa.Column("metric_at", sa.String(length=32), nullable=False),
        sa.Column("metric_target", sa.Double(), nullable=True),
        sa.Column("run_cap", sa.BigInteger(), nullable=True),
        sa.Column("max_parallel", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("failure_limit", sa.Double(), nullable=False),
        sa.Column("time_budget_ms", sa.BigInteger(), nullable=True),
        sa.Column("active_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("active_seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("submitted", sa.Text(), nullable=False),
        sa.Column("n_trials", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_events", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'stopping', 'completed', 'cancelled')",
            name=op.f("ck_sweeps_state"),
        ),
        sa.CheckConstraint(
            "state_reason IN ('target_reached', 'run_cap', 'space_exhausted', "
            "'time_budget', 'failure_limit', 'by_user')",
            name=op.f("ck_sweeps_state_reason"),
        ),
        sa.CheckConstraint("method IN ('random', 'grid', 'tpe', 'qmc')", name=op.f("ck_sweeps_method")),
        sa.CheckConstraint("metric_direction IN ('maximize', 'minimize')", name=op.f("ck_sweeps_metric_direction")),
        sa.CheckConstraint("metric_at IN ('last', 'best')", name=op.f("ck_sweeps_metric_at")),
        sa.CheckConstraint(
            "(state IN ('completed', 'cancelled')) = (ended_at_ms IS NOT NULL)", name=op.f("ck_sweeps_ended_when_final")
        ),
        sa.CheckConstraint("max_parallel >= 1", name=op.f("ck_sweeps_max_parallel_positive")),
        sa.CheckConstraint("run_cap IS NULL OR n_trials <= run_cap", name=op.f("ck_sweeps_run_cap_kept")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
        sa.UniqueConstraint("name", name=op.f("uq_sweeps_name")),
    )
    op.create_index("ix_sweeps_created_at_ms_id", "sweeps", ["created_at_ms", "id"])


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("trainer", sa.String(length=32), nullable=False),
        sa.Column("device", sa.String(length=255), nullable=False),
        sa.Column("n_slots", sa.Integer(), nullable=False),
        sa.Column("datasets", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("phase_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("slots_filled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("steps_done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures_in_a_row", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("quarantined_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("sweep_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("trial_id", sa.String(length=64), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], name=op.f("fk_events_sweep_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sweep_id", "number", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('active', 'released', 'expired')", name=op.f("ck_leases_state")),
        sa.CheckConstraint("(state = 'active') = (ended_at_ms IS NULL)", name=op.f("ck_leases_ended_when_not_active")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_leases_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
    )
    op.create_index(
        "ix_leases_active",
        "leases",
        ["expires_at_ms"],
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("ix_leases_worker_id", "leases", ["worker_id"])


def _create_claims() -> None:
    op.create_table(
        "claims",
        sa.Column("claim_key", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_claims_lease_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_claims_worker_id")),
        sa.PrimaryKeyConstraint("claim_key", name=op.f("pk_claims")),
    )
    op.create_index("ix_claims_created_at_ms", "claims", ["created_at_ms"])


def _create_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("sweep_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("prune_reason", sa.String(length=32), nullable=True),
        sa.Column("prune_detail", sa.Text(), nullable=True),
        sa.Column("failure_kind", sa.String(length=32), nullable=True),
        sa.Column("failure_type", sa.String(length=255), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("failure_traceback", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=True),
        sa.Column("batch_limit", sa.Integer(), nullable=True),
        sa.Column("not_before_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stop_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("schedule", sa.String(length=32), nullable=False),
        sa.Column("warmup_epochs", sa.Double(), nullable=False),
        sa.Column("optimizer", sa.String(length=32), nullable=False),
        sa.Column("momentum", sa.Double(), nullable=True),
        sa.Column("nesterov", sa.Boolean(), nullable=True),
        sa.Column("normalization", sa.String(length=32), nullable=False),
        sa.Column("dropout", sa.Double(), nullable=False),
        sa.Column("input_dropout", sa.Double(), nullable=False),
        sa.Column("residual", sa.Boolean(), nullable=False),
        sa.Column("hidden_units", sa.Text(), nullable=False),
        sa.Column("activation", sa.String(length=32), nullable=False),
        sa.Column("initializer", sa.String(length=32), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("weight_decay", sa.Double(), nullable=False),
        sa.Column("clip_norm", sa.Double(), nullable=True),
        sa.Column("label_smoothing", sa.Double(), nullable=False),
        sa.Column("class_weight", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("train_accuracy", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_balanced_accuracy", sa.Double(), nullable=True),
        sa.Column("val_macro_f1", sa.Double(), nullable=True),
        sa.Column("objective", sa.Double(), nullable=True),
        sa.Column("best_epoch", sa.Integer(), nullable=True),
        sa.Column("test_loss", sa.Double(), nullable=True),
        sa.Column("test_accuracy", sa.Double(), nullable=True),
        sa.Column("wall_seconds", sa.Double(), nullable=True),
        sa.Column("device_seconds", sa.Double(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'completed', 'pruned', 'failed', 'cancelled')",
            name=op.f("ck_trials_state"),
        ),
        sa.CheckConstraint("prune_reason IN ('unpromising', 'nonfinite')", name=op.f("ck_trials_prune_reason")),
        sa.CheckConstraint(
            "failure_kind IN ('worker_lost', 'out_of_memory', 'error')", name=op.f("ck_trials_failure_kind")
        ),
        sa.CheckConstraint("(state = 'failed') = (failure_kind IS NOT NULL)", name=op.f("ck_trials_failed_with_kind")),
        sa.CheckConstraint(
            "(state = 'pruned') = (prune_reason IS NOT NULL)", name=op.f("ck_trials_pruned_with_reason")
        ),
        sa.CheckConstraint("(state = 'running') = (lease_id IS NOT NULL)", name=op.f("ck_trials_running_iff_leased")),
        sa.CheckConstraint(
            "(state IN ('completed', 'pruned', 'failed', 'cancelled')) = (ended_at_ms IS NOT NULL)",
            name=op.f("ck_trials_ended_when_final"),
        ),
        sa.CheckConstraint("attempt >= 0 AND lost >= 0 AND lost <= attempt", name=op.f("ck_trials_lives_counted")),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_trials_lease_id")),
        sa.ForeignKeyConstraint(["sweep_id"], ["sweeps.id"], name=op.f("fk_trials_sweep_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("sweep_id", "config_hash", name=op.f("uq_trials_sweep_id_config_hash")),
        sa.UniqueConstraint("sweep_id", "number", name=op.f("uq_trials_sweep_id_number")),
    )
    op.create_index("ix_trials_lease_id", "trials", ["lease_id"])
    op.create_index("ix_trials_sweep_id_objective", "trials", ["sweep_id", "objective"])
    op.create_index("ix_trials_sweep_id_revision", "trials", ["sweep_id", "revision"])
    op.create_index("ix_trials_sweep_id_state", "trials", ["sweep_id", "state"])
    op.create_index(
        "ix_trials_waiting",
        "trials",
        ["signature", "created_at_ms"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("trial_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_id", sa.String(length=64), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("final_hash", sa.String(length=64), nullable=True),
        sa.Column("stream_seed", sa.BigInteger(), nullable=True),
        sa.Column("start_epoch", sa.BigInteger(), nullable=True),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=True),
        sa.Column("environment", sa.JSON(), nullable=True),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('completed', 'pruned', 'failed', 'cancelled', 'released', 'lost')",
            name=op.f("ck_attempts_outcome"),
        ),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at_ms IS NULL)", name=op.f("ck_attempts_ended_with_outcome")),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_attempts_counts_from_one")),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_attempts_lease_id")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_attempts_trial_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_attempts_worker_id")),
        sa.PrimaryKeyConstraint("trial_id", "attempt", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_lease_id", "attempts", ["lease_id"])


def _create_epochs() -> None:
    op.create_table(
        "epochs",
        sa.Column("trial_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("train_accuracy", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_balanced_accuracy", sa.Double(), nullable=True),
        sa.Column("val_macro_f1", sa.Double(), nullable=True),
        sa.Column("val_top_class_share", sa.Double(), nullable=True),
        sa.Column("loss_max", sa.Double(), nullable=True),
        sa.Column("global_norm_mean", sa.Double(), nullable=True),
        sa.Column("global_norm_std", sa.Double(), nullable=True),
        sa.Column("global_norm_max", sa.Double(), nullable=True),
        sa.Column("global_norm_p50", sa.Double(), nullable=True),
        sa.Column("global_norm_p99", sa.Double(), nullable=True),
        sa.Column("clip_fraction", sa.Double(), nullable=True),
        sa.Column("loss_spikes", sa.BigInteger(), nullable=False),
        sa.Column("loss_doublings", sa.BigInteger(), nullable=False),
        sa.Column("nonfinite", sa.BigInteger(), nullable=False),
        sa.Column("wall_seconds", sa.Double(), nullable=True),
        sa.Column("device_seconds", sa.Double(), nullable=True),
        sa.Column("nonfinite_values", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("objective", sa.Double(), nullable=True),
        sa.Column("directive", sa.String(length=32), nullable=False),
        sa.Column("directive_reason", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("reported_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "directive IN ('continue', 'prune', 'stop', 'gone', 'conflict')", name=op.f("ck_epochs_directive")
        ),
        sa.ForeignKeyConstraint(
            ["trial_id", "attempt"],
            ["attempts.trial_id", "attempts.attempt"],
            name=op.f("fk_epochs_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "attempt", "epoch", name=op.f("pk_epochs")),
        sqlite_with_rowid=False,
    )


def _create_layer_epochs() -> None:
    op.create_table(
        "layer_epochs",
        sa.Column("trial_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("grad_norm_mean", sa.Double(), nullable=True),
        sa.Column("grad_norm_std", sa.Double(), nullable=True),
        sa.Column("grad_norm_max", sa.Double(), nullable=True),
        sa.Column("grad_rms_median", sa.Double(), nullable=True),
        sa.Column("grad_rms_p05", sa.Double(), nullable=True),
        sa.Column("bias_grad_rms_median", sa.Double(), nullable=True),
        sa.Column("update_ratio_median", sa.Double(), nullable=True),
        sa.Column("update_ratio_p95", sa.Double(), nullable=True),
        sa.Column("weight_norm", sa.Double(), nullable=True),
        sa.Column("zero_fraction", sa.Double(), nullable=True),
        sa.Column("nonfinite", sa.BigInteger(), nullable=False),
        sa.Column("nonfinite_first_step", sa.BigInteger(), nullable=True),
        sa.Column("activation_std", sa.Double(), nullable=True),
        sa.Column("dead_fraction", sa.Double(), nullable=True),
        sa.Column("saturated_fraction", sa.Double(), nullable=True),
        sa.Column("delta_rms", sa.Double(), nullable=True),
        sa.Column("nonfinite_values", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["trial_id", "attempt", "epoch"],
            ["epochs.trial_id", "epochs.attempt", "epochs.epoch"],
            name=op.f("fk_layer_epochs_trial_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("trial_id", "attempt", "epoch", "layer", name=op.f("pk_layer_epochs")),
        sqlite_with_rowid=False,
    )
