"""The trials that leases hold: finding them by their fence, writing what became of them.

Whoever changes them holds the locks of the lease and of their sweeps.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from service.database.attempts import EndedAttempt, Fence
from service.database.bulk import json_text, update_rows
from service.database.tables import attempts, trials
from service.domain.report import MEASURED
from service.domain.stability.enforcement import APPRAISED
from service.domain.states import FailureKind, TrialState

_PROGRESS = (
    *("epoch", "objective", "best_epoch", "wall_seconds", "device_seconds", *MEASURED),
    *("rule_warnings", "would_have_pruned", "would_have_pruned_epoch"),
)
"""Columns that a report changes of a trial that goes on: all that it need know of what was before."""

_ENDING = (
    *("state", "prune_reason", "prune_detail", "failure_kind", "failure_type", "failure_message"),
    *("failure_traceback", "lease_id", "test_loss", "test_accuracy", "ended_at_ms"),
    *(name for name in APPRAISED if name not in _PROGRESS),
)
"""Columns that are written when a lease loses a trial by a report. A running trial has nothing in them but its state
and lease; what a failure of before left there was cleared when it was given to wait again."""

_JSON = frozenset({"rule_warnings", "stability_parts", "verdict_evidence"})


@dataclass(frozen=True, slots=True)
class LeasedTrial:
    """What a report needs to know of a running trial; `values` are columns that it may change, or has changed."""

    id: str
    sweep_id: str
    number: int
    attempt: int
    epochs: int
    stop_requested: bool
    batch_limit: int | None
    lost: int
    values: dict[str, Any]


_FIXED = tuple(field.name for field in fields(LeasedTrial) if field.name != "values")
_LEASED = (*(trials.c[name] for name in _FIXED), *(trials.c[name] for name in _PROGRESS))


def _leased_trial(row: Sequence[Any]) -> LeasedTrial:
    fixed: dict[str, Any] = dict(zip(_FIXED, row, strict=False))
    values = dict(zip(_PROGRESS, row[len(_FIXED) :], strict=True))
    return LeasedTrial(**fixed, values=values | {"state": TrialState.RUNNING})


_HELD = select(*_LEASED).where(trials.c.lease_id == bindparam("lease_id")).order_by(trials.c.id)
_OF_ATTEMPT = (attempts.c.attempt, attempts.c.outcome, attempts.c.final_hash, attempts.c.class_shares)
_UNDER_LEASE = (
    select(*_OF_ATTEMPT, trials.c.prune_reason, trials.c.lease_id, *_LEASED)
    .join(trials, trials.c.id == attempts.c.trial_id)
    .where(
        attempts.c.lease_id == bindparam("lease_id"),
        attempts.c.trial_id.in_(bindparam("trial_ids", expanding=True)),
    )
)
_SWEEPS_OF = select(trials.c.sweep_id).where(trials.c.id.in_(bindparam("trial_ids", expanding=True))).distinct()
_SWEEPS_HELD = select(trials.c.sweep_id).where(trials.c.lease_id == bindparam("lease_id")).distinct()


def held_by(connection: Connection, lease_id: str) -> list[LeasedTrial]:
    """All trials that a lease holds: its batch, in the order of their ids."""
    return [_leased_trial(row) for row in connection.execute(_HELD, {"lease_id": lease_id})]


def read_fences(
    connection: Connection, lease_id: str, trial_ids: Collection[str], *, is_active: bool
) -> tuple[dict[Fence, EndedAttempt], dict[Fence, LeasedTrial]]:
    """What is known of these trials under a lease: one query for both of a report's questions.

    Returns:
        The attempts that were begun under the lease, and the trials that it holds in just these attempts. What is
        not in the second may not be written to; a lease that is not active holds nothing.
    """
    ended: dict[Fence, EndedAttempt] = {}
    held: dict[Fence, LeasedTrial] = {}
    for row in connection.execute(_UNDER_LEASE, {"lease_id": lease_id, "trial_ids": list(trial_ids)}):
        attempt, outcome, final_hash, class_shares, prune_reason, holder, *trial = row
        leased = _leased_trial(trial)
        fence = (leased.id, attempt)
        ended[fence] = EndedAttempt(outcome, final_hash, prune_reason, class_shares)
        if is_active and holder == lease_id and leased.attempt == attempt:
            held[fence] = leased
    return ended, held


def sweeps_of(connection: Connection, trial_ids: Collection[str]) -> list[str]:
    """The sweeps that these trials belong to."""
    return list(connection.execute(_SWEEPS_OF, {"trial_ids": list(trial_ids)}).scalars())


def sweeps_held_by(connection: Connection, lease_id: str) -> list[str]:
    """The sweeps whose trials a lease holds; under the lease's lock no sweep can be added to them."""
    return list(connection.execute(_SWEEPS_HELD, {"lease_id": lease_id}).scalars())


def write_results(connection: Connection, changed: Sequence[LeasedTrial]) -> None:
    """Write the `values` of trials that were found by their fence in this transaction."""
    going_on = [trial for trial in changed if trial.values["state"] is TrialState.RUNNING]
    others = [trial for trial in changed if trial.values["state"] is not TrialState.RUNNING]
    for written, columns in ((going_on, _PROGRESS), (others, (*_PROGRESS, *_ENDING))):
        names = (*columns, "revision")
        rows = [(*(_plain(name, trial.values.get(name)) for name in names), trial.id) for trial in written]
        update_rows(connection, trials, ("id",), names, rows)


def _plain(name: str, value: Any) -> Any:
    if name in _JSON:
        return json_text(value)
    return value.value if isinstance(value, Enum) else value


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The columns of a trial that its lease no longer holds, though no report ended it."""

    id: str
    state: TrialState
    lost: int
    batch_limit: int | None
    not_before_ms: int
    failure_kind: FailureKind | None
    failure_type: str | None
    failure_message: str | None
    revision: int
    ended_at_ms: int | None


_BACK = tuple(field.name for field in fields(GivenBack) if field.name != "id")
_GIVE_BACK = (
    update(trials)
    .where(trials.c.id == bindparam("of_trial"))
    .values(
        {name: bindparam(f"new_{name}", type_=trials.c[name].type) for name in _BACK}
        | {"lease_id": None, "stop_requested": False}
    )
)


def give_back(connection: Connection, returned: Sequence[GivenBack]) -> None:
    """Take trials from their lease."""
    if returned:
        connection.execute(
            _GIVE_BACK,
            [{"of_trial": one.id} | {f"new_{name}": getattr(one, name) for name in _BACK} for one in returned],
        )
