"""The reference bank: trials trained one after the other by plain Keras. `--trainer reference`, and the oracle."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf

from worker.datasets.arrays import Dataset
from worker.errors import OutOfDeviceMemory, TrialError
from worker.training.contract import EpochRow, TestMetrics, TrialSpec
from worker.training.probe import probe_rows
from worker.training.statistics import epoch_row, measured_now_and_then
from worker.training.steps import Listener
from worker.training.stream import steps_per_epoch
from worker.training.trial import ReferenceTrial


class ReferenceBank:
    """A `Bank` without a compiled program: each slot holds a Keras model of its own."""

    def __init__(
        self,
        dataset: Dataset,
        hidden_units: tuple[int, ...],
        batch_size: int,
        stream_seed: int,
        *,
        n_slots: int = 1,
        statistics_every: int = 1,
        start_epoch: int = 0,
        listen: Listener | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Make an empty bank.

        Args:
            dataset: What all its trials are trained on.
            hidden_units: Widths of their hidden layers.
            batch_size: Rows of their minibatches.
            stream_seed: Fixes the minibatches and dropout draws, with the bank's epoch.
            n_slots: How many trials it holds.
            statistics_every: Every which step of an epoch is reported, from the first; the loss of each is.
            start_epoch: The bank epoch that comes first: a replay begins where the trial began.
            listen: Told of the steps of each epoch.
            clock: Seconds that only rise.

        Raises:
            TrialError: The training split is smaller than a batch.
        """
        steps_per_epoch(len(dataset.y_train), batch_size)
        self.stream_seed = stream_seed
        self.n_slots = n_slots
        self._dataset = dataset
        self._hidden_units = hidden_units
        self._batch_size = batch_size
        self._statistics_every = statistics_every
        self._bank_epoch = start_epoch
        self._listen = listen
        self._clock = clock
        self._steps_done = 0
        self._trials: dict[str, ReferenceTrial] = {}

    @property
    def bank_epoch(self) -> int:
        """The next epoch's number in the stream."""
        return self._bank_epoch

    @property
    def free_slots(self) -> int:
        """How many trials can be admitted now."""
        return self.n_slots - len(self._trials)

    def steps_done(self) -> int:
        """Steps since the bank was made, over all its trials."""
        return self._steps_done

    def admit(self, trials: Sequence[TrialSpec]) -> list[EpochRow]:
        """Build the trials' networks and probe them.

        Raises:
            TrialError: A trial does not fit the bank; none of `trials` is admitted then.
            OutOfDeviceMemory: The device is full; none is admitted.
        """
        for spec in trials:
            self._check(spec)
        if len(trials) > self.free_slots:
            raise TrialError(f"{len(trials)} trials for {self.free_slots} free slots; admit no more than these.")
        with device_memory():
            admitted = {
                spec.key: ReferenceTrial(self._dataset, spec.hyperparameters, spec.seed, self.stream_seed)
                for spec in trials
            }
            rows = [self._probe_row(key, trial) for key, trial in admitted.items()]
        self._trials |= admitted
        return rows

    def train_epoch(self) -> list[EpochRow]:
        """Train every trial on the same minibatches, one trial after the other."""
        with device_memory():
            rows = [self._trained_row(key, trial) for key, trial in self._trials.items()]
        self._bank_epoch += 1
        return rows

    def test_metrics(self, key: str) -> TestMetrics:
        """Evaluate a trial on the test split."""
        evaluation = self._trials[key].evaluate(self._dataset.x_test, self._dataset.y_test)
        return TestMetrics(test_loss=evaluation.loss, test_accuracy=evaluation.accuracy)

    def evict(self, key: str) -> None:
        """Forget a trial."""
        self._trials.pop(key, None)

    def trial(self, key: str) -> ReferenceTrial:
        """An admitted trial, for those who want its weights."""
        return self._trials[key]

    def _check(self, spec: TrialSpec) -> None:
        wanted = (spec.hyperparameters.hidden_units, spec.hyperparameters.batch_size)
        if wanted != (self._hidden_units, self._batch_size):
            raise TrialError(
                f"trial {spec.key} has (hidden_units, batch_size) {wanted}, the bank "
                f"{(self._hidden_units, self._batch_size)}. Admit it to a bank of its own signature."
            )
        if spec.key in self._trials:
            raise TrialError(f"trial {spec.key} is in the bank already. Evict it first.")

    def _probe_row(self, key: str, trial: ReferenceTrial) -> EpochRow:
        start = self._clock()
        record, probe = trial.probe()
        seconds = self._clock() - start
        return epoch_row(
            key=key,
            epoch=0,
            hyperparameters=trial.hyperparameters,
            shapes=trial.shapes,
            rows_per_step=len(probe_rows(len(self._dataset.y_train))),
            record=record,
            probe=probe,
            evaluation=None,
            wall_seconds=seconds,
            device_seconds=seconds,
        )

    def _trained_row(self, key: str, trial: ReferenceTrial) -> EpochRow:
        start = self._clock()
        all_steps = trial.train_epoch(self._bank_epoch, self._count_step)
        record = measured_now_and_then(all_steps, self._statistics_every)
        if self._listen is not None:
            self._listen(key, record, trial.shapes)
        _, probe = trial.probe()
        evaluation = trial.evaluate(self._dataset.x_val, self._dataset.y_val)
        seconds = self._clock() - start
        return epoch_row(
            key=key,
            epoch=trial.epochs_done,
            hyperparameters=trial.hyperparameters,
            shapes=trial.shapes,
            rows_per_step=self._batch_size,
            record=record,
            probe=probe,
            evaluation=evaluation,
            wall_seconds=seconds,
            device_seconds=seconds,
        )

    def _count_step(self) -> None:
        self._steps_done += 1


@contextmanager
def device_memory() -> Iterator[None]:
    """Name TensorFlow's error of a full device ours."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfDeviceMemory(
            f"the device has no memory left for the bank ({error.message}); use fewer slots"
        ) from error
