"""Reporting: stored once, answered the same for ever, never for a trial that is no longer the lease's."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.database.engine import Database
from service.database.tables import attempts, layer_epochs, sweeps, trials
from service.wire.leases import Start

Submit = Callable[..., Any]
NewWorker = Callable[..., Any]


def test_rows_arrive_as_they_were_sent(worker: Any, submit: Submit, speak: Any, database: Database) -> None:
    submit()
    [fence] = worker.claim(1)
    worker.report(speak["epoch"](fence, 1, 0.25, nonfinite_values={"global_norm_std": "nan"}))
    with database.read() as connection:
        rows = connection.execute(select(layer_epochs).order_by(layer_epochs.c.layer)).all()
    assert [(row.trial_id, row.attempt, row.epoch, row.layer, row.grad_norm_mean) for row in rows] == [
        (*fence, 1, 1, 0.25),
        (*fence, 1, 2, 0.125),
    ]


def test_the_trial_shows_its_last_epoch_and_what_it_cost(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    worker.report(*[speak["epoch"](fence, epoch, value) for epoch, value in ((0, 0.1), (1, 0.8), (2, 0.6))])
    trial = record.trial(fence)
    assert (trial.epoch, trial.val_accuracy, trial.train_loss) == (2, 0.6, 0.4)
    assert (trial.wall_seconds, trial.device_seconds) == (6.0, 3.0)


@pytest.mark.parametrize(("at", "objective", "best_epoch"), [("last", 0.6, 2), ("best", 0.8, 1)])
def test_the_objective_is_the_last_or_the_best(
    worker: Any, submit: Submit, speak: Any, record: Any, at: str, objective: float, best_epoch: int
) -> None:
    submit(metric={"name": "val_accuracy", "at": at})
    [fence] = worker.claim(1)
    for epoch, value in ((0, 0.9), (1, 0.8), (2, 0.6)):
        worker.report(speak["epoch"](fence, epoch, value))
    trial = record.trial(fence)
    assert (trial.objective, trial.best_epoch) == (objective, best_epoch)


def test_the_same_report_again_changes_nothing(
    worker: Any, submit: Submit, speak: Any, record: Any, clock: Any
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    entries = [speak["epoch"](fences[0], 1), speak["epoch"](fences[1], 9, final=speak["final"](fences[1]).final)]
    first = worker.report(*entries)
    events, trials_then = record.events(sweep), [record.trial(fence) for fence in fences]
    clock.advance_seconds(1)
    assert worker.report(*entries) == first
    assert record.events(sweep) == events
    assert [record.trial(fence) for fence in fences] == trials_then


def test_the_same_entry_twice_in_one_report(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 1), speak["epoch"](fence, 1)) == ["continue"] * 2
    assert record.epochs(fence[0]) == [(1, 1, 0.5)]
    assert record.trial(fence).wall_seconds == 2.0


def test_another_body_is_a_conflict_for_that_entry_alone(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    fences = worker.claim(2)
    worker.report(speak["epoch"](fences[0], 1, 0.5))
    told = worker.directives(speak["epoch"](fences[0], 1, 0.6), speak["epoch"](fences[1], 1, 0.7))
    assert told == ["conflict", "continue"]
    assert record.epochs(fences[0][0]) == [(1, 1, 0.5)]
    assert record.epochs(fences[1][0]) == [(1, 1, 0.7)]


def test_two_bodies_in_one_report(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 1, 0.5), speak["epoch"](fence, 1, 0.6)) == ["continue", "conflict"]
    assert record.epochs(fence[0]) == [(1, 1, 0.5)]


def test_a_final_stands(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    final = speak["final"]
    assert worker.directives(final(fence)) == ["continue"]
    assert worker.directives(final(fence)) == ["continue"]
    assert worker.directives(final(fence, test_accuracy=1.0)) == ["conflict"]
    assert worker.directives(final(fence, "failed")) == ["conflict"]
    assert worker.directives(speak["epoch"](fence, 9)) == ["gone"]
    trial = record.trial(fence)
    assert (trial.state, trial.test_accuracy, trial.best_epoch) == ("completed", 0.9, 1)


def test_a_report_that_ends_nothing_is_a_change_of_its_trial(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database
) -> None:
    """Whoever asks what changed since a revision must find the trial."""
    submit(run_cap=1)
    [fence] = worker.claim(1)
    worker.report(speak["epoch"](fence, 1, 0.1))
    with database.read() as connection:
        assert record.trial(fence).revision == connection.execute(select(sweeps.c.revision)).scalar_one()


def test_an_older_attempt_writes_nothing(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    """The lease is the same, the trial is running under it: only the attempt tells them apart."""
    submit(run_cap=1)
    [old] = worker.claim(1)
    worker.report(speak["epoch"](old, 1, 0.1))
    worker.release([old])
    [new] = worker.claim(1)
    assert (new[0], new[1]) == (old[0], 2)
    assert worker.directives(speak["epoch"](old, 2), speak["final"](old)) == ["gone", "gone"]
    assert worker.directives(speak["epoch"](old, 1, 0.1)) == ["continue"]
    assert record.epochs(old[0]) == [(1, 1, 0.1)]
    assert record.trial(new).state == "running"


def test_another_lease_writes_nothing(new_worker: NewWorker, submit: Submit, speak: Any, record: Any) -> None:
    submit(run_cap=2)
    first, second = new_worker("w1"), new_worker("w2")
    [fence] = first.claim(1)
    second.claim(1)
    first.report(speak["epoch"](fence, 1))
    entries = [speak["epoch"](fence, epoch) for epoch in (1, 2)]
    assert second.directives(*entries, speak["final"](fence)) == ["gone"] * 3
    assert record.epochs(fence[0]) == [(1, 1, 0.5)]
    assert record.trial(fence).state == "running"


def test_under_an_unknown_lease_everything_is_gone(worker: Any, submit: Submit, speak: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 1), lease_id="lse_unknown") == ["gone"]


def test_what_was_stored_is_answered_after_the_lease_has_ended(worker: Any, submit: Submit, speak: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    worker.report(speak["epoch"](fence, 1))
    worker.release()
    assert worker.directives(speak["epoch"](fence, 1), speak["epoch"](fence, 2)) == ["continue", "gone"]


def test_a_late_report_is_as_good_as_any(worker: Any, submit: Submit, speak: Any, clock: Any) -> None:
    """Expiry makes a lease reapable, no more: the token decides, not the clock."""
    submit()
    [fence] = worker.claim(1)
    clock.advance_seconds(3600)
    assert worker.directives(speak["epoch"](fence, 1)) == ["continue"]


def test_an_epoch_that_the_trial_does_not_have_is_refused(worker: Any, submit: Submit, speak: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 10)) == ["conflict"]


def test_epochs_may_be_missing_or_come_late(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 4, 0.4)) == ["continue"]
    assert worker.directives(speak["epoch"](fence, 2, 0.2)) == ["continue"]
    trial = record.trial(fence)
    assert (trial.epoch, trial.val_accuracy, trial.objective) == (4, 0.4, 0.4)


def test_how_an_attempt_began_is_recorded(worker: Any, submit: Submit, speak: Any, database: Database) -> None:
    submit()
    [fence] = worker.claim(1)
    start = Start(stream_seed=7, start_epoch=3, dataset_sha256="ab" * 32, environment={"keras": "3"})
    worker.report(speak["epoch"](fence, 0, start=start))
    with database.read() as connection:
        row = connection.execute(select(attempts)).one()
        data = connection.execute(select(sweeps.c.dataset_sha256)).scalar_one()
    assert (row.stream_seed, row.start_epoch, row.dataset_sha256, row.environment) == (7, 3, "ab" * 32, {"keras": "3"})
    assert data == "ab" * 32


# --- directives ---------------------------------------------------------------------------------------------------

ASHA = {"type": "hyperband", "min_iter": 1, "eta": 3}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_a_rung_is_judged_with_the_whole_report_in_it(
    worker: Any, submit: Submit, speak: Any, record: Any, order: list[int]
) -> None:
    sweep = submit(early_terminate=ASHA)
    fences = worker.claim(4)
    answers = worker.report(*[speak["epoch"](fences[slot], 1, 0.1 + slot / 10) for slot in order])
    told = {answer.trial_id: (answer.directive, answer.reason) for answer in answers}
    assert told[fences[3][0]] == ("continue", None)
    assert told[fences[0][0]] == ("prune", "unpromising: rank 4 of 4 at epoch 1; the best 1 go on")
    assert record.states(sweep) == ["pruned", "pruned", "pruned", "running"]
    assert record.trial(fences[0]).prune_reason == "unpromising"


def test_a_rung_remembers_earlier_reports(worker: Any, submit: Submit, speak: Any) -> None:
    submit(early_terminate=ASHA)
    fences = worker.claim(3)
    told = [
        worker.directives(speak["epoch"](fence, 1, value)) for fence, value in zip(fences, (0.5, 0.4, 0.6), strict=True)
    ]
    assert told == [["continue"], ["prune"], ["continue"]]


def test_rungs_read_the_present_attempt_only(worker: Any, submit: Submit, speak: Any) -> None:
    submit(early_terminate=ASHA, run_cap=2)
    first, second = worker.claim(2)
    worker.report(speak["epoch"](first, 1, 0.9))
    worker.release([first])
    [again] = worker.claim(1)
    assert worker.directives(speak["epoch"](second, 1, 0.2)) == ["continue"]
    assert worker.directives(speak["epoch"](again, 1, 0.1)) == ["prune"]


def test_rungs_compare_the_best_so_far_where_the_metric_is_the_best(worker: Any, submit: Submit, speak: Any) -> None:
    submit(early_terminate=ASHA | {"min_iter": 2}, metric={"name": "val_accuracy", "at": "best"})
    fences = worker.claim(2)
    worker.report(speak["epoch"](fences[0], 1, 0.9), speak["epoch"](fences[1], 1, 0.1))
    told = worker.directives(speak["epoch"](fences[0], 2, 0.2), speak["epoch"](fences[1], 2, 0.5))
    assert told == ["continue", "prune"]


def test_a_final_ends_the_trial_whatever_the_rung_says(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    sweep = submit(early_terminate=ASHA)
    fences = worker.claim(2)
    final = speak["final"](fences[0]).final
    told = worker.directives(speak["epoch"](fences[0], 3, 0.1, final=final), speak["epoch"](fences[1], 3, 0.9))
    assert told == ["continue", "continue"]
    assert record.states(sweep) == ["completed", "running"]


def test_the_last_epoch_is_no_rung(worker: Any, submit: Submit, speak: Any) -> None:
    submit(early_terminate=ASHA)
    fences = worker.claim(2)
    assert worker.directives(*[speak["epoch"](fence, 9, 0.1) for fence in fences]) == ["continue"] * 2


@pytest.mark.parametrize("kind", ["completed", "failed", "stopped"])
@pytest.mark.parametrize("epoch", [0, 1, 9])
def test_a_trial_that_diverges_is_pruned_even_with_a_final(
    worker: Any, submit: Submit, speak: Any, record: Any, kind: str, epoch: int
) -> None:
    sweep = submit()
    [fence] = worker.claim(1)
    entry = speak["epoch"](fence, epoch, nonfinite=3, final=speak["final"](fence, kind).final)
    answers = worker.report(entry)
    assert answers[0].directive == "prune"
    assert answers[0].reason.startswith("nonfinite")
    assert worker.report(entry) == answers
    assert record.states(sweep) == ["pruned"]
    assert record.trial(fence).prune_reason == "nonfinite"


def test_a_final_alone_is_answered_like_the_divergence_in_its_report(worker: Any, submit: Submit, speak: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    entries = [speak["epoch"](fence, 1, nonfinite=1), speak["final"](fence)]
    first = worker.report(*entries)
    assert [answer.directive for answer in first] == ["prune", "prune"]
    assert worker.report(entries[1])[0] == first[1]


@pytest.mark.parametrize("bad", [{"train_loss": None, "nonfinite_values": {"train_loss": "inf"}}, {"nonfinite": 1}])
def test_what_counts_as_diverged(worker: Any, submit: Submit, speak: Any, bad: dict[str, Any]) -> None:
    submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["epoch"](fence, 1, **bad)) == ["prune"]


def test_stop_is_told_in_reports_and_heartbeats_and_acknowledged(
    worker: Any, submit: Submit, speak: Any, record: Any, database: Database
) -> None:
    sweep = submit()
    fences = worker.claim(2)
    with database.write() as connection:
        connection.execute(update(trials).where(trials.c.id == fences[0][0]).values(stop_requested=True))
    assert worker.heartbeat().stop == (fences[0][0],)
    assert worker.directives(*[speak["epoch"](fence, 1) for fence in fences]) == ["stop", "continue"]
    assert record.states(sweep) == ["running", "running"]
    stopped = speak["final"](fences[0], "stopped")
    assert worker.directives(stopped) == ["stop"]
    assert worker.directives(stopped) == ["stop"]
    assert record.states(sweep) == ["cancelled", "running"]


def test_a_stop_that_nobody_asked_for_hands_the_trial_back(
    worker: Any, submit: Submit, speak: Any, record: Any
) -> None:
    sweep = submit()
    [fence] = worker.claim(1)
    assert worker.directives(speak["final"](fence, "stopped")) == ["stop"]
    assert record.states(sweep) == ["waiting"]
    assert record.attempts(fence[0]) == [(1, "released")]


def test_a_failure_is_kept_with_its_story(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    submit()
    [fence] = worker.claim(1)
    worker.report(speak["final"](fence, "failed", failure_kind="out_of_memory", error_type="Oom", traceback="…"))
    trial = record.trial(fence)
    assert (trial.state, trial.failure_kind, trial.failure_type) == ("failed", "out_of_memory", "Oom")
    assert (trial.failure_message, trial.failure_traceback, trial.lost) == ("broke", "…", 0)


def test_one_report_may_serve_several_sweeps(worker: Any, submit: Submit, speak: Any, record: Any) -> None:
    first, second = submit(), submit()
    fences = worker.claim(2) + worker.claim(2)
    worker.report(*[speak["epoch"](fence, 1) for fence in fences])
    assert [record.events(sweep).count("epochs_reported") for sweep in (first, second)] == [1, 1]


def test_4096_entries_fit(worker: Any, submit: Submit, speak: Any, database: Database) -> None:
    submit(run_cap=500, max_parallel=500)
    fences = worker.claim(500)
    entries = [speak["epoch"](fence, epoch) for epoch in range(8) for fence in fences]
    assert set(worker.directives(*entries)) == {"continue"}
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(layer_epochs)).scalar_one() == 8_000


def test_a_trial_that_broke_a_bound_displaces_none_that_may_keep_it(worker: Any, submit: Submit, speak: Any) -> None:
    """The first two ended above the bound on the loss: of those that count, the third is the first of its rung."""
    submit(constraints={"val_loss": "<= 0.5"}, early_terminate=ASHA)
    fences = worker.claim(4)
    for fence, value in zip(fences[:2], (0.95, 0.9), strict=True):
        worker.report(speak["epoch"](fence, 1, value, val_loss=0.9, final=speak["final"](fence).final))
    assert worker.directives(speak["epoch"](fences[2], 1, 0.8)) == ["continue"]
    assert worker.directives(speak["epoch"](fences[3], 1, 0.7)) == ["prune"]


def test_with_the_best_epoch_other_metrics_are_kept_as_they_were_then(
    worker: Any, submit: Submit, speak: Any, record: Any
) -> None:
    submit(metric={"name": "val_accuracy", "at": "best"})
    (fence,) = worker.claim()
    final = speak["final"](fence, best_epoch=1).final
    worker.report(speak["epoch"](fence, 1, 0.8), speak["epoch"](fence, 2, 0.6, final=final))
    trial = record.trial(fence)
    assert (trial.value("val_loss_at_best"), trial.value("val_loss")) == (pytest.approx(0.2), pytest.approx(0.4))
