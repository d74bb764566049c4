"""Indexes that lists and overviews need at 100,000 trials.

Counts and epoch sums of a sweep are read from the index alone, and trials in the order of their objective without
sorting all of them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put wider indexes in the places of two."""
    op.drop_index("ix_trials_sweep_id_state", table_name="trials")
    op.create_index("ix_trials_sweep_id_state_epoch_epochs", "trials", ["sweep_id", "state", "epoch", "epochs"])
    op.drop_index("ix_trials_sweep_id_objective", table_name="trials")
    op.create_index("ix_trials_sweep_id_objective_number", "trials", ["sweep_id", "objective", "number"])


def downgrade() -> None:
    """Bring the narrow ones back."""
    op.drop_index("ix_trials_sweep_id_objective_number", table_name="trials")
    op.create_index("ix_trials_sweep_id_objective", "trials", ["sweep_id", "objective"])
    op.drop_index("ix_trials_sweep_id_state_epoch_epochs", table_name="trials")
    op.create_index("ix_trials_sweep_id_state", "trials", ["sweep_id", "state"])
