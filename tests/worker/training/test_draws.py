"""Dropout draws: the same integers on NumPy and on TensorFlow, uniform, independent of place."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from worker.training.draws import draws16, drop_threshold, dropout_mask, epoch_key, keep_scale


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "xla"])
@pytest.mark.parametrize("n", [1, 7, 4096])
def test_tensorflow_draws_what_numpy_draws(compiled, n):
    key = epoch_key(11, 5)
    draw = tf.function(lambda key, step: draws16(key, step, 3, n, keras.ops), jit_compile=compiled)
    theirs = draw(tf.constant(key), tf.constant(9, tf.uint32))
    assert np.array_equal(theirs.numpy(), draws16(key, np.uint32(9), 3, n))


def test_draws_are_uniform():
    draws = draws16(epoch_key(0, 0), np.uint32(0), 1, 1 << 18)
    counts = np.bincount(draws >> 8, minlength=256)
    # 1,024 expected in each of 256 bins: chi-square with 255 degrees of freedom, 5 deviations wide.
    assert ((counts - 1024) ** 2 / 1024).sum() == pytest.approx(255, abs=5 * np.sqrt(2 * 255))
    assert draws.max() < 1 << 16


@pytest.mark.parametrize(
    "other", [(1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (0, 0, 0, 2)], ids=["seed", "epoch", "step", "layer"]
)
def test_draws_of_another_place_are_unrelated(other):
    def draws(seed, epoch, step, layer):
        return draws16(epoch_key(seed, epoch), np.uint32(step), layer, 1 << 16).astype(np.float64)

    # Independent draws correlate by 1/256 (one deviation) at this length.
    assert abs(np.corrcoef(draws(0, 0, 0, 1), draws(*other))[0, 1]) < 5 / 256


def test_neighbouring_draws_are_unrelated():
    draws = draws16(epoch_key(0, 0), np.uint32(0), 1, 1 << 16).astype(np.float64)
    for lag in (1, 2, 784, 1 << 15):
        assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < 5 / np.sqrt(len(draws) - lag)


def test_mask_keeps_the_mean():
    mask = dropout_mask(epoch_key(1, 0), 0, 1, (512, 512), 0.3)
    assert set(np.unique(mask)) == {np.float32(0), keep_scale(0.3)}
    assert mask.dtype == np.float32
    # The share kept has a deviation of √(0.3 · 0.7)/512 = 0.0009.
    assert mask.mean() == pytest.approx(1.0, abs=5 * 0.0009 / 0.7)


def test_a_higher_rate_drops_what_a_lower_one_drops():
    low, high = (dropout_mask(epoch_key(1, 0), 4, 2, (64, 64), rate) for rate in (0.2, 0.5))
    assert (high[low == 0] == 0).all()
    assert (low == 0).sum() < (high == 0).sum()


@pytest.mark.parametrize(("rate", "threshold", "scale"), [(0.0, 0, 1.0), (0.5, 32768, 2.0), (0.25, 16384, 4 / 3)])
def test_threshold_and_scale(rate, threshold, scale):
    assert drop_threshold(rate) == threshold
    assert keep_scale(rate) == pytest.approx(scale)


def test_draws_are_fixed_forever():
    assert draws16(epoch_key(1, 2), np.uint32(3), 4, 4).tolist() == [56390, 46432, 19726, 37783]
