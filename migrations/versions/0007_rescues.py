"""Which trial another one is to rescue: the number of a trial of the same sweep, NULL for all that were searched."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, with what must hold of it and an index of the few rows that have it."""
    with op.batch_alter_table("trials") as batch:
        batch.add_column(sa.Column("rescue_of", sa.BigInteger(), nullable=True))
        batch.create_check_constraint(op.f("ck_trials_rescues_an_earlier_one"), "rescue_of < number")
        batch.create_foreign_key(
            op.f("fk_trials_rescue_of"), "trials", ["sweep_id", "rescue_of"], ["sweep_id", "number"]
        )
    op.create_index(
        "ix_trials_rescues",
        "trials",
        ["sweep_id", "rescue_of"],
        sqlite_where=sa.text("rescue_of IS NOT NULL"),
        postgresql_where=sa.text("rescue_of IS NOT NULL"),
    )


def downgrade() -> None:
    """Take it away; a rescue stays as a trial like any other."""
    op.drop_index("ix_trials_rescues", table_name="trials")
    with op.batch_alter_table("trials") as batch:
        batch.drop_constraint(op.f("fk_trials_rescue_of"), type_="foreignkey")
        batch.drop_constraint(op.f("ck_trials_rescues_an_earlier_one"), type_="check")
        batch.drop_column("rescue_of")
