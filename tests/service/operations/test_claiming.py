"""Claiming: repeatable, fair, fenced, never more than a sweep or a batch allows."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from service.database.engine import Database
from service.database.tables import sweeps, trials
from service.errors import Conflict, ProtocolTooOld
from service.wire.leases import ClaimAnswer

Submit = Callable[..., Any]
NewWorker = Callable[..., Any]
RATE = {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}}


def _set_trial(database: Database, trial_id: str, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))


def _set_sweep(database: Database, sweep: Any, **values: Any) -> None:
    with database.write() as connection:
        connection.execute(update(sweeps).where(sweeps.c.id == sweep.id).values(**values))


def test_a_grant_says_all_that_a_worker_needs(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit(metric={"name": "val_accuracy", "at": "best"})
    answer = worker.send(worker.request(2))
    assert (answer.dataset, answer.stream_seed, answer.lease_seconds, answer.heartbeat_seconds) == ("digits", 7, 60, 15)
    first, second = answer.grants
    assert (first.sweep_id, first.number, first.attempt, first.seed) == (sweep.id, 0, 1, 7)
    assert first.objective.model_dump() == {"name": "val_accuracy", "direction": "maximize", "at": "best"}
    assert first.parameters == record.trial((first.trial_id, 1)).parameters
    assert second.parameters.learning_rate != first.parameters.learning_rate


def test_a_grant_says_which_steps_to_measure(worker: Any, submit: Submit) -> None:
    submit(statistics_every=4, name="few", run_cap=1)
    few = worker.send(worker.request(1))
    submit(name="all", run_cap=1)
    every = worker.send(worker.request(1))
    assert (few.statistics_every, every.statistics_every) == (4, 1)
    assert few.signature != every.signature


def test_a_grant_shows_every_kind_of_its_sweeps_space(worker: Any, submit: Submit) -> None:
    submit(parameters={"optimizer": {"values": ["sgd", "adam"]}, "dropout": {"min": 0.0, "max": 0.5}})
    shown = worker.send(worker.request(1)).representatives
    assert {parameters.optimizer for parameters in shown} == {"sgd", "adam"}
    assert min(parameters.dropout for parameters in shown) == 0
    assert max(parameters.dropout for parameters in shown) > 0.4


def test_the_same_claim_again_gets_the_same_answer(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit()
    request = worker.request(3)
    answers: list[ClaimAnswer] = [worker.send(request) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert record.states(sweep) == ["running"] * 3


def test_the_same_key_for_another_claim_is_a_conflict(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit()
    worker.send(worker.request(1, claim_key="k"))
    with pytest.raises(Conflict, match="claim_key k was used"):
        worker.send(worker.request(2, claim_key="k"))
    assert record.states(sweep) == ["running"]


def test_the_same_key_from_another_worker_is_a_conflict(new_worker: NewWorker, submit: Submit) -> None:
    submit()
    new_worker("w1").claim(1, claim_key="k")
    with pytest.raises(Conflict, match="claim_key k was used"):
        new_worker("w2").claim(1, claim_key="k")


def test_an_answer_without_trials_binds_nothing(worker: Any, submit: Submit) -> None:
    request = worker.request(1)
    nothing = worker.send(request)
    assert (nothing.grants, nothing.lease_id, nothing.retry_after_ms) == ((), None, 1000)
    submit()
    assert len(worker.send(request).grants) == 1


def test_claims_add_to_the_lease(worker: Any, submit: Submit) -> None:
    submit()
    first, lease_id = worker.claim(2), worker.lease_id
    second = worker.claim(2)
    assert worker.lease_id == lease_id
    assert worker.heartbeat().held == tuple(sorted(trial_id for trial_id, _ in first + second))


def test_a_claim_renews_the_lease_even_if_it_gets_nothing(worker: Any, submit: Submit, clock: Any) -> None:
    submit(run_cap=1)
    worker.claim(1)
    clock.advance_seconds(59)
    assert worker.claim(1) == []
    clock.advance_seconds(59)
    assert len(worker.heartbeat().held) == 1


def test_a_claim_under_an_ended_lease_is_refused(worker: Any, submit: Submit, record: Any) -> None:
    sweep = submit()
    worker.claim(1)
    worker.release()
    with pytest.raises(Conflict, match="has ended; claim without lease_id"):
        worker.claim(1)
    assert record.states(sweep) == ["waiting"]


def test_a_claim_under_another_workers_lease_is_refused(new_worker: NewWorker, submit: Submit) -> None:
    submit()
    first = new_worker("w1")
    first.claim(1)
    with pytest.raises(Conflict, match="belongs to worker w1, not to w2"):
        new_worker("w2", lease_id=first.lease_id).claim(1)


def test_another_protocol_is_refused(worker: Any) -> None:
    with pytest.raises(ProtocolTooOld, match="speaks protocol 2"):
        worker.claim(1, protocol=2)


def test_no_more_than_max_parallel_run(new_worker: NewWorker, submit: Submit, record: Any) -> None:
    sweep = submit(max_parallel=3)
    assert [len(new_worker(name).claim(2)) for name in ("w1", "w2", "w3")] == [2, 1, 0]
    assert record.states(sweep) == ["running"] * 3


def test_no_more_than_run_cap_ever(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(run_cap=2)
    worker.report(*[speak["final"](fence) for fence in worker.claim(5)])
    assert worker.claim(5) == []
    assert record.sweep(sweep) == ("completed", "run_cap")


@pytest.mark.parametrize("state", ["paused", "stopping"])
def test_a_sweep_that_does_not_go_on_gives_nothing(worker: Any, submit: Submit, database: Database, state: str) -> None:
    sweep = submit()
    worker.claim(1)
    _set_sweep(database, sweep, state=state)
    assert worker.claim(1) == []


def test_only_data_sets_that_the_worker_knows(new_worker: NewWorker, submit: Submit) -> None:
    submit(dataset="mnist")
    digits = submit()
    grants = new_worker("w1").send(new_worker("w1").request(4)).grants
    assert {grant.sweep_id for grant in grants} == {digits.id}


def test_one_claim_has_one_signature_the_oldest_ones(worker: Any, submit: Submit, database: Database) -> None:
    submit()
    fences = worker.claim(3)
    worker.release()
    _set_trial(database, fences[0][0], signature="other")
    worker.lease_id = None
    assert worker.claim(8) == [(fences[0][0], 2)]
    assert [trial_id for trial_id, _ in worker.claim(8)][:2] == [fences[1][0], fences[2][0]]


def test_the_signature_asked_for(worker: Any, submit: Submit, database: Database) -> None:
    submit(run_cap=2)
    fences = worker.claim(2)
    worker.release()
    _set_trial(database, fences[1][0], signature="other")
    worker.lease_id = None
    assert worker.claim(8, signature="other") == [(fences[1][0], 2)]
    assert worker.claim(8, signature="another") == []


def test_sweeps_of_different_shapes_take_turns_when_the_bank_empties(
    worker: Any, submit: Submit, speak: Any, clock: Any
) -> None:
    numbers = {submit(parameters=RATE | {"hidden_units": {"value": [n]}}).id: n for n in (8, 16)}
    turns = []
    for _ in range(4):
        answer = worker.send(worker.request(4))
        turns.append({numbers[grant.sweep_id] for grant in answer.grants})
        worker.report(*(speak["final"]((grant.trial_id, grant.attempt)) for grant in answer.grants))
        clock.advance_seconds(1)
    assert turns == [{8}, {16}, {8}, {16}]


def test_sweeps_share_fairly(worker: Any, submit: Submit) -> None:
    """The first claim is one sweep's; refills go to the sweep with the fewest trials, and both share a bank."""
    first, second = submit(), submit()
    numbers = {first.id: 0, second.id: 1}
    answers = [worker.send(worker.request(4))]
    for n in (4, 6):
        answers.append(worker.send(worker.request(n, signature=answers[0].signature)))
    shares = [[numbers[grant.sweep_id] for grant in answer.grants] for answer in answers]
    assert shares == [[0] * 4, [1] * 4, [0, 1, 0, 1, 0, 1]]


def test_a_claim_is_filled_even_if_sweeps_differ_in_shape(new_worker: NewWorker, submit: Submit) -> None:
    shapes = ([8], [16])
    for shape in shapes:
        submit(parameters={"dropout": {"min": 0.0, "max": 0.5}, "hidden_units": {"value": shape}})
    answers = [worker.send(worker.request(6)) for worker in (new_worker("w1"), new_worker("w2"))]
    assert [len(answer.grants) for answer in answers] == [6, 6]
    found = [grant.parameters.hidden_units for answer in answers for grant in answer.grants]
    assert found == [(8,)] * 6 + [(16,)] * 6


def test_a_batch_never_outgrows_a_member(worker: Any, submit: Submit, database: Database) -> None:
    submit()
    fences = worker.claim(4)
    worker.release()
    _set_trial(database, fences[0][0], batch_limit=2)
    worker.lease_id = None
    assert [trial_id for trial_id, _ in worker.claim(8)] == [fences[0][0], fences[1][0]]
    assert worker.claim(8) == []


def test_a_trial_that_waits_is_passed_over_until_its_time(
    worker: Any, submit: Submit, database: Database, clock: Any
) -> None:
    submit(run_cap=1)
    [(trial_id, _)] = worker.claim(1)
    worker.release()
    worker.lease_id = None
    _set_trial(database, trial_id, not_before_ms=clock.time_ms + 5_000)
    assert worker.claim(1) == []
    clock.advance_seconds(5)
    assert worker.claim(1) == [(trial_id, 2)]


def test_a_new_attempt_forgets_the_last_ones_results(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit(run_cap=1)
    [fence] = worker.claim(1)
    worker.report(speak["epoch"](fence, 1, 0.7))
    assert record.trial(fence).objective == 0.7
    worker.release()
    worker.lease_id = None
    [again] = worker.claim(1)
    trial = record.trial(again)
    assert (trial.attempt, trial.epoch, trial.objective, trial.val_accuracy, trial.wall_seconds) == (2,) + (None,) * 4
    assert record.epochs(fence[0]) == [(1, 1, 0.7)]
    assert record.attempts(fence[0]) == [(1, "released"), (2, None)]


def test_a_worker_that_keeps_failing_gets_nothing_for_a_while(
    worker: Any, new_worker: NewWorker, submit: Submit, speak: Any, clock: Any
) -> None:
    submit(run_cap=40, max_parallel=40, failure_limit=1.0)
    worker.report(*[speak["final"](fence, "failed") for fence in worker.claim(7)])
    assert len(worker.claim(1)) == 1
    worker.report(*[speak["final"]((trial_id, 1), "failed") for trial_id in worker.heartbeat().held])
    assert worker.claim(1) == []
    assert len(new_worker("w2").claim(1)) == 1
    clock.advance_seconds(600)
    worker.lease_id = None
    [fence] = worker.claim(1)
    worker.report(speak["final"](fence, "failed"))
    assert worker.claim(1) == []


def test_a_success_ends_the_row_of_failures(worker: Any, submit: Submit, speak: Any) -> None:
    submit(run_cap=40, max_parallel=40, failure_limit=1.0)
    fences = worker.claim(15)
    kinds = ["failed"] * 7 + ["completed"] + ["failed"] * 7
    worker.report(*[speak["final"](fence, kind) for fence, kind in zip(fences, kinds, strict=True)])
    assert len(worker.claim(1)) == 1
