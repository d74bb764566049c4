"""Proposing: within budget and max_parallel, never asking inside a transaction, the same trials for the same seed."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select, update

from service.database.engine import Database
from service.database.sweeps import get_sweep, lock_sweep
from service.database.tables import sweeps, trials
from service.database.trials import trial_from_row
from service.domain.states import SweepState, TrialState
from service.domain.sweep import Sweep
from service.domain.trial import Trial, TrialFact
from service.operations.claiming import claim
from service.operations.proposing import insert_suggested, suggest_trials
from service.operations.settling import settle_sweep
from service.operations.steering import pause_sweep
from service.operations.submitting import submit_sweep
from service.suggestion.search import SweepSearch
from service.suggestion.searches import Searches
from service.wire.parameters import Parameters

SMALL = {"learning_rate": {"values": [0.1, 0.01, 0.001]}, "optimizer": {"values": ["adam", "sgd"]}}


def propose_trials(database: Database, searches: Searches, sweep_id: str, n: int) -> int | None:
    """As a claim does it, but for the taking: how many trials were inserted, None if others took their numbers."""
    suggestion = suggest_trials(database, searches, sweep_id, n)
    if suggestion is None:
        return 0
    with database.write() as connection:
        sweep = lock_sweep(connection, sweep_id)
        assert sweep is not None
        return insert_suggested(connection, sweep, suggestion, database.now_ms(connection))[1]


def all_trials(database: Database, sweep: Sweep) -> list[Trial]:
    with database.read() as connection:
        rows = connection.execute(select(trials).where(trials.c.sweep_id == sweep.id).order_by(trials.c.number))
        return [trial_from_row(row) for row in rows]


def now(database: Database, sweep: Sweep) -> Sweep:
    with database.read() as connection:
        found = get_sweep(connection, sweep.id)
    assert found is not None
    return found


def end_all(database: Database, sweep: Sweep, state: TrialState = TrialState.COMPLETED) -> None:
    """End every waiting trial, best where the learning rate is nearest to 0.01."""
    with database.write() as connection:
        for trial in all_trials(database, sweep):
            value = -abs(trial.parameters.learning_rate - 0.01)
            connection.execute(
                update(trials)
                .where(trials.c.id == trial.id, trials.c.state == TrialState.WAITING)
                .values(state=state, objective=value, epoch=3, ended_at_ms=1, revision=sweep.revision + 1000)
            )
        connection.execute(update(sweeps).where(sweeps.c.id == sweep.id).values(revision=sweep.revision + 1000))


class ListeningSearch:
    """A search that looks around while it is asked, and whatever `meanwhile` does then."""

    def __init__(self, search: SweepSearch, meanwhile: Callable[[], None]) -> None:
        self.search = search
        self.meanwhile = meanwhile
        self.revision = search.revision
        self.learns = search.learns

    def sync(self, facts: Sequence[TrialFact], revision: int) -> None:
        self.search.sync(facts, revision)

    def suggest(self, numbers: Sequence[int]) -> list[Parameters]:
        self.meanwhile()
        return self.search.suggest(numbers)


class ShortSearch(ListeningSearch):
    """A search that has two trials and no more."""

    def suggest(self, numbers: Sequence[int]) -> list[Parameters]:
        return self.search.suggest([number for number in numbers if number < 2])


class ListeningSearches(Searches):
    """Searches that do something while they are asked; `asked` counts how often."""

    def __init__(self, meanwhile: Callable[[int], None]) -> None:
        super().__init__()
        self.asked = 0
        self.meanwhile = meanwhile

    def of(self, sweep: Sweep) -> SweepSearch:
        return ListeningSearch(super().of(sweep), self.listen)

    def listen(self) -> None:
        self.asked += 1
        self.meanwhile(self.asked)


def test_trials_wait_with_everything_that_a_worker_needs(database: Database, submit: Callable[..., Sweep]) -> None:
    sweep = submit(seed=7)
    assert propose_trials(database, Searches(), sweep.id, 3) == 3
    waiting = all_trials(database, sweep)
    assert [trial.number for trial in waiting] == [0, 1, 2]
    assert {trial.state for trial in waiting} == {TrialState.WAITING}
    assert [trial.seed for trial in waiting] == [7, 8, 9]
    assert len({trial.config_hash for trial in waiting}) == 3
    assert len({trial.signature for trial in waiting}) == 1
    assert now(database, sweep).n_trials == 3
    assert {trial.revision for trial in waiting} == {now(database, sweep).revision}


def test_each_trial_has_its_event(database: Database, submit: Callable[..., Sweep], record: Any) -> None:
    sweep = submit()
    propose_trials(database, Searches(), sweep.id, 2)
    assert record.events(sweep) == ["sweep_submitted", "trial_created", "trial_created"]


@pytest.mark.parametrize(("keys", "expected"), [({"run_cap": 5}, 5), ({"max_parallel": 3}, 3)])
def test_budget_and_parallelism_are_kept(
    database: Database, submit: Callable[..., Sweep], keys: dict[str, Any], expected: int
) -> None:
    sweep, searches = submit(**{"run_cap": 100, "max_parallel": 50} | keys), Searches()
    assert propose_trials(database, searches, sweep.id, 20) == expected
    assert propose_trials(database, searches, sweep.id, 20) == 0


@pytest.mark.parametrize("method", ["random", "grid", "qmc", "tpe"])
def test_a_small_space_is_trained_once_each_and_completes_the_sweep(sqlite_database: Database, method: str) -> None:
    file = {"parameters": SMALL, "method": method, "run_cap": 50, "max_parallel": 50, "seed": 3}
    sweep = submit_sweep(sqlite_database, file, submitted="", idempotency_key=None).sweep
    assert propose_trials(sqlite_database, Searches(), sweep.id, 20) == 6
    assert len({trial.config_hash for trial in all_trials(sqlite_database, sweep)}) == 6
    exhausted = now(sqlite_database, sweep)
    assert (exhausted.run_cap, exhausted.definition["exhausted"]) == (6, True)


class EmptySearches(Searches):
    """Searches that have nothing left after their first trials, in a space that nobody can count."""

    def of(self, sweep: Sweep) -> SweepSearch:
        return ShortSearch(super().of(sweep), lambda: None)


def test_a_search_with_nothing_left_ends_the_sweep_with_its_last_trial(
    database: Database, submit: Callable[..., Sweep], record: Any
) -> None:
    sweep, searches = submit(run_cap=50, max_parallel=6), EmptySearches()
    assert propose_trials(database, searches, sweep.id, 6) == 2
    assert now(database, sweep).run_cap == 2
    assert record.sweep(sweep) == ("queued", None)
    end_all(database, sweep)
    with database.write() as connection:
        settle_sweep(connection, now(database, sweep), 1)
    assert record.sweep(sweep) == ("completed", "space_exhausted")


def test_asking_holds_no_connection(
    database: Database, submit: Callable[..., Sweep], worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(method="tpe")
    log: list[str] = []
    for verb in ("read", "write"):
        monkeypatch.setattr(database, verb, noted(getattr(database, verb), verb, log))
    searches = ListeningSearches(lambda _: log.append("ask"))
    assert len(claim(database, searches, worker.request(2), worker.settings).grants) == 2
    look = ["read begins", "read ends"]
    assert log == [*look, *look, "ask", "write begins", "write ends"]


def noted(verb: Callable[[], Any], name: str, log: list[str]) -> Callable[[], Any]:
    """The verb, with its begin and end in a log."""

    @contextmanager
    def transaction() -> Iterator[Any]:
        log.append(f"{name} begins")
        with verb() as connection:
            yield connection
        log.append(f"{name} ends")

    return transaction


def test_a_faster_claim_takes_the_numbers_and_the_search_is_asked_again(
    database: Database, submit: Callable[..., Sweep], new_worker: Callable[..., Any]
) -> None:
    sweep, slow, fast = submit(run_cap=8), new_worker("slow"), new_worker("fast")

    faster = [[3], [1], []]
    searches = ListeningSearches(lambda _: [fast.claim(n) for n in faster.pop(0)] and None)
    answer = claim(database, searches, slow.request(2), slow.settings)
    assert searches.asked == 3
    assert len(answer.grants) == 2
    assert [trial.number for trial in all_trials(database, sweep)] == [0, 1, 2, 3, 4, 5]


def test_a_sweep_that_is_paused_meanwhile_gets_no_trials(database: Database, submit: Callable[..., Sweep]) -> None:
    sweep = submit()
    searches = ListeningSearches(lambda _: pause_sweep(database, sweep.id) and None)
    assert propose_trials(database, searches, sweep.id, 2) == 0
    assert now(database, sweep).state is SweepState.PAUSED


def test_proposals_at_once_neither_double_nor_overshoot(database: Database, submit: Callable[..., Sweep]) -> None:
    sweep, searches = submit(run_cap=40, max_parallel=10), Searches()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: propose_trials(database, searches, sweep.id, 4), range(8)))
    found = all_trials(database, sweep)
    assert [trial.number for trial in found] == list(range(len(found)))
    assert 4 <= len(found) <= 10


@pytest.mark.parametrize("method", ["random", "qmc", "tpe"])
def test_the_same_seed_gives_the_same_trials_whenever_the_service_restarts(
    sqlite_database: Database, submit: Callable[..., Sweep], method: str
) -> None:
    """One process throughout, and one that forgets everything after every claim."""

    def run(sweep: Sweep, searches: Callable[[], Searches]) -> list[Parameters]:
        for _ in range(6):
            propose_trials(sqlite_database, searches(), sweep.id, 3)
            end_all(sqlite_database, now(sqlite_database, sweep))
        return [trial.parameters for trial in all_trials(sqlite_database, sweep)]

    keys = {"method": method, "run_cap": 18, "max_parallel": 3, "seed": 11, "metric": {"name": "val_accuracy"}}
    file = {"parameters": {"learning_rate": {"min": 0.001, "max": 0.1}, "dropout": {"min": 0.0, "max": 0.5}}, **keys}
    first, second = (submit_sweep(sqlite_database, file, submitted="", idempotency_key=None).sweep for _ in range(2))
    kept = Searches()
    assert run(first, lambda: kept) == run(second, Searches)
    assert len(all_trials(sqlite_database, first)) == 18


def test_an_unknown_sweep_gets_no_trials(sqlite_database: Database) -> None:
    assert propose_trials(sqlite_database, Searches(), "swp_none", 4) == 0
