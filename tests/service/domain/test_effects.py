"""Effects against numbers that were worked out by hand."""

import math
from typing import Any

import pytest

from service.domain.ablation import Ablation
from service.domain.effects import Effects, FactorEffect, Outcome, effects_of
from service.domain.goals import Metric
from service.domain.parameters import canonical
from service.domain.states import Direction, Method, MetricAt, PruneReason, Verdict

ACCURACY = Metric("val_accuracy", Direction.MAXIMIZE, MetricAt.LAST)
LOSS = Metric("val_loss", Direction.MINIMIZE, MetricAt.LAST)


def outcome(number: int, objective: float | None, **rest: Any) -> Outcome:
    """A stable trial of its own seed; what is no field of an outcome is a parameter."""
    fields: dict[str, Any] = {
        "seed": number,
        "replicate": 0,
        "remedy": None,
        "prune_reason": None,
        "stability": 1.0,
        "depth_slope": 0.0,
        "verdict": Verdict.STABLE,
        "stream": None,
    }
    parameters = {name: value for name, value in rest.items() if name not in fields}
    given = {name: value for name, value in rest.items() if name in fields}
    return Outcome(number=number, objective=objective, parameters=canonical(parameters), **fields | given)


def factor(effects: Effects, name: str) -> FactorEffect:
    return next(each for each in effects.factors if each.name == name)


def numbers(summary: Any) -> tuple[Any, ...]:
    return (
        summary.n,
        *(None if one is None else pytest.approx(one) for one in (summary.median, summary.low, summary.high)),
    )


def test_a_level_sums_up_its_trials() -> None:
    trials = [
        outcome(0, 0.9, normalization="batch", stability=0.8, depth_slope=-0.1),
        outcome(1, 0.5, normalization="batch", stability=0.6, depth_slope=0.1),
        outcome(2, 0.7, normalization="batch", stability=0.7),
        outcome(3, 0.1, normalization="none", stability=0.0, depth_slope=0.6, verdict=Verdict.VANISHING),
    ]
    (batch, of_batch), (none, of_none) = factor(effects_of(trials, ACCURACY, Method.RANDOM), "normalization").levels
    assert (batch.label, none.label) == ("batch", "none")
    assert numbers(of_batch.metric) == (3, 0.7, 0.5, 0.9)
    assert numbers(of_batch.stability) == (3, 0.7, 0.6, 0.8)
    assert numbers(of_batch.depth_slope) == (3, 0.0, -0.1, 0.1)
    assert (of_batch.verdicts, of_none.verdicts) == ({Verdict.STABLE: 3}, {Verdict.VANISHING: 1})
    assert numbers(of_none.metric) == (1, 0.1, None, None)


def test_what_is_the_same_in_all_trials_has_no_effect_and_is_named() -> None:
    found = effects_of([outcome(0, 0.9, dropout=0.1), outcome(1, 0.8, dropout=0.2)], ACCURACY, Method.RANDOM)
    assert [each.name for each in found.factors] == ["dropout"]
    assert "The same in all trials: learning_rate, optimizer, normalization, residual." in found.notes


def test_unpromising_trials_are_counted_but_have_no_final_metric() -> None:
    trials = [
        outcome(0, 0.9, dropout=0.1),
        outcome(1, 0.2, dropout=0.1, prune_reason=PruneReason.UNPROMISING, stability=0.5),
        outcome(2, 0.8, dropout=0.2),
    ]
    found = effects_of(trials, ACCURACY, Method.RANDOM)
    (_, low), _ = factor(found, "dropout").levels
    assert (low.n_trials, low.n_unpromising) == (2, 1)
    assert numbers(low.metric) == (1, 0.9, None, None)
    assert numbers(low.stability) == (2, 0.75, 0.5, 1.0)
    assert any("1 trials were pruned as unpromising" in note for note in found.notes)


@pytest.mark.parametrize(("metric", "worst"), [(ACCURACY, -math.inf), (LOSS, math.inf)])
def test_a_trial_whose_metric_is_no_number_is_worse_than_any(metric: Metric, worst: float) -> None:
    blown = {"prune_reason": PruneReason.NONFINITE, "verdict": Verdict.NONFINITE, "learning_rate": 1.0}
    trials = [outcome(0, 0.4), outcome(1, None, **blown), outcome(2, None, dropout=0.1, **blown)]
    levels = factor(effects_of(trials, metric, Method.RANDOM), "learning_rate").levels
    assert [level.label for level, _ in levels] == ["0.001", "1"]
    assert levels[1][1].metric is not None
    assert levels[1][1].metric.median == worst


def test_pairs_differ_in_one_parameter_and_in_nothing_else() -> None:
    trials = [
        outcome(0, 0.50, normalization="none", dropout=0.0),
        outcome(1, 0.60, normalization="batch", dropout=0.0),
        outcome(2, 0.40, normalization="none", dropout=0.2),
        outcome(3, 0.70, normalization="batch", dropout=0.2),
        outcome(4, 0.99, normalization="batch", dropout=0.3),  # without a partner
        outcome(5, 0.10, normalization="none", dropout=0.0, residual=True),  # without a partner here
    ]
    (pair,) = factor(effects_of(trials, ACCURACY, Method.GRID), "normalization").pairs
    assert (pair.value, pair.against, pair.n_pairs, pair.n_same_seed, pair.n_same_stream) == ("batch", "none", 2, 0, 0)
    assert numbers(pair.metric) == (2, 0.2, 0.1, 0.3)


def test_another_optimizer_has_another_momentum_and_is_a_pair_still() -> None:
    trials = [
        outcome(0, 0.5, optimizer="nesterov"),
        outcome(1, 0.6, optimizer="adam"),
        outcome(2, 0.1, optimizer="sgd"),
    ]
    pairs = factor(effects_of(trials, ACCURACY, Method.GRID), "optimizer").pairs
    assert [(pair.value, pair.against) for pair in pairs] == [("nesterov", "adam"), ("sgd", "adam")]
    assert [pair.metric.median for pair in pairs if pair.metric] == pytest.approx([-0.1, -0.5])


def test_a_network_of_other_widths_is_no_pair_of_depth() -> None:
    trials = [
        outcome(0, 0.5, hidden_units=(64,) * 2),
        outcome(1, 0.6, hidden_units=(64,) * 5),
        outcome(2, 0.9, hidden_units=(32,) * 5),
    ]
    (pair,) = factor(effects_of(trials, ACCURACY, Method.GRID), "depth").pairs
    assert pair.n_pairs == 1
    assert numbers(pair.metric) == (1, pytest.approx(-0.1), None, None)


def test_two_trials_that_both_blew_up_do_not_differ() -> None:
    trials = [outcome(0, None, residual=False), outcome(1, None, residual=True)]
    (pair,) = factor(effects_of(trials, LOSS, Method.GRID), "residual").pairs
    assert numbers(pair.metric) == (1, 0.0, None, None)


def test_ranges_of_rates_have_no_pairs() -> None:
    trials = [outcome(number, 0.5, learning_rate=10 ** (-number / 3)) for number in range(12)]
    found = factor(effects_of(trials, ACCURACY, Method.RANDOM), "learning_rate")
    assert [level.label for level, _ in found.levels] == ["0.0001 to 0.001", "0.001 to 0.01", "0.01 to 0.1", "0.1 to 1"]
    assert found.pairs == ()


@pytest.fixture
def ablation() -> Ablation:
    """Two remedies under three seeds."""
    base = {"optimizer": "sgd", "learning_rate": 0.1}
    return Ablation(base, {"bn": {"normalization": "batch"}, "skip": {"residual": True}}, 3)


def ablated(ablation: Ablation, objectives: list[float], streams: list[int]) -> list[Outcome]:
    return [
        Outcome(
            number=number,
            seed=7 + replicate,
            replicate=replicate,
            remedy=variant.remedy,
            parameters=variant.parameters,
            prune_reason=None,
            objective=objectives[number],
            stability=0.5 if variant.remedy == "base" else 1.0,
            depth_slope=None,
            verdict=Verdict.STABLE,
            stream=(7, streams[number]),
        )
        for number, replicate, variant in ablation.trials()
    ]


def test_remedies_are_compared_with_the_base_under_the_same_seed(ablation: Ablation) -> None:
    objectives = [0.1, 0.8, 0.2, 0.9, 0.2, 0.7, 0.2, 0.9, 0.3, 0.9, 0.2, 0.9]
    streams = [0, 0, 0, 0, 5, 5, 5, 8, 10, 10, 11, 11]
    found = effects_of(ablated(ablation, objectives, streams), ACCURACY, Method.ABLATION, ablation)
    base, bn, skip, both = found.remedies
    assert [each.remedy for each in found.remedies] == ["base", "bn", "skip", "all"]
    assert base.paired is None
    assert numbers(base.group.metric) == (3, 0.2, 0.1, 0.3)
    assert bn.paired is not None
    assert (bn.paired.n_pairs, bn.paired.n_same_seed, bn.paired.n_same_stream) == (3, 3, 3)
    assert numbers(bn.paired.metric) == (3, 0.6, 0.5, 0.7)
    assert numbers(bn.paired.stability) == (3, 0.5, 0.5, 0.5)
    assert bn.paired.depth_slope is None
    assert skip.paired is not None
    assert numbers(skip.paired.metric) == (3, 0.0, -0.1, 0.1)
    assert both.paired is not None
    assert (both.paired.n_same_seed, both.paired.n_same_stream) == (3, 1)
    assert both.changes == {"normalization": "batch", "residual": True}


def test_a_remedy_without_its_base_has_no_pair_yet(ablation: Ablation) -> None:
    trials = ablated(ablation, [0.5] * 12, [0] * 12)[1:4]
    found = effects_of(trials, ACCURACY, Method.ABLATION, ablation)
    assert [(each.remedy, each.paired) for each in found.remedies] == [("bn", None), ("skip", None), ("all", None)]


@pytest.mark.parametrize(
    ("method", "said"), [(Method.TPE, "Do not read the levels as causes"), (Method.RANDOM, "by chance alone")]
)
def test_the_notes_say_what_a_method_allows_to_conclude(method: Method, said: str) -> None:
    found = effects_of([outcome(0, 0.5), outcome(1, 0.6, dropout=0.1)], ACCURACY, method)
    assert any(said in note for note in found.notes)


def test_without_trials_there_is_nothing_to_say() -> None:
    found = effects_of([], ACCURACY, Method.TPE)
    assert (found.factors, found.remedies, found.notes) == ((), (), ("No trial has ended yet.",))
