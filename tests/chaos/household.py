"""The processes that chaos plays with: a service, workers, PostgreSQL. Each is ours and ends with us."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import make_url

from service.database import migrate

HERE = Path(__file__).resolve().parent
SERVE = "from service.app import serve; from service.settings import ServiceSettings; serve(ServiceSettings())"
READY_SECONDS = 60.0
SETTINGS = {
    **{"GRADSWEEP_LEASE_SECONDS": "3", "GRADSWEEP_HEARTBEAT_SECONDS": "1", "GRADSWEEP_REAP_SECONDS": "0.5"},
    **{"GRADSWEEP_LOG_LEVEL": "error", "GRADSWEEP_QUARANTINE_AFTER": "1000"},
}


class Household:
    """A service on a fresh database and the workers that ask it for trials.

    Args:
        folder: For the database, the journals and the service's log.
        url: The database, empty.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.database_url = url
        self.is_postgresql = url.startswith("postgresql")
        migrate.upgrade(url)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        at = {"GRADSWEEP_DATABASE_URL": url, "GRADSWEEP_DATA_DIR": str(folder), "GRADSWEEP_PORT": str(port)}
        self._environment = os.environ | SETTINGS | at
        self._log = (folder / "service.log").open("ab")
        self._sweep_id = ""
        self._n_workers = 0
        self.service: subprocess.Popen[bytes]
        self.workers: dict[int, subprocess.Popen[bytes]] = {}

    def start_service(self) -> None:
        """Start the service and wait until it answers."""
        self.service = subprocess.Popen([sys.executable, "-c", SERVE], env=self._environment, stderr=self._log)
        deadline = time.monotonic() + READY_SECONDS
        while self.get("/livez") is None:
            if time.monotonic() > deadline or self.service.poll() is not None:
                raise SystemExit(f"the service does not start:\n{self.log()}")
            time.sleep(0.1)  # between two looks at another process, which has no other way to tell

    def kill_service(self) -> None:
        """SIGKILL: it gets no word out."""
        self.service.kill()
        self.service.wait()

    def restart_worker(self, place: int) -> None:
        """Kill the worker at a place, if there is one, and start a new one, which knows nothing of the old."""
        if place in self.workers:
            self.workers[place].kill()
            self.workers[place].wait()
        self._n_workers += 1
        name = f"w{self._n_workers}"
        command = [sys.executable, str(HERE / "worker.py"), self.url, name, str(self.folder / f"{name}.jsonl")]
        self.workers[place] = subprocess.Popen(command)

    def refuse_dead_workers(self) -> None:
        """A worker that ended by itself met an answer that no service should give."""
        ended = [place for place, process in self.workers.items() if process.poll() is not None]
        if ended:
            raise SystemExit(f"{len(ended)} workers gave up\n{self.log()}")

    def submit(self, sweep: dict[str, Any]) -> None:
        """Submit the one sweep."""
        answer = httpx.post(f"{self.url}/v1/sweeps", json=sweep, timeout=30)
        if answer.status_code != 201:
            raise SystemExit(f"the sweep is refused: {answer.text}")
        self._sweep_id = answer.json()["id"]

    def is_completed(self) -> bool:
        """Whether the service says so; a service that is away says nothing."""
        seen = self.get(f"/v1/sweeps/{self._sweep_id}")
        return seen is not None and seen["state"] == "completed"

    def get(self, path: str) -> Any:
        """An answer of the service, or None."""
        try:
            answer = httpx.get(self.url + path, timeout=5)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    def ask_postgresql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself, by a connection that is not the service's; nothing while it recovers."""
        url = make_url(self.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
                return connection.execute(query.encode()).fetchall()
        except psycopg.OperationalError:
            return []

    def log(self) -> str:
        """What the service wrote last."""
        return (self.folder / "service.log").read_text(errors="replace")[-4000:]

    def end(self) -> None:
        """Kill everything that is left."""
        for process in (*self.workers.values(), self.service):
            process.kill()
            process.wait()
        self._log.close()
