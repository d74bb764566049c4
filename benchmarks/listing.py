"""Lists of trials over HTTP at 100,000 trials: first pages, filtered, ordered, deep, and the sweep's own page."""

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import update

from benchmarks._databases import open_postgresql, open_sqlite
from service.app import create_app
from service.database import migrate
from service.database.engine import Database
from service.database.sweeps import lock_sweep
from service.database.tables import sweeps
from service.database.trials import insert_trials, parameter_columns
from service.domain.parameters import canonical, signature
from service.settings import ServiceSettings

N_TRIALS = 100_000
REPEATS = 20
GOAL_MS = 50.0
_CHUNK = 5_000
_STATES = ("completed", "completed", "completed", "pruned", "failed", "waiting")
_SWEEP = {
    "name": "large",
    "dataset": "digits",
    "method": "random",
    "run_cap": N_TRIALS,
    "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}},
}
QUERIES = {
    "first page": "trials",
    "filtered": "trials?filter=state = completed AND params.learning_rate < 0.01",
    "filtered, few match": "trials?filter=state = completed AND params.learning_rate < 0.00001002",
    "filtered, none matches": "trials?filter=objective > 2",
    "best first": "trials?order_by=-objective",
    "filtered, best first": "trials?order_by=-objective&filter=state = completed AND params.optimizer = sgd",
    "ordered by a parameter": "trials?order_by=params.learning_rate",
    "the best five": "best",
    "the sweep": "",
}


def run() -> dict[str, Any]:
    """Milliseconds per request, median and 95th percentile, on both databases.

    The goal, 50 ms, is for the first page and for a filtered one.
    """
    return {
        "goal_ms": GOAL_MS,
        "n_trials": N_TRIALS,
        "sqlite": _measure(open_sqlite),
        "postgresql": _measure(open_postgresql),
    }


def _measure(open_url: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gradsweep-bench-") as folder, open_url(Path(folder)) as url:
        migrate.upgrade(url)
        database = Database(url, pool_size=4)
        app = create_app(ServiceSettings(data_dir=Path(folder)), database)
        with TestClient(app, base_url="http://127.0.0.1:8321") as client:
            sweep_id = client.post("/v1/sweeps", json=_SWEEP).json()["id"]
            _fill(database, sweep_id)
            figures = {
                name: time_requests(client, f"/v1/sweeps/{sweep_id}/{query}".rstrip("/"))
                for name, query in QUERIES.items()
            }
            page = client.get(f"/v1/sweeps/{sweep_id}/trials?order_by=-objective").json()["next_page_token"]
            figures["second page, best first"] = time_requests(
                client, f"/v1/sweeps/{sweep_id}/trials?order_by=-objective&page_token={page}"
            )
        database.dispose()
    return figures


def _fill(database: Database, sweep_id: str) -> None:
    draw = random.Random(0)
    for first in range(0, N_TRIALS, _CHUNK):
        rows = [_row(sweep_id, number, draw) for number in range(first, first + _CHUNK)]
        with database.write() as connection:
            lock_sweep(connection, sweep_id)
            insert_trials(connection, rows)
            connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(n_trials=first + _CHUNK))
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _row(sweep_id: str, number: int, draw: random.Random) -> dict[str, Any]:
    state = draw.choice(_STATES)
    is_final = state != "waiting"
    value = draw.random()
    parameters = canonical(
        {"learning_rate": 10 ** draw.uniform(-5, 0), "optimizer": draw.choice(["sgd", "adam"]), "epochs": 10}
    )
    return {
        "id": f"trl_{number:016x}",
        "sweep_id": sweep_id,
        "number": number,
        "state": state,
        "prune_reason": "unpromising" if state == "pruned" else None,
        "failure_kind": "error" if state == "failed" else None,
        "failure_traceback": "x" * 2_000 if state == "failed" else None,
        "attempt": int(is_final),
        "signature": signature("digits", parameters),
        "config_hash": f"{number:064x}",
        "seed": number,
        "epoch": 10 if is_final else None,
        "val_accuracy": value if is_final else None,
        "val_loss": 1 - value if is_final else None,
        "objective": value if is_final else None,
        "revision": number,
        "created_at_ms": 1_800_000_000_000 + number,
        "ended_at_ms": 1_800_000_100_000 + number if is_final else None,
        **parameter_columns(parameters),
    }


def time_requests(client: TestClient, path: str, repeats: int = REPEATS) -> dict[str, float]:
    """Median and 95th percentile of some requests."""
    milliseconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        response = client.get(path)
        milliseconds.append((time.perf_counter() - began) * 1000)
        response.raise_for_status()
    milliseconds.sort()
    return {
        "median_ms": round(statistics.median(milliseconds), 1),
        "p95_ms": round(milliseconds[int(0.95 * repeats) - 1], 1),
    }
