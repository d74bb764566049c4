"""One ask of a sampler of Optuna's: a study that holds what it may read, and the values of one trial out of it."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from service.domain.goals import Goals
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


def seed_of(entropy: Sequence[int]) -> int:
    """A sampler's seed."""
    return int(np.random.SeedSequence(list(entropy)).generate_state(1)[0])


def study_of(goals: Goals, history: Sequence[FrozenTrial], sampler: BaseSampler) -> Study:
    """A study that holds these trials."""
    directions = [StudyDirection[metric.direction.name] for metric in goals.metrics]
    return optuna.create_study(storage=_Window(history), sampler=sampler, directions=directions)


def ask(study: Study, dimensions: Dimensions) -> dict[str, Any]:
    """One trial's searched values in Optuna's words, those without effect left out."""
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
