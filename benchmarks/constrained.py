"""How many trials until the first network that is accurate and keeps a bound: with the bound, without, and by chance.

The task is real and cheap: every network of a grid (`benchmarks/_grid.py`), trained to its end once and recorded; a
search looks its trials up instead of training them, so that many seeds cost seconds. What is looked for was fixed
before any search was compared:

    accurate    among the 3 % of the grid with the best validation accuracy
    bounds      stability >= 0.5; update_ratio and global_norm_max at most their medians over the accurate networks,
                so that half of these break the bound: it is against the metric by construction

A trial whose values were not finite ended as the service would end it: pruned, diverged.
"""

from collections.abc import Callable, Mapping
from statistics import mean, median
from typing import Any

from benchmarks._grid import EPOCHS, KEPT, Fate, read_table, sweep_keys
from benchmarks._sweeps import make_sweep
from service.domain.parameters import config_hash
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.searches import Searches, new_search
from service.wire.parameters import Parameters

SEEDS = range(10)
AT_ONCE = 8
MAX_TRIALS = 320
ACCURATE_SHARE = 0.03
BOUND = 0.5

Wanted = Callable[[Fate], bool]


def run() -> dict[str, Any]:
    """Search the recorded grid with every bound, method and seed, and count the trials to the first that is wanted."""
    Searches()  # it tells Optuna to be quiet
    table = read_table()
    accurate = accurate_ones(table)
    return {
        "configurations": len(table),
        "accurate": len(accurate),
        "least_accuracy": min(fate["val_accuracy"] or 0.0 for fate in accurate),
        "bounds": {f"{name} {bound}": compared(table, name, bound) for name, bound in bounds_of(accurate).items()},
    }


def accurate_ones(table: Mapping[str, Fate]) -> list[Fate]:
    """The networks with the best accuracies, equal ones with them."""
    ranked = sorted((fate["val_accuracy"] or 0.0 for fate in table.values()), reverse=True)
    least = ranked[round(ACCURATE_SHARE * len(ranked)) - 1]
    return [fate for fate in table.values() if (fate["val_accuracy"] or 0.0) >= least]


def bounds_of(accurate: list[Fate]) -> dict[str, str]:
    """Each bound, by the name of its metric, as a sweep file has it."""
    middles = {
        name: median(value for fate in accurate if (value := fate[name]) is not None)
        for name in ("update_ratio", "global_norm_max")
    }
    return {"stability": f">= {BOUND}"} | {name: f"<= {middle:.4g}" for name, middle in middles.items()}


def compared(table: Mapping[str, Fate], name: str, bound: str) -> dict[str, Any]:
    """The search with a bound, the one without, and chance."""
    keys = {"constraints": {name: bound}}
    (constraint,) = search_over(0, keys).goals.constraints
    least = min(fate["val_accuracy"] or 0.0 for fate in accurate_ones(table))

    def is_wanted(fate: Fate) -> bool:
        return (fate["val_accuracy"] or 0.0) >= least and constraint.violation(fate[name]) <= 0

    methods: dict[str, Mapping[str, Any]] = {"bounded_tpe": keys, "plain_tpe": {}, "random": {"method": "random"}}
    needed = {
        method: [first_wanted(table, seed, each, is_wanted) for seed in SEEDS] for method, each in methods.items()
    }
    return {
        "keep_the_bound": sum(constraint.violation(fate[name]) <= 0 for fate in table.values()),
        "wanted": sum(map(is_wanted, table.values())),
        "trials_needed": needed,
        "median": {method: median(each) for method, each in needed.items()},
        "mean": {method: round(mean(each), 1) for method, each in needed.items()},
        "shares_of_wanted": {
            method: round(mean(share_wanted(table, seed, each, is_wanted) for seed in SEEDS), 3)
            for method, each in methods.items()
        },
    }


def first_wanted(table: Mapping[str, Fate], seed: int, keys: Mapping[str, Any], is_wanted: Wanted) -> int:
    """Trials up to and with the first that is wanted; MAX_TRIALS + 1 if there is none."""
    found = (place for place, fate in enumerate(fates(table, seed, keys, MAX_TRIALS), start=1) if is_wanted(fate))
    return next(found, MAX_TRIALS + 1)


def share_wanted(
    table: Mapping[str, Fate], seed: int, keys: Mapping[str, Any], is_wanted: Wanted, n: int = 100
) -> float:
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
        measured={name: fate[name] for name in KEPT},
    )


def search_over(seed: int, keys: Mapping[str, Any]) -> Sweep:
    """A sweep over the grid."""
    return make_sweep(sweep_keys() | {"run_cap": MAX_TRIALS, "max_parallel": AT_ONCE, "seed": seed, **keys})
