"""Model-based search: repeatable, equal after a restart, without duplicates, and better than chance."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import pytest

from service.domain.parameters import canonical, config_hash
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.search import DrawnSearch, ModelSearch, SweepSearch
from service.suggestion.searches import MAX_SEARCHES, Searches, new_search
from service.wire.parameters import Parameters

Fates = Callable[[Sequence[Parameters], int], list[TrialFact]]


BOOLS = {"values": [True, False]}


def distance(parameters: Parameters) -> float:
    """How far a trial is from the best one there is: 0 at a learning rate of 0.01, sgd, dropout 0.2."""
    away = abs(math.log10(parameters.learning_rate) + 2) / 2 + abs(parameters.dropout - 0.2)
    return away + 0.5 * (parameters.optimizer != "sgd")


@pytest.mark.parametrize("seed", range(5))
def test_after_any_history_a_rebuilt_search_suggests_the_same(
    sweep: Callable[..., Sweep], fates: Fates, seed: int
) -> None:
    live, drawn = ModelSearch(sweep(), n_best=5, n_recent=20), DrawnSearch(sweep(method="random"))
    rows = fates(drawn.suggest(range(60)), seed)
    for row in sorted(rows, key=lambda row: row.revision):
        live.sync([row], row.revision)
    rebuilt = ModelSearch(sweep(), n_best=5, n_recent=20)
    rebuilt.sync(rows, 99)
    assert live.suggest(range(60, 63)) == rebuilt.suggest(range(60, 63))


def test_asking_for_several_is_asking_one_by_one(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    """Those suggested before count as waiting, whether they are rows already or not."""
    drawn = DrawnSearch(sweep(method="random")).suggest(range(20))
    known = [fact(number, each, objective=-distance(each)) for number, each in enumerate(drawn)]
    together, one_by_one = ModelSearch(sweep()), ModelSearch(sweep())
    together.sync(known, 1)
    one_by_one.sync(known, 1)
    suggested = []
    for number in range(20, 24):
        suggested += one_by_one.suggest([number])
        one_by_one.sync([fact(number, suggested[-1], "waiting", objective=None)], number)
    assert together.suggest(range(20, 24)) == suggested


def test_suggesting_leaves_no_trace(sweep: Callable[..., Sweep]) -> None:
    search = ModelSearch(sweep())
    assert search.suggest(range(4)) == search.suggest(range(4))
    assert search.trials() == []


def test_parallel_trials_are_kept_apart(sweep: Callable[..., Sweep]) -> None:
    suggested = ModelSearch(sweep()).suggest(range(16))
    assert len({config_hash(each) for each in suggested}) == 16


@pytest.mark.parametrize("n_known", [0, 4, 11])
def test_a_finite_space_is_suggested_once_each_and_then_no_more(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], n_known: int
) -> None:
    searched = {"dropout": {"values": [0.0, 0.1, 0.2, 0.3]}, "optimizer": {"values": ["sgd", "adam", "momentum"]}}
    search = ModelSearch(sweep(searched))
    known = search.suggest(range(n_known))
    search.sync([fact(number, each) for number, each in enumerate(known)], 1)
    rest = search.suggest(range(n_known, 20))
    assert len({config_hash(each) for each in [*known, *rest]}) == len(known) + len(rest) == 12


@pytest.mark.parametrize(
    "searched",
    [
        {
            "optimizer": {"values": ["sgd", "adam"]},
            "momentum": {"min": 0.1, "max": 0.9},
            "nesterov": BOOLS,
        },
        {
            "optimizer": "sgd",
            "momentum": {"values": [0.0, 0.9]},
            "nesterov": BOOLS,
            "dropout": {"min": 0.0, "max": 0.5},
        },
        {"depth": {"min": 1, "max": 3}, "width": {"min": 4, "max": 64, "q": 4}, "residual": BOOLS},
        {"depth": 2, "width": {"min": 4, "max": 400}, "optimizer": {"values": ["nesterov", "adam"]}},
        {"optimizer": "sgd", "momentum": {"min": 0.0, "max": 0.9, "q": 1e-8}, "nesterov": BOOLS},
        {"dropout": {"min": 0.0, "max": 0.9, "q": 1 / 3}, "learning_rate": {"min": 0.001, "max": 0.1}},
        {"weight_decay": {"distribution": "q_log_uniform_values", "min": 1e-13, "max": 0.1, "q": 0.001}},
        {"clip_norm": {"values": [None, 0.1, 1.0]}, "learning_rate": {"min": 0.001, "max": 0.1}},
        {"epochs": {"min": 1, "max": 30}, "dropout": {"min": 0.0, "max": 0.5, "q": 0.05}},
    ],
    ids="-".join,
)
def test_every_kind_of_parameter_can_be_modelled(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], searched: dict[str, Any]
) -> None:
    drawn = DrawnSearch(sweep(searched, method="random")).suggest(range(12))
    search = ModelSearch(sweep(searched))
    search.sync([fact(number, each, objective=number / 12) for number, each in enumerate(drawn)], 1)
    suggested = search.suggest(range(12, 18))
    assert len({config_hash(each) for each in [*drawn, *suggested]}) == 18
    assert all(canonical(each.model_dump()) == each for each in suggested)


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_it_finds_better_trials_than_chance(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], metric: str
) -> None:
    sign = {"val_accuracy": -1.0, "val_loss": 1.0}[metric]
    learned, chance = [], []
    for seed in range(5):
        search: SweepSearch = ModelSearch(sweep(seed=seed, metric={"name": metric}))
        for first in range(0, 60, 4):
            batch = list(enumerate(search.suggest(range(first, first + 4)), first))
            search.sync([fact(number, each, objective=sign * distance(each)) for number, each in batch], first + 1)
            learned += [distance(each) for number, each in batch if number >= 40]
        chance += [distance(each) for each in DrawnSearch(sweep(seed=seed, method="random")).suggest(range(20))]
    assert median(learned) < 0.5 * median(chance)


def test_it_learns_where_trials_diverge(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    """Every trial above a learning rate of 0.03 diverges, a third of the space; below, all are equally good.

    A failed trial would teach it nothing, so that it would go there again and again.
    """
    as_diverged = [share_above(sweep, fact, seed, "pruned") for seed in range(3)]
    as_failed = [share_above(sweep, fact, seed, "failed") for seed in range(3)]
    assert max(as_diverged) < min(as_failed) / 1.5


def share_above(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], seed: int, state: str) -> float:
    """The share of trials above 0.03 among the last half of 40, if those there end in this state."""
    searched = {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}}
    search, above = ModelSearch(sweep(searched, seed=seed)), []
    for first in range(0, 40, 4):
        for number, each in enumerate(search.suggest(range(first, first + 4)), first):
            above.append(each.learning_rate > 0.03)
            ends = {
                True: fact(number, each, state, objective=None, diverged=True),
                False: fact(number, each, objective=0.5),
            }
            search.sync([ends[above[-1]]], first + 1)
    return sum(above[20:]) / 20


def test_threads_may_share_a_search(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    search = ModelSearch(sweep())
    drawn = DrawnSearch(sweep(method="random")).suggest(range(40))

    def tell_and_ask(number: int) -> int:
        search.sync([fact(number, drawn[number], objective=number / 40)], number)
        return len(search.suggest([100 + number]))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(tell_and_ask, range(40))) == [1] * 40
    assert len(search.trials()) == 40


def test_each_sweep_has_one_search_and_the_least_used_are_dropped(sweep: Callable[..., Sweep]) -> None:
    from dataclasses import replace

    searches, plain = Searches(), sweep(method="random")
    first = searches.of(replace(plain, id="0"))
    assert searches.of(replace(plain, id="0")) is first
    for number in range(1, MAX_SEARCHES + 1):
        searches.of(replace(plain, id=str(number)))
    assert searches.of(replace(plain, id="0")) is not first


def test_a_forgotten_search_is_made_anew(sweep: Callable[..., Sweep]) -> None:
    searches = Searches()
    first = searches.of(sweep())
    searches.forget("swp_test")
    searches.forget("swp_test")
    assert searches.of(sweep()) is not first


@pytest.mark.parametrize(("method", "learns"), [("tpe", True), ("random", False), ("grid", False), ("qmc", False)])
def test_only_the_model_needs_facts(sweep: Callable[..., Sweep], method: str, learns: bool) -> None:
    search = new_search(sweep({"dropout": {"values": [0.1, 0.2]}}, method=method))
    search.sync([], 12)
    assert (search.learns, search.revision) == (learns, 12)


@pytest.mark.parametrize("method", ["random", "grid", "qmc"])
def test_draws_go_on_behind_a_rescue_and_pass_over_what_it_tried(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], method: str
) -> None:
    choices = {"optimizer": {"values": ["sgd", "adam", "adamw"]}, "normalization": {"values": ["none", "batch"]}}
    undisturbed = DrawnSearch(sweep(choices, method=method)).suggest(range(6))
    rescues = [fact(1, undisturbed[4], is_rescue=True), fact(3, canonical({"dropout": 0.4}), is_rescue=True)]
    live, rebuilt = (DrawnSearch(sweep(choices, method=method)) for _ in range(2))

    before = live.suggest(range(6))
    live.sync(rescues[:1], 1)
    between = live.suggest([2])
    live.sync(rescues[1:], 2)
    rebuilt.sync(rescues, 2)

    assert before == undisturbed
    assert between == [undisturbed[1]]
    wanted = [undisturbed[place] for place in (1, 2, 3, 5)]
    assert live.suggest([2, 4, 5, 6]) == rebuilt.suggest([2, 4, 5, 6]) == wanted
    assert rebuilt.suggest([7]) == []
