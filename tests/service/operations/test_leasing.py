"""Heartbeats and releases."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from service.database.engine import Database
from service.database.tables import sweeps, trials, workers
from service.errors import Conflict, NotFound
from service.operations.leasing import heartbeat
from service.operations.reaping import reap
from service.wire.leases import HeartbeatRequest

Submit = Callable[..., Any]


def test_a_heartbeat_renews(worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    for _ in range(5):
        clock.advance_seconds(59)
        assert reap(database, lease_settings).n_expired == 0
        assert worker.heartbeat().held == (fence[0],)


def test_a_heartbeat_after_expiry_renews_what_nobody_reaped(worker: Any, submit: Submit, clock: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    clock.advance_seconds(1000)
    assert worker.heartbeat().held == (fence[0],)


def test_a_heartbeat_of_a_reaped_lease_is_refused(
    worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: Any
) -> None:
    submit()
    worker.claim(1)
    clock.advance_seconds(61)
    reap(database, lease_settings)
    with pytest.raises(Conflict, match="is expired"):
        worker.heartbeat()
    with pytest.raises(Conflict, match="is expired"):
        worker.release()


def test_there_is_no_such_lease(worker: Any) -> None:
    with pytest.raises(NotFound, match="no lease lse_none"):
        worker.heartbeat()
    with pytest.raises(NotFound, match="no lease lse_none"):
        worker.release()


def test_a_heartbeat_shows_what_the_worker_does(
    worker: Any, submit: Submit, database: Database, clock: Any, lease_settings: Any
) -> None:
    submit()
    worker.claim(1)
    since = {}
    for second, phase in enumerate(("compiling", "compiling", "training")):
        clock.advance_seconds(1)
        idle = {"compiling": 2.5 * second}
        request = HeartbeatRequest(steps_done=second, phase=phase, slots_filled=3, idle_slot_seconds=idle)
        heartbeat(database, worker.lease_id, request, lease_settings)
        with database.read() as connection:
            row = connection.execute(select(workers)).one()
        assert row.idle_slot_seconds == idle
        since[second] = (row.phase, clock.time_ms - row.phase_since_ms, row.steps_done, row.slots_filled)
    assert since == {0: ("compiling", 0, 0, 3), 1: ("compiling", 1000, 1, 3), 2: ("training", 0, 2, 3)}


def test_released_trials_wait_at_once_and_keep_their_lives(
    worker: Any, new_worker: Callable[..., Any], submit: Submit, record: Any
) -> None:
    sweep = submit(run_cap=2)
    fences = worker.claim(2)
    assert worker.release([fences[0]]).released == (fences[0][0],)
    assert record.states(sweep) == ["waiting", "running"]
    assert record.trial(fences[0]).lost == 0
    assert new_worker("w2").claim(2) == [(fences[0][0], 2)]


def test_the_same_release_again_answers_the_same(worker: Any, submit: Submit) -> None:
    submit()
    fences = worker.claim(3)
    some = worker.release(fences[:2])
    assert worker.release(fences[:2]) == some
    everything = worker.release()
    assert worker.release() == everything
    assert everything.released == tuple(sorted(trial_id for trial_id, _ in fences))


def test_an_older_attempt_releases_nothing(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit(run_cap=1)
    [old] = worker.claim(1)
    worker.release([old])
    worker.claim(1)
    worker.release([old])
    assert record.states(sweep) == ["running"]


def test_a_trial_that_was_to_stop_is_cancelled_by_its_release(
    worker: Any, submit: Submit, record: Any, database: Database
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    with database.write() as connection:
        connection.execute(update(trials).where(trials.c.id == fences[0][0]).values(stop_requested=True))
    assert worker.release().released == (fences[1][0],)
    assert record.states(sweep) == ["cancelled", "waiting"]


def test_a_sweep_that_drains_takes_nothing_back(worker: Any, submit: Submit, record: Any, database: Database) -> None:
    sweep = submit()
    worker.claim(2)
    with database.write() as connection:
        connection.execute(update(sweeps).values(state="stopping", state_reason="by_user"))
    assert worker.release().released == ()
    assert record.states(sweep) == ["cancelled", "cancelled"]
    assert record.sweep(sweep) == ("completed", "by_user")
