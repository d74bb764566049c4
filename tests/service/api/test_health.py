"""Health checks and counters, and what is answered while the database is away."""

import socket

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from service.api.measuring import Meters
from service.app import create_app
from service.database.engine import Database
from service.settings import ServiceSettings


@pytest.fixture
def unused_port():
    """A TCP port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def client_without_database(tmp_path, unused_port):
    """A client of a service whose database does not answer; its reaper is not started."""
    database = Database(f"postgresql+psycopg://nobody@127.0.0.1:{unused_port}/nothing", pool_size=2)
    return TestClient(create_app(ServiceSettings(data_dir=tmp_path), database), base_url="http://127.0.0.1:8321")


def test_lives_and_is_ready(client):
    assert client.get("/livez").json()["status"] == "ok"
    client.app.state.context.reaper.round()
    assert client.get("/readyz").json() == {"status": "ok", "database": "ok", "migrations": "ok", "reaper": "ok"}


def test_lives_without_a_database_but_is_not_ready(client_without_database):
    assert client_without_database.get("/livez").status_code == 200
    answer = client_without_database.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["database", "reaper"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/sweeps"), ("GET", "/v1/trials/trl_1"), ("GET", "/v1/sweeps/x/events"),
                         ("POST", "/v1/trials/trl_1:cancel"), ("GET", "/metrics")]
)  # fmt: skip
def test_without_a_database_every_route_says_try_again(client_without_database, method, path):
    answer = client_without_database.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "nobody" not in answer.text


@pytest.mark.parametrize("complaint", ["database or disk is full", "could not extend file: No space left on device"])
def test_a_full_disk_is_named(complaint, sqlite_database, tmp_path, monkeypatch, caplog):
    def fail(self):
        raise OperationalError("INSERT", {}, Exception(complaint))

    app = create_app(ServiceSettings(data_dir=tmp_path), sqlite_database)
    monkeypatch.setattr(Database, "read", fail)
    answer = TestClient(app, base_url="http://127.0.0.1:8321").get("/v1/sweeps")
    assert answer.status_code == 503
    assert "disk is full" in answer.json()["detail"]
    assert complaint in caplog.text


def test_an_old_schema_is_not_ready(empty_url, open_database, tmp_path):
    app = create_app(ServiceSettings(data_dir=tmp_path), open_database(empty_url))
    answer = TestClient(app, base_url="http://127.0.0.1:8321").get("/readyz")
    problems = {error["pointer"]: error["message"] for error in answer.json()["errors"]}
    assert answer.status_code == 503
    assert "gradsweep migrate" in problems["migrations"]


def test_a_bug_is_told_without_a_traceback_and_logged_with_its_id(sqlite_database, tmp_path, monkeypatch, caplog):
    def fail(self):
        raise RuntimeError("a secret inside")

    app = create_app(ServiceSettings(data_dir=tmp_path), sqlite_database)
    monkeypatch.setattr(Database, "read", fail)
    answer = TestClient(app, base_url="http://127.0.0.1:8321").get("/v1/sweeps")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.json()["error_id"] in caplog.text
    assert "a secret inside" in caplog.text


def test_counts_what_was_asked_and_what_there_is(client, submit, worker, epoch_entry):
    submit(run_cap=2)
    worker.report(epoch_entry(worker.claim(1)[0], 0))
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'gradsweep_requests_total{method="POST",route="/v1/claims",status="200"} 1.0' in text
    assert 'gradsweep_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'gradsweep_report_entries_total{directive="continue"} 1.0' in text
    assert "gradsweep_grants_total 1.0" in text
    assert 'gradsweep_trials{state="running"} 1.0' in text
    assert 'gradsweep_trials{state="failed"} 0.0' in text
    assert 'gradsweep_leases{state="active"} 1.0' in text
    assert 'gradsweep_sweeps{state="running"} 1.0' in text


def test_two_applications_share_no_counter():
    first, second = Meters(), Meters()
    first.granted.inc()
    assert b"gradsweep_grants_total 0.0" in second.exposition({})
