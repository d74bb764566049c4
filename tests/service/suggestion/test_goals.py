"""Searches with bounds, with several metrics, and by evolution: what they avoid, find, and repeat."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import pytest
from optuna.trial import TrialState as Seen

from service.domain.parameters import config_hash
from service.domain.space import Space
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.dimensions import Dimensions
from service.suggestion.history import History
from service.suggestion.search import DrawnSearch, ModelSearch
from service.wire.parameters import Parameters

Fates = Callable[[Sequence[Parameters], int], list[TrialFact]]
TWO = [{"name": "val_accuracy"}, {"name": "stability"}]
RATE = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "dropout": {"min": 0.0, "max": 0.5},
}


def seen(sweep: Sweep, fact: TrialFact, **changes: Any) -> Any:
    return History(Dimensions(Space.from_definition(sweep.definition["space"])), sweep.goals, **changes).seen(fact)


@pytest.fixture
def one(sweep: Callable[..., Sweep]) -> Parameters:
    """The parameters of some trial; it has 10 epochs."""
    return DrawnSearch(sweep(method="random")).suggest([0])[0]


@pytest.mark.parametrize(
    ("state", "stability", "constraints"),
    [
        ("running", 0.2, {}),
        ("completed", 0.75, {"stability >= 0.5": -0.25}),
        ("completed", 0.25, {"stability >= 0.5": 0.25}),
        ("completed", None, {"stability >= 0.5": 1.0}),
        ("pruned", 0.25, {"stability >= 0.5": 0.25}),
        ("failed", 0.25, {}),
    ],
)
def test_a_bound_is_a_constraint_of_every_trial_that_ended(sweep, fact, one, state, stability, constraints):
    trial = seen(sweep(constraints={"stability": ">= 0.5"}), fact(0, one, state, measured={"stability": stability}))
    assert trial.constraints == pytest.approx(constraints)


def test_a_diverged_trial_violates_more_than_any_other(sweep, fact, one):
    trial = seen(
        sweep(constraints={"stability": ">= 0.5"}),
        fact(0, one, "pruned", objective=None, diverged=True, measured={"stability": 0.0}),
    )
    assert trial.constraints == {"stability >= 0.5": 0.5, "finite": 1e6}


@pytest.mark.parametrize(
    ("state", "values", "state_seen", "values_seen", "violation"),
    [
        ("completed", {}, Seen.COMPLETE, [0.5, 0.8], 0.0),
        ("completed", {"measured": {}}, Seen.COMPLETE, [0.5, -1e6], 1e6),
        ("pruned", {"epoch": 3}, Seen.COMPLETE, [0.5, 0.8], 0.7),
        ("pruned", {"epoch": 10}, Seen.COMPLETE, [0.5, 0.8], 1e-3),
        ("pruned", {"diverged": True}, Seen.COMPLETE, [0.5, 0.8], 1e6),
        ("running", {}, Seen.RUNNING, None, 0.0),
        ("failed", {}, Seen.FAIL, None, 0.0),
    ],
)
def test_of_several_metrics_an_early_end_is_complete_and_infeasible(
    sweep, fact, one, state, values, state_seen, values_seen, violation
):
    trial = seen(sweep(metrics=TWO), fact(0, one, state, **({"measured": {"stability": 0.8}} | values)))
    assert (trial.state, trial.values) == (state_seen, values_seen)
    assert sum(trial.constraints.values()) == pytest.approx(violation)


def unstable_above(limit: float) -> Callable[[Parameters], tuple[float, float]]:
    """Accuracy rises with the learning rate, and so does the temptation: above the limit nothing is stable."""

    def outcome(parameters: Parameters) -> tuple[float, float]:
        exponent = math.log10(parameters.learning_rate)
        return 1 + exponent / 10 - parameters.dropout / 5, 0.9 if parameters.learning_rate <= limit else 0.2

    return outcome


def run(sweep: Sweep, fact: Callable[..., TrialFact], outcome: Any, n: int, at_once: int = 4) -> list[Parameters]:
    """A whole sweep without training: what it proposed."""
    search, made = ModelSearch(sweep), []
    for first in range(0, n, at_once):
        for number, each in enumerate(search.suggest(range(first, first + at_once)), first):
            made.append(each)
            accuracy, stability = outcome(each)
            measured = {"val_accuracy": accuracy, "stability": stability}
            search.sync([fact(number, each, objective=accuracy, measured=measured)], number + 1)
    return made


@pytest.mark.parametrize(("method", "n"), [("tpe", 120), ("nsga2", 320)])
def test_bounds_keep_the_search_out_of_the_region_that_breaks_them(sweep, fact, method, n):
    """Where only accuracy counts, nearly all trials go where they are unstable; with the bound few do."""
    outcome, shares = unstable_above(1e-2), {}
    for constraints in (None, {"stability": ">= 0.5"}):
        late = [
            each.learning_rate > 1e-2
            for seed in range(3)
            for each in run(sweep(RATE, method=method, seed=seed, constraints=constraints), fact, outcome, n)[n - 40 :]
        ]
        shares[constraints is None] = sum(late) / len(late)
    assert shares[True] > 0.5
    assert shares[False] < shares[True] / 2


@pytest.mark.parametrize(("method", "n"), [("tpe", 120), ("nsga2", 320)])
def test_several_metrics_find_a_better_front_than_chance(sweep, fact, method, n):
    """Accuracy wants no dropout, stability wants it; both want a learning rate of 0.01: only that can be wasted."""

    def outcome(parameters: Parameters) -> tuple[float, float]:
        away = abs(math.log10(parameters.learning_rate) + 2) / 5
        return 1 - away - parameters.dropout, 0.5 - away + parameters.dropout

    def wasted(trials: Sequence[Parameters]) -> float:
        return median(abs(math.log10(each.learning_rate) + 2) for each in trials)

    learned = [
        wasted(run(sweep(RATE, method=method, metrics=TWO, seed=seed), fact, outcome, n)[n - 40 :]) for seed in range(3)
    ]
    chance = [wasted(DrawnSearch(sweep(RATE, method="random", seed=seed)).suggest(range(40))) for seed in range(3)]
    assert median(learned) < 0.6 * median(chance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("method", "metrics"), [("tpe", TWO), ("nsga2", TWO), ("nsga2", None)], ids=["tpe", "nsga2", "nsga2-alone"]
)
def test_after_any_history_a_rebuilt_search_suggests_the_same(sweep, fates, method, metrics, seed):
    """News in any order, as after several workers, and asks in between leave no trace."""
    made = sweep(method=method, metrics=metrics, constraints={"stability": ">= 0.5"}, run_cap=80)
    live, rebuilt = ModelSearch(made), ModelSearch(made)
    rows = fates(DrawnSearch(sweep(method="random")).suggest(range(80)), seed)
    for row in sorted(rows, key=lambda row: row.revision):
        live.sync([row], row.revision)
        live.suggest([200 + row.number])
    rebuilt.sync(rows, 99)
    assert live.suggest(range(80, 84)) == rebuilt.suggest(range(80, 84))


def test_evolution_repeats_itself_and_never_a_trial(sweep, fact):
    outcome = unstable_above(1e-2)
    first, again, other = (run(sweep(method="nsga2", seed=seed), fact, outcome, 60) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert len({config_hash(each) for each in first}) == 60


def test_a_finite_space_is_exhausted_by_evolution(sweep):
    searched = {"dropout": {"values": [0.0, 0.1, 0.2]}, "optimizer": {"values": ["sgd", "adam"]}}
    assert len(ModelSearch(sweep(searched, method="nsga2")).suggest(range(10))) == 6
