"""Model-based search: Optuna's multivariate TPE with the constant liar, asked afresh for every trial.

Each ask has a sampler of its own, seeded by (sweep seed, trial number, try), over a study that holds the window of
the history. So an answer depends on seed, number and history alone, never on what the process remembers.

References:
    Bergstra, Bardenet, Bengio, Kégl (2011), Algorithms for hyper-parameter optimization.
    Falkner, Klein, Hutter (2018), BOHB: the multivariate kernel density.
    Ozaki, Tanigaki, Watanabe, Nomura, Onishi (2022), Multiobjective tree-structured Parzen estimator.
    Watanabe, Hutter (2023), c-TPE: tree-structured Parzen estimator with inequality constraints.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from service.domain.goals import Goals
from service.suggestion.asking import ask, seed_of, study_of
from service.suggestion.dimensions import Dimensions


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
    dimensions: Dimensions, goals: Goals, window: Sequence[FrozenTrial], entropy: Sequence[int]
) -> dict[str, Any]:
    """One trial's searched values in Optuna's words, those without effect left out.

    Args:
        dimensions: What is searched.
        goals: What for.
        window: The trials that the sampler reads.
        entropy: Seeds the sampler.
    """
    return ask(study_of(goals, window, _JointSampler(dimensions.joint, seed_of(entropy))), dimensions)
