"""Workers and the service are killed in the middle of real training: nothing is lost, nothing is doubled."""

import signal
from typing import Any, Protocol

import pytest

from gradsweep import Client
from service.wire.sweeps import SweepView

SWEEP = {
    "name": "killed",
    "dataset": "digits",
    "method": "random",
    "run_cap": 3,
    "seed": 3,
    "metric": {"name": "val_accuracy"},
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.03},
        "hidden_units": {"value": [16]},
        "epochs": 20,
    },
}


class Household(Protocol):
    """What these tests use of the fixture."""

    def start_service(self) -> Any: ...

    def start_worker(self, name: str = ..., *, slots: int = ...) -> Any: ...


@pytest.fixture
def half_way(household: Household, client: Client, eventually: Any, record: Any) -> tuple[Any, Any, SweepView]:
    """A service, a worker, and a sweep of which trials are in the middle of their epochs."""
    service, worker = household.start_service(), household.start_worker()
    sweep = client.submit(SWEEP)
    trials = eventually(
        lambda: list(client.all_trials(sweep.id)),
        lambda found: any(trial.state == "running" and (trial.epoch or 0) >= 2 for trial in found),
        what="a trial is in the middle of its epochs",
    )
    record.note(trials)
    return service, worker, sweep


def finish(client: Client, sweep: SweepView, eventually: Any, record: Any) -> SweepView:
    """Wait for the end of the sweep, keeping what the service acknowledges on the way."""

    def look() -> SweepView:
        record.note(client.all_trials(sweep.id))
        return client.sweep(sweep.id)

    return eventually(look, lambda seen: seen.state == "completed", what="the sweep completes")


def test_a_killed_worker_costs_a_life_and_no_trial(
    half_way: Any, household: Household, client: Client, eventually: Any, record: Any
) -> None:
    _, worker, sweep = half_way
    worker.kill()
    held = {trial.id for trial in client.all_trials(sweep.id, filter="state = running")}
    household.start_worker("another")
    ended = finish(client, sweep, eventually, record)
    assert ended.counts.completed == SWEEP["run_cap"]
    lost = {trial.id for trial in client.all_trials(sweep.id) if trial.lost == 1}
    assert lost == held
    assert {row[0] for row in record.rows("SELECT trial_id FROM attempts WHERE outcome = 'lost'")} == held
    assert record.faults() == {}


def test_a_killed_service_loses_nothing_that_workers_report_meanwhile(
    half_way: Any, household: Household, client: Client, eventually: Any, record: Any
) -> None:
    service, worker, sweep = half_way
    service.kill()
    eventually(
        worker.log.read_text,
        lambda text: "service away" in text,
        what="the worker notices that the service is away",
        seconds=60.0,
    )
    household.start_service()
    ended = finish(client, sweep, eventually, record)
    assert ended.counts.completed == SWEEP["run_cap"]
    assert {trial.lost for trial in client.all_trials(sweep.id)} == {0}
    assert record.faults() == {}


def test_a_drained_worker_costs_no_life(
    half_way: Any, household: Household, client: Client, eventually: Any, record: Any
) -> None:
    _, worker, sweep = half_way
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert client.sweep(sweep.id).counts.running == 0
    household.start_worker("another")
    ended = finish(client, sweep, eventually, record)
    assert ended.counts.completed == SWEEP["run_cap"]
    assert {trial.lost for trial in client.all_trials(sweep.id)} == {0}
    assert record.rows("SELECT count(*) FROM attempts WHERE outcome = 'released'") != [(0,)]
    assert record.faults() == {}
