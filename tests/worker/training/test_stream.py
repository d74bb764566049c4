"""The shared stream of minibatches."""

import numpy as np
import pytest

from worker.errors import TrialError
from worker.training.stream import epoch_batches, steps_per_epoch


def test_an_epoch_is_a_permutation_without_its_rest():
    batches = epoch_batches(7, 0, 103, 10)
    assert batches.shape == (10, 10)
    assert len(np.unique(batches)) == 100
    assert batches.min() >= 0
    assert batches.max() < 103


def test_the_stream_depends_on_seed_and_epoch_only():
    assert np.array_equal(epoch_batches(7, 3, 100, 10), epoch_batches(7, 3, 100, 10))
    assert not np.array_equal(epoch_batches(7, 3, 100, 10), epoch_batches(7, 4, 100, 10))
    assert not np.array_equal(epoch_batches(7, 3, 100, 10), epoch_batches(8, 3, 100, 10))


def test_batch_size_cuts_the_same_permutation():
    assert np.array_equal(epoch_batches(1, 2, 100, 10).ravel(), epoch_batches(1, 2, 100, 50).ravel())


def test_the_stream_is_fixed_forever():
    assert epoch_batches(1, 0, 12, 4).tolist() == [[8, 0, 7, 6], [10, 4, 1, 9], [5, 2, 3, 11]]


def test_large_seeds_are_taken():
    assert epoch_batches(2**64 - 1, 0, 10, 2).shape == (5, 2)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(TrialError, match="batch_size is 11, but the training split has 10 rows"):
        steps_per_epoch(10, 11)
