"""Migrations of the gradient metrics on a database with a trial in it: nothing is lost on the way up or down."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.database import migrate

ROWS = {
    "sweeps": {
        "id": "swp_1", "name": "old", "state": "queued", "dataset": "digits", "method": "random",
        "metric_name": "val_accuracy", "metric_direction": "maximize", "metric_at": "last", "max_parallel": 1,
        "seed": 1, "failure_limit": 0.5, "definition": "{}", "submitted": "", "created_at_ms": 1,
    },
    "workers": {
        "id": "wrk_1", "host": "h", "pid": 1, "version": "0", "trainer": "reference", "device": "CPU", "n_slots": 1,
        "datasets": "[]", "phase": "idle", "phase_since_ms": 1, "first_seen_ms": 1, "last_seen_ms": 1,
    },
    "leases": {
        "id": "lse_1", "worker_id": "wrk_1", "state": "released", "created_at_ms": 1, "expires_at_ms": 1,
        "ended_at_ms": 2,
    },
    "trials": {
        "id": "trl_1", "sweep_id": "swp_1", "number": 0, "state": "pruned", "prune_reason": "unpromising", "attempt": 1,
        "signature": "s", "config_hash": "c", "seed": 1, "learning_rate": 0.1, "schedule": "constant",
        "warmup_epochs": 0.0, "optimizer": "adam", "normalization": "none", "dropout": 0.0, "input_dropout": 0.0,
        "residual": False, "hidden_units": "32", "activation": "relu", "initializer": "he_normal", "batch_size": 8,
        "epochs": 2, "weight_decay": 0.0, "label_smoothing": 0.0, "class_weight": "none", "objective": 0.75,
        "revision": 1, "created_at_ms": 1, "ended_at_ms": 2,
    },
    "attempts": {
        "trial_id": "trl_1", "attempt": 1, "lease_id": "lse_1", "worker_id": "wrk_1", "outcome": "pruned",
        "started_at_ms": 1, "ended_at_ms": 2,
    },
    "epochs": {
        "trial_id": "trl_1", "attempt": 1, "epoch": 1, "steps": 3, "loss_spikes": 0, "loss_doublings": 0,
        "nonfinite": 0, "directive": "continue", "content_hash": "h", "reported_at_ms": 1,
    },
}  # fmt: skip


@pytest.fixture
def old(empty_url, open_database):
    """A database at revision 0001 with one pruned trial and its epoch."""
    migrate.upgrade(empty_url, "0001")
    database = open_database(empty_url)
    with database.write() as connection:
        for table, row in ROWS.items():
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    return database


def test_an_old_trial_keeps_its_rows_and_has_no_verdict(old):
    migrate.upgrade(old.url, "0002")
    with old.read() as connection:
        trial = connection.execute(text("SELECT * FROM trials")).one()
        n_epochs = connection.execute(text("SELECT count(*) FROM epochs JOIN attempts USING (trial_id)")).scalar_one()
    assert (trial.objective, trial.prune_reason, trial.verdict, trial.stability) == (0.75, "unpromising", None, None)
    assert n_epochs == 1


def test_the_way_down_keeps_the_trial_under_a_reason_that_was_known_before(old):
    migrate.upgrade(old.url, "0002")
    with old.write() as connection:
        connection.execute(text("UPDATE trials SET prune_reason = 'blowup', verdict = 'exploding'"))

    migrate.downgrade(old.url, "0001")

    with old.read() as connection:
        assert connection.execute(text("SELECT prune_reason FROM trials")).scalar_one() == "nonfinite"
        assert connection.execute(text("SELECT count(*) FROM epochs")).scalar_one() == 1


@pytest.mark.parametrize(
    "wrong", ["stability = 1.5, score_version = 1", "stability = 0.5", "verdict = 'fine'", "would_have_pruned = 'dead'"]
)
def test_the_database_refuses_what_cannot_be(old, wrong):
    migrate.upgrade(old.url, "0002")
    with pytest.raises(IntegrityError, match="ck_trials_"), old.write() as connection:
        connection.execute(text(f"UPDATE trials SET {wrong}"))


def test_the_best_epochs_metrics_come_from_its_row_and_the_rest_waits_for_a_rescore(old):
    migrate.upgrade(old.url, "0008")
    with old.write() as connection:
        connection.execute(text("UPDATE trials SET best_epoch = 1, stability = 0.5, score_version = 1"))
        connection.execute(text("UPDATE epochs SET val_loss = 0.25"))
    migrate.upgrade(old.url, "0009")
    with old.write() as connection:
        trial = connection.execute(text("SELECT * FROM trials")).one()
        connection.execute(text("UPDATE trials SET verdict = 'stalled'"))
    assert (trial.val_loss_at_best, trial.val_accuracy_at_best, trial.global_norm_max) == (0.25, None, None)
    migrate.downgrade(old.url, "0008")
    with old.read() as connection:
        row = connection.execute(text("SELECT verdict, stability FROM trials")).one()
    assert tuple(row) == ("stable", 0.5)
