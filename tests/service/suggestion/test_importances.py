"""Which parameters decide a metric: found where they were planted, for metrics of any direction."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.domain.parameters import canonical
from service.domain.space import Space
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.importances import MAX_TRIALS, MIN_TRIALS, ImportanceMemory, weigh
from service.suggestion.search import DrawnSearch

SPACE = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "optimizer": {"values": ["sgd", "adam"]},
    "momentum": {"min": 0.1, "max": 0.9},
    "dropout": {"min": 0.0, "max": 0.5},
    "depth": {"min": 1, "max": 8},
    "width": 32,
    "residual": {"values": [True, False]},
}


@pytest.fixture
def facts(sweep: Callable[..., Sweep], fact: Callable[..., TrialFact]) -> Callable[..., list[TrialFact]]:
    """Trials whose stability depends on the learning rate, and whose gradient grows with the depth unless residual."""

    def make(n: int, **changes: Any) -> list[TrialFact]:
        drawn = DrawnSearch(sweep(SPACE, method="random")).suggest(range(n))
        return [
            fact(
                number,
                each,
                **{
                    "measured": {
                        "stability": 1.0 if each.learning_rate < 0.03 else 0.2,
                        "depth_slope": 0.0 if each.residual else -0.1 * len(each.hidden_units),
                        "val_loss": each.dropout,
                    }
                }
                | changes,
            )
            for number, each in enumerate(drawn)
        ]

    return make


@pytest.fixture
def space(sweep: Callable[..., Sweep]) -> Space:
    """The space of those trials."""
    return Space.from_definition(sweep(SPACE).definition["space"])


@pytest.mark.parametrize(
    ("target", "parameter"), [("stability", "learning_rate"), ("depth_slope", "residual"), ("val_loss", "dropout")]
)
@pytest.mark.parametrize("n_trials", [60, 400])
def test_the_parameter_that_decides_comes_first(space, facts, target, parameter, n_trials):
    found = weigh(space, target, facts(n_trials))
    assert next(iter(found.shares)) == parameter
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert set(found.shares) == {"learning_rate", "optimizer", "momentum", "dropout", "depth", "residual"}


def test_diverged_trials_count_as_the_worst(space, facts):
    """What they last had is no value: all that is known is that they lost."""
    fates = [
        replace(each, diverged=each.parameters.learning_rate > 0.01, state=each.state, measured={"val_accuracy": 0.5})
        for each in facts(200)
    ]
    assert next(iter(weigh(space, "val_accuracy", fates).shares)) == "learning_rate"


@pytest.mark.parametrize("changes", [{"optimizer": "rmsprop"}, {"learning_rate": 1e-7}, {"input_dropout": 0.2}])
def test_a_rescue_beyond_the_space_is_left_out(space, facts, changes):
    known = facts(40)
    beyond = canonical(known[0].parameters.model_dump() | {"momentum": None} | changes)
    rescue = replace(known[0], number=40, parameters=beyond, is_rescue=True)
    assert weigh(space, "stability", [*known, rescue]) == weigh(space, "stability", known)


def test_a_large_sweep_is_sampled(space, facts):
    found = weigh(space, "stability", facts(MAX_TRIALS + 500))
    assert (found.n_trials, found.n_used) == (MAX_TRIALS + 500, MAX_TRIALS)


@pytest.mark.parametrize(
    ("n_trials", "changes", "reason"),
    [
        (MIN_TRIALS - 1, {}, "19 trials ended with a stability; 20 or more"),
        (30, {"measured": {"stability": 0.5}}, "all trials are equal in stability"),
        (30, {"measured": {}}, "0 trials ended with a stability"),
        (30, {"state": "running"}, "0 trials ended with a stability"),
        (30, {"state": "failed"}, "0 trials ended with a stability"),
    ],
)
def test_where_it_cannot_be_told_it_says_why(space, facts, n_trials, changes, reason):
    found = weigh(space, "stability", facts(n_trials, **changes))
    assert found.shares == {}
    assert found.reason is not None
    assert found.reason.startswith(reason)


def test_of_fixed_parameters_none_decides(sweep, fact, facts):
    fixed = Space.from_definition(sweep({"dropout": 0.1}).definition["space"])
    assert "nothing is searched" in str(weigh(fixed, "stability", facts(30)).reason)


@pytest.mark.parametrize("n_sgd", [1, 2, 29])
def test_a_parameter_that_hardly_any_trial_has_does_no_harm(sweep, fact, n_sgd):
    searched = {
        "optimizer": {"values": ["sgd", "adam"]},
        "momentum": {"min": 0.1, "max": 0.9},
        "dropout": {"min": 0.0, "max": 0.5},
    }
    drawn = DrawnSearch(sweep(searched, method="random")).suggest(range(90))
    kinds = {name: [each for each in drawn if each.optimizer == name] for name in ("sgd", "adam")}
    chosen = kinds["sgd"][:n_sgd] + kinds["adam"][: 30 - n_sgd]
    facts = [fact(number, each, measured={"stability": each.dropout}) for number, each in enumerate(chosen)]
    found = weigh(Space.from_definition(sweep(searched).definition["space"]), "stability", facts)
    assert next(iter(found.shares)) == "dropout"
    assert all(math.isfinite(share) for share in found.shares.values())


def test_what_was_weighed_is_remembered_until_another_trial_ends(sweep, facts):
    memory, made, reads = ImportanceMemory(), sweep(SPACE), []

    def read() -> list[TrialFact]:
        reads.append(1)
        return facts(40)

    first = memory.of(made, "stability", (40, 7), read)
    assert memory.of(replace(made, revision=made.revision + 1), "stability", (40, 7), read) is first
    assert len(reads) == 1
    memory.of(made, "depth_slope", (40, 7), read)
    memory.of(made, "stability", (41, 8), read)
    assert len(reads) == 3
