"""Evolution: Optuna's NSGA-II, whose generations are read off the rows instead of being remembered.

The finished trials, by number, are cut into generations of equal size; the parents of the next one are the elite of
the last generation and of its own parents. Optuna keeps a trial's generation and each generation's parents in
attributes; here both follow from rows, so a restart forgets nothing, and an ask depends on seed, number and history
alone. Trials that are asked for while a generation is incomplete have the same parents.

References:
    Deb, Pratap, Agarwal, Meyarivan (2002), A fast and elitist multiobjective genetic algorithm: NSGA-II.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from service.domain.goals import Goals
from service.suggestion.asking import ask, seed_of, study_of
from service.suggestion.dimensions import Dimensions

_Stamp = tuple[tuple[Any, ...], ...]


class _Evolution(NSGAIISampler):
    """NSGA-II that is told its parents.

    Args:
        joint: Parameters that every trial has: crossed and mutated together. The others are drawn at random.
        population_size: Trials of a generation.
        parents: The parents of the trial that is asked for; none in the first generation, which is random.
        population: The generation before the one whose parents are selected.
        seed: Of crossover, mutation and random values.
    """

    def __init__(
        self,
        joint: Mapping[str, BaseDistribution],
        population_size: int,
        parents: Sequence[FrozenTrial],
        population: Sequence[FrozenTrial] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(population_size=population_size, seed=seed)
        self._joint = {name: each for name, each in joint.items() if not each.single()}
        self._parents = list(parents)
        self._population = list(population)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The parameters that every trial has."""
        return self._joint

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:  # noqa: ARG002
        """The first generation has no parents."""
        return 1 if self._parents else 0

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:  # noqa: ARG002
        """The trials of the generation before."""
        return self._population

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:  # noqa: ARG002
        """The parents that were given."""
        return self._parents


class Generations:
    """The parents of the next generation, from all finished trials; what did not change is not selected anew.

    Args:
        dimensions: What is searched.
        goals: What for.
        population_size: Trials of a generation.
    """

    def __init__(self, dimensions: Dimensions, goals: Goals, population_size: int) -> None:
        self._dimensions = dimensions
        self._goals = goals
        self._size = population_size
        self._known: list[tuple[_Stamp, list[FrozenTrial]]] = []

    def parents(self, finished: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The elite after the last whole generation; none before the first.

        Args:
            finished: By number. Trials that end out of turn move the later generations, as a rebuilt search would.
        """
        parents: list[FrozenTrial] = []
        for at in range(len(finished) // self._size):
            population = finished[at * self._size : (at + 1) * self._size]
            stamp = tuple((each.number, tuple(each.values), *each.constraints.values()) for each in population)
            if at >= len(self._known) or self._known[at][0] != stamp:
                del self._known[at:]
                self._known.append((stamp, self._select(population, parents)))
            parents = self._known[at][1]
        return parents

    def _select(self, population: Sequence[FrozenTrial], parents: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        sampler = _Evolution(self._dimensions.joint, self._size, parents, population)
        return sampler.select_parent(study_of(self._goals, (), sampler), 1)

    def ask(self, parents: Sequence[FrozenTrial], entropy: Sequence[int]) -> dict[str, Any]:
        """A child's searched values in Optuna's words, those without effect left out.

        Args:
            parents: Of the generation; none, and the values are random.
            entropy: Seeds the sampler.
        """
        sampler = _Evolution(self._dimensions.joint, self._size, parents, seed=seed_of(entropy))
        return ask(study_of(self._goals, (), sampler), self._dimensions)
