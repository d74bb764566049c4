"""Rescues: what is enqueued, when it is refused, and what becomes of the sweep."""

from collections.abc import Callable
from typing import Any

import pytest

from service.database.rescues import rescues_with
from service.database.trials import get_trial
from service.domain.states import SweepState
from service.errors import Conflict, IdempotencyMismatch, InvalidRequest, NotFound
from service.operations.proposing import suggest_trials
from service.operations.rescuing import rescue_trial
from service.operations.steering import cancel_sweep, cancel_trial, pause_sweep, stop_sweep
from service.suggestion.searches import Searches

DIVERGED = {"train_loss": None, "nonfinite": 1, "nonfinite_values": {"train_loss": "nan"}}
HEALTHY = [{"layer": layer, "update_ratio_median": 1e-3, "grad_rms_median": 1e-2} for layer in (1, 2)]


@pytest.fixture
def diverge(worker: Any, speak: Any) -> Callable[[], str]:
    """Has a worker claim a trial that diverges at once; its id."""

    def one() -> str:
        [fence] = worker.claim(1)
        worker.report(speak["epoch"](fence, 0), speak["epoch"](fence, 1, **DIVERGED))
        return fence[0]

    return one


@pytest.fixture
def complete(worker: Any, speak: Any) -> Callable[..., str]:
    """Has a worker claim a trial and complete it, healthy; its id."""

    def one(value: float = 0.9) -> str:
        [fence] = worker.claim(1)
        entries = [speak["epoch"](fence, epoch, value, layers=HEALTHY) for epoch in range(10)]
        worker.report(*entries, speak["final"](fence))
        return fence[0]

    return one


@pytest.fixture
def trial_of(database: Any) -> Callable[[str], Any]:
    """Reads a trial."""

    def read(trial_id: str) -> Any:
        with database.read() as connection:
            return get_trial(connection, trial_id)

    return read


def test_the_remedied_configuration_is_enqueued_with_the_same_seed(database, submit, diverge, trial_of) -> None:
    submit()
    sick = trial_of(diverge())

    child = trial_of(rescue_trial(database, sick.id).trial_id)

    assert (child.state, child.number, child.rescue_of, child.seed) == ("waiting", 1, 0, sick.seed)
    changed = {name for name, value in child.parameters if value != getattr(sick.parameters, name)}
    assert changed == {"learning_rate", "normalization", "clip_norm", "warmup_epochs"}


def test_only_the_remedies_asked_for_are_taken(database, submit, diverge, trial_of) -> None:
    submit()
    sick = trial_of(diverge())
    child = trial_of(rescue_trial(database, sick.id, remedies=[2, 2]).trial_id)
    assert child.parameters == sick.parameters.model_copy(update={"normalization": "batch"})
    with pytest.raises(InvalidRequest, match="no remedy 5: the diagnosis lists 4"):
        rescue_trial(database, sick.id, remedies=[1, 5])


def test_the_same_request_again_enqueues_nothing(database, submit, diverge, record) -> None:
    sweep = submit()
    sick = diverge()
    first = rescue_trial(database, sick, idempotency_key="k")
    again = rescue_trial(database, sick, idempotency_key="k")
    assert (again.trial_id, first.replayed, again.replayed) == (first.trial_id, False, True)
    assert record.states(sweep) == ["pruned", "waiting"]
    with pytest.raises(IdempotencyMismatch):
        rescue_trial(database, sick, remedies=[1], idempotency_key="k")


def test_the_same_configuration_is_refused_by_name(database, submit, diverge) -> None:
    submit()
    sick = diverge()
    rescue_trial(database, sick)
    with pytest.raises(Conflict, match=r"trial 1 of this sweep has just this configuration \(waiting\)"):
        rescue_trial(database, sick)


def test_there_is_nothing_to_rescue_in_a_healthy_trial(database, submit, complete) -> None:
    submit()
    with pytest.raises(Conflict, match=r"nothing to rescue: trial 0 is stable, and its stability is 1\.00"):
        rescue_trial(database, complete())


def test_a_trial_that_goes_on_or_never_began_is_refused(database, submit, worker) -> None:
    submit()
    [running, waiting] = [fence[0] for fence in worker.claim(2)]
    worker.release([(waiting, 1)])
    for trial_id, words in ((running, "is running; rescue it when it has ended"), (waiting, "is waiting")):
        with pytest.raises(Conflict, match=words):
            rescue_trial(database, trial_id)
    cancel_trial(database, waiting)
    with pytest.raises(Conflict, match="was never trained"):
        rescue_trial(database, waiting)
    with pytest.raises(NotFound):
        rescue_trial(database, "trl_none")


def test_a_rescue_comes_on_top_of_run_cap_and_max_parallel(database, submit, diverge, worker, record) -> None:
    sweep = submit(run_cap=2, max_parallel=1)
    sick = diverge()
    [second] = worker.claim(1)
    rescue_trial(database, sick)
    assert record.states(sweep) == ["pruned", "running", "waiting"]
    assert second[0] != sick
    [fence] = worker.claim(4)
    assert record.trial(fence).rescue_of == 0


@pytest.mark.parametrize(
    ("changes", "end", "reason"),
    [
        ({"run_cap": 2}, lambda *_: None, "run_cap"),
        ({"metric": {"name": "val_accuracy", "target": 0.8}}, lambda *_: None, "target_reached"),
        ({}, stop_sweep, "by_user"),
    ],
)
def test_a_completed_sweep_opens_for_the_rescue_alone_and_ends_as_before(
    database, submit, diverge, complete, worker, record, changes, end, reason
) -> None:
    sweep = submit(**changes)
    sick = diverge()
    complete(0.85)
    end(database, sweep.id)
    assert record.sweep(sweep) == ("completed", reason)

    rescue_trial(database, sick)
    assert record.sweep(sweep) == ("running", None)
    assert suggest_trials(database, Searches(), sweep.id, 8) is None
    complete(0.95)

    assert record.sweep(sweep) == ("completed", reason)
    assert record.states(sweep) == ["pruned", "completed", "completed"]
    assert [kind for kind in record.events(sweep) if kind.startswith("sweep_")][-2:] == [
        "sweep_reopened",
        "sweep_completed",
    ]
    assert worker.claim(1) == []
    rescue_trial(database, sick, remedies=[1])  # and again


def test_a_rescue_that_is_cancelled_completes_the_sweep_again(database, submit, diverge, record) -> None:
    sweep = submit(run_cap=1)
    rescued = rescue_trial(database, diverge())
    cancel_trial(database, rescued.trial_id)
    assert record.sweep(sweep) == ("completed", "run_cap")


def test_a_reopened_sweep_that_is_cancelled_is_completed_as_before(database, submit, diverge, record) -> None:
    sweep = submit(run_cap=1)
    sick = diverge()
    rescue_trial(database, sick)
    cancel_sweep(database, sweep.id)
    assert record.sweep(sweep) == ("completed", "run_cap")
    rescue_trial(database, sick, remedies=[1])  # and again


def test_a_reopened_sweep_that_is_stopped_is_as_before(database, submit, diverge, record) -> None:
    sweep = submit(run_cap=1)
    rescue_trial(database, diverge())
    pause_sweep(database, sweep.id)
    stop_sweep(database, sweep.id)
    assert record.sweep(sweep) == ("completed", "run_cap")


def test_failures_of_a_reopened_sweep_do_not_pause_it(database, submit, diverge, worker, speak, record) -> None:
    sweep = submit(run_cap=9, failure_limit=0.01)
    sick = diverge()
    for fence in worker.claim(8):
        worker.report(*(speak["epoch"](fence, epoch) for epoch in range(10)), speak["final"](fence))
    rescue_trial(database, sick, remedies=[1])
    rescue_trial(database, sick, remedies=[2])
    [fence] = worker.claim(1)
    worker.report(speak["final"](fence, "failed"))
    assert record.sweep(sweep) == ("running", None)


@pytest.mark.parametrize(("act", "words"), [(cancel_sweep, "cancelled"), (stop_sweep, "stopping")])
def test_a_sweep_that_was_cancelled_or_is_ending_takes_none(database, submit, diverge, worker, act, words) -> None:
    sweep = submit()
    sick = diverge()
    held = worker.claim(words.count("stopping"))[0] if words == "stopping" else None
    assert act(database, sweep.id).state == SweepState(words)
    with pytest.raises(Conflict, match=f"is {words} and takes no trials"):
        rescue_trial(database, sick)
    assert held != (sick, 1)


def test_a_grid_tries_the_rest_around_a_rescue_that_lies_in_it(
    database, submit, diverge, complete, worker, record, trial_of
) -> None:
    grid = {"normalization": {"values": ["none", "batch"]}, "optimizer": {"values": ["adam", "rmsprop"]}, "epochs": 9}
    sweep = submit(method="grid", run_cap=None, seed=2, parameters=grid)
    sick = trial_of(diverge())
    assert sick.parameters.normalization == "none"
    rescue_trial(database, sick.id, remedies=[2])

    trials = [trial_of(complete()) for _ in range(3)]

    assert len({trial.config_hash for trial in (sick, *trials)}) == 4
    assert worker.claim(1) == []
    assert record.sweep(sweep) == ("completed", "space_exhausted")


def test_what_came_of_it_is_told_in_one_sentence(database, submit, diverge, complete) -> None:
    submit(run_cap=1)
    sick = diverge()
    child = rescue_trial(database, sick).trial_id
    with database.read() as connection:
        [rescue] = rescues_with(connection, [sick])
    assert (rescue.has_worked, rescue.sentence()) == (None, "Trial 1 is to rescue trial 0: it waits for a worker.")

    complete(0.94)

    with database.read() as connection:
        assert rescues_with(connection, [sick]) == rescues_with(connection, [sick, child])
        [rescue] = rescues_with(connection, [child])
    assert rescue.has_worked is True
    assert rescue.sentence() == ("The rescue worked: trial 0 → 1, nonfinite → stable, val_accuracy 0.5 → 0.94.")
