"""How many trials until the first stable and accurate configuration: constrained TPE against plain TPE and chance.

The task is real and cheap: every configuration of a grid of deep networks on the handwritten digits, trained to its
end once with the fused trainer and recorded in `constrained.csv` (`python -m benchmarks.constrained` trains it again).
A search then looks its trials up instead of training them, so that many seeds cost seconds. A configuration is what is
looked for if it is stable (S at least 0.5) and accurate (0.97 on the validation split). A trial whose values were not
finite ended as the service would end it: pruned, diverged.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._sweeps import make_sweep
from service.domain.parameters import config_hash
from service.domain.space import Space
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.searches import Searches, new_search
from service.wire.parameters import Parameters

TABLE = Path(__file__).with_name("constrained.csv")
SEEDS = range(10)
AT_ONCE = 8
MAX_TRIALS = 320
ACCURATE = 0.97
BOUND = 0.5
EPOCHS = 15
N_SLOTS = 16
PARAMETERS: dict[str, Any] = {
    "learning_rate": {"values": [round(10 ** (exponent / 4), 6) for exponent in range(-16, 3)]},
    "optimizer": {"values": ["sgd", "momentum", "adam"]},
    "normalization": {"values": ["none", "batch"]},
    "activation": {"values": ["relu", "tanh", "sigmoid"]},
    "initializer": {"values": ["glorot_uniform", "he_normal"]},
    "hidden_units": {"value": [64] * 5},
    "batch_size": 32,
    "epochs": EPOCHS,
}

Fate = Mapping[str, float | None]


def run() -> dict[str, Any]:
    """Search the recorded grid with every method and seed, and count the trials to the first that is both."""
    Searches()  # it tells Optuna to be quiet
    table = read_table()
    wanted = [fate for fate in table.values() if is_wanted(fate)]
    methods = {
        "constrained_tpe": {"constraints": {"stability": f">= {BOUND}"}},
        "plain_tpe": {},
        "random": {"method": "random"},
    }
    needed = {name: [first_wanted(table, seed, keys) for seed in SEEDS] for name, keys in methods.items()}
    return {
        "configurations": len(table),
        "stable_and_accurate": len(wanted),
        "accurate": sum((fate["val_accuracy"] or 0) >= ACCURATE for fate in table.values()),
        "stable": sum((fate["stability"] or 0) >= BOUND for fate in table.values()),
        "trials_needed": needed,
        "median": {name: median(each) for name, each in needed.items()},
        "mean": {name: round(mean(each), 1) for name, each in needed.items()},
        "shares_of_wanted": {
            name: round(mean(share_wanted(table, seed, keys) for seed in SEEDS), 3) for name, keys in methods.items()
        },
    }


def is_wanted(fate: Fate) -> bool:
    """Whether a configuration is stable and accurate."""
    return (fate["stability"] or 0.0) >= BOUND and (fate["val_accuracy"] or 0.0) >= ACCURATE


def first_wanted(table: Mapping[str, Fate], seed: int, keys: Mapping[str, Any]) -> int:
    """Trials up to and with the first that is wanted; MAX_TRIALS + 1 if there is none."""
    found = (place for place, fate in enumerate(fates(table, seed, keys, MAX_TRIALS), start=1) if is_wanted(fate))
    return next(found, MAX_TRIALS + 1)


def share_wanted(table: Mapping[str, Fate], seed: int, keys: Mapping[str, Any], n: int = 100) -> float:
    """The share of the first n trials that are wanted."""
    return mean(is_wanted(fate) for fate in fates(table, seed, keys, n))


def fates(table: Mapping[str, Fate], seed: int, keys: Mapping[str, Any], n: int) -> Any:
    """What became of the trials of one search, in their order, AT_ONCE in parallel."""
    search = new_search(search_over(seed, keys))
    for first in range(0, n, AT_ONCE):
        suggested = list(enumerate(search.suggest(range(first, min(first + AT_ONCE, n))), first))
        found = [(number, each, table[config_hash(each)]) for number, each in suggested]
        search.sync([as_fact(number, each, fate) for number, each, fate in found], first + 1)
        yield from (fate for _, _, fate in found)


def as_fact(number: int, parameters: Parameters, fate: Fate) -> TrialFact:
    """A trial as the service would tell the search of it."""
    diverged = bool(fate["diverged"])
    return TrialFact(
        number=number,
        state=TrialState.PRUNED if diverged else TrialState.COMPLETED,
        parameters=parameters,
        objective=None if diverged else fate["val_accuracy"],
        epoch=EPOCHS,
        diverged=diverged,
        revision=1,
        measured={name: fate[name] for name in ("val_accuracy", "stability")},
    )


def search_over(seed: int, keys: Mapping[str, Any]) -> Sweep:
    """A sweep over the grid."""
    plain = {"dataset": "digits", "parameters": PARAMETERS, "run_cap": MAX_TRIALS, "max_parallel": AT_ONCE}
    return make_sweep(plain | {"seed": seed, **keys})


# the table


def read_table() -> dict[str, Fate]:
    """What became of every configuration, by its hash."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            row.pop("config_hash"): {name: float(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(file)
        }


def configurations() -> list[Parameters]:
    """Every distinct configuration of the grid."""
    space = Space.from_definition(search_over(0, {}).definition["space"])
    return [space.parameters(space.distinct_point(index)) for index in range(space.n_distinct or 0)]


def record(trials: Sequence[Parameters]) -> list[dict[str, Any]]:
    """Train configurations in banks of the fused trainer, one stream for all; a row of the table for each."""
    from benchmarks.verdicts import as_stored
    from service.domain.stability.score import score
    from worker.datasets import load_dataset
    from worker.entries import hyperparameters
    from worker.training.contract import TrialSpec
    from worker.training.fused.bank import FusedBank
    from worker.training.fused.kinds import kinds_of

    with TemporaryDirectory() as folder:
        dataset = load_dataset("digits", Path(folder))
    specs = [TrialSpec(key=config_hash(each), seed=1, hyperparameters=hyperparameters(each)) for each in trials]
    shape = specs[0].hyperparameters
    kinds = kinds_of(spec.hyperparameters for spec in specs)
    bank = FusedBank(dataset, shape.hidden_units, shape.batch_size, 1, n_slots=N_SLOTS, kinds=kinds)
    table = []
    for first in range(0, len(specs), bank.n_slots):
        batch = specs[first : first + bank.n_slots]
        measured: dict[str, list[Any]] = {spec.key: [] for spec in batch}
        for row in [*bank.admit(batch), *(row for _ in range(EPOCHS) for row in bank.train_epoch())]:
            measured[row.key].append(row)
        for spec in batch:
            bank.evict(spec.key)
            rows = as_stored(measured[spec.key])
            stability, accuracy = score(rows), rows[-1].val_accuracy
            is_diverged = stability is not None and stability.limiting == "nonfinite"
            table.append(
                {
                    "config_hash": spec.key,
                    "val_accuracy": "" if accuracy is None or not math.isfinite(accuracy) else round(accuracy, 4),
                    "stability": "" if stability is None else round(stability.stability, 4),
                    "diverged": int(is_diverged),
                }
            )
        print(f"{len(table)} of {len(specs)}", flush=True)
    return table


if __name__ == "__main__":
    rows = record(configurations())
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
