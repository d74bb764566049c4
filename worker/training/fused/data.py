"""A data set on the device: the epoch's batches, and splits in chunks of one shape."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.datasets import Dataset
from worker.training.draws import epoch_key
from worker.training.fused.backend import take, tensor
from worker.training.fused.layout import Tensor
from worker.training.probe import probe_rows
from worker.training.stream import epoch_batches

CHUNK_ROWS = 1000


class Batches(NamedTuple):
    """An epoch's minibatches, which all slots share.

    Attributes:
        x, y: (T, B, n_0) and (T, B).
        key: Of the epoch's dropout draws.
        one: 1.0; see `sums`.
    """

    x: Tensor
    y: Tensor
    key: Tensor
    one: Tensor


class Chunk(NamedTuple):
    """Rows (B, n_0), their labels (B,), and which of them count (B,), the others being padding."""

    x: Tensor
    y: Tensor
    counts: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A split in chunks of one length, so that one program serves all splits."""

    chunks: list[Chunk]
    n_rows: int


class TrainingRows:
    """The training split on the device, as bytes where the data set is: a quarter of the memory."""

    def __init__(self, dataset: Dataset) -> None:
        self._x, self._y = tensor(dataset.x_train), tensor(dataset.y_train)

    def batches(self, batch_size: int, stream_seed: int, bank_epoch: int, dtype: str) -> Batches:
        """The batches of a bank's epoch. Gathered on the device: to copy them there takes twice the time."""
        rows = epoch_batches(stream_seed, bank_epoch, self._y.shape[0], batch_size)
        key = epoch_key(stream_seed, bank_epoch)
        return Batches(take(self._x, rows), take(self._y, rows), tensor(key), tensor(1.0, dtype))


def probe_of_dataset(dataset: Dataset) -> Chunk:
    """The fixed rows of the training split on which layers are looked at."""
    rows = probe_rows(len(dataset.y_train))
    return Chunk(tensor(dataset.x_train[rows]), tensor(dataset.y_train[rows]), tensor(np.ones(len(rows), bool)))


def split_in_chunks(dataset: Dataset, x: NDArray[Any], y: NDArray[np.int32]) -> Split:
    """The validation or the test split of a data set, the last chunk padded with zeros."""
    length = min(CHUNK_ROWS, max(len(dataset.y_val), len(dataset.y_test)))
    chunks = []
    for start in range(0, len(y), length):
        rows = slice(start, start + length)
        n = len(y[rows])
        padded_x, padded_y = np.pad(x[rows], ((0, length - n), (0, 0))), np.pad(y[rows], (0, length - n))
        chunks.append(Chunk(tensor(padded_x), tensor(padded_y), tensor(np.arange(length) < n)))
    return Split(chunks, len(y))
