"""The stream of minibatches that all slots of a bank share: a function of (stream seed, bank epoch)."""

import numpy as np
from numpy.typing import NDArray

from worker.errors import TrialError


def steps_per_epoch(n_rows: int, batch_size: int) -> int:
    """Whole batches in the training data; the rest of a permutation is left out of that epoch.

    Raises:
        TrialError: Not even one batch.
    """
    if batch_size > n_rows:
        raise TrialError(
            f"batch_size is {batch_size}, but the training split has {n_rows} rows. Choose a smaller batch_size."
        )
    return n_rows // batch_size


def epoch_batches(stream_seed: int, bank_epoch: int, n_rows: int, batch_size: int) -> NDArray[np.int64]:
    """Which rows each step of an epoch sees.

    Args:
        stream_seed: The bank's, in [0, 2⁶⁴).
        bank_epoch: The bank's epoch, from 0.
        n_rows: Rows of the training split.
        batch_size: Rows of a step.

    Returns:
        Row numbers, shape (steps, batch_size): the head of a permutation by Philox keyed (stream_seed, bank_epoch).
    """
    steps = steps_per_epoch(n_rows, batch_size)
    generator = np.random.Generator(np.random.Philox(key=np.array([stream_seed, bank_epoch], dtype=np.uint64)))
    return generator.permutation(n_rows)[: steps * batch_size].reshape(steps, batch_size)
