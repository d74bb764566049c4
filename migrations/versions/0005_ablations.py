"""Ablations: the same configuration under several seeds (`replicate`), and what a trial changes from the base.

All trials of before are the first of their configuration.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BEFORE = "'random', 'grid', 'tpe', 'qmc'"


def upgrade() -> None:
    """Add the columns, and let a configuration come once per replicate."""
    with op.batch_alter_table("trials") as batch:
        batch.add_column(sa.Column("replicate", sa.Integer(), nullable=False, server_default=sa.text("0")))
        batch.add_column(sa.Column("remedy", sa.String(length=64), nullable=True))
        batch.drop_constraint(op.f("uq_trials_sweep_id_config_hash"), type_="unique")
        batch.create_unique_constraint(
            op.f("uq_trials_sweep_id_config_hash_replicate"), ["sweep_id", "config_hash", "replicate"]
        )
    _allow_methods(f"{_BEFORE}, 'ablation'")


def downgrade() -> None:
    """Take the columns away. Of an ablation the first replicate stays, as a grid: the rest has no place in a schema in
    which a configuration comes once."""
    op.execute("DELETE FROM trials WHERE replicate > 0")
    op.execute("UPDATE sweeps SET method = 'grid' WHERE method = 'ablation'")
    _allow_methods(_BEFORE)
    with op.batch_alter_table("trials") as batch:
        batch.drop_constraint(op.f("uq_trials_sweep_id_config_hash_replicate"), type_="unique")
        batch.create_unique_constraint(op.f("uq_trials_sweep_id_config_hash"), ["sweep_id", "config_hash"])
        batch.drop_column("remedy")
        batch.drop_column("replicate")


def _allow_methods(listed: str) -> None:
    with op.batch_alter_table("sweeps") as batch:
        batch.drop_constraint(op.f("ck_sweeps_method"), type_="check")
        batch.create_check_constraint(op.f("ck_sweeps_method"), f"method IN ({listed})")
