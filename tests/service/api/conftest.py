"""The application in process on either database, sweeps and trials in it, and a worker that speaks HTTP."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, event, make_url, update
from sqlalchemy.engine import URL

from service.app import create_app
from service.database import migrate
from service.database.engine import Database
from service.database.sweeps import lock_sweep
from service.database.tables import sweeps
from service.database.trials import insert_trials, parameter_columns
from service.domain.identifiers import new_id
from service.domain.parameters import canonical, signature
from service.settings import ServiceSettings

URL_OF_SERVICE = "http://127.0.0.1:8321"

SWEEP: dict[str, Any] = {
    "name": "look",
    "dataset": "digits",
    "method": "random",
    "run_cap": 8,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
        "optimizer": {"values": ["sgd", "adam"]},
        "epochs": 2,
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    """Settings whose streams look often, so that no test waits."""
    return ServiceSettings(data_dir=tmp_path, event_poll_seconds=0.05, event_heartbeat_seconds=0.05)


@pytest.fixture
def app(settings: ServiceSettings, database: Database) -> FastAPI:
    """The application on a fresh database of either kind."""
    return create_app(settings, database)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Speaks to the application as a program on this machine would."""
    with TestClient(app, base_url=URL_OF_SERVICE) as client:
        yield client


@pytest.fixture
def submit(client: TestClient) -> Callable[..., str]:
    """Submits a sweep and returns its id."""

    def submit_one(**changes: Any) -> str:
        response = client.post("/v1/sweeps", json=SWEEP | changes)
        assert response.status_code == 201, response.text
        sweep_id: str = response.json()["id"]
        return sweep_id

    return submit_one


@pytest.fixture(scope="session")
def add_rows() -> Callable[..., list[str]]:
    """Inserts trials into a database as if they had come about; see `add_trials`."""

    def add(database: Database, sweep_id: str, *rows: Mapping[str, Any]) -> list[str]:
        with database.write() as connection:
            sweep = lock_sweep(connection, sweep_id)
            assert sweep is not None
            made = [_trial_row(sweep.id, sweep.n_trials + at, sweep.revision, row) for at, row in enumerate(rows)]
            insert_trials(connection, made)
            connection.execute(
                update(sweeps).where(sweeps.c.id == sweep_id).values(n_trials=sweeps.c.n_trials + len(rows))
            )
        return [row["id"] for row in made]

    return add


@pytest.fixture
def add_trials(database: Database, add_rows: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Inserts trials as if they had come about: one per mapping of columns, waiting unless it says otherwise.

    `parameters` among the columns are those of the trial that differ from the defaults.
    """

    def add(sweep_id: str, *rows: Mapping[str, Any]) -> list[str]:
        return add_rows(database, sweep_id, *rows)

    return add


@pytest.fixture(scope="session")
def lasting_postgresql_url(postgresql_server: URL) -> Iterator[URL]:
    """A PostgreSQL database that no other test empties."""
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE lasting")
        migrate.upgrade(postgresql_server.set(database="lasting"))
        yield postgresql_server.set(database="lasting")
        connection.exec_driver_sql("DROP DATABASE lasting WITH (FORCE)")
    engine.dispose()


@pytest.fixture(scope="session")
def lasting_sqlite_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> URL:
    """An SQLite file that no other test uses."""
    path = tmp_path_factory.mktemp("lasting") / "gradsweep.db"
    shutil.copy(sqlite_template, path)
    return make_url(f"sqlite:///{path}")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def lasting_client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An application that lasts, for tests that only look or whose traces do not matter; on its database's clock."""
    database = Database(request.getfixturevalue(f"lasting_{request.param}_url"), pool_size=4)
    settings = ServiceSettings(data_dir=tmp_path_factory.mktemp("data"), event_poll_seconds=0.05)
    with TestClient(create_app(settings, database), base_url=URL_OF_SERVICE) as client:
        yield client
    database.dispose()


def _trial_row(sweep_id: str, number: int, revision: int, row: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(row)
    parameters = canonical({"epochs": 5} | values.pop("parameters", {}))
    ended = {} if values.get("state", "waiting") == "waiting" else {"ended_at_ms": 2_000}
    defaults = {
        "id": new_id("trl"),
        "sweep_id": sweep_id,
        "number": number,
        "state": "waiting",
        "attempt": 0,
        "lost": 0,
        "signature": signature("digits", parameters),
        "config_hash": f"{number:064d}",
        "seed": number,
        "revision": revision,
        "created_at_ms": 1_000 + number,
        "stop_requested": False,
        "not_before_ms": 0,
    }
    empty = dict.fromkeys(
        ("prune_reason", "prune_detail", "failure_kind", "failure_type", "failure_message", "failure_traceback",
         "lease_id", "batch_limit", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy",
         "val_balanced_accuracy", "val_macro_f1", "objective", "best_epoch", "test_loss", "test_accuracy",
         "wall_seconds", "device_seconds", "started_at_ms", "ended_at_ms")
    )  # fmt: skip
    return empty | defaults | parameter_columns(parameters) | ended | values


@dataclass(slots=True)
class HttpWorker:
    """A worker that trains nothing: it claims, reports what it is told to, and obeys."""

    http: httpx.Client
    worker_id: str = "wrk_1"
    lease_id: str | None = None
    keys: "itertools.count[int]" = field(default_factory=itertools.count)

    def claim_body(self, n: int = 1, **changes: Any) -> dict[str, Any]:
        """A claim with a key of its own."""
        worker = {
            "worker_id": self.worker_id,
            "host": "localhost",
            "pid": 1,
            "version": "0",
            "trainer": "reference",
            "device": "CPU",
            "n_slots": 16,
            "datasets": ["digits"],
        }
        body = {"protocol": 1, "claim_key": f"{self.worker_id}-{next(self.keys)}", "worker": worker, "max_trials": n}
        return body | {"lease_id": self.lease_id} | changes

    def claim(self, n: int = 1) -> list[dict[str, Any]]:
        """Claim n trials under the worker's lease; the grants."""
        response = self.http.post("/v1/claims", json=self.claim_body(n))
        assert response.status_code == 200, response.text
        self.lease_id = response.json()["lease_id"] or self.lease_id
        grants: list[dict[str, Any]] = response.json()["grants"]
        return grants

    def report(self, *entries: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Report entries; the answers to them."""
        response = self.http.post(f"/v1/leases/{self.lease_id}/reports", json={"entries": list(entries)})
        assert response.status_code == 200, response.text
        answers: list[dict[str, Any]] = response.json()["entries"]
        return answers

    def train(self, grant: Mapping[str, Any], value: float = 0.5) -> None:
        """Report every epoch of a trial and that it is completed."""
        n_epochs = grant["parameters"]["epochs"]
        entries = [epoch_entry(grant, epoch, value) for epoch in range(n_epochs + 1)]
        final = {"kind": "completed", "test_loss": 0.1, "test_accuracy": value, "best_epoch": n_epochs}
        self.report(*entries[:-1], entries[-1] | {"final": final})


def epoch_entry(grant: Mapping[str, Any], epoch: int, value: float = 0.5, **changes: Any) -> dict[str, Any]:
    """One epoch with two layers, in which every accuracy is `value`."""
    layers = [{"layer": layer, "grad_norm_mean": value / layer, "nonfinite": 0} for layer in (1, 2)]
    measured = {
        "epoch": epoch,
        "steps": 10,
        "train_loss": 1 - value,
        "train_accuracy": value,
        "val_loss": 1 - value,
        "val_accuracy": value,
        "wall_seconds": 1.0,
        "layers": layers,
    }
    return {"trial_id": grant["trial_id"], "attempt": grant["attempt"], "epoch": measured | changes}


@pytest.fixture
def worker(client: TestClient) -> HttpWorker:
    """A worker of the application."""
    return HttpWorker(client)


@pytest.fixture
def count_queries(database: Database) -> Callable[[Callable[[], object]], int]:
    """Counts the statements that reach the database while something is done, those of other threads included."""

    def count(do: Callable[[], object]) -> int:
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            statements.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            do()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(statements)

    return count


@pytest.fixture(name="epoch_entry", scope="session")
def epoch_entry_fixture() -> Callable[..., dict[str, Any]]:
    """Makes one epoch's entry of a report."""
    return epoch_entry


@pytest.fixture(scope="session")
def http_worker() -> type[HttpWorker]:
    """Makes workers of any service."""
    return HttpWorker
