"""Gradient metrics of a whole trial, parts of its stability, metrics at its best epoch, and the verdict `stalled`.

Trials that ended before have the metrics at their best epoch, from their rows; the others are NULL until `gradsweep
rescore` computes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PARTS = ("depth", "update", "level", "steady", "units", "loss")
_GRADIENTS = (
    *("depth_range", "flow_ratio", "gsr", "oscillation", "grad_rms", "bias_grad_rms", "update_ratio"),
    *("update_ratio_least", "zero_fraction", "dead_fraction", "saturated_fraction", "global_norm_p50"),
    *("global_norm_p99", "global_norm_max", "clip_fraction", "loss_max", "loss_spikes", "loss_doublings"),
    "val_top_class_share",
)
_EPOCH_METRICS = (
    *("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1"),
)
_COLUMNS = (*(f"stability_{part}" for part in _PARTS), *_GRADIENTS, *(f"{name}_at_best" for name in _EPOCH_METRICS))


_BEFORE = ("nonfinite", "exploding", "dead", "vanishing", "unsteady", "stable")
_AFTER = (*_BEFORE[:-1], "stalled", _BEFORE[-1])


def _verdicts(words: tuple[str, ...]) -> str:
    return f"verdict IN ({', '.join(map(repr, words))})"


def upgrade() -> None:
    """Add the columns, fill those that a row of an epoch holds, and let a verdict be `stalled`."""
    with op.batch_alter_table("trials") as batch:
        for name in _COLUMNS:
            batch.add_column(sa.Column(name, sa.Double(), nullable=True))
        batch.drop_constraint(op.f("ck_trials_verdict"), type_="check")
        batch.create_check_constraint(op.f("ck_trials_verdict"), _verdicts(_AFTER))
    op.execute(_values_at_best())


def _values_at_best() -> sa.Update:
    trials = sa.table("trials", *map(sa.column, ("id", "attempt", "best_epoch", "ended_at_ms", *_COLUMNS)))
    epochs = sa.table("epochs", *map(sa.column, ("trial_id", "attempt", "epoch", *_EPOCH_METRICS)))
    is_best = sa.and_(
        epochs.c.trial_id == trials.c.id,
        epochs.c.attempt == trials.c.attempt,
        epochs.c.epoch == trials.c.best_epoch,
    )
    values = {f"{name}_at_best": sa.select(epochs.c[name]).where(is_best).scalar_subquery() for name in _EPOCH_METRICS}
    has_ended = sa.and_(trials.c.ended_at_ms.is_not(None), trials.c.best_epoch.is_not(None))
    return sa.update(trials).where(has_ended).values(values)


def downgrade() -> None:
    """Take the columns away, they can be computed again; who has stalled was called stable before."""
    op.execute("UPDATE trials SET verdict = 'stable' WHERE verdict = 'stalled'")
    with op.batch_alter_table("trials") as batch:
        batch.drop_constraint(op.f("ck_trials_verdict"), type_="check")
        batch.create_check_constraint(op.f("ck_trials_verdict"), _verdicts(_BEFORE))
        for name in reversed(_COLUMNS):
            batch.drop_column(name)
