"""One index that covers all that the trials of a sweep add up to, verdicts too.

At 100,000 trials counting the verdicts read every row of the sweep, which was nearly all that a look at it cost.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the wider index in the place of the one that lacks the verdict."""
    op.drop_index("ix_trials_sweep_id_state_epoch_epochs", table_name="trials")
    op.create_index("ix_trials_sums", "trials", ["sweep_id", "state", "verdict", "epoch", "epochs"])


def downgrade() -> None:
    """Bring the narrow one back."""
    op.drop_index("ix_trials_sums", table_name="trials")
    op.create_index("ix_trials_sweep_id_state_epoch_epochs", "trials", ["sweep_id", "state", "epoch", "epochs"])
