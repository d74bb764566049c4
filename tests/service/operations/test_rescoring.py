"""Rescoring restores what a trial's end had written, in small transactions, and nothing else changes."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from service.database.judged import JUDGED
from service.database.sweeps import get_sweep
from service.database.tables import events, trials
from service.domain.metrics import TRIAL_METRICS
from service.errors import NotFound
from service.operations.rescoring import Rescored, rescore
from service.operations.steering import cancel_trial

WRONG = {
    "stability": 0.123,
    "depth_slope": 9.0,
    "stability_limited_by": "loss",
    "stability_parts": {"loss": 0.123},
    "score_version": 0,
    "verdict": "unsteady",
    "verdict_evidence": [],
    "loss_doublings": 77.0,
    "val_loss_at_best": 9.0,
    "stability_loss": 0.123,
}


@pytest.fixture
def rows(database: Any) -> Callable[[], list[dict[str, Any]]]:
    """All trials, by number, without the sweep's change counter."""

    def read() -> list[dict[str, Any]]:
        with database.read() as connection:
            found = connection.execute(select(trials).order_by(trials.c.sweep_id, trials.c.number)).mappings()
            return [{name: value for name, value in row.items() if name != "revision"} for row in found]

    return read


@pytest.fixture
def ended(submit: Any, worker: Any, speak: Any, database: Any) -> Any:
    """A sweep whose trials completed, vanished, diverged, failed, and, with rows, wait, were cancelled or run."""
    sweep = submit()
    fences = worker.claim(8)
    layers = [
        {"layer": layer, "bias_grad_rms_median": 10 ** (0.9 * layer - 8), "update_ratio_median": 1e-3}
        for layer in range(1, 7)
    ]
    infinite = [{"layer": 1, "update_ratio_median": None, "nonfinite_values": {"update_ratio_median": "inf"}}]
    nan = {"train_loss": None, "nonfinite": 1, "nonfinite_values": {"train_loss": "nan"}}
    for fence, changes in zip(fences, ({}, {"layers": layers}, {"layers": infinite}, nan, {}, {}, {}, {}), strict=True):
        worker.report(speak["epoch"](fence, 0), speak["epoch"](fence, 1, 0.11, **changes))
    for fence in fences[:3]:
        worker.report(speak["final"](fence))
    worker.report(speak["final"](fences[4], "failed"))
    worker.release(fences[5:7])
    cancel_trial(database, fences[6][0])
    return sweep


def corrupt(database: Any) -> None:
    with database.write() as connection:
        connection.execute(update(trials).where(trials.c.verdict.is_not(None)).values(**WRONG))


def test_what_was_written_at_the_end_is_computed_again(database, ended, rows) -> None:
    before = rows()
    assert [row["verdict"] for row in before] == [
        "stable", "vanishing", "exploding", "nonfinite", "stable", None, None, None,
    ]  # fmt: skip
    assert rescore(database) == [Rescored(ended.name, 5, 0)]
    corrupt(database)
    assert all(row[name] == wrong for row in rows()[:5] for name, wrong in WRONG.items())

    assert rescore(database, [ended.name], batch=2) == [Rescored(ended.name, 5, 5)]

    assert rows() == before
    assert {name for name in JUDGED if before[1][name] is None and name not in TRIAL_METRICS} == set()
    assert before[1]["depth_range"] is not None


def test_only_what_differs_is_written_and_told(database, ended, record) -> None:
    with database.read() as connection:
        revision = get_sweep(connection, ended.id).revision
    rescore(database)
    assert "trials_rescored" not in record.events(ended)
    with database.write() as connection:
        connection.execute(update(trials).where(trials.c.number == 1).values(stability=0.5))

    rescore(database, [ended.id])

    with database.read() as connection:
        [body] = connection.execute(select(events.c.body).where(events.c.kind == "trials_rescored")).scalars()
        changed = connection.execute(select(trials.c.number).where(trials.c.revision > revision)).scalars().all()
    assert (body["trials"], changed) == ([1], [1])


def test_a_sweep_that_is_not_there_changes_nothing(database, ended, rows) -> None:
    corrupt(database)
    wrong = rows()
    with pytest.raises(NotFound, match="'elsewhere'"):
        rescore(database, [ended.id, "elsewhere"])
    assert rows() == wrong
