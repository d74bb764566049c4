"""How long a worker's slots stood idle, by cause; NULL for a worker that does not say."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("workers") as batch:
        batch.add_column(sa.Column("idle_slot_seconds", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("workers") as batch:
        batch.drop_column("idle_slot_seconds")
