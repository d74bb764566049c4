"""What follows for a sweep when its trials have changed."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from service.database.engine import Database
from service.database.sweeps import NewEvent, append_events, lock_sweep
from service.database.tables import sweeps
from service.domain.states import SweepReason
from service.operations.settling import drain_sweep, kill_sweep, mark_exhausted, settle_sweep

Submit = Callable[..., Any]


def finals(worker: Any, speak: Any, *kinds: str) -> None:
    """Claim a trial for each kind and end it so."""
    fences = worker.claim(len(kinds))
    worker.report(*[speak["final"](fence, kind) for fence, kind in zip(fences, kinds, strict=True)])


def test_a_sweep_starts_with_its_first_lease(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit()
    assert record.sweep(sweep) == ("queued", None)
    worker.claim(1)
    assert record.sweep(sweep) == ("running", None)


def test_a_sweep_completes_with_its_last_trial(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(run_cap=2)
    finals(worker, speak, "completed")
    assert record.sweep(sweep) == ("running", None)
    finals(worker, speak, "failed")
    assert record.sweep(sweep) == ("completed", "run_cap")
    assert record.events(sweep)[-1] == "sweep_completed"


def test_an_exhausted_space_completes_the_sweep(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database, clock: Any
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    with database.write() as connection:
        mark_exhausted(connection, lock_sweep(connection, sweep.id), clock.time_ms)
    worker.report(*[speak["final"](fence) for fence in fences])
    assert record.sweep(sweep) == ("completed", "space_exhausted")


@pytest.mark.parametrize(
    ("metric", "value", "reached"),
    [
        ({"name": "val_accuracy", "target": 0.8}, 0.8, True),
        ({"name": "val_accuracy", "target": 0.8}, 0.79, False),
        ({"name": "val_loss", "target": 0.2}, 0.9, True),
        ({"name": "val_loss", "target": 0.2}, 0.7, False),
    ],
)
def test_a_target_that_is_reached_stops_everything(
    worker: Any, submit: Submit, speak: Any, record: Any, metric: dict[str, Any], value: float, reached: bool
) -> None:
    sweep = submit(metric=metric)
    fences = worker.claim(3)
    worker.release([fences[2]])
    worker.report(speak["epoch"](fences[0], 9, value, final=speak["final"](fences[0]).final))
    wanted = {
        True: (["completed", "running", "cancelled"], ("stopping", "target_reached"), (fences[1][0],)),
        False: (["completed", "running", "waiting"], ("running", None), ()),
    }
    assert (record.states(sweep), record.sweep(sweep), worker.heartbeat().stop) == wanted[reached]


def test_a_sweep_that_reached_its_target_completes_when_the_rest_has_stopped(
    worker: Any, submit: Submit, speak: Any, record: Any
) -> None:
    sweep = submit(metric={"name": "val_accuracy", "target": 0.8})
    fences = worker.claim(2)
    worker.report(speak["epoch"](fences[0], 9, 0.9, final=speak["final"](fences[0]).final))
    worker.report(speak["final"](fences[1], "stopped"))
    assert record.states(sweep) == ["completed", "cancelled"]
    assert record.sweep(sweep) == ("completed", "target_reached")


def test_a_sweep_in_which_too_many_fail_pauses_itself(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(run_cap=20, max_parallel=20, failure_limit=0.5)
    finals(worker, speak, *["completed"] * 3, *["failed"] * 4)
    assert record.sweep(sweep) == ("running", None)
    finals(worker, speak, "failed")
    assert record.sweep(sweep) == ("paused", "failure_limit")
    assert worker.claim(1) == []


def test_as_many_failures_as_allowed_are_allowed(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(run_cap=20, max_parallel=20, failure_limit=0.5)
    finals(worker, speak, *["completed", "failed"] * 4)
    assert record.sweep(sweep) == ("running", None)


def test_after_a_resume_only_new_failures_count(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database, clock: Any
) -> None:
    sweep = submit(run_cap=40, max_parallel=40, failure_limit=0.5)
    finals(worker, speak, *["completed"] * 3, *["failed"] * 5)
    clock.advance_seconds(1)
    with database.write() as connection:
        connection.execute(update(sweeps).values(state="running", state_reason=None))
        append_events(connection, sweep.id, [NewEvent("sweep_resumed", {})], clock.time_ms)
    clock.advance_seconds(1)
    finals(worker, speak, "failed", "failed", "completed")
    assert record.sweep(sweep) == ("running", None)
    finals(worker, speak, *["failed"] * 5)
    assert record.sweep(sweep) == ("paused", "failure_limit")


def test_draining_lets_leased_trials_finish(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database, clock: Any
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    worker.release([fences[1]])
    with database.write() as connection:
        locked = lock_sweep(connection, sweep.id)
        settle_sweep(connection, drain_sweep(connection, locked, SweepReason.BY_USER, clock.time_ms), clock.time_ms)
    assert record.states(sweep) == ["running", "cancelled"]
    assert worker.directives(speak["epoch"](fences[0], 1), speak["final"](fences[0])) == ["continue"] * 2
    assert record.sweep(sweep) == ("completed", "by_user")


def test_killing_stops_all(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database, clock: Any
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    worker.release([fences[1]])
    with database.write() as connection:
        settle_sweep(connection, kill_sweep(connection, lock_sweep(connection, sweep.id), clock.time_ms), clock.time_ms)
    assert record.states(sweep) == ["running", "cancelled"]
    assert worker.directives(speak["epoch"](fences[0], 1), speak["final"](fences[0], "stopped")) == ["stop", "stop"]
    assert record.sweep(sweep) == ("cancelled", "by_user")


def test_an_ended_sweep_is_settled_for_good(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(run_cap=1)
    finals(worker, speak, "completed")
    before = record.events(sweep)
    assert worker.claim(1) == []
    assert record.events(sweep) == before
