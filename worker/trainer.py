"""What the loop needs of a trainer, and the two trainers; TensorFlow is imported when the first bank is made."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from worker.datasets import Dataset, available_datasets, load_dataset
from worker.errors import TrainerUnavailable
from worker.settings import WorkerSettings
from worker.training.contract import Bank

if TYPE_CHECKING:
    from worker.training.devices import Environment


class Trainer(Protocol):
    """Data sets and banks."""

    name: Literal["reference", "fused"]
    device: str
    default_slots: int

    def datasets(self) -> list[str]:
        """Names of the data sets that can be loaded."""

    def load(self, dataset: str) -> str:
        """Load a data set, or keep it loaded; returns its SHA-256. May raise DatasetError."""

    def make_bank(
        self, dataset: str, *, hidden_units: tuple[int, ...], batch_size: int, stream_seed: int, n_slots: int
    ) -> Bank:
        """An empty bank on a data set. May raise OutOfDeviceMemory, TrainerUnavailable, DatasetError."""

    def environment(self) -> dict[str, str]:
        """Versions, device and precision, for the record of an attempt."""


class ReferenceTrainer:
    """One trial at a time with plain Keras: slow, and what the fused trainer is compared with."""

    name: Literal["reference", "fused"] = "reference"
    default_slots = 1

    def __init__(self, data_dir: Path) -> None:
        self.device = describe_device()
        self._data_dir = data_dir
        self._loaded: Dataset | None = None
        self._environment: Environment | None = None

    def datasets(self) -> list[str]:
        """Names of the data sets that can be loaded."""
        return available_datasets(self._data_dir)

    def load(self, dataset: str) -> str:
        """Load a data set unless it was the last one used; returns its SHA-256."""
        return self._load(dataset).sha256

    def make_bank(
        self, dataset: str, *, hidden_units: tuple[int, ...], batch_size: int, stream_seed: int, n_slots: int
    ) -> Bank:
        """An empty bank on a data set."""
        from worker.training.reference import ReferenceBank

        self._prepared()
        return ReferenceBank(self._load(dataset), hidden_units, batch_size, stream_seed, n_slots=n_slots)

    def environment(self) -> dict[str, str]:
        """Versions, device and precision, for the record of an attempt."""
        return {name: str(value) for name, value in self._prepared().as_dict().items()}

    def _prepared(self) -> "Environment":
        """TensorFlow, loaded and set up when it is first needed."""
        if self._environment is None:
            from worker.training.devices import prepare_devices

            self._environment = prepare_devices()
        return self._environment

    def _load(self, name: str) -> Dataset:
        if self._loaded is None or self._loaded.name != name:
            self._loaded = None  # two data sets need not fit at once
            self._loaded = load_dataset(name, self._data_dir)
        return self._loaded


def make_trainer(settings: WorkerSettings) -> Trainer:
    """The trainer of the settings.

    Raises:
        TrainerUnavailable: It is not installed, or not built yet.
    """
    if find_spec("tensorflow") is None or find_spec("keras") is None:
        raise TrainerUnavailable("TensorFlow is not installed. Install 'gradsweep[worker]', or 'gradsweep[gpu]'")
    if settings.trainer == "fused":
        raise TrainerUnavailable("the fused trainer is not built yet. Use --trainer reference")
    return ReferenceTrainer(settings.data_dir)


def describe_device(driver: Path = Path("/proc/driver/nvidia/gpus")) -> str:
    """What this process would train on, in a few words, without loading TensorFlow.

    Args:
        driver: Where NVIDIA's driver on Linux lists its devices.
    """
    gpus = [] if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") else _nvidia_models(driver)
    if gpus:
        return f"{len(gpus)} × {gpus[0]}"[:255]
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"CPU, {n_cores} cores"


def _nvidia_models(folder: Path) -> list[str]:
    models = []
    for path in sorted(folder.glob("*/information")):
        lines = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if line.startswith("Model:")]
        models += lines
    return models
