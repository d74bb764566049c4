"""Steering: every verb from every state, and what becomes of the trials."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from service.database import tables
from service.database.engine import Database
from service.domain.states import SweepState, TrialState
from service.domain.sweep import Sweep
from service.errors import Conflict, NotFound
from service.operations.steering import (
    cancel_sweep,
    cancel_trial,
    delete_sweep,
    pause_sweep,
    resume_sweep,
    retry_failed,
    retry_trial,
    stop_sweep,
)

VERBS = {
    "pause": pause_sweep,
    "resume": resume_sweep,
    "stop": stop_sweep,
    "cancel": cancel_sweep,
    "delete": delete_sweep,
}


@pytest.fixture
def sweep_in(submit: Callable[..., Sweep], worker: Any, database: Database, speak: Any) -> Callable[[str], Sweep]:
    """A sweep in any state; where trials run, a worker holds them."""

    def make(state: str) -> Sweep:
        sweep = submit(run_cap=4, max_parallel=2)
        steps: dict[str, list[Callable[[], Any]]] = {
            "queued": [],
            "running": [lambda: worker.claim(1)],
            "paused": [lambda: pause_sweep(database, sweep.id)],
            "stopping": [lambda: worker.claim(2), lambda: stop_sweep(database, sweep.id)],
            "completed": [lambda: stop_sweep(database, sweep.id)],
            "cancelled": [lambda: cancel_sweep(database, sweep.id)],
        }
        for step in steps[state]:
            step()
        return sweep

    return make


@pytest.mark.parametrize(
    ("state", "verb", "after"),
    [
        ("queued", "pause", "paused"),
        ("running", "pause", "paused"),
        ("paused", "resume", "queued"),
        ("queued", "stop", "completed"),
        ("running", "stop", "stopping"),
        ("paused", "stop", "completed"),
        ("queued", "cancel", "cancelled"),
        ("running", "cancel", "stopping"),
        ("paused", "cancel", "cancelled"),
        ("stopping", "cancel", "stopping"),
    ],
)
def test_what_is_possible(
    database: Database, sweep_in: Callable[[str], Sweep], record: Any, state: str, verb: str, after: str
) -> None:
    sweep = sweep_in(state)
    assert record.sweep(sweep)[0] == state
    assert VERBS[verb](database, sweep.id).state == after
    assert record.sweep(sweep)[0] == after


@pytest.mark.parametrize(
    ("state", "verb"),
    [
        ("queued", "resume"),
        ("running", "resume"),
        ("running", "delete"),
        ("paused", "pause"),
        ("stopping", "pause"),
        ("stopping", "resume"),
        ("stopping", "stop"),
        ("stopping", "delete"),
        ("completed", "pause"),
        ("completed", "resume"),
        ("completed", "stop"),
        ("completed", "cancel"),
        ("cancelled", "pause"),
        ("cancelled", "stop"),
        ("cancelled", "cancel"),
    ],
)
def test_what_is_not_possible_is_a_conflict_and_changes_nothing(
    database: Database, sweep_in: Callable[[str], Sweep], record: Any, state: str, verb: str
) -> None:
    sweep = sweep_in(state)
    events = record.events(sweep)
    with pytest.raises(Conflict, match=state):
        VERBS[verb](database, sweep.id)
    assert (record.sweep(sweep)[0], record.events(sweep)) == (state, events)


@pytest.mark.parametrize("verb", [*VERBS.values(), cancel_trial, retry_failed, retry_trial])
def test_what_is_not_there_is_not_found(sqlite_database: Database, verb: Callable[..., Any]) -> None:
    with pytest.raises(NotFound, match="xyz_none"):
        verb(sqlite_database, "xyz_none")


def test_a_paused_sweep_that_had_begun_runs_again(
    database: Database, sweep_in: Callable[[str], Sweep], record: Any
) -> None:
    sweep = sweep_in("running")
    pause_sweep(database, sweep.id)
    assert record.sweep(sweep) == ("paused", "by_user")
    assert resume_sweep(database, sweep.id).state is SweepState.RUNNING
    assert record.sweep(sweep) == ("running", None)
    assert record.events(sweep)[-2:] == ["sweep_paused", "sweep_resumed"]


def test_a_paused_sweep_gives_out_nothing(database: Database, submit: Callable[..., Sweep], worker: Any) -> None:
    sweep = submit()
    worker.claim(1)
    pause_sweep(database, sweep.id)
    assert worker.claim(4) == []


def test_stopping_cancels_what_waits_and_lets_the_rest_finish(
    database: Database, submit: Callable[..., Sweep], worker: Any, new_worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit()
    first, second = worker.claim(2)
    worker.release([second])
    stop_sweep(database, sweep.id)
    assert record.states(sweep) == ["running", "cancelled"]
    assert worker.directives(speak["epoch"](first, 0)) == ["continue"]
    worker.report(speak["epoch"](first, 1), speak["final"](first))
    assert record.sweep(sweep) == ("completed", "by_user")


def test_cancelling_tells_what_runs_to_stop(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit()
    (fence,) = worker.claim(1)
    cancel_sweep(database, sweep.id)
    assert worker.directives(speak["epoch"](fence, 0)) == ["stop"]
    worker.report(speak["final"](fence, "stopped"))
    assert record.states(sweep) == ["cancelled"]
    assert record.sweep(sweep) == ("cancelled", "by_user")


def test_deleting_takes_everything_along(
    database: Database, submit: Callable[..., Sweep], worker: Any, speak: Any
) -> None:
    sweep = submit()
    (fence,) = worker.claim(1)
    worker.report(speak["epoch"](fence, 0))
    cancel_sweep(database, sweep.id)
    worker.report(speak["final"](fence, "stopped"))
    assert delete_sweep(database, sweep.id).id == sweep.id
    with database.read() as connection:
        for table in (tables.sweeps, tables.trials, tables.attempts, tables.epochs, tables.layer_epochs, tables.events):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_a_waiting_trial_is_cancelled_at_once(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any
) -> None:
    sweep = submit()
    (fence,) = worker.claim(1)
    worker.release([fence])
    assert cancel_trial(database, fence[0]).state is TrialState.CANCELLED
    assert record.events(sweep)[-1] == "trial_cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        cancel_trial(database, fence[0])


def test_a_running_trial_is_told_to_stop_and_then_cancelled(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    submit()
    (fence,) = worker.claim(1)
    told = cancel_trial(database, fence[0])
    assert (told.state, told.stop_requested) == (TrialState.RUNNING, True)
    assert worker.heartbeat().stop == (fence[0],)
    worker.report(speak["final"](fence, "stopped"))
    assert record.trial(fence).state is TrialState.CANCELLED


def test_the_last_trial_cancelled_completes_the_sweep(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any
) -> None:
    sweep = submit(run_cap=1)
    (fence,) = worker.claim(1)
    worker.release([fence])
    cancel_trial(database, fence[0])
    assert record.sweep(sweep) == ("completed", "run_cap")


def test_a_failed_trial_waits_again_with_all_its_lives(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit()
    (fence,) = worker.claim(1)
    worker.report(speak["final"](fence, "failed"))
    assert record.trial(fence).state is TrialState.FAILED
    trial = retry_trial(database, fence[0])
    assert (trial.state, trial.lost, trial.attempt, trial.failure_kind) == (TrialState.WAITING, 0, 1, None)
    assert record.events(sweep)[-1] == "trial_waiting"
    assert worker.claim(1) == [(fence[0], 2)]


def test_a_trial_that_succeeded_is_not_retried(
    database: Database, submit: Callable[..., Sweep], worker: Any, speak: Any
) -> None:
    submit()
    (fence,) = worker.claim(1)
    worker.report(speak["epoch"](fence, 1), speak["final"](fence))
    with pytest.raises(Conflict, match="completed"):
        retry_trial(database, fence[0])


def test_a_retry_keeps_max_parallel(database: Database, submit: Callable[..., Sweep], worker: Any, speak: Any) -> None:
    submit(max_parallel=1)
    (fence,) = worker.claim(1)
    worker.report(speak["final"](fence, "failed"))
    worker.claim(1)
    with pytest.raises(Conflict, match="max_parallel"):
        retry_trial(database, fence[0])


def test_a_completed_sweep_opens_for_a_retry_and_completes_as_before(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit(run_cap=1)
    (fence,) = worker.claim(1)
    worker.report(speak["final"](fence, "failed"))
    retry_trial(database, fence[0])
    assert record.sweep(sweep) == ("running", None)
    assert record.events(sweep)[-3:] == ["sweep_completed", "sweep_reopened", "trial_waiting"]
    (again,) = worker.claim(4)
    worker.report(speak["epoch"](again, 1), speak["final"](again))
    assert record.sweep(sweep) == ("completed", "run_cap")


@pytest.mark.parametrize("state", ["stopping", "cancelled"])
@pytest.mark.parametrize("verb", [lambda database, fence, _: retry_trial(database, fence[0]),
                                  lambda database, _, sweep: retry_failed(database, sweep.id)])  # fmt: skip
def test_nothing_is_retried_in_a_sweep_that_was_ended(
    database: Database,
    submit: Callable[..., Sweep],
    worker: Any,
    speak: Any,
    record: Any,
    state: str,
    verb: Callable[..., Any],
) -> None:
    sweep = submit(max_parallel=2)
    first, second = worker.claim(2)
    worker.report(speak["final"](first, "failed"))
    cancel_sweep(database, sweep.id)
    worker.release([second] * (state == "cancelled"))
    assert record.sweep(sweep)[0] == state
    with pytest.raises(Conflict, match=f"is {state}; only one that is queued, running, paused or completed"):
        verb(database, first, sweep)


def test_all_that_failed_wait_again_and_only_they(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit(run_cap=6, max_parallel=4)
    first, second, third, fourth = worker.claim(4)
    worker.report(speak["final"](first, "failed"), speak["final"](third, "failed"))
    worker.report(speak["epoch"](second, 1), speak["final"](second))
    worker.claim(2)
    before = record.events(sweep)
    retry_failed(database, sweep.id)
    assert record.events(sweep) == [*before, "trial_waiting", "trial_waiting"]
    states = [record.trial(fence).state.value for fence in (first, second, third, fourth)]
    assert states == ["waiting", "completed", "waiting", "running"]
    assert (record.trial(first).failure_kind, record.trial(first).lost) == (None, 0)
    assert worker.claim(4) == [(first[0], 2), (third[0], 2)]


def test_where_none_failed_nothing_happens_and_twice_is_once(
    database: Database, submit: Callable[..., Sweep], worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit(run_cap=2, max_parallel=2)
    first, second = worker.claim(2)
    worker.report(speak["epoch"](second, 1), speak["final"](second))
    worker.report(speak["final"](first, "failed"))
    assert retry_failed(database, sweep.id).state is SweepState.RUNNING
    events = record.events(sweep)
    assert retry_failed(database, sweep.id).state is SweepState.RUNNING
    assert record.events(sweep) == events
    (again,) = worker.claim(4)
    worker.report(speak["epoch"](again, 1), speak["final"](again))
    assert retry_failed(database, sweep.id).state is SweepState.COMPLETED
    assert record.events(sweep)[-1] == "sweep_completed"


def test_a_sweep_that_paused_itself_takes_its_failures_back_and_stays_paused(
    database: Database, submit: Callable[..., Sweep], worker: Any, new_worker: Any, record: Any, speak: Any
) -> None:
    sweep = submit(run_cap=10, max_parallel=8)
    fences = worker.claim(8)
    worker.report(*(speak["final"](fence, "failed") for fence in fences))
    assert record.sweep(sweep) == ("paused", "failure_limit")
    retry_failed(database, sweep.id)
    other = new_worker("w2")
    assert record.sweep(sweep) == ("paused", "failure_limit")
    assert other.claim(8) == []
    resume_sweep(database, sweep.id)
    assert other.claim(8) == [(trial_id, 2) for trial_id, _ in fences]
