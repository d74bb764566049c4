"""What came of a sweep's trials, for comparing them: parameters, ends, and where each was in its stream of batches."""

from sqlalchemy import Connection, and_, select

from service.database.tables import attempts, trials
from service.database.trials import parameter_names, parameters_from_row
from service.domain.effects import Outcome
from service.domain.states import TrialState

_PLAIN = ("number", "seed", "replicate", "remedy", "prune_reason", "objective", "stability", "depth_slope", "verdict")
_READ = (
    *(trials.c[name] for name in (*_PLAIN, *parameter_names())),
    attempts.c.stream_seed,
    attempts.c.start_epoch,
)


def outcomes_of(connection: Connection, sweep_id: str) -> list[Outcome]:
    """The completed and pruned trials of a sweep, by number."""
    belongs = and_(attempts.c.trial_id == trials.c.id, attempts.c.attempt == trials.c.attempt)
    statement = (
        select(*_READ)
        .select_from(trials.outerjoin(attempts, belongs))
        .where(trials.c.sweep_id == sweep_id, trials.c.state.in_((TrialState.COMPLETED, TrialState.PRUNED)))
        .order_by(trials.c.number)
    )
    return [
        Outcome(
            parameters=parameters_from_row(row),
            stream=None if row.stream_seed is None else (row.stream_seed, row.start_epoch),
            **{name: getattr(row, name) for name in _PLAIN},
        )
        for row in connection.execute(statement)
    ]
