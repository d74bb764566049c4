"""A trial that has ended, trained once more, alone: its rows again, and its single steps.

Seed, parameters and the recorded place in the stream of minibatches are all that is needed. `gradsweep replay` compares
every epoch with what was stored; a recording keeps the first steps, and compares as far as it comes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from worker.comparing import Difference, EpochNumbers, compare, first_unequal, is_same_program, numbers_of
from worker.training.contract import Bank, TrialSpec
from worker.training.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from worker.training.statistics import StepRecord
    from worker.training.steps import Listener, StepRow


class ReplayTrainer(Protocol):
    """What a replay needs of a trainer."""

    def replay_bank(
        self,
        dataset: str,
        hyperparameters: Hyperparameters,
        *,
        stream_seed: int,
        start_epoch: int,
        recorded: Mapping[str, str],
        listen: "Listener | None" = None,
    ) -> Bank:
        """A bank for one trial at its recorded place in the stream."""

    def environment_of(self, bank: Bank) -> dict[str, str]:
        """What that bank runs on, in the words of an attempt's record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An attempt to train again, and what was stored of it, from epoch 0 on."""

    dataset: str
    spec: TrialSpec
    stream_seed: int
    start_epoch: int
    environment: Mapping[str, str]
    stored: Sequence[EpochNumbers]


@dataclass(frozen=True, slots=True)
class Again:
    """A replay that has begun: its bank, whether the program is the recorded one, and its rows as they come."""

    bank: Bank
    same_program: bool
    rows: Iterator[EpochNumbers]


def train_again(trainer: ReplayTrainer, replay: Replay, *, listen: "Listener | None" = None) -> Again:
    """Begin to train an attempt again; `listen` is told of the steps of each epoch before its row comes."""
    bank = trainer.replay_bank(
        replay.dataset,
        replay.spec.hyperparameters,
        stream_seed=replay.stream_seed,
        start_epoch=replay.start_epoch,
        recorded=replay.environment,
        listen=listen,
    )

    def rows() -> Iterator[EpochNumbers]:
        for epoch in range(len(replay.stored)):
            (row,) = bank.train_epoch() if epoch else bank.admit([replay.spec])
            yield numbers_of(row, row.layers)

    return Again(bank, is_same_program(replay.environment, trainer.environment_of(bank)), rows())


class StepTaker:
    """Takes the steps that a bank tells of, up to a last one.

    Args:
        every: 1 takes all steps.
        last_step: The last that is wanted.
    """

    def __init__(self, every: int, last_step: int) -> None:
        self._every = every
        self._last_step = last_step
        self.n_steps = 0
        self.rows: list[StepRow] = []

    @property
    def is_done(self) -> bool:
        """Whether all that is wanted was seen."""
        return self.n_steps >= self._last_step

    def listen(self, _key: str, steps: "StepRecord", shapes: Sequence[tuple[int, int]]) -> None:
        """Take an epoch's steps."""
        from worker.training.steps import step_rows

        self.rows += step_rows(steps, shapes, steps_before=self.n_steps, every=self._every, last_step=self._last_step)
        self.n_steps += len(steps.loss)


@dataclass(frozen=True, slots=True)
class RecordedSteps:
    """Single steps, and whether the epochs that they are of are the stored ones."""

    rows: "Sequence[StepRow]"
    n_steps: int
    same_program: bool
    differs_from_epoch: int | None


def record_steps(
    trainer: ReplayTrainer,
    replay: Replay,
    *,
    steps: int,
    every: int,
    watch: Callable[[Bank], object] = lambda _: None,
    goes_on: Callable[[], bool] = lambda: True,
) -> RecordedSteps | None:
    """Train the beginning of an attempt again and take its steps.

    Args:
        trainer: Makes the bank.
        replay: What to train.
        steps: How many of its first steps.
        every: The first of them, and each `every`-th after it.
        watch: Told of the bank before it begins.
        goes_on: Asked before each epoch; once it says no, nothing is returned.
    """
    taker = StepTaker(every, steps)
    again = train_again(trainer, replay, listen=taker.listen)
    watch(again.bank)
    differences: list[Difference] = []
    for stored in replay.stored:
        if not goes_on():
            return None
        row = next(again.rows)
        n_before = taker.n_steps - row.steps
        differences.append(compare(stored, row, steps_before=n_before, same_program=again.same_program))
        if taker.is_done:
            break
    return RecordedSteps(taker.rows, min(taker.n_steps, steps), again.same_program, first_unequal(differences))
