"""The tables of recordings, declared once; `tables` holds the others, and all together."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from service.database.columns import identifier, metadata, one_of
from service.domain.states import ArtifactKind, RecordingState

# A trial's first steps, to be recorded by a worker. One row per trial: who asks again writes over it, and `attempt`
# rises on, so that no worker of an earlier request can be taken for the present one.
recordings = Table(
    "recordings",
    metadata,
    Column("trial_id", identifier(), primary_key=True),
    Column("state", one_of(RecordingState, "state"), nullable=False),
    Column("steps", Integer, nullable=False),  # the last step that is wanted
    Column("every", Integer, nullable=False),
    Column("trial_attempt", Integer, nullable=False),  # the attempt that is trained again
    Column("attempt", Integer, nullable=False, server_default=text("0")),  # the fence
    Column("lost", Integer, nullable=False, server_default=text("0")),
    Column("lease_id", identifier(), ForeignKey("leases.id"), index=True),  # of the last worker that it was given to
    Column("worker_id", identifier(), ForeignKey("workers.id")),
    Column("claim_key", identifier(), unique=True),  # the same claim again is given the same
    Column("not_before_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("reason", Text),
    Column("result_hash", String(64)),  # of the result that ended it: the same again is answered the same
    Column("requested_at_ms", BigInteger, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    ForeignKeyConstraint(
        ["trial_id", "trial_attempt"],
        ["attempts.trial_id", "attempts.attempt"],
        name="fk_recordings_attempt",
        ondelete="CASCADE",
    ),
    CheckConstraint("steps >= 1 AND every >= 1", name="steps_positive"),
    CheckConstraint("lost >= 0 AND lost <= attempt", name="lives_counted"),
    CheckConstraint("(attempt = 0) = (lease_id IS NULL)", name="given_with_lease"),
    CheckConstraint("state <> 'running' OR claim_key IS NOT NULL", name="running_is_claimed"),
    CheckConstraint("(state IN ('done', 'failed')) = (ended_at_ms IS NOT NULL)", name="ended_when_final"),
    CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="failed_with_reason"),
    CheckConstraint("state <> 'done' OR result_hash IS NOT NULL", name="done_with_result"),
    Index(
        "ix_recordings_queued",
        "requested_at_ms",
        sqlite_where=text("state = 'queued'"),
        postgresql_where=text("state = 'queued'"),
    ),
)

# Files that were made of a trial. They are small and go with it; so they are kept here, not beside the database.
artifacts = Table(
    "artifacts",
    metadata,
    Column("trial_id", identifier(), ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(64), nullable=False),  # carries the fence of the worker that made it
    Column("kind", one_of(ArtifactKind, "kind"), nullable=False),
    Column("media_type", String(64), nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),  # as gzip
    Column("trial_attempt", Integer, nullable=False),
    Column("steps", Integer, nullable=False),  # the last step in it
    Column("every", Integer, nullable=False),
    Column("same_program", Boolean, nullable=False),
    Column("matches", Boolean, nullable=False),
    Column("differs_from_epoch", Integer),
    Column("made_at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("trial_id", "name"),
    CheckConstraint("matches = (differs_from_epoch IS NULL)", name="differs_from_somewhere"),
)
