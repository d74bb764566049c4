"""Real processes on loopback: a service, workers, `gradsweep up`; each ends with its test, by its own process id.

Nothing here sleeps for luck: `eventually` asks again until a condition holds or its deadline has passed, and then says
what it saw last and what the processes wrote.
"""

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from gradsweep import ApiError, Client, Unreachable
from gradsweep.cli.household import command, free_port
from service.wire.trials import TrialView

ASK_AGAIN_SECONDS = 0.3
DEADLINE_SECONDS = 180.0
OBEY_SECONDS = 20.0
LOG_CHARACTERS = 4000

SHORT_LEASES = {
    "GRADSWEEP_LEASE_SECONDS": "5",
    "GRADSWEEP_HEARTBEAT_SECONDS": "1",
    "GRADSWEEP_REAP_SECONDS": "0.5",
    "GRADSWEEP_WORKER_POLL_SECONDS": "0.2",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

FAULTS = {
    "running and leased are the same": "SELECT id FROM trials WHERE (state = 'running') != (lease_id IS NOT NULL)",
    "attempts count from 1 without a gap": """
        SELECT t.id FROM trials t LEFT JOIN attempts a ON a.trial_id = t.id GROUP BY t.id
        HAVING count(a.attempt) != t.attempt OR coalesce(max(a.attempt), 0) != t.attempt""",
    "epochs of an attempt count from 0 without a gap": """
        SELECT trial_id, attempt FROM epochs GROUP BY trial_id, attempt HAVING count(*) != max(epoch) + 1""",
    "a completed trial has all its epochs, in its present attempt": """
        SELECT t.id FROM trials t LEFT JOIN epochs e ON e.trial_id = t.id AND e.attempt = t.attempt
        WHERE t.state = 'completed' GROUP BY t.id HAVING count(e.epoch) != t.epochs + 1 OR t.epoch != t.epochs""",
    "nothing is reported of an attempt after the next one began": """
        SELECT e.trial_id FROM epochs e JOIN attempts n ON n.trial_id = e.trial_id AND n.attempt = e.attempt + 1
        WHERE e.reported_at_ms > n.started_at_ms""",
    "lives lost are attempts lost, and not too many": """
        SELECT t.id FROM trials t LEFT JOIN attempts a ON a.trial_id = t.id AND a.outcome = 'lost'
        GROUP BY t.id HAVING count(a.attempt) != t.lost OR t.lost > 3""",
    "trials are numbered densely, and no more than allowed": """
        SELECT s.id FROM sweeps s LEFT JOIN trials t ON t.sweep_id = s.id GROUP BY s.id
        HAVING count(t.id) != s.n_trials OR max(t.number) + 1 != s.n_trials OR s.n_trials > s.run_cap""",
    "events are numbered densely": """
        SELECT s.id FROM sweeps s LEFT JOIN events e ON e.sweep_id = s.id GROUP BY s.id
        HAVING count(*) != s.n_events OR max(e.number) != s.n_events""",
    "the file is sound": "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check != 'ok'",
    "nothing refers to what is not there": "SELECT * FROM pragma_foreign_key_check",
}
"""Questions to the final record; each must be answered with no row (docs/leases.md, the invariants)."""

_AnswerT = TypeVar("_AnswerT")


@dataclass
class Running:
    """One process of ours, and what it writes."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL: it gets no word out."""
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def said(self) -> str:
        """What it wrote last."""
        return self.log.read_text(errors="replace")[-LOG_CHARACTERS:]


@dataclass
class Processes:
    """Starts `gradsweep …` processes with short leases."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Running:
        """Start one; its output goes to a file of its own."""
        leaves = ["--leave-with-stdin"] * (arguments[0] in ("up", "serve", "worker"))
        log = self.folder / f"{len(self.running)}-{arguments[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(*arguments, *leaves),
                stdin=subprocess.PIPE,  # if this process is killed, they end too
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **SHORT_LEASES, **(environment or {})},
                start_new_session=True,
            )
        self.running.append(Running(arguments[0], log, process))
        return self.running[-1]

    def said(self) -> str:
        """What all of them wrote last."""
        return "\n".join(f"--- {each.name}\n{each.said()}" for each in self.running)

    def end(self) -> None:
        """End what is left, the last started first; what does not obey is killed."""
        for each in reversed(self.running):
            each.process.terminate()
            try:
                each.process.wait(OBEY_SECONDS)
            except subprocess.TimeoutExpired:
                each.kill()
            each.process.stdin.close()


class Eventually(Protocol):
    """Asks until the answer pleases."""

    def __call__(
        self,
        ask: Callable[[], _AnswerT],
        holds: Callable[[_AnswerT], bool] = ...,
        *,
        what: str,
        seconds: float = ...,
    ) -> _AnswerT:
        """Ask again and again; return the first answer for which `holds`; fail after `seconds`."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes and ends them with the test."""
    made = Processes(tmp_path)
    yield made
    made.end()


@pytest.fixture
def eventually(processes: Processes) -> Eventually:
    """Polls with a deadline; a service that is away answers nothing, which never pleases."""

    def wait_for(
        ask: Callable[[], _AnswerT],
        holds: Callable[[_AnswerT], bool] = bool,
        *,
        what: str,
        seconds: float = DEADLINE_SECONDS,
    ) -> _AnswerT:
        pause, deadline = threading.Event(), time.monotonic() + seconds
        seen: object = None
        while time.monotonic() < deadline:
            try:
                answer = ask()
            except (Unreachable, ApiError) as error:
                seen = error
            else:
                if holds(answer):
                    return answer
                seen = answer
            pause.wait(ASK_AGAIN_SECONDS)
        pytest.fail(f"{what}: not within {seconds:g} s; last seen: {seen}\n{processes.said()}")

    return wait_for


@dataclass
class Household:
    """A service on a data folder of its own, and workers as they are wanted."""

    folder: Path
    port: int
    processes: Processes
    eventually: Eventually

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """The service's record."""
        return self.folder / "data" / "gradsweep.db"

    def start_service(self) -> Running:
        """Start the service on the same port and record as before, and wait until it is ready."""
        service = self.processes.start("serve", "--port", str(self.port), "--data-dir", str(self.folder / "data"))
        with Client(self.url) as client:
            self.eventually(client.version, what="the service answers", seconds=60.0)
        return service

    def start_worker(self, name: str = "worker", *, slots: int = 2) -> Running:
        """Start a worker; one of another name has another folder, and knows nothing of the first one's lease.

        The reference trainer is slow enough to be interrupted in the middle, and compiles nothing.
        """
        at = ["--url", self.url, "--data-dir", str(self.folder / name)]
        return self.processes.start("worker", *at, "--slots", str(slots), "--trainer", "reference")


@pytest.fixture
def household(tmp_path: Path, processes: Processes, eventually: Eventually) -> Household:
    """A migrated record, and nothing started yet."""
    migrated = processes.start("migrate", "--data-dir", str(tmp_path / "data"))
    assert migrated.wait() == 0, migrated.said()
    return Household(tmp_path, free_port(), processes, eventually)


@pytest.fixture
def client(household: Household) -> Iterator[Client]:
    """A client of the household's service."""
    with Client(household.url, timeout_seconds=10.0) as made:
        yield made


@dataclass
class Record:
    """The record as it is on disk, and what the service had acknowledged before."""

    path: Path
    acknowledged: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the file itself, read-only."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def note(self, trials: Iterable[TrialView]) -> None:
        """Keep what the service says of trials that are over: it must stay true."""
        self.acknowledged |= {trial.id: _result(trial) for trial in trials if trial.ended_at is not None}

    def faults(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every rule that the record breaks, with the rows that break it."""
        found = {rule: self.rows(query) for rule, query in FAULTS.items()}
        columns = "id, state, attempt, epoch, objective, test_accuracy"
        stored = {row[0]: row[1:] for row in self.rows(f"SELECT {columns} FROM trials")}
        found["what was acknowledged stays"] = [
            (trial, result, stored.get(trial))
            for trial, result in self.acknowledged.items()
            if stored.get(trial) != result
        ]
        return {rule: rows for rule, rows in found.items() if rows}


def _result(trial: TrialView) -> tuple[Any, ...]:
    return trial.state, trial.attempt, trial.epoch, trial.objective, trial.test_accuracy


@pytest.fixture
def record(household: Household) -> Record:
    """The household's record."""
    return Record(household.database)
