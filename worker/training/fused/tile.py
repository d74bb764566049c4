"""S slots that train in one program, few enough that their weights stay in a core's cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.datasets import Dataset
from worker.training.contract import EpochRow, TestMetrics, TrialSpec
from worker.training.evaluation import Evaluation, evaluate_confusion
from worker.training.fused import records
from worker.training.fused.backend import on_host, tensor, with_slots
from worker.training.fused.choices import choices_of
from worker.training.fused.data import Batches, Chunk, Split
from worker.training.fused.layout import Layout, unflatten
from worker.training.fused.optimizers import COEFFICIENTS, coefficient_rows
from worker.training.fused.program import Program, State
from worker.training.fused.slots import Rows, empty_rows, initial_rows, moved_rows, weight_rows
from worker.training.initialization import layer_shapes
from worker.training.probe import ProbeRecord
from worker.training.schedules import learning_rates
from worker.training.statistics import StepRecord, epoch_row
from worker.training.steps import Listener

Array = NDArray[Any]


@dataclass(slots=True)
class Occupant:
    """A trial in a slot and how many epochs and steps of its own it has done."""

    spec: TrialSpec
    epoch: int = 0
    steps: int = 0


class Tile:
    """The slots of one program call: their state on the device, and the trials in them.

    Args:
        program: The compiled functions, shared with the other tiles of the bank.
        dataset: What is trained on.
        probe_batch: The probe, on the device.
        validation: The validation split, on the device.
        listen: Told of the steps of each epoch.
    """

    def __init__(
        self,
        program: Program,
        dataset: Dataset,
        probe_batch: Chunk,
        validation: Split,
        listen: Listener | None = None,
    ) -> None:
        self._listen = listen
        self._program = program
        self._dataset = dataset
        self._probe_batch = probe_batch
        self._validation = validation
        self._occupants: list[Occupant | None] = [None] * program.signature.n_slots
        self._left: set[int] = set()  # slots whose trial is gone, but not yet its numbers
        rows = empty_rows(self._layout)
        self.state = self._device_state({n: np.stack([r] * len(self._occupants)) for n, r in rows.items()})
        self._occupancy_changed()

    @property
    def free_slots(self) -> int:
        """Slots without a trial."""
        return self._occupants.count(None)

    @property
    def n_trials(self) -> int:
        """Slots with a trial."""
        return len(self._occupants) - self.free_slots

    def holds(self, key: str) -> bool:
        """Whether the trial is in this tile."""
        return any(o is not None and o.spec.key == key for o in self._occupants)

    def admit(self, trials: Sequence[TrialSpec]) -> list[EpochRow]:
        """Place trials into free slots, no more than there are, and return their epoch 0."""
        free = [slot for slot, occupant in enumerate(self._occupants) if occupant is None]
        placed = {slot: Occupant(spec) for slot, spec in zip(free[: len(trials)], trials, strict=True)}
        for slot, occupant in placed.items():
            self._occupants[slot] = occupant
        self._settle(placed)
        start = perf_counter()
        probe = self._take_probe(fresh=list(placed))
        seconds = perf_counter() - start
        norms = np.asarray(self.state.norms)
        self._write({slot: {"norms": records.first_guess(norms[slot], probe.norms[slot])} for slot in placed})
        rows = []
        for slot, occupant in placed.items():
            steps = records.probe_steps(self._layout, probe, norms, slot)
            layers = records.probe_of(probe, slot, occupant.spec.hyperparameters.activation)
            rows.append(self._row(occupant, steps, layers, None, (seconds, seconds / len(placed))))
        return rows

    def evict(self, key: str) -> None:
        """Free the slot of a trial. The device is left alone: it may be full, and the next trial may write there."""
        slot = self._slot_of(key)
        self._occupants[slot] = None
        self._left.add(slot)

    def train_epoch(self, batches: Batches) -> list[EpochRow]:
        """Train, probe and evaluate every trial of the tile; a row for each, in the order of the slots."""
        self._settle({})
        start = perf_counter()
        self.state, on_device = self._program.train(self.state, batches, self._coefficients(), self._choices)
        record, probe, evaluations = np.asarray(on_device), self._take_probe(), self._evaluate(self._validation)
        seconds = perf_counter() - start
        norms, every = np.asarray(self.state.norms), self._program.signature.statistics_every
        rows = []
        for slot, occupant in enumerate(self._occupants):
            if occupant is not None:
                occupant.epoch += 1
                occupant.steps += self._program.signature.n_steps
                steps = records.steps_of(self._layout, record, norms, slot, every)
                if self._listen is not None:
                    self._listen(occupant.spec.key, steps, self._shapes(occupant))
                layers = records.probe_of(probe, slot, occupant.spec.hyperparameters.activation)
                times = (seconds, seconds / self.n_trials)
                rows.append(self._row(occupant, steps, layers, evaluations[slot], times))
        return rows

    def test_metrics(self, key: str, test: Split) -> TestMetrics:
        """Evaluate a trial on the test split."""
        evaluation = self._evaluate(test)[self._slot_of(key)]
        return TestMetrics(test_loss=evaluation.loss, test_accuracy=evaluation.accuracy)

    def weights(self, key: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """A trial's parameters and moving averages, named as in the layout; kernels as (n_in, n_out)."""
        slot = self._slot_of(key)
        parameters = unflatten(np.asarray(self.state.rest[slot]), self._layout.parameters)
        parameters["kernel1"] = np.asarray(self.state.first_kernel[slot]).T
        return parameters, unflatten(np.asarray(self.state.averages[slot]), self._layout.averages)

    def set_weights(self, key: str, parameters: Mapping[str, Array]) -> None:
        """Give a trial other parameters, named as in `weights`; its optimizer's moments and averages stay."""
        self._write({self._slot_of(key): weight_rows(self._layout, parameters)})

    def move_to(self, program: Program) -> None:
        """Go on in a program of the same network that knows more kinds."""
        arrays = {name: np.asarray(values) for name, values in self.state._asdict().items()}
        moved = moved_rows(arrays, self._layout, program.signature.layout)
        self._program = program
        self.state = self._device_state(moved)

    @property
    def _layout(self) -> Layout:
        return self._program.signature.layout

    def _slot_of(self, key: str) -> int:
        return next(i for i, o in enumerate(self._occupants) if o is not None and o.spec.key == key)

    def _device_state(self, arrays: Mapping[str, Array]) -> State:
        dtype = self._program.signature.dtype
        return State(**{name: tensor(values, dtype) for name, values in arrays.items()})

    def _write(self, rows: Mapping[int, Rows]) -> None:
        """Put rows, by the names of the state's arrays, into slots; the same names for every slot."""
        slots, names = list(rows), next(iter(rows.values()), {})
        stacked = {name: np.stack([rows[slot][name] for slot in slots]) for name in names}
        changed = {n: with_slots(getattr(self.state, n), slots, values) for n, values in stacked.items()}
        self.state = self.state._replace(**changed)

    def _settle(self, placed: Mapping[int, Occupant]) -> None:
        """Write fresh trials into their slots, and nothing into those that were left and not taken."""
        rows = {slot: empty_rows(self._layout) for slot in self._left}
        rows |= {slot: initial_rows(self._layout, occupant.spec) for slot, occupant in placed.items()}
        if rows:
            self._write(rows)
            self._occupancy_changed()
        self._left.clear()

    def _occupancy_changed(self) -> None:
        trials = [o.spec.hyperparameters if o is not None else None for o in self._occupants]
        dtype = self._program.signature.dtype
        arrays = choices_of(trials, self._dataset.y_train, self._dataset.n_classes, dtype)
        self._choices = {name: tensor(values) for name, values in arrays.items()}

    def _coefficients(self) -> Any:
        """The optimizers' coefficients at every step of the coming epoch, (T, K, S); zeros in an empty slot."""
        signature = self._program.signature
        table = np.zeros((signature.n_steps, len(COEFFICIENTS), signature.n_slots))
        for slot, occupant in enumerate(self._occupants):
            if occupant is not None:
                h, n_steps = occupant.spec.hyperparameters, signature.n_steps
                rates = learning_rates(h, n_steps, occupant.steps, n_steps)
                table[:, :, slot] = coefficient_rows(h, rates, occupant.steps)
        return tensor(table, signature.dtype)

    def _take_probe(self, fresh: Sequence[int] = ()) -> records.Probe:
        """The probe of all slots; fresh trials are seen with the batch's statistics, the others with moving ones."""
        use_moving = np.ones(len(self._occupants), bool)
        use_moving[list(fresh)] = False
        seen = self._program.probe(self.state, self._probe_batch, self._choices, tensor(use_moving))
        return records.Probe(*on_host(seen))

    def _evaluate(self, split: Split) -> list[Evaluation]:
        """Metrics of every slot on a split; those of empty slots mean nothing."""
        parts = [self._program.evaluate(self.state, chunk, self._choices) for chunk in split.chunks]
        losses = np.sum([np.asarray(loss, np.float64) for loss, _ in parts], axis=0) / split.n_rows
        confusions = np.sum([np.asarray(confusion).astype(np.int64) for _, confusion in parts], axis=0)
        return [evaluate_confusion(m, float(loss)) for m, loss in zip(confusions, losses, strict=True)]

    def _shapes(self, occupant: Occupant) -> Sequence[tuple[int, int]]:
        """(n_in, n_out) of an occupant's kernels."""
        sizes = self._layout.sizes
        return layer_shapes(sizes[0], occupant.spec.hyperparameters.hidden_units, sizes[-1])

    def _row(
        self,
        occupant: Occupant,
        steps: StepRecord,
        probe: ProbeRecord,
        evaluation: Evaluation | None,
        seconds: tuple[float, float],
    ) -> EpochRow:
        """The row of an occupant's latest epoch; `seconds`: of the tile, and the trial's share of them."""
        h = occupant.spec.hyperparameters
        is_probe = occupant.epoch == 0
        return epoch_row(
            key=occupant.spec.key,
            epoch=occupant.epoch,
            hyperparameters=h,
            shapes=self._shapes(occupant),
            rows_per_step=len(self._probe_batch.y) if is_probe else self._program.signature.batch_size,
            record=steps,
            probe=probe,
            evaluation=evaluation,
            wall_seconds=seconds[0],
            device_seconds=seconds[1],
        )
