"""Folds and norms against NumPy in float64."""

import numpy as np
import pytest
from keras import ops

from worker.training.fused.norms import Quantity, norms, total_norm
from worker.training.fused.sums import FoldedSums, PlainSums, fold


@pytest.fixture(params=[PlainSums(), FoldedSums(ops.convert_to_tensor(np.float32(1)))], ids=["plain", "folded"])
def sums(request):
    """Both ways to sum."""
    return request.param


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 23, 64, 97, 100, 784, 1009])
@pytest.mark.parametrize("leave", [1, 16])
def test_a_fold_keeps_the_sum(length, leave):
    x = np.random.default_rng(length).normal(size=(2, length, 3)).astype(np.float32)
    folded = np.asarray(fold([ops.convert_to_tensor(x)], axis=1, leave=leave))
    assert folded.shape[1] <= leave
    np.testing.assert_allclose(folded.sum(1), x.astype(np.float64).sum(1), atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 64, 784), (3, 5, 7), (1, 1, 1), (2, 33, 40)])
def test_sums_run_over_their_axis(shape, sums):
    random = np.random.default_rng(0)
    x, y = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    a, b = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(sums.over_rows(a), exact.sum(1, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(sums.over_features(a), exact.sum(2, keepdims=True), atol=1e-4)
    np.testing.assert_allclose(sums.over_units(a, b), (exact * y).sum(1, keepdims=True), atol=1e-4)
    both = sums.of_terms([([a, b], lambda u, v: u * v), ([a], lambda u: u)])
    expected = np.stack([(exact * y).sum((1, 2)), exact.sum((1, 2))], axis=1)
    np.testing.assert_allclose(both, expected, atol=1e-3)


@pytest.mark.parametrize("size", [1e-36, 1e-25, 1.0, 1e10, 1e25, 1e37])
@pytest.mark.parametrize("before", [0.0, 1e-30, 1.0, 1e20, np.inf])
def test_a_norm_neither_overflows_nor_vanishes(size, before, sums):
    x = (np.random.default_rng(0).uniform(0.5, 1, (2, 40)) * [[size], [1.0]]).astype(np.float32)
    guess = ops.convert_to_tensor(np.array([[before], [1.0]], np.float32))
    expected = np.linalg.norm(x.astype(np.float64), axis=1)
    quantity = Quantity([ops.convert_to_tensor(x)])
    np.testing.assert_allclose(np.asarray(norms([quantity], guess, sums))[:, 0], expected, rtol=1e-5)


def test_norms_of_arrays_of_any_length_come_in_their_order(sums):
    """Some of one length in a row, some not: those in a row are summed together."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(2, n)).astype(np.float32) for n in (784, 64, 64, 64, 9, 16, 64, 1000)]
    quantities = [Quantity([ops.convert_to_tensor(x)]) for x in arrays]
    expected = np.stack([np.linalg.norm(x.astype(np.float64), axis=1) for x in arrays], axis=1)
    np.testing.assert_allclose(norms(quantities, ops.ones((2, 8)), sums), expected, rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_is_finite_exactly_if_all_elements_are(bad, sums):
    x = np.ones((2, 40), np.float32)
    x[0, 17] = bad
    result = np.asarray(norms([Quantity([ops.convert_to_tensor(x)])], ops.ones((2, 1)), sums))
    assert np.isfinite(result[:, 0]).tolist() == [False, True]


def test_the_norm_of_nothing_is_zero(sums):
    result = norms([Quantity([ops.zeros((2, 40))])], ops.ones((2, 1)), sums)
    np.testing.assert_array_equal(result, 0.0)


def test_a_total_norm_is_scaled_too():
    parts = np.array([[3e30, 4e30], [0.0, 0.0], [3e-30, 4e-30], [np.inf, 1.0]], np.float32)
    np.testing.assert_allclose(total_norm(ops.convert_to_tensor(parts))[:3], [5e30, 0, 5e-30], rtol=1e-6)
    assert not np.isfinite(total_norm(ops.convert_to_tensor(parts))[3])
