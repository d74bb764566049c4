"""A sweep's trials as Optuna sees them, in step with our rows, and the part of them that a sampler reads.

    ours                          Optuna's
    waiting, running              RUNNING (the constant liar keeps parallel trials apart)
    completed                     COMPLETE
    pruned, cancelled with value  PRUNED with the last value before the end, at its epoch
    pruned: diverged              PRUNED, with a large violation: it teaches the sampler where not to go
    failed, cancelled             FAIL: says nothing of the parameters, samplers pass over it
    a rescue outside the space    FAIL: what it has beyond the space is why it did well; one inside is like any other

Every bound of the sweep is a constraint on each trial that ended. Optuna neither prunes under several metrics nor lets
NSGA-II read pruned trials: there, a trial that ended early is COMPLETE with its last values, and infeasible by the
share of its epochs that was left.

Optuna's number of a trial is ours plus one: its number 0 is the trial that is being asked for.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Seen

from service.domain.fronts import fronts
from service.domain.goals import MAX_VIOLATION, Goals
from service.domain.metrics import loss_of
from service.domain.states import Direction, TrialState
from service.domain.trial import TrialFact
from service.suggestion.dimensions import Dimensions

N_BEST = 50
"""Best trials that a sampler always reads. TPE models the best 25 at most, so the good side loses nothing."""

N_RECENT = 350
"""Newest finished trials that a sampler reads beside the best."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Every trial's date: it teaches a sampler nothing, and equal histories should be equal."""

_LEAST_VIOLATION = 1e-3
"""Of a trial that ended early, however little of it was left."""

_Rank = tuple[float, float, float, int]
_OPEN = (TrialState.WAITING, TrialState.RUNNING)


class History:
    """All trials of one sweep for Optuna.

    Args:
        dimensions: The searched parameters.
        goals: The metrics and bounds of the sweep.
        n_best: Best trials in a window.
        n_recent: Newest finished trials in a window.
        all_complete: Whether trials that ended early are COMPLETE and infeasible instead of PRUNED.
    """

    def __init__(
        self,
        dimensions: Dimensions,
        goals: Goals,
        *,
        n_best: int = N_BEST,
        n_recent: int = N_RECENT,
        all_complete: bool = False,
    ) -> None:
        self._dimensions = dimensions
        self._goals = goals
        self._sign = -1.0 if goals.metrics[0].direction is Direction.MAXIMIZE else 1.0
        self._all_complete = all_complete or len(goals.metrics) > 1
        self._n_best = n_best
        self._n_recent = n_recent
        self._trials: dict[int, FrozenTrial] = {}
        self._revisions: dict[int, int] = {}
        self._ranks: dict[int, _Rank] = {}
        self._ranked: list[_Rank] = []  # finished trials, best first
        self._finished: list[int] = []  # their numbers, upward
        self._open: list[int] = []  # numbers of those that wait or run, upward
        self._best: list[int] | None = None  # of several metrics: the best by fronts, until something changes

    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return [self._trials[number] for number in sorted(self._trials)]

    def finished(self) -> list[FrozenTrial]:
        """The trials that ended and say something of their parameters, in the order of their numbers."""
        return [self._trials[number] for number in self._finished]

    def take(self, facts: Iterable[TrialFact]) -> None:
        """Learn what changed; what is older than what is known already, as after two reads at once, is passed over."""
        for fact in facts:
            if fact.revision < self._revisions.get(fact.number, 0):
                continue
            self._forget(fact.number)
            self._revisions[fact.number] = fact.revision
            trial = self._trials[fact.number] = self.seen(fact)
            if trial.state is Seen.RUNNING:
                insort(self._open, fact.number)
            elif trial.state is not Seen.FAIL:
                rank = self._rank(fact.number, trial)
                self._ranks[fact.number] = rank
                insort(self._ranked, rank)
                insort(self._finished, fact.number)
                self._best = None

    def window(self) -> list[FrozenTrial]:
        """The trials that a sampler reads: the best, the newest, and those that are open; in order of number.

        It depends on what is known, not on when it became known.
        """
        numbers = set(self._best_numbers())
        numbers.update(self._finished[max(0, len(self._finished) - self._n_recent) :], self._open)
        return [self._trials[number] for number in sorted(numbers)]

    def _best_numbers(self) -> list[int]:
        if len(self._goals.metrics) == 1:
            return [rank[-1] for rank in self._ranked[: self._n_best]]
        if self._best is None:
            feasible = [rank[-1] for rank in self._ranked if rank[0] == 0.0]
            losses = [self._losses(self._trials[number]) for number in feasible]
            ranked = [feasible[at] for front in fronts(losses, enough=self._n_best) for at in front]
            ranked += [rank[-1] for rank in self._ranked if rank[0] > 0.0][: self._n_best]
            self._best = ranked[: self._n_best]
        return self._best

    def _losses(self, trial: FrozenTrial) -> tuple[float, ...]:
        pairs = zip(self._goals.metrics, trial.values, strict=True)
        return tuple(loss_of(metric.name, value) for metric, value in pairs)

    def _forget(self, number: int) -> None:
        if number in self._ranks:
            _remove(self._ranked, self._ranks.pop(number))
            _remove(self._finished, number)
            self._best = None
        elif number in self._trials and self._trials[number].state is Seen.RUNNING:
            _remove(self._open, number)

    def _rank(self, number: int, trial: FrozenTrial) -> _Rank:
        """Sorts as TPE does: completed by value, pruned by how far they came, then value, infeasible by violation.

        Of several metrics only the first counts here.
        """
        violation = sum(each for each in trial.constraints.values() if each > 0)
        if violation > 0:
            return 2.0, violation, 0.0, number
        if trial.state is Seen.COMPLETE:
            return 0.0, self._sign * float(trial.values[0]), 0.0, number
        if not trial.intermediate_values:
            return 1.0, 1.0, 0.0, number
        epoch, value = max(trial.intermediate_values.items())
        return 1.0, -float(epoch), self._sign * value, number

    def seen(self, fact: TrialFact) -> FrozenTrial:
        """A trial as Optuna sees it."""
        is_outside = fact.is_rescue and not self._dimensions.hold(fact.parameters)
        params = {} if is_outside else self._dimensions.params(fact.parameters)
        state, value = (Seen.FAIL, None) if is_outside else _state_and_value(fact)
        violations = self._violations(fact, state)
        values: list[float] | None = None
        if state is Seen.COMPLETE or (state is Seen.PRUNED and self._all_complete):
            known = self._goals.values(fact.value)
            values = [self._worst(at) if each is None else float(each) for at, each in enumerate(known)]
            state = Seen.COMPLETE
        trial = FrozenTrial(
            number=fact.number + 1,
            trial_id=fact.number + 1,
            state=state,
            value=None,
            values=values,
            datetime_start=_EPOCH,
            datetime_complete=None if state is Seen.RUNNING else _EPOCH,
            params=params,
            distributions={name: self._dimensions.distributions[name] for name in params},
            user_attrs={},
            system_attrs={},
            intermediate_values={fact.epoch or 0: value} if state is Seen.PRUNED and value is not None else {},
        )
        for name, violation in violations.items():
            trial.set_constraint(name, violation)
        return trial

    def _violations(self, fact: TrialFact, state: Seen) -> dict[str, float]:
        """The constraints of a trial that ended: the sweep's bounds, and what ended it before its time."""
        if state in (Seen.RUNNING, Seen.FAIL):
            return {}
        violations = self._goals.violations(fact.value)
        if state is Seen.PRUNED and (fact.diverged or fact.state is TrialState.COMPLETED):
            violations["finite"] = MAX_VIOLATION
        elif state is Seen.PRUNED and self._all_complete:
            left = 1 - (fact.epoch or 0) / fact.parameters.epochs
            violations["epochs left"] = max(left, _LEAST_VIOLATION)
        elif state is Seen.COMPLETE and None in self._goals.values(fact.value):
            violations["known"] = MAX_VIOLATION
        return violations

    def _worst(self, at: int) -> float:
        """In the place of a value that is not known; such a trial is infeasible, and its values decide nothing."""
        return -MAX_VIOLATION if self._goals.metrics[at].direction is Direction.MAXIMIZE else MAX_VIOLATION


def _state_and_value(fact: TrialFact) -> tuple[Seen, float | None]:
    value = fact.objective if fact.objective is not None and math.isfinite(fact.objective) else None
    if fact.state in _OPEN:
        return Seen.RUNNING, None
    if fact.state is TrialState.COMPLETED:  # without a finite objective it ended like a diverged one
        return (Seen.PRUNED, None) if value is None else (Seen.COMPLETE, value)
    if fact.state is TrialState.PRUNED:
        return Seen.PRUNED, None if fact.diverged else value
    if fact.state is TrialState.CANCELLED and value is not None:
        return Seen.PRUNED, value
    return Seen.FAIL, None


def _remove(items: list[Any], item: Any) -> None:
    del items[bisect_left(items, item)]
