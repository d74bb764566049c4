"""Model-based search: Optuna's multivariate TPE with the constant liar, asked afresh for every trial.

Each ask has a sampler of its own, seeded by (sweep seed, trial number, try), over a study that holds the window of
the history. So an answer depends on seed, number and history alone, never on what the process remembers.

References:
    Bergstra, Bardenet, Bengio, Kégl (2011), Algorithms for hyper-parameter optimization.
    Falkner, Klein, Hutter (2018), BOHB: the multivariate kernel density.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from service.domain.states import Direction
from service.suggestion.dimensions import Dimensions


class _Window(InMemoryStorage):
    """Optuna's storage in memory for the one trial that is asked for; what it reads as history is given."""

    def __init__(self, history: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._history = history

    def get_all_trials(  # the signature is Optuna's
        self,
        study_id: int,  # noqa: ARG002
        deepcopy: bool = True,  # noqa: ARG002
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The history; samplers do not change it, so nothing is copied."""
        return [trial for trial in self._history if states is None or trial.state in states]


class _JointSampler(TPESampler):
    """TPE that is told which parameters to model together.

    Optuna would intersect the parameters of all trials anew at every ask; we know which always have an effect.
    The others, such as momentum, are modelled one by one from the trials that have them.
    """

    def __init__(self, joint: Mapping[str, BaseDistribution], seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True)
        self._joint = {name: each for name, each in joint.items() if not each.single()}

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The parameters that every trial has."""
        return self._joint


def ask_tpe(
    dimensions: Dimensions, direction: Direction, window: Sequence[FrozenTrial], entropy: Sequence[int]
) -> dict[str, Any]:
    """One trial's searched values in Optuna's words, those without effect left out.

    Args:
        dimensions: What is searched.
        direction: Which way the objective is better.
        window: The trials that the sampler reads.
        entropy: Seeds the sampler.
    """
    seed = int(np.random.SeedSequence(list(entropy)).generate_state(1)[0])
    study = optuna.create_study(
        storage=_Window(window), sampler=_JointSampler(dimensions.joint, seed), direction=direction.value
    )
    trial = study.ask()
    params: dict[str, Any] = {}
    for name, distribution in dimensions.distributions.items():
        if dimensions.matters(name, params):
            params[name] = _suggest(trial, name, distribution)
    return params


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    raise TypeError(f"{distribution} is none of the distributions that `Dimensions` makes")
