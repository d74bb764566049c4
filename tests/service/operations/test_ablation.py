"""Ablations in the service: all trials at once, matched trials claimed together, an end when all have ended."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.database.engine import Database
from service.database.tables import trials
from service.domain.sweep import Sweep
from service.operations.submitting import submit_sweep

Submit = Callable[..., Sweep]


@pytest.fixture
def ablate(database: Database, clock: Any) -> Submit:
    """Submits an ablation of four variants under two seeds; keywords change its file."""

    def submit_one(**changes: Any) -> Sweep:
        document = {
            "dataset": "digits",
            "method": "ablation",
            "seed": 7,
            "seeds": 2,
            "parameters": {"optimizer": "sgd", "epochs": 2},
            "remedies": ["normalization", "dropout"],
        }
        clock.advance_ms(1)
        return submit_sweep(database, document | changes, submitted="", idempotency_key=None).sweep

    return submit_one


def rows_of(database: Database, sweep: Sweep) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(trials).where(trials.c.sweep_id == sweep.id).order_by(trials.c.number)))


def numbers(answer: Any) -> list[int]:
    return [grant.number for grant in answer.grants]


def test_all_trials_wait_from_the_beginning_under_the_seeds_of_their_replicates(
    database: Database, ablate: Submit, record: Any
) -> None:
    sweep = ablate()
    rows = rows_of(database, sweep)
    assert [(row.number, row.replicate, row.seed, row.remedy) for row in rows] == [
        (0, 0, 7, "base"),
        (1, 0, 7, "normalization"),
        (2, 0, 7, "dropout"),
        (3, 0, 7, "all"),
        (4, 1, 8, "base"),
        (5, 1, 8, "normalization"),
        (6, 1, 8, "dropout"),
        (7, 1, 8, "all"),
    ]
    assert len({row.config_hash for row in rows}) == 4
    assert record.states(sweep) == ["waiting"] * 8
    assert record.events(sweep) == ["sweep_submitted", *["trial_created"] * 8]
    assert (sweep.n_trials, sweep.run_cap) == (8, 8)


def test_a_configuration_comes_once_in_a_replicate(database: Database, ablate: Submit) -> None:
    row = dict(rows_of(database, ablate())[0]._mapping)
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(trials).values(**row | {"id": "trl_twin", "number": 99}))


@pytest.mark.parametrize(
    ("n_slots", "expected"), [(8, list(range(8))), (7, [0, 1, 2, 3]), (4, [0, 1, 2, 3]), (3, [0, 1, 2])]
)
def test_matched_trials_are_claimed_together(worker: Any, ablate: Submit, n_slots: int, expected: list[int]) -> None:
    ablate()
    assert numbers(worker.send(worker.request(n_slots))) == expected


def test_the_next_replicate_waits_until_there_is_room_for_all_of_it(
    worker: Any, ablate: Submit, speak: Any, record: Any
) -> None:
    sweep = ablate()
    first, *others = worker.claim(4)
    worker.report(speak["epoch"](first, 1), speak["final"](first))
    assert worker.claim(1) == []
    worker.report(*(entry for one in others for entry in (speak["epoch"](one, 1), speak["final"](one))))
    assert numbers(worker.send(worker.request(4))) == [4, 5, 6, 7]
    assert record.sweep(sweep) == ("running", None)


def test_beside_another_sweep_it_does_not_wait(worker: Any, ablate: Submit, submit: Submit) -> None:
    other = submit(parameters={"epochs": 2, "learning_rate": {"values": [0.1, 0.2]}}, run_cap=1)
    assert len(worker.claim(1)) == 1
    ablate()
    answer = worker.send(worker.request(2))
    assert numbers(answer) == [0, 1]
    assert {grant.sweep_id for grant in answer.grants} != {other.id}


def test_it_is_over_when_all_have_ended_and_the_search_adds_none(
    worker: Any, ablate: Submit, speak: Any, record: Any
) -> None:
    sweep = ablate()
    for fence in worker.claim(8):
        worker.report(speak["epoch"](fence, 1), speak["final"](fence))
    assert record.sweep(sweep) == ("completed", "space_exhausted")
    assert worker.claim(8) == []
    assert len(record.states(sweep)) == 8


def test_a_replicate_that_lost_its_worker_is_claimed_again_as_one(worker: Any, new_worker: Any, ablate: Submit) -> None:
    ablate()
    worker.claim(4)
    worker.release()
    assert numbers(new_worker("w2").send(new_worker("w2").request(4))) == [0, 1, 2, 3]
