"""What trials that ended were judged to be: read in the order of their numbers, and written anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from service.database.attempts import Fence
from service.database.tables import attempts, sweeps, trials
from service.domain.metrics import TRIAL_METRICS
from service.domain.states import AttemptOutcome, TrialState

JUDGED = (
    *("stability", "depth_slope", "stability_limited_by", "stability_parts", "score_version"),
    *("verdict", "verdict_evidence"),
    *TRIAL_METRICS,
)
"""Columns that follow from the rows of an attempt alone."""


@dataclass(frozen=True, slots=True)
class JudgedTrial:
    """A trial that a report ended: the fence of its last attempt, its best epoch, and its judgement by column."""

    number: int
    fence: Fence
    best_epoch: int | None
    judgement: dict[str, Any]


_FINAL = tuple(state for state in TrialState if state.is_final)


def sweep_names(connection: Connection) -> dict[str, str]:
    """All sweeps by their ids, the oldest first."""
    statement = select(sweeps.c.id, sweeps.c.name).order_by(sweeps.c.created_at_ms, sweeps.c.id)
    return {row.id: row.name for row in connection.execute(statement)}


def judged_trials(connection: Connection, sweep_id: str, after: int, limit: int) -> list[JudgedTrial]:
    """Trials of a sweep behind a number that a report ended, by number.

    What a worker handed back, or lost, was never judged: its trial may have ended, its attempt has not.
    """
    statement = (
        select(
            trials.c.number, trials.c.id, trials.c.attempt, trials.c.best_epoch, *(trials.c[name] for name in JUDGED)
        )
        .join(attempts, (attempts.c.trial_id == trials.c.id) & (attempts.c.attempt == trials.c.attempt))
        .where(
            trials.c.sweep_id == sweep_id,
            trials.c.number > after,
            trials.c.state.in_(_FINAL),
            attempts.c.final_hash.is_not(None) | (attempts.c.outcome == AttemptOutcome.PRUNED),
        )
        .order_by(trials.c.number)
        .limit(limit)
    )
    return [
        JudgedTrial(row.number, (row.id, row.attempt), row.best_epoch, {name: getattr(row, name) for name in JUDGED})
        for row in connection.execute(statement)
    ]


_JUDGE = (
    update(trials)
    .where(
        trials.c.id == bindparam("of_trial"),
        trials.c.attempt == bindparam("of_attempt"),
        trials.c.state != TrialState.WAITING,
        trials.c.state != TrialState.RUNNING,
    )
    .values(
        {name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in JUDGED}
        | {"revision": bindparam("new_revision")}
    )
)


def judge_anew(connection: Connection, judgements: Sequence[tuple[Fence, Mapping[str, Any]]], revision: int) -> None:
    """Write judgements of trials of one locked sweep; one that was tried again meanwhile is left alone."""
    rows = [
        {"of_trial": trial_id, "of_attempt": attempt, "new_revision": revision}
        | {f"new_{name}": judgement[name] for name in JUDGED}
        for (trial_id, attempt), judgement in judgements
    ]
    if rows:
        connection.execute(_JUDGE, rows)
