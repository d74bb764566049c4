"""One search per sweep: told what became of its trials, asked for the next ones.

The record is the database; a search is a brain without memory. It is rebuilt from rows after a restart and kept in
step with them by revision, and what it suggests depends on (sweep seed, trial number, rows) alone.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
from optuna.trial import FrozenTrial

from service.domain.parameters import config_hash
from service.domain.space import Space
from service.domain.states import Method, TrialState
from service.domain.sweep import Sweep
from service.domain.sweep_keys import population_size
from service.domain.trial import TrialFact
from service.suggestion.dimensions import Dimensions
from service.suggestion.draws import (
    DistinctDraws,
    GridDraws,
    quasi_random_coordinates,
    random_coordinates,
    shuffled_grid,
)
from service.suggestion.history import N_BEST, N_RECENT, History
from service.suggestion.nsga2 import Generations
from service.suggestion.tpe import ask_tpe
from service.wire.parameters import Parameters

_MODEL_TRIES = 5
_RANDOM_TRIES = 100

_Asker = Callable[[Sequence[int]], dict[str, Any]]
"""Entropy → one trial's searched values in Optuna's words."""


class SweepSearch(Protocol):
    """Chooses the trials of one sweep. Safe to use from several threads."""

    revision: int
    """The sweep's revision up to which the facts are known."""

    learns: bool
    """Whether all facts make a difference; if not, those of rescues do, which took numbers that no search chose."""

    def sync(self, facts: Sequence[TrialFact], revision: int) -> None:
        """Learn the facts that changed since `revision` of before."""

    def suggest(self, numbers: Sequence[int]) -> list[Parameters]:
        """Canonical parameters for the trials of these numbers; fewer than asked if the space is exhausted."""


class DrawnSearch:
    """A search that learns nothing: its n-th trial is a function of the seed and n.

    Rescues take numbers without being drawn: what is drawn goes on behind them, and passes over what a rescue has
    tried already.
    """

    learns = False

    def __init__(self, sweep: Sweep) -> None:
        self.revision = 0
        self._draws = _draws(sweep)
        self._rescues: dict[int, str] = {}  # number → fingerprint
        self._places: dict[int, int] = {}  # number → place in the sequence of draws, where rescues moved it
        self._lock = Lock()

    def sync(self, facts: Sequence[TrialFact], revision: int) -> None:
        """Take note of rescues, and of the revision; other facts change nothing."""
        with self._lock:
            rescues = {fact.number: config_hash(fact.parameters) for fact in facts if fact.is_rescue}
            if new := rescues.keys() - self._rescues.keys():
                self._places = {number: place for number, place in self._places.items() if number <= min(new)}
            self._rescues |= rescues
            self.revision = max(self.revision, revision)

    def suggest(self, numbers: Sequence[int]) -> list[Parameters]:
        """The trials of these numbers, none of which is a rescue; fewer if the space holds fewer."""
        with self._lock:
            drawn = [self._draws.trial(self._place(number)) for number in numbers]
        return [parameters for parameters in drawn if parameters is not None]

    def _place(self, number: int) -> int:
        """The place of a trial in the sequence of draws: its number, but for the rescues before it."""
        first = min(self._rescues, default=number)
        if number <= first:
            return number
        if not self._places:
            self._places[first] = first  # where the draw stands that the first rescue displaced
        at = max(self._places)
        taken = {fingerprint for rescue, fingerprint in self._rescues.items() if rescue < at}
        while at < number:
            taken |= {self._rescues[at]} if at in self._rescues else set()
            at += 1
            place = self._places[at - 1] + (at - 1 not in self._rescues)
            while (drawn := self._draws.trial(place)) is not None and config_hash(drawn) in taken:
                place += 1
            self._places[at] = place
        return self._places[number]


def _draws(sweep: Sweep) -> DistinctDraws | GridDraws:
    space = Space.from_definition(sweep.definition["space"])
    if sweep.method in (Method.GRID, Method.ABLATION):  # an ablation has all its trials from the beginning
        return GridDraws(space, sweep.seed)
    kind = quasi_random_coordinates if sweep.method is Method.QMC and space.names else random_coordinates
    return DistinctDraws(space, kind(sweep.seed, len(space.names)), sweep.seed)


class ModelSearch:
    """A search that learns from the sweep's history: TPE, or evolution by NSGA-II.

    Args:
        sweep: What is searched, and for what.
        n_best: Best trials that the sampler always reads.
        n_recent: Newest finished trials that it reads beside them.
    """

    learns = True

    def __init__(self, sweep: Sweep, *, n_best: int = N_BEST, n_recent: int = N_RECENT) -> None:
        self.revision = 0
        self._seed = sweep.seed
        self._goals = sweep.goals
        self._space = Space.from_definition(sweep.definition["space"])
        self._dimensions = Dimensions(self._space)
        evolves = sweep.method is Method.NSGA2
        size = population_size(sweep.definition["resolved"].get("run_cap"))
        self._generations = Generations(self._dimensions, self._goals, size) if evolves else None
        self._history = History(self._dimensions, self._goals, n_best=n_best, n_recent=n_recent, all_complete=evolves)
        self._taken: set[str] = set()
        self._lock = Lock()

    def trials(self) -> list[FrozenTrial]:
        """The sweep's trials as Optuna sees them, in the order of their numbers."""
        with self._lock:
            return self._history.trials()

    def sync(self, facts: Sequence[TrialFact], revision: int) -> None:
        """Learn the facts that changed since the revision of before."""
        with self._lock:
            self._history.take(facts)
            self._taken.update(config_hash(fact.parameters) for fact in facts)
            self.revision = max(self.revision, revision)

    def suggest(self, numbers: Sequence[int]) -> list[Parameters]:
        """What to train under these numbers, each chosen as if those before it were waiting already."""
        suggested: list[Parameters] = []
        with self._lock:
            proposed: set[str] = set()
            window: list[FrozenTrial] = [] if self._generations else self._history.window()
            asker = self._asker(window)
            for number in numbers:
                parameters = self._suggest_one(number, asker, proposed)
                if parameters is None:
                    break
                suggested.append(parameters)
                proposed.add(config_hash(parameters))
                window.append(self._history.seen(_waiting(number, parameters)))
        return suggested

    def _asker(self, window: Sequence[FrozenTrial]) -> _Asker:
        """What is asked for trials: TPE over the window as it grows, or the parents of the next generation."""
        if self._generations is None:
            return lambda entropy: ask_tpe(self._dimensions, self._goals, window, entropy)
        generations, parents = self._generations, self._generations.parents(self._history.finished())
        return lambda entropy: generations.ask(parents, entropy)

    def _suggest_one(self, number: int, asker: _Asker, proposed: Container[str]) -> Parameters | None:
        """A trial that was not taken yet: the model's, else a random one, else what is left of a finite space."""
        for parameters in self._candidates(number, asker):
            fingerprint = config_hash(parameters)
            if fingerprint not in self._taken and fingerprint not in proposed:
                return parameters
        return None

    def _candidates(self, number: int, asker: _Asker) -> Iterator[Parameters]:
        for attempt in range(_MODEL_TRIES):
            yield self._dimensions.parameters(asker([self._seed, number, attempt]))
        generator = np.random.default_rng([self._seed, number])
        for _ in range(_RANDOM_TRIES):
            yield self._space.parameters(self._space.point_at(generator.random(len(self._space.names)).tolist()))
        for index in shuffled_grid(self._space, self._seed):
            yield self._space.parameters(self._space.distinct_point(index))


def _waiting(number: int, parameters: Parameters) -> TrialFact:
    return TrialFact(
        number=number,
        state=TrialState.WAITING,
        parameters=parameters,
        objective=None,
        epoch=None,
        diverged=False,
        revision=0,
    )
