"""Reaping: a dead worker's trials run elsewhere in time, and an absent service kills nobody."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.database.engine import Database
from service.database.leases import expire_if_overdue, overdue_leases
from service.database.tables import claims, sweeps
from service.domain.lease import LeaseSettings
from service.operations.reaping import Reaper, extend_all, reap

Submit = Callable[..., Any]
NewWorker = Callable[..., Any]


@pytest.fixture
def reaper(database: Database, lease_settings: LeaseSettings) -> Reaper:
    """A reaper that has ticked once."""
    started = Reaper(database, lease_settings)
    started.tick()
    return started


def let_pass(clock: Any, reaper: Reaper, seconds: int) -> int:
    """Let time pass with a tick every five seconds; how many trials were lost."""
    lost = 0
    for _ in range(seconds // 5):
        clock.advance_seconds(5)
        lost += reaper.tick().n_lost
    return lost


def test_a_dead_workers_trials_run_elsewhere_within_65_seconds(
    worker: Any, new_worker: NewWorker, submit: Submit, clock: Any, reaper: Reaper, record: Any
) -> None:
    submit(run_cap=1)
    [fence] = worker.claim(1)
    assert let_pass(clock, reaper, 55) == 0
    assert let_pass(clock, reaper, 10) == 1
    assert new_worker("w2").claim(1) == [(fence[0], 2)]
    assert record.attempts(fence[0]) == [(1, "lost"), (2, None)]
    assert record.trial(fence).lost == 1


def test_the_last_life_names_the_workers_that_died(
    new_worker: NewWorker, submit: Submit, clock: Any, reaper: Reaper, record: Any
) -> None:
    sweep = submit(run_cap=1)
    for name in ("w1", "w2", "w3"):
        [fence] = new_worker(name).claim(1)
        let_pass(clock, reaper, 65)
    trial = record.trial(fence)
    assert (trial.state, trial.failure_kind, trial.lost) == ("failed", "worker_lost", 3)
    assert trial.failure_message == "3 workers vanished while they trained it: w1, w2, w3"
    assert record.sweep(sweep) == ("completed", "run_cap")
    assert new_worker("w4").claim(1) == []


def test_a_large_batch_is_split_and_nobody_pays(
    worker: Any, new_worker: NewWorker, submit: Submit, clock: Any, reaper: Reaper, record: Any
) -> None:
    submit(run_cap=32, max_parallel=32)
    fences = worker.claim(32)
    assert let_pass(clock, reaper, 65) == 32
    assert {(record.trial(fence).lost, record.trial(fence).batch_limit) for fence in fences} == {(0, 8)}
    assert len(new_worker("w2").claim(32)) == 8


def test_after_the_second_life_a_trial_waits(new_worker: NewWorker, submit: Submit, clock: Any, reaper: Reaper) -> None:
    submit(run_cap=1)
    for name in ("w1", "w2"):
        new_worker(name).claim(1)
        let_pass(clock, reaper, 60)
    assert new_worker("w3").claim(1) == []
    let_pass(clock, reaper, 5)
    assert len(new_worker("w3").claim(1)) == 1


def test_a_trial_that_was_to_stop_is_cancelled(
    worker: Any, submit: Submit, clock: Any, reaper: Reaper, record: Any, database: Database
) -> None:
    sweep = submit()
    worker.claim(2)
    with database.write() as connection:
        connection.execute(update(sweeps).values(state="stopping", state_reason="by_user"))
    let_pass(clock, reaper, 65)
    assert record.states(sweep) == ["cancelled", "cancelled"]
    assert record.sweep(sweep) == ("completed", "by_user")


def test_a_lease_that_was_renewed_meanwhile_is_spared(
    worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: LeaseSettings, record: Any
) -> None:
    sweep = submit()
    worker.claim(1)
    clock.advance_seconds(61)
    worker.heartbeat()
    assert reap(database, lease_settings).n_expired == 0
    assert record.states(sweep) == ["running"]


def test_a_lease_that_was_renewed_after_it_was_found_overdue_is_spared(
    worker: Any, submit: Submit, clock: Any, database: Database, record: Any
) -> None:
    sweep = submit()
    worker.claim(1)
    clock.advance_seconds(61)
    with database.read() as connection:
        (overdue,) = overdue_leases(connection, clock.time_ms)
    worker.heartbeat()
    with database.write() as connection:
        assert expire_if_overdue(connection, overdue, clock.time_ms) is None
    assert record.states(sweep) == ["running"]


@pytest.mark.parametrize("away_seconds", [11, 300, 3600])
def test_after_an_outage_nobody_dies(
    worker: Any, submit: Submit, clock: Any, reaper: Reaper, record: Any, away_seconds: int
) -> None:
    """Service down or laptop asleep: the worker had no chance to renew."""
    sweep = submit()
    [fence] = worker.claim(1)
    clock.advance_seconds(away_seconds)
    result = reaper.tick()
    assert (result.n_extended, result.n_expired) == (1, 0)
    assert let_pass(clock, reaper, 55) == 0
    worker.heartbeat()
    assert record.states(sweep) == ["running"]
    assert record.trial(fence).lost == 0


def test_a_restarted_service_extends_first(
    worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: LeaseSettings, record: Any
) -> None:
    sweep = submit()
    worker.claim(1)
    clock.advance_seconds(120)
    restarted = Reaper(database, lease_settings)
    assert restarted.tick().n_extended == 1
    assert record.states(sweep) == ["running"]
    assert let_pass(clock, restarted, 60) == 1


def test_a_punctual_tick_extends_nothing(worker: Any, submit: Submit, clock: Any, reaper: Reaper) -> None:
    submit()
    worker.claim(1)
    clock.advance_seconds(9)
    assert reaper.tick().n_extended == 0


def test_extending_never_shortens(
    worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: LeaseSettings
) -> None:
    submit()
    worker.claim(1)
    assert extend_all(database, LeaseSettings(lease_seconds=1)) == 0
    clock.advance_seconds(59)
    assert reap(database, lease_settings).n_expired == 0


def test_an_idle_lease_expires_and_costs_nothing(
    worker: Any, submit: Submit, speak: Any, clock: Any, reaper: Reaper, record: Any
) -> None:
    sweep = submit()
    [fence] = worker.claim(1)
    worker.report(speak["final"](fence))
    assert let_pass(clock, reaper, 65) == 0
    assert record.states(sweep) == ["completed"]


def test_claims_are_kept_for_a_day(
    worker: Any, submit: Submit, clock: Any, database: Database, lease_settings: LeaseSettings
) -> None:
    submit()
    request = worker.request(1)
    answer = worker.send(request)
    clock.advance_seconds(86_400)
    reap(database, lease_settings)
    assert worker.send(request) == answer
    clock.advance_seconds(1)
    reap(database, lease_settings)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(claims)).scalar_one() == 0


def test_the_time_budget_counts_minutes_with_a_live_lease(
    worker: Any, submit: Submit, speak: Any, clock: Any, reaper: Reaper, record: Any
) -> None:
    sweep = submit(time_budget_minutes=1)
    let_pass(clock, reaper, 300)
    [done] = worker.claim(1)
    let_pass(clock, reaper, 30)
    worker.report(speak["final"](done))
    let_pass(clock, reaper, 300)
    worker.lease_id = None
    [last] = worker.claim(1)
    let_pass(clock, reaper, 20)
    assert record.sweep(sweep)[0] == "running"
    let_pass(clock, reaper, 15)
    assert record.sweep(sweep) == ("stopping", "time_budget")
    assert worker.claim(1) == []
    assert worker.directives(speak["epoch"](last, 1)) == ["continue"]
    worker.report(speak["final"](last))
    assert record.sweep(sweep) == ("completed", "time_budget")


def test_the_time_of_an_outage_does_not_count(
    worker: Any, submit: Submit, clock: Any, reaper: Reaper, record: Any
) -> None:
    sweep = submit(time_budget_minutes=1)
    worker.claim(1)
    let_pass(clock, reaper, 10)
    clock.advance_seconds(3600)
    reaper.tick()
    assert record.sweep(sweep)[0] == "running"
