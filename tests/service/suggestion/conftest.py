"""Sweeps and histories without a database."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from service.domain.states import SweepState, TrialState
from service.domain.sweep import Sweep
from service.domain.sweep_document import read_sweep_document
from service.domain.trial import TrialFact
from service.wire.parameters import Parameters

SIX = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "optimizer": {"values": ["sgd", "adam", "momentum"]},
    "normalization": {"values": ["none", "batch", "layer"]},
    "dropout": {"min": 0.0, "max": 0.5},
    "batch_size": {"distribution": "q_log_uniform_values", "min": 16, "max": 256, "q": 16},
    "hidden_units": {"values": [[64], [64, 32], [128, 64, 32]]},
}
"""A space with a parameter of every kind."""


def make_sweep(parameters: Any = None, **keys: Any) -> Sweep:
    document = read_sweep_document({"parameters": parameters or SIX, "method": "tpe", "run_cap": 100, "seed": 7} | keys)
    return Sweep(
        id="swp_test",
        name=document.name,
        state=SweepState.RUNNING,
        state_reason=None,
        dataset=document.dataset,
        dataset_sha256=None,
        method=document.method,
        metric=document.metric,
        run_cap=document.run_cap,
        max_parallel=document.max_parallel,
        seed=document.seed or 0,
        failure_limit=document.failure_limit,
        time_budget_ms=document.time_budget_ms,
        active_ms=0,
        early_termination=document.early_termination,
        definition=document.definition(),
        n_trials=0,
        n_events=0,
        revision=0,
        created_at_ms=0,
        started_at_ms=0,
        ended_at_ms=None,
    )


def make_fact(number: int, parameters: Parameters, state: str = "completed", **values: Any) -> TrialFact:
    given: dict[str, Any] = {"objective": 0.5, "epoch": 3, "diverged": False, "revision": 1} | values
    return TrialFact(number=number, state=TrialState(state), parameters=parameters, **given)


def make_fate(number: int, parameters: Parameters, chance: random.Random) -> TrialFact:
    """A trial with a fate drawn at random."""
    state = chance.choice(["waiting", "running", "completed", "completed", "pruned", "failed", "cancelled"])
    return make_fact(
        number,
        parameters,
        state,
        objective=chance.choice([None, chance.random()]),
        epoch=chance.randint(1, 9),
        diverged=state == "pruned" and chance.random() < 0.3,
        revision=chance.randint(1, 99),
    )


@pytest.fixture
def sweep() -> Callable[..., Sweep]:
    """Makes sweeps: parameters, then other keys of the file."""
    return make_sweep


@pytest.fixture
def fact() -> Callable[..., TrialFact]:
    """Makes facts: number, parameters, state, then objective, epoch, diverged, revision."""
    return make_fact


@pytest.fixture
def fates() -> Callable[[Sequence[Parameters], int], list[TrialFact]]:
    """Gives trials fates drawn from a seed."""

    def draw(trials: Sequence[Parameters], seed: int) -> list[TrialFact]:
        chance = random.Random(seed)
        return [make_fate(number, parameters, chance) for number, parameters in enumerate(trials)]

    return draw
