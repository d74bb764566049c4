"""Rescoring: score, verdict and evidence computed again from the stored rows, as a trial's end computed them.

A new version of the formulas reaches the trials of before in this way, and whoever doubts a stored number can have it
checked. Nothing else of a trial changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.database.cases import read_cases
from service.database.engine import Database
from service.database.judged import JUDGED, judge_anew, judged_trials, sweep_names
from service.database.sweeps import NewEvent, append_events, find_sweep, get_sweep, lock_sweep
from service.domain.stability.enforcement import appraise
from service.domain.stability.score import SCORE_VERSION
from service.errors import NotFound

BATCH = 100
"""Trials that are read, and written, in one transaction."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """What became of one sweep: how many trials were judged again, and how many judgements changed."""

    sweep: str
    n_trials: int
    n_changed: int


def rescore(
    database: Database,
    references: Sequence[str] = (),
    *,
    batch: int = BATCH,
    note: Callable[[Rescored], None] = lambda _done: None,
) -> list[Rescored]:
    """Judge every trial that a report ended again, sweep by sweep, in transactions of a bounded size.

    It can be stopped at any time and begun anew: what is right already is not written.

    Args:
        database: Where the rows are.
        references: Ids or names of sweeps; all sweeps if there are none.
        batch: Trials of one transaction.
        note: Told of each sweep when it is done.

    Raises:
        NotFound: There is no such sweep; then nothing was changed.
    """
    with database.read() as connection:
        sweeps = {} if references else sweep_names(connection)
        for reference in references:
            sweep = get_sweep(connection, reference) or find_sweep(connection, reference)
            if sweep is None:
                raise NotFound(f"there is no sweep with the id or name {reference!r}; gradsweep list shows all")
            sweeps[sweep.id] = sweep.name
    done = []
    for sweep_id, name in sweeps.items():
        done.append(_rescore_sweep(database, sweep_id, name, batch))
        note(done[-1])
    return done


def _rescore_sweep(database: Database, sweep_id: str, name: str, batch: int) -> Rescored:
    after, n_trials, n_changed = -1, 0, 0
    while True:
        with database.read() as connection:
            found = judged_trials(connection, sweep_id, after, batch)
            cases = read_cases(connection, [trial.fence for trial in found])
        if not found:
            return Rescored(name, n_trials, n_changed)
        after = found[-1].number
        n_trials += len(found)
        changed = []
        for trial in found:
            if trial.fence not in cases:  # deleted meanwhile, with its sweep
                continue
            case = cases[trial.fence]
            fresh = appraise(case.rows, case.class_shares, trial.best_epoch)
            if any(fresh[column] != trial.judgement[column] for column in JUDGED):
                changed.append((trial.number, trial.fence, fresh))
        n_changed += len(changed)
        if not changed:
            continue
        with database.write() as connection:
            sweep = lock_sweep(connection, sweep_id)
            if sweep is None:
                return Rescored(name, n_trials, n_changed)
            judge_anew(connection, [(fence, fresh) for _number, fence, fresh in changed], sweep.revision)
            body = {"trials": [number for number, _fence, _fresh in changed], "score_version": SCORE_VERSION}
            append_events(connection, sweep_id, [NewEvent("trials_rescored", body)], database.now_ms(connection))
