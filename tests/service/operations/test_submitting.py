"""Submitting: stored once whatever is sent how often, under a name of its own, with everything resolved."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from service.database import tables
from service.database.engine import Database
from service.database.sweeps import get_sweep
from service.domain.states import Method, SweepState
from service.errors import Conflict, IdempotencyMismatch, InvalidRequest, InvalidSweep
from service.operations.submitting import Submission, submit_sweep


def document(**keys: Any) -> dict[str, Any]:
    return {"parameters": {"learning_rate": {"min": 0.001, "max": 0.1}}, "run_cap": 10, **keys}


def submit(database: Database, key: str | None = None, **keys: Any) -> Submission:
    return submit_sweep(database, document(**keys), submitted=repr(keys), idempotency_key=key)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_submitted_sweep_is_queued_with_everything_resolved(database: Database) -> None:
    sweep = submit(database, name="first", method="bayes", seed=7).sweep
    with database.read() as connection:
        assert get_sweep(connection, sweep.id) == sweep
    assert (sweep.state, sweep.method, sweep.seed, sweep.n_trials, sweep.n_events) == (
        SweepState.QUEUED,
        Method.TPE,
        7,
        0,
        1,
    )
    assert sweep.definition["resolved"]["parameters"]["epochs"] == {"value": 10}
    assert "/parameters/epochs" in sweep.definition["defaulted"]
    assert "/seed" not in sweep.definition["defaulted"]


def test_a_seed_is_drawn_and_recorded_if_none_is_given(database: Database) -> None:
    sweep = submit_sweep(database, document(), submitted="x", idempotency_key=None, draw_seed=lambda: 12345).sweep
    assert sweep.seed == 12345
    assert sweep.definition["resolved"]["seed"] == 12345
    assert "/seed" in sweep.definition["defaulted"]


def test_a_taken_name_gets_a_number_and_the_answer_says_so(database: Database) -> None:
    names = [submit(database, name="night").sweep.name for _ in range(3)]
    assert names == ["night", "night-2", "night-3"]
    fourth = submit(database, name="night")
    assert "the name 'night' is taken; the sweep is called 'night-4'" in fourth.warnings
    assert fourth.sweep.definition["resolved"]["name"] == "night-4"
    assert fourth.sweep.definition["warnings"] == fourth.warnings


def test_the_same_key_and_text_make_one_sweep(database: Database) -> None:
    first, second = submit(database, "key-1", name="once"), submit(database, "key-1", name="once")
    assert (first.replayed, second.replayed) == (False, True)
    assert second.sweep == first.sweep
    assert second.warnings == first.warnings
    assert count(database, tables.sweeps) == 1


def test_the_same_key_with_another_text_is_refused(database: Database) -> None:
    submit(database, "key-1", name="once")
    with pytest.raises(IdempotencyMismatch, match="key-1"):
        submit(database, "key-1", name="twice")
    assert count(database, tables.sweeps) == 1


def test_the_key_of_a_deleted_sweep_says_so(database: Database) -> None:
    submit(database, "key-1")
    with database.write() as connection:
        connection.execute(tables.sweeps.delete())
    with pytest.raises(Conflict, match="deleted"):
        submit(database, "key-1")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\nb", "a\x00"])
def test_a_key_that_cannot_be_stored_is_refused(sqlite_database: Database, key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        submit(sqlite_database, key)


def test_a_sweep_that_cannot_run_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(InvalidSweep):
        submit(database, "key-1", run_cap=None)
    assert count(database, tables.sweeps) == count(database, tables.idempotency_keys) == 0


def test_submissions_at_once_get_names_and_keys_of_their_own(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: submit(database, f"key-{n % 2}", name="race"), range(4)))
    assert sorted(answer.replayed for answer in answers) == [False, False, True, True]
    assert {answer.sweep.name for answer in answers} == {"race", "race-2"}


@pytest.mark.parametrize(
    ("keys", "run_cap", "is_exhausted"),
    [
        ({"method": "grid", "run_cap": None}, 6, True),
        ({"method": "random", "run_cap": 50}, 6, True),
        ({"method": "random", "run_cap": 5}, 5, False),
    ],
)
def test_the_size_of_a_small_space_is_its_run_cap(
    sqlite_database: Database, keys: dict[str, Any], run_cap: int, is_exhausted: bool
) -> None:
    space = {"dropout": {"values": [0.0, 0.1, 0.2]}, "optimizer": {"values": ["adam", "sgd"]}}
    sweep = submit(sqlite_database, parameters=space, **keys).sweep
    assert (sweep.run_cap, sweep.definition.get("exhausted", False)) == (run_cap, is_exhausted)
    assert sweep.definition["resolved"].get("run_cap") == keys["run_cap"]
