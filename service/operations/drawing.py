"""Drawing: one short read, then the pure functions of `figures` outside of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from service.database.cases import read_cases
from service.database.engine import Database
from service.database.points import curves_of, trial_points
from service.database.trials import get_trials
from service.domain.points import Curve, TrialPoint
from service.errors import InvalidRequest, NotFound, Problem
from service.figures.axes import parameter_names
from service.figures.frame import Figure
from service.figures.kinds import SEVERAL_FIGURES, STEPS, SWEEP_FIGURES, TRIAL_FIGURES
from service.figures.several import MAX_TRIALS, NamedTrial, SeveralFacts
from service.figures.sweep_figures import SweepFacts
from service.figures.trial_figures import TrialFacts
from service.operations.comparing import compare
from service.operations.reading import resolve_sweep
from service.operations.recording import read_recorded_steps
from service.operations.weighing import weigh_sweep
from service.suggestion.importances import ImportanceMemory

_FactsT = TypeVar("_FactsT")


def draw_sweep(
    database: Database, memory: ImportanceMemory, ref: str, kind: str, *, x: str | None = None, y: str | None = None
) -> Figure:
    """A figure of a sweep as Plotly JSON.

    Args:
        database: Where the sweep is.
        memory: Importances that were weighed before.
        ref: Its id or name.
        kind: One of SWEEP_FIGURES.
        x: A parameter (or `depth`) for the x axis, where the kind has a choice.
        y: The same for the y axis.

    Raises:
        NotFound: No such sweep, or no such kind; the message lists all kinds.
        InvalidRequest: x or y is no parameter.
    """
    draw = _kind(SWEEP_FIGURES, kind, "a sweep")
    _check_parameters(x=x, y=y)
    sweep = resolve_sweep(database, ref)
    with database.read() as connection:
        points = trial_points(connection, sweep)

    def curves(chosen: Sequence[TrialPoint]) -> list[Curve]:
        with database.read() as connection:
            return curves_of(connection, chosen, sweep.metric.name)

    def weighed(target: str) -> tuple[Mapping[str, float], str | None]:
        found = weigh_sweep(database, memory, sweep, target)
        return found.shares, found.reason

    return draw(
        SweepFacts(sweep.metric, points, curves, x, y, sweep.goals.metrics, weighed, lambda: compare(database, sweep))
    )


def draw_trial(database: Database, trial_id: str, kind: str, *, epoch: int | None = None) -> Figure:
    """A figure of a trial's present attempt as Plotly JSON.

    Args:
        database: Where the trial is.
        trial_id: Its id.
        kind: One of TRIAL_FIGURES.
        epoch: Which epoch a profile shows; the last if it is None or was not reported.

    Raises:
        NotFound: No such trial, or no such kind; the message lists all kinds. `steps`: nothing is recorded.
        Conflict: `steps`: they are being recorded.
    """
    draw = _kind(TRIAL_FIGURES, kind, "a trial")
    (trial,) = _read_trials(database, [trial_id], epoch)
    if kind == STEPS:
        return draw(replace(trial.facts, steps=read_recorded_steps(database, trial_id)))
    return draw(trial.facts)


def draw_trials(
    database: Database, trial_ids: Sequence[str], kind: str, *, by: str | None = None, epoch: int | None = None
) -> Figure:
    """A figure of several trials, of one sweep or of several, as Plotly JSON.

    Args:
        database: Where the trials are.
        trial_ids: Their ids, in the order in which they are drawn; one that is named twice is drawn once.
        kind: One of SEVERAL_FIGURES.
        by: The parameter (or `depth`) whose values make the groups; else equal parameters do.
        epoch: Which epoch a profile shows; the last if it is None or was not reported.

    Raises:
        NotFound: No such trial, or no such kind; the message lists all kinds.
        InvalidRequest: `by` is no parameter, or there are more than MAX_TRIALS trials or more groups than one can tell
            apart.
    """
    draw = _kind(SEVERAL_FIGURES, kind, "several trials")
    _check_parameters(by=by)
    chosen = list(dict.fromkeys(trial_ids))
    if len(chosen) > MAX_TRIALS:
        detail = f"{len(chosen)} trials are too many for one figure: name at most {MAX_TRIALS}."
        raise InvalidRequest(detail, [Problem("query/trial", detail)])
    return draw(SeveralFacts(_read_trials(database, chosen, epoch), by))


def _read_trials(database: Database, trial_ids: Sequence[str], epoch: int | None) -> list[NamedTrial]:
    with database.read() as connection:
        known = {trial.id: trial for trial in get_trials(connection, trial_ids)}
        for trial_id in trial_ids:
            if trial_id not in known:
                raise NotFound(f"There is no trial with the id '{trial_id}'; GET /v1/sweeps/SWEEP/trials lists all.")
        found = [known[trial_id] for trial_id in trial_ids]
        cases = read_cases(connection, [(trial.id, trial.attempt) for trial in found])
    return [
        NamedTrial(
            trial.number,
            trial.seed,
            TrialFacts(case.rows if (case := cases.get((trial.id, trial.attempt))) else (), trial.parameters, epoch),
        )
        for trial in found
    ]


def _check_parameters(**named: str | None) -> None:
    for name, value in named.items():
        if value is not None and value not in parameter_names():
            listed = ", ".join(parameter_names())
            raise InvalidRequest(f"{value[:64]!r} is no parameter.", [Problem(f"query/{name}", f"one of {listed}")])


def _kind(kinds: Mapping[str, Callable[[_FactsT], Figure]], kind: str, of: str) -> Callable[[_FactsT], Figure]:
    if kind not in kinds:
        raise NotFound(f"There is no figure {kind[:64]!r} of {of}; there are {', '.join(kinds)}.")
    return kinds[kind]
