"""A trial that this worker holds: its fence, its lease, and its best epoch so far."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from service.wire.leases import Completed, Grant
from worker.entries import completed
from worker.heartbeat import Fence
from worker.training.contract import EpochRow, TestMetrics


@dataclass(slots=True)
class HeldTrial:
    """One granted trial in the bank."""

    grant: Grant
    lease_id: str
    last_epoch: int = 0
    _best_value: float | None = field(default=None, init=False)
    _best_epoch: int | None = field(default=None, init=False)
    _best_metrics: TestMetrics | None = field(default=None, init=False)

    @property
    def key(self) -> str:
        """The trial's name in the bank: unique even if a trial is claimed again."""
        return key_of((self.grant.trial_id, self.grant.attempt))

    @property
    def fence(self) -> Fence:
        """What every word about the trial carries."""
        return (self.grant.trial_id, self.grant.attempt)

    def __str__(self) -> str:
        return f"trial {self.grant.number} of {self.grant.sweep_id} ({self.grant.trial_id}, attempt {self.fence[1]})"

    def note(self, row: EpochRow, test: Callable[[], TestMetrics]) -> Completed | None:
        """Take in an epoch; after the last one, how the trial ends.

        With `at: best` the test metrics are those of the best epoch so far, taken then and kept (a trial has no
        second set of weights); with `at: last`, or if no epoch had a finite value, those of the last epoch.

        Args:
            row: The epoch's row.
            test: Evaluates the present weights on the test split.
        """
        self.last_epoch = row.epoch
        objective = self.grant.objective
        if objective.at == "best":
            value = getattr(row, objective.name, None)
            if value is not None and math.isfinite(value) and self._is_better(value):
                self._best_value, self._best_epoch, self._best_metrics = value, row.epoch, test()
        if row.epoch < self.grant.parameters.epochs:
            return None
        if self._best_metrics is None or self._best_epoch is None:
            return completed(test(), row.epoch)
        return completed(self._best_metrics, self._best_epoch)

    def _is_better(self, value: float) -> bool:
        if self._best_value is None:
            return True
        is_higher = value > self._best_value
        return is_higher if self.grant.objective.direction == "maximize" else value < self._best_value


def key_of(fence: Fence) -> str:
    """A bank's name for the trial behind a fence."""
    return f"{fence[0]}.{fence[1]}"
