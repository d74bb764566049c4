"""The fused bank: fills slots, trains an epoch of all of them, empties slots. See `contract.Bank` for its life."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.datasets import Dataset
from worker.errors import OutOfDeviceMemory, TrialError
from worker.training.contract import EpochRow, TestMetrics, TrialSpec
from worker.training.fused.backend import device_memory_errors
from worker.training.fused.data import Batches, Split, TrainingRows, probe_of_dataset, split_in_chunks
from worker.training.fused.kinds import Kinds, kinds_of
from worker.training.fused.layout import Layout, network_sizes
from worker.training.fused.program import Program, Programs, Signature
from worker.training.fused.streams import plan_streams, run_streams
from worker.training.fused.tile import Tile
from worker.training.steps import Listener
from worker.training.stream import steps_per_epoch


class FusedBank:
    """Trials of one signature in tiles of a few slots, each tile one compiled program, each stream a core's tiles.

    A trial's numbers depend on its parameters, its seed and its place in the stream of batches: never, bit by bit,
    on its slot, its neighbours or who was there before; and on the number of slots only to rounding.

    Args:
        dataset: What is trained on.
        hidden_units: Widths of the hidden layers, at least one.
        batch_size: Rows of a step.
        stream_seed: Fixes the minibatches and the dropout draws.
        n_slots: How many trials at once. By default a tile per stream; rounded up to whole tiles.
        kinds: Everything that may occur, so that the program is compiled once (`kinds_of` a sweep's space). By default
            what the admitted trials need: a trial of a new kind then costs a compilation.
        n_streams: How many tiles are trained side by side; by default one per core, on a GPU one.
        slots_per_tile: By default what fits a core's cache.
        statistics_every: Every which step of an epoch is measured, from the first; 0: none, only their losses.
        dtype: float32, or float64 to compare with other programs.
        fold: Whether to sum by folding, as a CPU wants it.
        start_epoch: The bank epoch to begin with, for a replay.
        listen: Told of the steps of each epoch, for a recording.
        programs: Where programs are kept for banks to come; by default the bank's own.
    """

    def __init__(
        self,
        dataset: Dataset,
        hidden_units: Sequence[int],
        batch_size: int,
        stream_seed: int,
        *,
        n_slots: int | None = None,
        kinds: Kinds | None = None,
        n_streams: int | None = None,
        slots_per_tile: int | None = None,
        statistics_every: int = 1,
        dtype: str = "float32",
        fold: bool = True,
        start_epoch: int = 0,
        listen: Listener | None = None,
        programs: Programs | None = None,
    ) -> None:
        plan = plan_streams(len(hidden_units), n_slots, n_streams)
        self.slots_per_tile = slots_per_tile or plan.slots_per_tile
        self._n_streams = plan.n_streams
        n_tiles = -(-(n_slots or plan.n_streams * self.slots_per_tile) // self.slots_per_tile)
        self.n_slots = n_tiles * self.slots_per_tile
        self.stream_seed = stream_seed
        self._dataset = dataset
        self._hidden_units = tuple(hidden_units)
        self._batch_size = batch_size
        self._n_steps = steps_per_epoch(len(dataset.y_train), batch_size)
        self.statistics_every = statistics_every
        self._options: dict[str, Any] = {"statistics_every": statistics_every, "dtype": dtype, "fold": fold}
        self._bank_epoch = start_epoch
        self._steps_done = 0
        self._programs = Programs() if programs is None else programs
        self._program = self._program_for(kinds or Kinds())
        self._test: Split | None = None
        with device_memory_errors():
            self._training = TrainingRows(dataset)
            self._probe_batch = probe_of_dataset(dataset)
            self._validation = split_in_chunks(dataset, dataset.x_val, dataset.y_val)
            self.tiles = [
                Tile(self._program, dataset, self._probe_batch, self._validation, listen) for _ in range(n_tiles)
            ]
        self._tile_of: dict[str, Tile] = {}  # in the order of admission

    @property
    def bank_epoch(self) -> int:
        """The next epoch's number in the stream."""
        return self._bank_epoch

    @property
    def kinds(self) -> Kinds:
        """The kinds that the program knows."""
        return self._program.signature.layout.kinds

    @property
    def compilations(self) -> int:
        """How many functions were compiled by the banks that share this one's programs: three for a set of kinds."""
        return self._programs.n_compilations

    @property
    def free_slots(self) -> int:
        """How many trials can be admitted now."""
        return self.n_slots - len(self._tile_of)

    def admit(self, trials: Sequence[TrialSpec]) -> list[EpochRow]:
        """Place trials into free slots and return their epoch 0, in the order given.

        Raises:
            TrialError: A trial does not fit the bank; none is admitted.
            OutOfDeviceMemory: The device is full; none is admitted.
        """
        self._check(trials)
        with device_memory_errors():
            self._learn(kinds_of(trial.hyperparameters for trial in trials))
        groups: dict[Tile, list[TrialSpec]] = {}
        for trial in trials:
            groups.setdefault(self._tile_for_next(groups), []).append(trial)
        rows: dict[str, EpochRow] = {}
        try:
            with device_memory_errors():
                for tile, group in groups.items():
                    self._tile_of |= {trial.key: tile for trial in group}
                    rows |= {row.key: row for row in tile.admit(group)}
        except OutOfDeviceMemory:
            for trial in trials:
                self.evict(trial.key)
            raise
        return [rows[trial.key] for trial in trials]

    def train_epoch(self) -> list[EpochRow]:
        """Train every admitted trial for one epoch and return a row for each, in the order of admission."""
        with device_memory_errors():
            dtype = self._options["dtype"]
            batches = self._training.batches(self._batch_size, self.stream_seed, self._bank_epoch, dtype)
            busy = [[tile for tile in stream if tile.n_trials] for stream in self._streams()]
            done = run_streams([[partial(self._train, tile, batches) for tile in stream] for stream in busy])
        self._bank_epoch += 1
        rows = {row.key: row for results in done for result in results for row in result}
        return [rows[key] for key in self._tile_of]

    def test_metrics(self, key: str) -> TestMetrics:
        """Evaluate an admitted trial on the test split with its present weights."""
        with device_memory_errors():
            if self._test is None:
                self._test = split_in_chunks(self._dataset, self._dataset.x_test, self._dataset.y_test)
            return self._tile_of[key].test_metrics(key, self._test)

    def evict(self, key: str) -> None:
        """Free a trial's slot; asks the device for nothing. Evicting a key that is not there does nothing."""
        tile = self._tile_of.pop(key, None)
        if tile is not None:
            tile.evict(key)

    def steps_done(self) -> int:
        """Steps of all trials since the bank was made; rises with every tile that has trained its epoch."""
        return self._steps_done

    def weights(self, key: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """A trial's parameters and its moving averages, by name (`layout`); kernels are (n_in, n_out)."""
        return self._tile_of[key].weights(key)

    def set_weights(self, key: str, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Give a trial other parameters, named as in `weights`."""
        self._tile_of[key].set_weights(key, parameters)

    def _check(self, trials: Sequence[TrialSpec]) -> None:
        if len(trials) > self.free_slots:
            raise TrialError(f"{len(trials)} trials for {self.free_slots} free slots: evict some first")
        for trial in trials:
            h = trial.hyperparameters
            if (h.hidden_units, h.batch_size) != (self._hidden_units, self._batch_size):
                raise TrialError(
                    f"trial {trial.key} has hidden_units {h.hidden_units} and batch_size {h.batch_size}, this bank "
                    f"{self._hidden_units} and {self._batch_size}: train it in a bank of its own signature"
                )
        keys = [*self._tile_of, *(trial.key for trial in trials)]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise TrialError(f"already in the bank, or given twice: {', '.join(sorted(twice))}; evict first")

    def _learn(self, kinds: Kinds) -> None:
        """Make a program that knows these kinds too, unless the present one does."""
        if self.kinds.cover(kinds):
            return
        program = self._program_for(self.kinds | kinds)
        for tile in self.tiles:
            tile.move_to(program)
        self._program = program

    def _program_for(self, kinds: Kinds) -> Program:
        dataset = self._dataset
        sizes = network_sizes(dataset.n_features, self._hidden_units, dataset.n_classes)
        signature = Signature(
            layout=Layout(sizes, kinds),
            n_slots=self.slots_per_tile,
            batch_size=self._batch_size,
            n_steps=self._n_steps,
            scale=float(np.float32(dataset.scale)),
            **self._options,
        )
        return self._programs.program_for(signature)

    def _streams(self) -> list[list[Tile]]:
        """The tiles of each stream."""
        return [self.tiles[i :: self._n_streams] for i in range(self._n_streams)]

    def _tile_for_next(self, planned: Mapping[Tile, Sequence[TrialSpec]]) -> Tile:
        """The fullest tile with a free slot in the stream that has the fewest trials.

        So the streams share the work evenly, and few tiles are half empty.
        """

        def n_trials(tile: Tile) -> int:
            return tile.n_trials + len(planned.get(tile, ()))

        open_streams = [
            stream for stream in self._streams() if any(n_trials(tile) < self.slots_per_tile for tile in stream)
        ]
        stream = min(open_streams, key=lambda tiles: sum(map(n_trials, tiles)))
        return max((tile for tile in stream if n_trials(tile) < self.slots_per_tile), key=n_trials)

    def _train(self, tile: Tile, batches: Batches) -> list[EpochRow]:
        rows = tile.train_epoch(batches)
        self._steps_done += self._n_steps * len(rows)
        return rows
