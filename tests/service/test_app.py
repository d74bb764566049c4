"""Serving: what is refused before a port is opened, and a real process from start to end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from service.app import create_app, serve
from service.database import migrate
from service.database.lock import only_service
from service.errors import Conflict, SchemaMismatch
from service.settings import ServiceSettings

SERVE = "from service.app import serve; from service.settings import ServiceSettings; serve(ServiceSettings())"


def test_refuses_other_machines_without_a_token(tmp_path):
    with pytest.raises(Conflict, match="GRADSWEEP_TOKEN_FILE"):
        serve(ServiceSettings(data_dir=tmp_path, host="0.0.0.0"))


def test_refuses_an_old_schema_and_says_what_to_do(tmp_path):
    with pytest.raises(SchemaMismatch, match="gradsweep migrate"):
        serve(ServiceSettings(data_dir=tmp_path))


def test_refuses_a_file_that_is_no_database(tmp_path):
    (tmp_path / "gradsweep.db").write_bytes(b"not a database " * 100)
    with pytest.raises(SchemaMismatch, match="not a database"):
        serve(ServiceSettings(data_dir=tmp_path))


def test_refuses_a_second_service_on_one_file(tmp_path):
    settings = ServiceSettings(data_dir=tmp_path)
    migrate.upgrade(settings.url)
    with only_service(settings.url), pytest.raises(Conflict, match="another gradsweep service"):
        serve(settings)


def test_an_application_opens_and_closes_a_database_of_its_own(tmp_path):
    settings = ServiceSettings(data_dir=tmp_path)
    migrate.upgrade(settings.url)
    app = create_app(settings)
    assert str(app.state.context.database.url) == settings.url
    app.state.context.database.dispose()


@pytest.fixture
def environment(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {"GRADSWEEP_DATA_DIR": str(tmp_path), "GRADSWEEP_PORT": str(port), "GRADSWEEP_LOG_LEVEL": "warning"}
    return os.environ | settings


@pytest.fixture
def process(environment, tmp_path):
    """A service as a process of its own, that answers."""
    migrate.upgrade(ServiceSettings(data_dir=tmp_path).url)
    process = subprocess.Popen([sys.executable, "-c", SERVE], env=environment, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def until_it_answers(http, process, n_tries=600):
    """Ask until there is an answer; a process that ended is an error at once."""
    for _ in range(n_tries):
        try:
            return http.get("/livez")
        except httpx.TransportError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the service ended with {process.wait(0.1)}: {process.stderr.read()}") from None
    raise AssertionError("the service did not answer")


@pytest.fixture
def send(process, environment):
    """Sends bytes to the service, whatever comes of it, and gives back the answer: head and problem."""
    port = int(environment["GRADSWEEP_PORT"])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        until_it_answers(http, process)

    def exchange(*parts):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        return head.decode().lower(), json.loads(body)

    return exchange


POST = b"POST /v1/sweeps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNK = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
REQUESTS = {
    "two hosts": ([b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"], 400, "multiple Host"),
    "no HTTP": ([b"\x16\x03\x01\x02\x00\x01\r\n\r\n"], 400, "no HTTP request"),
    "an endless head": ([b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000], 400, "no HTTP request"),
    "3 MB in chunks": ([POST, b"Transfer-Encoding: chunked\r\n\r\n", *[CHUNK] * 3, b"0\r\n\r\n"], 413, "larger than"),
    "3 MB as promised": ([POST, b"Content-Length: 3000000\r\n\r\n", b" " * 3_000_000], 413, "larger than"),
    "30 MB, asked first": ([POST, b"Expect: 100-continue\r\nContent-Length: 30000000\r\n\r\n"], 413, "larger than"),
}


def test_bytes_that_no_route_ever_sees_are_refused_as_problems_too(send):
    for name, (parts, status, words) in REQUESTS.items():
        head, problem = send(*parts)
        assert f"http/1.1 {status} " in head.splitlines()[0], name
        assert "content-type: application/problem+json" in head, name
        assert "x-content-type-options: nosniff" in head, name
        assert "connection: close" in head, name
        assert words in problem["detail"], name


def test_ends_at_once_on_sigterm_even_while_somebody_follows(process, environment):
    with httpx.Client(base_url=f"http://127.0.0.1:{environment['GRADSWEEP_PORT']}", timeout=30) as http:
        assert until_it_answers(http, process).status_code == 200
        sweep = {"method": "random", "run_cap": 1, "parameters": {"dropout": {"min": 0.0, "max": 0.5}}}
        sweep_id = http.post("/v1/sweeps", json=sweep).json()["id"]
        with http.stream("GET", f"/v1/sweeps/{sweep_id}/events") as response:
            lines = response.iter_lines()
            assert next(lines) == "retry: 2000"
            process.send_signal(signal.SIGTERM)
            assert len(list(lines)) < 100
    _, errors = process.communicate(timeout=30)
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in errors
