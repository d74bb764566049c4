"""Drawing: one short read, then the pure functions of `figures` outside of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from service.database.cases import read_cases
from service.database.engine import Database
from service.database.points import curves_of, trial_points
from service.database.trials import get_trial
from service.domain.points import Curve, TrialPoint
from service.errors import InvalidRequest, NotFound, Problem
from service.figures.axes import parameter_names
from service.figures.frame import Figure
from service.figures.kinds import SWEEP_FIGURES, TRIAL_FIGURES
from service.figures.sweep_figures import SweepFacts
from service.figures.trial_figures import TrialFacts
from service.operations.reading import resolve_sweep

_FactsT = TypeVar("_FactsT")


def draw_sweep(database: Database, ref: str, kind: str, *, x: str | None = None, y: str | None = None) -> Figure:
    """A figure of a sweep as Plotly JSON.

    Args:
        database: Where the sweep is.
        ref: Its id or name.
        kind: One of SWEEP_FIGURES.
        x: A parameter (or `depth`) for the x axis, where the kind has a choice.
        y: The same for the y axis.

    Raises:
        NotFound: No such sweep, or no such kind; the message lists all kinds.
        InvalidRequest: x or y is no parameter.
    """
    draw = _kind(SWEEP_FIGURES, kind, "sweep")
    for name, value in (("x", x), ("y", y)):
        if value is not None and value not in parameter_names():
            listed = ", ".join(parameter_names())
            raise InvalidRequest(f"{value[:64]!r} is no parameter.", [Problem(f"query/{name}", f"one of {listed}")])
    sweep = resolve_sweep(database, ref)
    with database.read() as connection:
        points = trial_points(connection, sweep)

    def curves(chosen: Sequence[TrialPoint]) -> list[Curve]:
        with database.read() as connection:
            return curves_of(connection, chosen, sweep.metric.name)

    return draw(SweepFacts(sweep.metric, points, curves, x, y))


def draw_trial(database: Database, trial_id: str, kind: str, *, epoch: int | None = None) -> Figure:
    """A figure of a trial's present attempt as Plotly JSON.

    Args:
        database: Where the trial is.
        trial_id: Its id.
        kind: One of TRIAL_FIGURES.
        epoch: Which epoch a profile shows; the last if it is None or was not reported.

    Raises:
        NotFound: No such trial, or no such kind; the message lists all kinds.
    """
    draw = _kind(TRIAL_FIGURES, kind, "trial")
    with database.read() as connection:
        trial = get_trial(connection, trial_id)
        if trial is None:
            raise NotFound(f"There is no trial with the id '{trial_id}'; GET /v1/sweeps/SWEEP/trials lists all.")
        fence = (trial.id, trial.attempt)
        case = read_cases(connection, [fence]).get(fence)
    return draw(TrialFacts(() if case is None else case.rows, trial.parameters, epoch))


def _kind(kinds: Mapping[str, Callable[[_FactsT], Figure]], kind: str, of: str) -> Callable[[_FactsT], Figure]:
    if kind not in kinds:
        raise NotFound(f"There is no figure {kind[:64]!r} of a {of}; there are {', '.join(kinds)}.")
    return kinds[kind]
