"""A record of a size that nobody waits for: one sweep of many ended trials with every epoch and layer, and many small.

The numbers are drawn, shaped like those of real sweeps: a high learning rate diverges, a deep network vanishes.
"""

import math
import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, update

from service.database.bulk import insert_rows
from service.database.engine import Database
from service.database.sweeps import lock_sweep
from service.database.tables import attempts, epochs, layer_epochs, leases, sweeps, workers
from service.database.trials import insert_trials, parameter_columns
from service.domain.parameters import canonical, signature
from service.domain.states import SweepState
from service.operations.submitting import submit_sweep

N_EPOCHS = 8
N_LAYERS = 5
_CHUNK = 2_000
_BEGAN_MS = 1_800_000_000_000
_WIDTHS = [[32, 32, 32, 32], [64, 64, 64, 64], [128, 64, 64, 32]]
_PARAMETERS = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "optimizer": {"values": ["sgd", "adam", "rmsprop"]},
    "normalization": {"values": ["none", "batch", "layer"]},
    "dropout": {"min": 0.0, "max": 0.5},
    "residual": {"values": [True, False]},
    "activation": {"values": ["relu", "tanh", "sigmoid"]},
    "batch_size": {"values": [32, 64, 128]},
    "hidden_units": {"values": _WIDTHS},
    "epochs": N_EPOCHS,
}


def fill(database: Database, *, n_trials: int, n_sweeps: int, trials_each: int) -> str:
    """Write one completed sweep of `n_trials` and `n_sweeps` others of `trials_each`; the large one's id."""
    draw = random.Random(0)
    with database.write() as connection:
        _insert_worker(connection)
    for number in range(n_sweeps):
        _fill_sweep(database, f"night-{number:04d}", trials_each, draw)
    large = _fill_sweep(database, "large", n_trials, draw)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return large


def _insert_worker(connection: Connection) -> None:
    connection.execute(
        workers.insert().values(
            id="wrk_drawn", host="drawn", pid=1, version="0", trainer="fused", device="cpu", n_slots=16,
            datasets=["digits"], phase="training", phase_since_ms=_BEGAN_MS, first_seen_ms=_BEGAN_MS,
            last_seen_ms=_BEGAN_MS,
        )
    )  # fmt: skip
    connection.execute(
        leases.insert().values(
            id="lse_drawn", worker_id="wrk_drawn", state="released", created_at_ms=_BEGAN_MS,
            expires_at_ms=_BEGAN_MS, ended_at_ms=_BEGAN_MS,
        )
    )  # fmt: skip


def _fill_sweep(database: Database, name: str, n_trials: int, draw: random.Random) -> str:
    document = {
        "name": name,
        "dataset": "digits",
        "method": "random",
        "run_cap": n_trials,
        "seed": 1,
        "parameters": _PARAMETERS,
    }
    sweep_id = submit_sweep(database, document, submitted="{}", idempotency_key=None).sweep.id
    for first in range(0, n_trials, _CHUNK):
        rows = [_trial(sweep_id, number, draw) for number in range(first, min(first + _CHUNK, n_trials))]
        with database.write() as connection:
            lock_sweep(connection, sweep_id)
            insert_trials(connection, rows)
            _insert_measured(connection, rows)
    with database.write() as connection:
        ended = {"state": SweepState.COMPLETED, "started_at_ms": _BEGAN_MS, "ended_at_ms": _BEGAN_MS + 9_000_000}
        connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(n_trials=n_trials, **ended))
    return sweep_id


def _trial(sweep_id: str, number: int, draw: random.Random) -> dict[str, Any]:
    parameters = canonical(
        {
            "learning_rate": 10 ** draw.uniform(-5, 0),
            "optimizer": draw.choice(["sgd", "adam", "rmsprop"]),
            "normalization": draw.choice(["none", "batch", "layer"]),
            "dropout": draw.uniform(0, 0.5),
            "residual": draw.random() < 0.5,
            "activation": draw.choice(["relu", "tanh", "sigmoid"]),
            "batch_size": draw.choice([32, 64, 128]),
            "hidden_units": draw.choice(_WIDTHS),
            "epochs": N_EPOCHS,
        }
    )
    distance = math.log10(parameters.learning_rate) + 2.5
    verdict = "exploding" if distance > 1.5 else "vanishing" if distance < -2 else "stable"
    state = draw.choice(["completed", "completed", "completed", "pruned", "failed"])
    accuracy = max(0.1, 0.97 - 0.08 * distance**2 - 0.05 * draw.random())
    began = _BEGAN_MS + number * 900
    return {
        "id": f"trl_{sweep_id[-12:]}_{number}",
        "sweep_id": sweep_id,
        "number": number,
        "state": state,
        "prune_reason": "unpromising" if state == "pruned" else None,
        "failure_kind": "error" if state == "failed" else None,
        "failure_traceback": "x" * 2_000 if state == "failed" else None,
        "attempt": 1,
        "signature": signature("digits", parameters),
        "config_hash": f"{number:064x}",
        "seed": number,
        "epoch": N_EPOCHS,
        "val_accuracy": accuracy,
        "val_loss": 2 - 2 * accuracy,
        "objective": accuracy,
        "test_accuracy": accuracy if state == "completed" else None,
        "stability": max(0.0, 1 - distance**2 / 8),
        "score_version": 1,
        "verdict": verdict,
        "device_seconds": 2.5,
        "revision": number,
        "created_at_ms": began,
        "started_at_ms": began,
        "ended_at_ms": began + 60_000,
        **parameter_columns(parameters),
    }


def _insert_measured(connection: Connection, trials: list[dict[str, Any]]) -> None:
    """The attempt of each trial with its epochs and layers."""
    columns = ("trial_id", "attempt", "lease_id", "worker_id", "outcome", "started_at_ms", "ended_at_ms")
    rows = [
        (trial["id"], 1, "lse_drawn", "wrk_drawn", trial["state"], trial["started_at_ms"], trial["ended_at_ms"])
        for trial in trials
    ]
    insert_rows(connection, attempts, columns, rows)
    columns = (
        *("trial_id", "attempt", "epoch", "steps", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
        *("loss_spikes", "loss_doublings", "nonfinite", "objective", "directive", "content_hash", "reported_at_ms"),
    )
    insert_rows(connection, epochs, columns, [row for trial in trials for row in _epochs(trial)])
    columns = (
        *("trial_id", "attempt", "epoch", "layer", "grad_norm_mean", "grad_rms_median", "grad_rms_p05"),
        *("bias_grad_rms_median", "update_ratio_median", "update_ratio_p95", "weight_norm", "zero_fraction"),
        *("nonfinite", "activation_std", "dead_fraction", "saturated_fraction"),
    )
    insert_rows(connection, layer_epochs, columns, [row for trial in trials for row in _layers(trial)])


def _epochs(trial: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for epoch in range(N_EPOCHS + 1):
        accuracy = 0.1 + (trial["objective"] - 0.1) * (1 - math.exp(-epoch))
        loss = 2.3 - 2 * accuracy
        measured = (trial["id"], 1, epoch, 40, loss, accuracy, loss, accuracy, 0, 0, 0, accuracy)
        yield (*measured, "continue", "0" * 64, trial["started_at_ms"] + 5_000 * epoch)


def _layers(trial: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    slope = {"exploding": -0.5, "vanishing": 0.6, "stable": 0.05}[trial["verdict"]]
    for epoch in range(N_EPOCHS + 1):
        for layer in range(1, N_LAYERS + 1):
            size = 0.05 * 10 ** (-slope * (N_LAYERS - layer)) / (epoch + 1)
            update = size * trial["learning_rate"] if epoch else None
            gradient = (size * 30, size, size / 2, size * 2, update, update)
            yield (trial["id"], 1, epoch, layer, *gradient, 11.5, 0.3, 0, 0.9, 0.02, 0.01)
