"""Recordings of trials' first steps, and the files that come of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_QUEUED = "state = 'queued'"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "recordings",
        sa.Column("trial_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("every", sa.Integer(), nullable=False),
        sa.Column("trial_attempt", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_id", sa.String(64), nullable=True),
        sa.Column("worker_id", sa.String(64), nullable=True),
        sa.Column("claim_key", sa.String(64), nullable=True),
        sa.Column("not_before_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result_hash", sa.String(64), nullable=True),
        sa.Column("requested_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_recordings")),
        sa.ForeignKeyConstraint(
            ["trial_id", "trial_attempt"],
            ["attempts.trial_id", "attempts.attempt"],
            name="fk_recordings_attempt",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["lease_id"], ["leases.id"], name=op.f("fk_recordings_lease_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_recordings_worker_id")),
        sa.UniqueConstraint("claim_key", name=op.f("uq_recordings_claim_key")),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_recordings_state")),
        sa.CheckConstraint("steps >= 1 AND every >= 1", name=op.f("ck_recordings_steps_positive")),
        sa.CheckConstraint("lost >= 0 AND lost <= attempt", name=op.f("ck_recordings_lives_counted")),
        sa.CheckConstraint("(attempt = 0) = (lease_id IS NULL)", name=op.f("ck_recordings_given_with_lease")),
        sa.CheckConstraint(
            "state <> 'running' OR claim_key IS NOT NULL", name=op.f("ck_recordings_running_is_claimed")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'failed')) = (ended_at_ms IS NOT NULL)", name=op.f("ck_recordings_ended_when_final")
        ),
        sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name=op.f("ck_recordings_failed_with_reason")),
        sa.CheckConstraint("state <> 'done' OR result_hash IS NOT NULL", name=op.f("ck_recordings_done_with_result")),
    )
    op.create_index(op.f("ix_recordings_lease_id"), "recordings", ["lease_id"])
    op.create_index(
        "ix_recordings_queued",
        "recordings",
        ["requested_at_ms"],
        sqlite_where=sa.text(_QUEUED),
        postgresql_where=sa.text(_QUEUED),
    )
    op.create_table(
        "artifacts",
        sa.Column("trial_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("trial_attempt", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("every", sa.Integer(), nullable=False),
        sa.Column("same_program", sa.Boolean(), nullable=False),
        sa.Column("matches", sa.Boolean(), nullable=False),
        sa.Column("differs_from_epoch", sa.Integer(), nullable=True),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "name", name=op.f("pk_artifacts")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_artifacts_trial_id"), ondelete="CASCADE"),
        sa.CheckConstraint("kind IN ('steps')", name=op.f("ck_artifacts_kind")),
        sa.CheckConstraint("matches = (differs_from_epoch IS NULL)", name=op.f("ck_artifacts_differs_from_somewhere")),
    )


def downgrade() -> None:
    """Drop both; the trials stay as they are."""
    op.drop_table("artifacts")
    op.drop_table("recordings")
