"""The history that Optuna sees: equal to our trials, whatever the order in which their ends became known."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Seen

from service.domain.goals import Goals, Metric
from service.domain.parameters import canonical
from service.domain.space import Space
from service.domain.states import Direction, MetricAt
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.dimensions import Dimensions
from service.suggestion.history import History
from service.suggestion.search import DrawnSearch, ModelSearch
from service.wire.parameters import Parameters


def trials_of(sweep: Callable[..., Sweep], n: int) -> list[Parameters]:
    return DrawnSearch(sweep(method="random")).suggest(range(n))


def history(sweep: Sweep, **window: int) -> History:
    space = Space.from_definition(sweep.definition["space"])
    return History(Dimensions(space), sweep.goals, **{"n_best": 5, "n_recent": 10} | window)


@pytest.mark.parametrize(
    ("state", "values", "seen", "value", "intermediate", "constraints"),
    [
        ("waiting", {"objective": None}, Seen.RUNNING, None, {}, {}),
        ("running", {"objective": 0.3}, Seen.RUNNING, None, {}, {}),
        ("completed", {"objective": 0.3}, Seen.COMPLETE, 0.3, {}, {}),
        ("completed", {"objective": None}, Seen.PRUNED, None, {}, {"finite": 1e6}),
        ("pruned", {"objective": 0.3, "epoch": 4}, Seen.PRUNED, None, {4: 0.3}, {}),
        ("pruned", {"objective": None}, Seen.PRUNED, None, {}, {}),
        ("pruned", {"objective": 0.3, "diverged": True}, Seen.PRUNED, None, {}, {"finite": 1e6}),
        ("cancelled", {"objective": 0.3, "epoch": 4}, Seen.PRUNED, None, {4: 0.3}, {}),
        ("cancelled", {"objective": None}, Seen.FAIL, None, {}, {}),
        ("failed", {"objective": 0.3}, Seen.FAIL, None, {}, {}),
    ],
)
def test_how_a_trial_is_seen(
    sweep: Callable[..., Sweep],
    fact: Callable[..., TrialFact],
    state: str,
    values: dict[str, Any],
    seen: Seen,
    value: float | None,
    intermediate: dict[int, float],
    constraints: dict[str, float],
) -> None:
    trial = history(sweep()).seen(fact(0, canonical({"optimizer": "momentum"}), state, **values))
    assert (trial.state, trial.value, trial.intermediate_values, trial.constraints) == (
        seen,
        value,
        intermediate,
        constraints,
    )


def test_parameters_are_seen_in_the_words_of_the_sweep_file(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]
) -> None:
    parameters = canonical({"optimizer": "momentum", "hidden_units": [64, 32], "batch_size": 48, "dropout": 0.25})
    assert history(sweep()).seen(fact(3, parameters)).params == {
        "learning_rate": 1e-3,
        "optimizer": "momentum",
        "normalization": "none",
        "dropout": 0.25,
        "batch_size": 3,
        "hidden_units": "64-32",
    }


def test_what_has_no_effect_is_not_seen(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    searched = {"optimizer": {"values": ["sgd", "adam"]}, "momentum": {"min": 0.1, "max": 0.9}}
    seen = history(sweep(searched)).seen(fact(0, canonical({"optimizer": "adam", "momentum": 0.5})))
    assert seen.params == {"optimizer": "adam"}


def as_told(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [(each.number, each.state, each.values, each.params, each.intermediate_values) for each in trials]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_a_history_told_bit_by_bit_equals_one_rebuilt_from_rows(seed: int, n_updates: int) -> None:
    """Any order of news, any number of changes of mind: what counts is each trial's newest row."""
    chance = random.Random(seed)
    space = Space({}, {})
    dimensions = Dimensions(space)
    goals = Goals((Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST),))
    live = History(dimensions, goals, n_best=3, n_recent=4)
    rows: dict[int, TrialFact] = {}
    for revision in range(1, n_updates + 1):
        number = chance.randint(0, min(len(rows), 12))
        rows[number] = fate(number, revision, chance)
        live.take([rows[number]])
    rebuilt = History(dimensions, goals, n_best=3, n_recent=4)
    rebuilt.take([rows[number] for number in sorted(rows)])
    assert as_told(live.trials()) == as_told(rebuilt.trials())
    assert as_told(live.window()) == as_told(rebuilt.window())


def fate(number: int, revision: int, chance: random.Random) -> TrialFact:
    from service.domain.states import TrialState

    return TrialFact(
        number=number,
        state=chance.choice(list(TrialState)),
        parameters=canonical({}),
        objective=chance.choice([None, chance.random()]),
        epoch=chance.randint(1, 5),
        diverged=chance.random() < 0.2,
        revision=revision,
    )


def test_news_that_is_older_than_what_is_known_is_passed_over(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]
) -> None:
    known = history(sweep())
    known.take([fact(0, canonical({}), "completed", objective=0.9, revision=5)])
    known.take([fact(0, canonical({}), "running", revision=4)])
    assert [trial.state for trial in known.trials()] == [Seen.COMPLETE]


@pytest.mark.parametrize(("goal", "best"), [("val_accuracy", {90, 91, 92}), ("val_loss", {0, 1, 2})])
def test_the_window_holds_the_best_the_newest_and_the_open(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact], goal: str, best: set[int]
) -> None:
    known = history(sweep(metric={"name": goal}), n_best=3, n_recent=2)
    finished = [fact(number, canonical({}), objective=number / 100) for number in range(93)]
    known.take([*finished, fact(93, canonical({}), objective=0.5), fact(94, canonical({}), objective=0.5)])
    known.take([fact(95, canonical({}), "running"), fact(96, canonical({}), "failed")])
    assert {trial.number - 1 for trial in known.window()} == best | {93, 94, 95}


def test_the_best_are_ranked_as_optuna_ranks_them(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    known = history(sweep(), n_best=4, n_recent=0)
    known.take(
        [
            fact(0, canonical({}), "pruned", objective=0.99, epoch=1),
            fact(1, canonical({}), "pruned", objective=0.5, epoch=3),
            fact(2, canonical({}), "pruned", objective=0.6, epoch=3),
            fact(3, canonical({}), "pruned", diverged=True),
            fact(4, canonical({}), "completed", objective=0.1),
            fact(5, canonical({}), "completed", objective=0.2),
        ]
    )
    assert {trial.number - 1 for trial in known.window()} == {5, 4, 2, 1}


def test_a_model_search_shows_its_trials(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> None:
    search = ModelSearch(sweep())
    facts = [fact(number, parameters) for number, parameters in enumerate(trials_of(sweep, 5))]
    search.sync(list(reversed(facts)), 9)
    assert [trial.number for trial in search.trials()] == [1, 2, 3, 4, 5]
    assert search.revision == 9


def test_a_rescue_outside_the_space_teaches_nothing_and_one_inside_like_any_other(
    sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]
) -> None:
    space = Space.from_definition(sweep().definition["space"])
    inside = space.parameters(space.point_at([0.5] * 6))
    outside = [
        inside.model_copy(update=changes)
        for changes in ({"learning_rate": 2.0}, {"clip_norm": 1.0}, {"batch_size": 40}, {"dropout": 0.6})
    ]
    seen = history(sweep())
    seen.take([fact(number, each, is_rescue=True) for number, each in enumerate([inside, *outside])])
    assert [trial.state.name for trial in seen.trials()] == ["COMPLETE", *["FAIL"] * 4]
    assert seen.window() == seen.trials()[:1]
