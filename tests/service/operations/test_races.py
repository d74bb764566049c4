"""Two at the same moment: real threads, real connections of two services, on either database."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import pytest
from sqlalchemy import URL

from service.database.engine import Database
from service.errors import Conflict
from service.operations.leasing import heartbeat
from service.operations.reaping import reap
from service.operations.steering import cancel_sweep
from service.wire.leases import HeartbeatRequest

Submit = Callable[..., Any]
NewWorker = Callable[..., Any]
N_ROUNDS = 5


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Run actions in threads that start at the same moment; their results, or the Conflict that one was answered."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        barrier.wait(timeout=30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        futures: list[Future[Any]] = [pool.submit(run, action) for action in actions]
        wait(futures, timeout=120)
    return [future.exception() or future.result() for future in futures]


@pytest.fixture
def two_workers(
    database: Database, database_url: URL, open_database: Callable[[str | URL], Database], new_worker: NewWorker
) -> tuple[Any, Any]:
    """Two workers of two services on one database."""
    second = new_worker("w2")
    second.database = open_database(database_url)
    return new_worker("w1"), second


def test_two_claims_for_the_last_trial(two_workers: tuple[Any, Any], submit: Submit, record: Any) -> None:
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=1)
        results = together(*[partial(worker.claim, 1, lease_id=None) for worker in two_workers])
        assert sorted(map(len, results)) == [0, 1]
        assert record.states(sweep) == ["running"]


def test_two_claims_never_overshoot_max_parallel(two_workers: tuple[Any, Any], submit: Submit, record: Any) -> None:
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=50, max_parallel=5)
        results = together(*[partial(worker.claim, 4, lease_id=None) for worker in two_workers])
        fences = [fence for fences in results for fence in fences]
        assert len(set(fences)) == len(fences) <= 5
        assert record.states(sweep).count("running") == len(fences)
        assert len(record.states(sweep)) <= 5
        cancel_sweep(two_workers[0].database, sweep.id)


def test_the_same_claim_twice_at_once(two_workers: tuple[Any, Any], submit: Submit, record: Any) -> None:
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=2)
        request = two_workers[0].request(2, lease_id=None)
        answers = together(*[partial(worker.send, request) for worker in two_workers])
        assert answers[0] == answers[1]
        assert record.states(sweep).count("running") == 2
        cancel_sweep(two_workers[0].database, sweep.id)


def test_the_same_report_twice_at_once(two_workers: tuple[Any, Any], submit: Submit, speak: Any, record: Any) -> None:
    first, second = two_workers
    for _ in range(N_ROUNDS):
        sweep = submit(early_terminate={"type": "hyperband", "min_iter": 1, "eta": 3})
        fences = first.claim(4, lease_id=None)
        entries = [speak["epoch"](fence, 1, place / 10) for place, fence in enumerate(fences)]
        answers = together(partial(first.report, *entries), partial(second.report, *entries, lease_id=first.lease_id))
        assert answers[0] == answers[1]
        assert record.events(sweep).count("epochs_reported") == 1
        cancel_sweep(first.database, sweep.id)


def test_a_report_against_the_reaper(
    two_workers: tuple[Any, Any], submit: Submit, speak: Any, record: Any, clock: Any, lease_settings: Any
) -> None:
    """Either the report renewed the lease, or the trial waits and the report was told so."""
    first, second = two_workers
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=1)
        [fence] = first.claim(1, lease_id=None)
        clock.advance_seconds(61)
        directives, _ = together(
            partial(first.directives, speak["epoch"](fence, 1)),
            partial(reap, second.database, lease_settings),
        )
        outcomes = {"continue": ["running"], "gone": ["waiting"]}
        assert record.states(sweep) == outcomes[directives[0]]
        assert len(record.epochs(fence[0])) == ["gone", "continue"].index(directives[0])
        cancel_sweep(first.database, sweep.id)


def test_a_heartbeat_against_the_reaper(
    two_workers: tuple[Any, Any], submit: Submit, record: Any, clock: Any, lease_settings: Any
) -> None:
    first, second = two_workers
    request = HeartbeatRequest(steps_done=1, phase="training")
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=1)
        first.claim(1, lease_id=None)
        clock.advance_seconds(61)
        beat, _ = together(
            partial(heartbeat, first.database, first.lease_id, request, lease_settings),
            partial(reap, second.database, lease_settings),
        )
        outcomes = {True: ["waiting"], False: ["running"]}
        assert record.states(sweep) == outcomes[isinstance(beat, Conflict)]
        cancel_sweep(first.database, sweep.id)


def test_a_final_against_a_cancel(two_workers: tuple[Any, Any], submit: Submit, speak: Any, record: Any) -> None:
    """Whatever comes first, an acknowledged result stands."""
    first, second = two_workers
    for _ in range(N_ROUNDS):
        sweep = submit(run_cap=1)
        [fence] = first.claim(1, lease_id=None)
        directives, _ = together(
            partial(first.directives, speak["final"](fence)),
            partial(cancel_sweep, second.database, sweep.id),
        )
        assert directives == ["continue"]
        assert record.states(sweep) == ["completed"]


def test_many_workers_share_one_sweep(
    database_url: URL,
    open_database: Callable[[str | URL], Database],
    new_worker: NewWorker,
    submit: Submit,
    speak: Any,
    record: Any,
) -> None:
    """Four workers train a sweep to its end at the same time: each trial once, numbers dense, the sweep completed."""
    sweep = submit(run_cap=24, max_parallel=6)
    databases = [open_database(database_url) for _ in range(2)]

    def work(name: str, database: Database) -> list[Any]:
        worker, done = new_worker(name), []
        worker.database = database
        for _ in range(40):
            fences = worker.claim(3)
            worker.report(*[speak["epoch"](fence, 1) for fence in fences] or [speak["final"](("trl_none", 1))])
            worker.report(*[speak["final"](fence) for fence in fences] or [speak["final"](("trl_none", 1))])
            done += fences
        return done

    results = together(*[partial(work, f"w{place}", databases[place % 2]) for place in range(4)])
    done = [fence for fences in results for fence in fences]
    assert len(done) == len(set(done)) == 24
    assert record.states(sweep) == ["completed"] * 24
    assert record.sweep(sweep) == ("completed", "run_cap")
