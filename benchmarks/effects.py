"""The effects of a sweep's parameters over HTTP at 10,000 trials, all eight of them searched."""

import random
import tempfile
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import update

from benchmarks._databases import open_postgresql, open_sqlite
from benchmarks.listing import time_requests
from service.app import create_app
from service.database import migrate
from service.database.engine import Database
from service.database.sweeps import lock_sweep
from service.database.tables import sweeps
from service.database.trials import insert_trials, parameter_columns
from service.domain.parameters import canonical, config_hash, signature
from service.settings import ServiceSettings

N_TRIALS = 10_000
REPEATS = 5
GOAL_MS = 1_000.0
_SWEEP = {
    "name": "large",
    "dataset": "digits",
    "method": "random",
    "run_cap": N_TRIALS,
    "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}},
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "optimizer": ("sgd", "adam", "rmsprop"),
    "normalization": ("none", "batch", "layer"),
    "residual": (True, False),
    "initializer": ("he_normal", "glorot_uniform"),
    "activation": ("relu", "tanh", "sigmoid"),
    "hidden_units": ((64,) * 2, (64,) * 4, (64,) * 8, (64,) * 16),
}


def run() -> dict[str, Any]:
    """Milliseconds per request on both databases: with continuous values, and with few, where many trials pair."""
    return {
        "goal_ms": GOAL_MS,
        "n_trials": N_TRIALS,
        "sqlite": {name: _measure(open_sqlite, is_continuous=name == "continuous") for name in ("continuous", "few")},
        "postgresql": {"few": _measure(open_postgresql, is_continuous=False)},
    }


def _measure(open_url: Any, *, is_continuous: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder, open_url(Path(folder)) as url:
        migrate.upgrade(url)
        database = Database(url, pool_size=4)
        app = create_app(ServiceSettings(data_dir=Path(folder)), database)
        with TestClient(app, base_url="http://127.0.0.1:8321") as client:
            sweep_id = client.post("/v1/sweeps", json=_SWEEP).json()["id"]
            rows = _rows(sweep_id, is_continuous=is_continuous)
            with database.write() as connection:
                lock_sweep(connection, sweep_id)
                insert_trials(connection, rows)
                connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(n_trials=len(rows)))
            figures = time_requests(client, f"/v1/sweeps/{sweep_id}/effects", REPEATS)
        database.dispose()
    return figures


def _rows(sweep_id: str, *, is_continuous: bool) -> list[dict[str, Any]]:
    """Completed trials, each with parameters of its own."""
    draw = random.Random(0)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < N_TRIALS:
        exponent, rate = draw.uniform(-5, 0), draw.uniform(0, 0.5)
        given = {name: draw.choice(values) for name, values in _CHOICES.items()}
        given["learning_rate"] = 10 ** (exponent if is_continuous else round(4 * exponent) / 4)
        given["dropout"] = rate if is_continuous else round(10 * rate) / 10
        parameters = canonical(given)
        number, value, name = len(found), draw.random(), config_hash(parameters)
        found[name] = {
            "id": f"trl_{number:016x}",
            "sweep_id": sweep_id,
            "number": number,
            "state": "completed",
            "attempt": 1,
            "signature": signature("digits", parameters),
            "config_hash": name,
            "seed": number,
            "epoch": parameters.epochs,
            "val_accuracy": value,
            "objective": value,
            "stability": draw.random(),
            "score_version": 1,
            "depth_slope": draw.gauss(0, 0.1),
            "verdict": draw.choice(("stable", "vanishing")),
            "revision": number,
            "created_at_ms": 1_800_000_000_000 + number,
            "ended_at_ms": 1_800_000_100_000 + number,
            **parameter_columns(parameters),
        }
    return [{**row, "number": number, "id": f"trl_{number:016x}"} for number, row in enumerate(found.values())]
