"""Sweeps with trials, and workers that speak the lease protocol without training anything."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from service.database.engine import Database
from service.database.tables import attempts, epochs, events, sweeps, trials
from service.database.trials import get_trial
from service.domain.lease import LeaseSettings
from service.domain.sweep import Sweep
from service.domain.trial import Trial
from service.operations.claiming import claim
from service.operations.leasing import heartbeat, release
from service.operations.reporting import report
from service.operations.submitting import submit_sweep
from service.suggestion.searches import Searches
from service.wire.leases import (
    ClaimAnswer,
    ClaimRequest,
    Completed,
    EntryAnswer,
    EpochReport,
    Failed,
    HeartbeatAnswer,
    HeartbeatRequest,
    LayerReport,
    Release,
    ReleaseAnswer,
    ReleaseRequest,
    ReportEntry,
    ReportRequest,
    Stopped,
    WorkerInfo,
)

Fence = tuple[str, int]


@dataclass(slots=True)
class Worker:
    """One worker process as the service sees it."""

    database: Database
    settings: LeaseSettings
    worker_id: str
    datasets: tuple[str, ...] = ("digits",)
    lease_id: str | None = None
    keys: "itertools.count[int]" = field(default_factory=itertools.count)

    def request(self, n: int = 1, **changes: Any) -> ClaimRequest:
        """A claim for n trials under the worker's lease, with a key of its own."""
        info = WorkerInfo(
            worker_id=self.worker_id,
            host="localhost",
            pid=1,
            version="0",
            trainer="reference",
            device="CPU",
            n_slots=64,
            datasets=self.datasets,
        )
        key = f"{self.worker_id}-{next(self.keys)}"
        return ClaimRequest(**{"claim_key": key, "worker": info, "max_trials": n, "lease_id": self.lease_id} | changes)

    def send(self, request: ClaimRequest) -> ClaimAnswer:
        """Claim, and keep the lease."""
        answer = claim(self.database, Searches(), request, self.settings, chance=lambda: 0.5)
        self.lease_id = answer.lease_id
        return answer

    def claim(self, n: int = 1, **changes: Any) -> list[Fence]:
        """Claim n trials; the fences of those that were granted."""
        return [(grant.trial_id, grant.attempt) for grant in self.send(self.request(n, **changes)).grants]

    def report(self, *entries: ReportEntry, lease_id: str | None = None) -> list[EntryAnswer]:
        """Report under the worker's lease, or another."""
        request = ReportRequest(entries=entries)
        return list(report(self.database, lease_id or self.lease_id or "lse_none", request, self.settings).entries)

    def directives(self, *entries: ReportEntry, lease_id: str | None = None) -> list[str]:
        """What a report is told, entry by entry."""
        return [answer.directive for answer in self.report(*entries, lease_id=lease_id)]

    def heartbeat(self) -> HeartbeatAnswer:
        """Renew the lease."""
        request = HeartbeatRequest(steps_done=1, phase="training", slots_filled=1)
        return heartbeat(self.database, self.lease_id or "lse_none", request, self.settings)

    def release(self, fences: Sequence[Fence] | None = None) -> ReleaseAnswer:
        """Hand back some trials, or all of them and the lease."""
        back = None if fences is None else tuple(Release(trial_id=one[0], attempt=one[1]) for one in fences)
        return release(self.database, self.lease_id or "lse_none", ReleaseRequest(trials=back), self.settings)


def epoch_entry(fence: Fence, epoch: int, value: float = 0.5, **changes: Any) -> ReportEntry:
    """An epoch with two layers, in which every accuracy is `value`."""
    measured = {
        "epoch": epoch,
        "steps": 10,
        "train_loss": 1 - value,
        "val_loss": 1 - value,
        "train_accuracy": value,
        "val_accuracy": value,
        "val_balanced_accuracy": value,
        "val_macro_f1": value,
        "wall_seconds": 2.0,
        "device_seconds": 1.0,
        "layers": tuple(LayerReport(layer=layer, grad_norm_mean=value / layer) for layer in (1, 2)),
    }
    final = changes.pop("final", None)
    start = changes.pop("start", None)
    epoch_report = EpochReport(**measured | changes)
    return ReportEntry(trial_id=fence[0], attempt=fence[1], epoch=epoch_report, final=final, start=start)


def final_entry(fence: Fence, kind: str = "completed", **changes: Any) -> ReportEntry:
    """A final result alone."""
    finals: dict[str, Callable[..., Completed | Failed | Stopped]] = {
        "completed": lambda: Completed(**{"test_loss": 0.1, "test_accuracy": 0.9, "best_epoch": 1} | changes),
        "failed": lambda: Failed(**{"failure_kind": "error", "error_type": "E", "message": "broke"} | changes),
        "stopped": Stopped,
    }
    return ReportEntry(trial_id=fence[0], attempt=fence[1], final=finals[kind]())


@dataclass(frozen=True, slots=True)
class Record:
    """Looks into the database, for assertions."""

    database: Database

    def trial(self, fence: Fence) -> Trial:
        """The trial of a fence."""
        with self.database.read() as connection:
            trial = get_trial(connection, fence[0])
        assert trial is not None
        return trial

    def states(self, sweep: Sweep) -> list[str]:
        """The states of a sweep's trials, by number."""
        with self.database.read() as connection:
            statement = select(trials.c.state).where(trials.c.sweep_id == sweep.id).order_by(trials.c.number)
            return [str(state) for state in connection.execute(statement).scalars()]

    def sweep(self, sweep: Sweep) -> tuple[str, str | None]:
        """A sweep's state and reason."""
        with self.database.read() as connection:
            row = connection.execute(select(sweeps).where(sweeps.c.id == sweep.id)).one()
        return str(row.state), None if row.state_reason is None else str(row.state_reason)

    def events(self, sweep: Sweep) -> list[str]:
        """The kinds of a sweep's events, in order."""
        with self.database.read() as connection:
            statement = select(events.c.kind).where(events.c.sweep_id == sweep.id).order_by(events.c.number)
            return list(connection.execute(statement).scalars())

    def attempts(self, trial_id: str) -> list[tuple[int, str | None]]:
        """A trial's attempts and how they ended."""
        with self.database.read() as connection:
            statement = select(attempts).where(attempts.c.trial_id == trial_id).order_by(attempts.c.attempt)
            rows = connection.execute(statement).all()
        return [(row.attempt, None if row.outcome is None else str(row.outcome)) for row in rows]

    def epochs(self, trial_id: str) -> list[tuple[int, int, float | None]]:
        """A trial's epochs: attempt, epoch, validation accuracy."""
        with self.database.read() as connection:
            statement = select(epochs).where(epochs.c.trial_id == trial_id).order_by(epochs.c.attempt, epochs.c.epoch)
            return [(row.attempt, row.epoch, row.val_accuracy) for row in connection.execute(statement)]


@pytest.fixture
def lease_settings() -> LeaseSettings:
    """The default settings."""
    return LeaseSettings()


@pytest.fixture
def new_worker(database: Database, lease_settings: LeaseSettings) -> Callable[..., Worker]:
    """Makes workers by name."""
    return lambda worker_id="w1", **changes: Worker(database, lease_settings, worker_id, **changes)


@pytest.fixture
def worker(new_worker: Callable[..., Worker]) -> Worker:
    """A worker."""
    return new_worker("w1")


@pytest.fixture
def record(database: Database) -> Record:
    """Looks into the database."""
    return Record(database)


@pytest.fixture
def submit(database: Database, clock: Any) -> Callable[..., Sweep]:
    """Submits a sweep of 8 trials without early termination, a moment after the last; keywords change its file."""
    numbers = itertools.count()

    def submit_one(**changes: Any) -> Sweep:
        document = {
            "name": f"sweep-{next(numbers)}",
            "dataset": "digits",
            "method": "random",
            "metric": {"name": "val_accuracy"},
            "run_cap": 8,
            "max_parallel": 8,
            "seed": 7,
            "parameters": {
                "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
                "epochs": 9,
            },
        }
        clock.advance_ms(1)
        return submit_sweep(database, document | changes, submitted="", idempotency_key=None).sweep

    return submit_one


@pytest.fixture
def speak() -> dict[str, Callable[..., ReportEntry]]:
    """Entries of reports: `speak["epoch"](fence, number, value)` and `speak["final"](fence, kind)`."""
    return {"epoch": epoch_entry, "final": final_entry}
