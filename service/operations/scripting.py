"""A trial as a script of plain Keras: one short read, then the pure function of `domain.keras_script`."""

from service.database.engine import Database
from service.database.sweeps import get_sweep
from service.database.trials import get_trial
from service.domain.keras_script import ScriptFacts, keras_script
from service.errors import NotFound


def read_script(database: Database, trial_id: str) -> tuple[int, str]:
    """The trial's number, and the script that trains its configuration.

    Raises:
        NotFound: There is no such trial.
    """
    with database.read() as connection:
        trial = get_trial(connection, trial_id)
        sweep = None if trial is None else get_sweep(connection, trial.sweep_id)
    if trial is None or sweep is None:
        raise NotFound(f"There is no trial with the id '{trial_id}'; GET /v1/sweeps/SWEEP/trials lists all.")
    facts = ScriptFacts(sweep=sweep.name, number=trial.number, seed=trial.seed, dataset=sweep.dataset)
    return trial.number, keras_script(trial.parameters, facts)
