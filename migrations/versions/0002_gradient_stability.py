"""Gradient stability: score, verdict and rule warnings of a trial; pruning by a stability rule; class shares.

Trials that ended before have none of them (NULL).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REASONS = "'unpromising', 'nonfinite', 'blowup', 'collapsed', 'vanishing', 'dead', 'overstep'"
_LIMITS = "'nonfinite', 'depth', 'update', 'level', 'steady', 'units', 'loss'"
_VERDICTS = "'nonfinite', 'exploding', 'dead', 'vanishing', 'unsteady', 'stable'"
_CHECKS = {
    "stability_limited_by": f"stability_limited_by IN ({_LIMITS})",
    "verdict": f"verdict IN ({_VERDICTS})",
    "would_have_pruned": f"would_have_pruned IN ({_REASONS})",
    "stability_in_range": "stability >= 0 AND stability <= 1",
    "scored_with_version": "(stability IS NULL) = (score_version IS NULL)",
    "audited_with_epoch": "(would_have_pruned IS NULL) = (would_have_pruned_epoch IS NULL)",
}


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("stability", sa.Double(), nullable=True),
        sa.Column("depth_slope", sa.Double(), nullable=True),
        sa.Column("stability_limited_by", sa.String(length=32), nullable=True),
        sa.Column("stability_parts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("score_version", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("verdict_evidence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("rule_warnings", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("would_have_pruned", sa.String(length=32), nullable=True),
        sa.Column("would_have_pruned_epoch", sa.Integer(), nullable=True),
    ]


def upgrade() -> None:
    """Add the columns, and let the rules' names be reasons."""
    with op.batch_alter_table("trials") as batch:
        for column in _columns():
            batch.add_column(column)
        batch.drop_constraint(op.f("ck_trials_prune_reason"), type_="check")
        batch.create_check_constraint(op.f("ck_trials_prune_reason"), f"prune_reason IN ({_REASONS})")
        for name, text in _CHECKS.items():
            batch.create_check_constraint(op.f(f"ck_trials_{name}"), text)
    with op.batch_alter_table("attempts") as batch:
        batch.add_column(sa.Column("class_shares", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Take the columns away; a trial that a stability rule pruned becomes one pruned for values that are not finite."""
    op.execute(
        "UPDATE trials SET prune_reason = 'nonfinite' WHERE prune_reason IS NOT NULL AND prune_reason <> 'unpromising'"
    )
    with op.batch_alter_table("attempts") as batch:
        batch.drop_column("class_shares")
    with op.batch_alter_table("trials") as batch:
        for name in _CHECKS:
            batch.drop_constraint(op.f(f"ck_trials_{name}"), type_="check")
        batch.drop_constraint(op.f("ck_trials_prune_reason"), type_="check")
        batch.create_check_constraint(op.f("ck_trials_prune_reason"), "prune_reason IN ('unpromising', 'nonfinite')")
        for column in reversed(_columns()):
            batch.drop_column(column.name)
