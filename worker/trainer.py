"""What the loop needs of a trainer, and the two trainers; TensorFlow is imported when the first bank is made."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from worker.datasets import Dataset, available_datasets, load_dataset
from worker.errors import TrainerUnavailable
from worker.settings import WorkerSettings
from worker.training.contract import Bank
from worker.training.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from worker.training.fused.program import Programs
    from worker.training.steps import Listener

SLOTS_PER_CORE = 4
GPU_SLOTS = 64
MAX_PROGRAMS = 8
"""Compiled programs that are kept for banks to come."""


@dataclass(frozen=True, slots=True)
class LoadedData:
    """What the service is told of a data set. `class_shares`: of the validation split, by class."""

    sha256: str
    class_shares: tuple[float, ...]


class Trainer(Protocol):
    """Data sets and banks."""

    name: Literal["reference", "fused"]
    device: str
    default_slots: int

    def datasets(self) -> list[str]:
        """Names of the data sets that can be loaded."""

    def load(self, dataset: str) -> LoadedData:
        """Load a data set, or keep it loaded. May raise DatasetError."""

    def make_bank(
        self,
        dataset: str,
        *,
        hidden_units: tuple[int, ...],
        batch_size: int,
        stream_seed: int,
        n_slots: int,
        statistics_every: int = 1,
        representatives: Sequence[Hyperparameters] = (),
    ) -> Bank:
        """An empty bank on a data set, for trials of the kinds that the representatives show.

        It measures every `statistics_every`-th step of an epoch, from the first.
        May raise OutOfDeviceMemory, TrainerUnavailable, DatasetError.
        """

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
        """A bank for one trial at its recorded place in the stream. May raise what `make_bank` does."""

    def environment(self) -> dict[str, str]:
        """Versions, device and precision, for the record of an attempt."""

    def environment_of(self, bank: Bank) -> dict[str, str]:
        """The same for a replay's bank."""


class LocalTrainer:
    """Trains on this machine's first device, or on the one that the settings name.

    Args:
        settings: Which trainer, on what, and where the data sets are.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.name: Literal["reference", "fused"] = settings.trainer
        self._threads = settings.threads or n_cores()
        is_cpu = (settings.device or "").upper().startswith("CPU")
        self.device = describe_cpu(self._threads) if is_cpu else describe_device(n_threads=self._threads)
        self.default_slots = default_slots(settings.trainer, self._threads, has_gpu=not self.device.startswith("CPU"))
        self._settings = settings
        self._loaded: Dataset | None = None
        self._environment: dict[str, str] = {}
        self._recipe: dict[str, str] = {}  # of the bank that was made last, replays apart
        self._programs: Programs | None = None

    def datasets(self) -> list[str]:
        """Names of the data sets that can be loaded."""
        return available_datasets(self._settings.data_dir)

    def load(self, dataset: str) -> LoadedData:
        """Load a data set unless it was the last one used."""
        loaded = self._load(dataset)
        counts = np.bincount(loaded.y_val, minlength=loaded.n_classes)
        return LoadedData(loaded.sha256, tuple((counts / counts.sum()).tolist()))

    def make_bank(
        self,
        dataset: str,
        *,
        hidden_units: tuple[int, ...],
        batch_size: int,
        stream_seed: int,
        n_slots: int,
        statistics_every: int = 1,
        representatives: Sequence[Hyperparameters] = (),
    ) -> Bank:
        """An empty bank on a data set."""
        loaded = self._load(dataset)
        try:
            self._prepare_once()
            if self.name == "fused":
                from worker.training.fused.bank import FusedBank
                from worker.training.fused.kinds import kinds_of
                from worker.training.fused.recipe import recipe_of

                kinds = kinds_of(representatives)
                programs = self._programs_for_another()
                streams = None if self._environment["device_kind"] == "GPU" else self._threads
                bank = FusedBank(
                    loaded,
                    hidden_units,
                    batch_size,
                    stream_seed,
                    n_slots=n_slots,
                    statistics_every=statistics_every,
                    kinds=kinds,
                    n_streams=streams,
                    programs=programs,
                )
                self._recipe = recipe_of(bank)
                return bank
            from worker.training.reference import ReferenceBank

            self._recipe = {"statistics_every": str(statistics_every)}
            return ReferenceBank(
                loaded, hidden_units, batch_size, stream_seed, n_slots=n_slots, statistics_every=statistics_every
            )
        except ImportError as error:
            raise TrainerUnavailable(f"TensorFlow cannot be loaded: {error}") from error

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
        """A bank for one trial at its recorded place in the stream, with the recorded program if there is one.

        Args:
            dataset: Its name.
            hyperparameters: The trial's.
            stream_seed: Of the bank that trained it.
            start_epoch: That bank's epoch when the trial was admitted.
            recorded: The attempt's environment.
            listen: Told of the steps of each epoch.
        """
        loaded = self._load(dataset)
        shapes = (hyperparameters.hidden_units, hyperparameters.batch_size)
        every = statistics_every_of(recorded)
        try:
            self._prepare_once()
            if self.name == "fused":
                from worker.training.fused.bank import FusedBank
                from worker.training.fused.kinds import kinds_of
                from worker.training.fused.recipe import program_options

                options = program_options(recorded) or {"kinds": kinds_of([hyperparameters]), "n_slots": 1}
                options |= {"start_epoch": start_epoch, "statistics_every": every, "listen": listen}
                return FusedBank(loaded, *shapes, stream_seed, programs=self._programs_for_another(), **options)
            from worker.training.reference import ReferenceBank

            return ReferenceBank(
                loaded, *shapes, stream_seed, start_epoch=start_epoch, statistics_every=every, listen=listen
            )
        except ImportError as error:
            raise TrainerUnavailable(f"TensorFlow cannot be loaded: {error}") from error

    def environment(self) -> dict[str, str]:
        """Versions, device, precision and the fused program, for the record of an attempt."""
        return self._environment | self._recipe

    def environment_of(self, bank: Bank) -> dict[str, str]:
        """The same for a replay's bank, which is not the one that trains on when it has done."""
        if self.name == "reference":
            return dict(self._environment)
        from worker.training.fused.bank import FusedBank
        from worker.training.fused.recipe import recipe_of

        return self._environment | (recipe_of(bank) if isinstance(bank, FusedBank) else {})

    def _programs_for_another(self) -> "Programs":
        """Programs of earlier banks, so that a signature that comes again is not compiled again."""
        from worker.training.fused.program import Programs

        if self._programs is None or len(self._programs) >= MAX_PROGRAMS:
            self._programs = Programs()  # rather than let a sweep over shapes fill the memory
        return self._programs

    def _prepare_once(self) -> None:
        """Set TensorFlow up; it takes its settings before the first computation only."""
        if self._environment:
            return
        from worker.training.devices import prepare_devices

        if self.name == "fused":
            from worker.training.fused.streams import configure_threads

            configure_threads(self._threads)
        try:
            environment = prepare_devices(
                device=self._settings.device, tf32=self._settings.tf32, gpu_memory_mb=self._settings.gpu_memory_mb
            )
        except ValueError as error:
            raise TrainerUnavailable(str(error)) from error
        self._environment = {name: str(value)[:512] for name, value in environment.as_dict().items()}
        self._environment["trainer"] = self.name

    def _load(self, name: str) -> Dataset:
        if self._loaded is None or self._loaded.name != name:
            self._loaded = None  # two data sets need not fit at once
            self._loaded = load_dataset(name, self._settings.data_dir)
        return self._loaded


def make_trainer(settings: WorkerSettings) -> LocalTrainer:
    """The trainer of the settings.

    Raises:
        TrainerUnavailable: It is not installed.
    """
    if find_spec("tensorflow") is None or find_spec("keras") is None:
        raise TrainerUnavailable("TensorFlow is not installed. Install 'gradsweep[worker]', or 'gradsweep[gpu]'")
    return LocalTrainer(settings)


def default_slots(trainer: str, cores: int, *, has_gpu: bool) -> int:
    """Slots of a bank if nobody says otherwise.

    The reference trainer trains one trial after the other, so more slots gain nothing. The fused one has a tile of
    four per core, what fits the core's cache, and a wide one on a GPU (docs/engine.md).
    """
    if trainer == "reference":
        return 1
    return GPU_SLOTS if has_gpu else SLOTS_PER_CORE * cores


def statistics_every_of(recorded: Mapping[str, str]) -> int:
    """Every which step an attempt measured, from its environment."""
    return int(recorded.get("statistics_every", "1"))


def n_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_cpu(n_threads: int) -> str:
    """The CPU, in a few words."""
    return f"CPU, {n_threads} cores"


def describe_device(driver: Path = Path("/proc/driver/nvidia/gpus"), *, n_threads: int | None = None) -> str:
    """What this process would train on, in a few words, without loading TensorFlow.

    Args:
        driver: Where NVIDIA's driver on Linux lists its devices.
        n_threads: Cores that would train, without a GPU; by default all.
    """
    gpus = [] if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") else _nvidia_models(driver)
    if gpus:
        return f"{len(gpus)} × {gpus[0]}"[:255]
    return describe_cpu(n_threads or n_cores())


def _nvidia_models(folder: Path) -> list[str]:
    models = []
    for path in sorted(folder.glob("*/information")):
        lines = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if line.startswith("Model:")]
        models += lines
    return models
