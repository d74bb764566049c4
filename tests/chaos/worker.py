"""A worker that trains nothing and writes down what it was promised: `worker.py URL NAME JOURNAL`.

It speaks the protocol as a real one does, in one process that may be killed or stopped at any moment. Its journal is
written with one system call a line, so what stands in it survives SIGKILL. What it measures is drawn from its name,
the trial and the attempt: no two workers ever send the same numbers, so none can stand for another's.
"""

import gzip
import http.client
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SLOTS = 4
TIMEOUT_SECONDS = 4.0
AGAIN_SHARE, HEARTBEAT_SHARE, RELEASE_SHARE, GZIP_SHARE = 0.15, 0.2, 0.01, 0.3
FAILING_SHARE, DIVERGING_SHARE = 0.02, 0.01


@dataclass(slots=True)
class Held:
    """A trial that this worker holds."""

    trial_id: str
    attempt: int
    n_epochs: int
    chance: random.Random
    epoch: int = 0
    is_stopped: bool = False


class Service:
    """The service as its workers see it: often away. The same body is sent until it is answered."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._at = url.removeprefix("http://")
        self._chance = chance
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str, body: Any) -> tuple[int, Any]:
        """The status and the body of an answer that is one: neither silence nor an error of the service's own."""
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._chance.random() < GZIP_SHARE:
            content, headers["Content-Encoding"] = gzip.compress(content), "gzip"
        while True:
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._at, timeout=TIMEOUT_SECONDS)
                self._connection.request("POST", path, content, headers)
                answer = self._connection.getresponse()
                told = json.loads(answer.read())
                if answer.status < 500:
                    return answer.status, told
            except (OSError, http.client.HTTPException, ValueError):
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
            time.sleep(0.05 + self._chance.random() * 0.1)  # as a real worker waits before it asks a dead service again


class Worker:
    """Claims, reports, obeys, until it is killed."""

    def __init__(self, url: str, name: str, journal: Path) -> None:
        self.name = name
        self.chance = random.Random(name)
        self.service = Service(url, self.chance)
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.lease: str | None = None
        self.held: dict[str, Held] = {}
        self.n_claims = 0

    def note(self, kind: str, **fields: Any) -> None:
        """One line of the journal."""
        os.write(self.journal, json.dumps({"kind": kind, "lease": self.lease, **fields}).encode() + b"\n")

    def turn(self) -> None:
        """One round: claim what is free, report an epoch of some trials, perhaps renew, perhaps hand back."""
        if len(self.held) < SLOTS:
            self.claim()
        if self.held:
            some = self.chance.sample(sorted(self.held), self.chance.randint(1, len(self.held)))
            self.report([self.held[trial_id] for trial_id in some])
        if self.lease is not None and self.chance.random() < HEARTBEAT_SHARE:
            self.obey_ended(*self.service.ask(f"/v1/leases/{self.lease}:heartbeat", {"steps_done": 1, "phase": "idle"}))
        if self.lease is not None and self.chance.random() < RELEASE_SHARE:
            self.obey_ended(*self.service.ask(f"/v1/leases/{self.lease}:release", {"trials": None}))
            self.lease, self.held = None, {}
        time.sleep(self.chance.random() * (0.06 if self.held else 0.3))  # stands for training, or for a wait for work

    def claim(self) -> None:
        """Ask for trials; a claim that was answered is not asked again, one that was not is."""
        self.n_claims += 1
        info = {
            **{"worker_id": self.name, "host": "here", "pid": os.getpid(), "version": "0", "trainer": "reference"},
            **{"device": "none", "n_slots": SLOTS, "datasets": ["digits"]},
        }
        claim = {"claim_key": f"{self.name}-{self.n_claims}", "worker": info, "lease_id": self.lease}
        status, told = self.service.ask("/v1/claims", claim | {"max_trials": SLOTS - len(self.held)})
        self.obey_ended(status, told)
        if status == 200 and told["grants"]:
            self.lease = told["lease_id"]
            for grant in told["grants"]:
                trial_id, attempt = grant["trial_id"], grant["attempt"]
                chance = random.Random(f"{self.name} {trial_id} {attempt}")
                self.held[trial_id] = Held(trial_id, attempt, grant["parameters"]["epochs"], chance)
                self.note("granted", trial=trial_id, attempt=attempt)

    def obey_ended(self, status: int, told: Any) -> None:
        """Forget everything under a lease that has ended."""
        if status == 409:
            self.lease, self.held = None, {}
        elif status != 200:
            raise SystemExit(f"{self.name} was answered {status}: {told}")

    def report(self, trials: Sequence[Held]) -> None:
        """Report the next epoch of trials, sometimes twice, and do what is said."""
        entries = [entry_of(trial) for trial in trials]
        self.note("sent", entries=entries)
        path, body = f"/v1/leases/{self.lease}/reports", {"entries": entries}
        status, told = self.service.ask(path, body)
        if status != 200:
            raise SystemExit(f"{self.name} was answered {status}: {told}")
        self.note("told", entries=entries, answers=told["entries"])
        if self.chance.random() < AGAIN_SHARE:
            status, again = self.service.ask(path, body)
            self.note("told", entries=entries, answers=again["entries"])
        for trial, entry, answer in zip(trials, entries, told["entries"], strict=True):
            if answer["directive"] == "stop" and "final" not in entry:
                trial.is_stopped = True
            elif answer["directive"] != "continue" or "final" in entry:
                del self.held[trial.trial_id]
            else:
                trial.epoch += 1


def entry_of(trial: Held) -> dict[str, Any]:
    """What a worker says of a trial's next epoch."""
    fence = {"trial_id": trial.trial_id, "attempt": trial.attempt}
    if trial.is_stopped:
        return fence | {"final": {"kind": "stopped"}}
    draw = trial.chance.random
    if draw() < FAILING_SHARE:
        return fence | {"final": {"kind": "failed", "failure_kind": "error", "error_type": "E", "message": str(draw())}}
    measured = {"train_loss": draw(), "train_accuracy": draw(), "val_loss": draw(), "val_accuracy": draw()}
    layers = [{"layer": layer, "grad_norm_mean": draw(), "weight_norm": draw()} for layer in (1, 2)]
    entry: dict[str, Any] = fence | {"epoch": {"epoch": trial.epoch, "steps": 10, **measured, "layers": layers}}
    if trial.epoch == 0:
        entry["start"] = {"stream_seed": 1, "start_epoch": 0, "dataset_sha256": "0" * 64}
    elif draw() < DIVERGING_SHARE:
        entry["epoch"] |= {"train_loss": None, "nonfinite_values": {"train_loss": "nan"}}
    if trial.epoch == trial.n_epochs:
        entry["final"] = {"kind": "completed", "test_loss": draw(), "test_accuracy": draw(), "best_epoch": 1}
    return entry


if __name__ == "__main__":
    worker = Worker(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    while True:
        worker.turn()
