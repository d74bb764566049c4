"""Sweeps may search with method nsga2."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = ("random", "grid", "tpe", "qmc", "ablation")


def _allow(methods: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{method}'" for method in methods)
    with op.batch_alter_table("sweeps") as batch:
        batch.drop_constraint(op.f("ck_sweeps_method"), type_="check")
        batch.create_check_constraint(op.f("ck_sweeps_method"), f"method IN ({listed})")


def upgrade() -> None:
    """Let it be a method."""
    _allow((*_BEFORE, "nsga2"))


def downgrade() -> None:
    """Such a sweep goes on as one of method tpe."""
    op.execute(sa.text("UPDATE sweeps SET method = 'tpe' WHERE method = 'nsga2'"))
    _allow(_BEFORE)
