"""The fixed split: sizes, disjoint parts, every class in its share."""

from fractions import Fraction

import numpy as np
import pytest

from worker.datasets.splits import class_quotas, stratified_parts


def labels(*counts):
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def test_parts_are_disjoint_and_lose_no_row():
    parts = stratified_parts(labels(100, 50, 7), [Fraction(15, 100), Fraction(15, 100)])
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(157))


def test_every_part_has_each_class_in_its_share():
    y = labels(600, 300, 100)
    validation, test, training = stratified_parts(y, [Fraction(15, 100), Fraction(15, 100)])
    assert np.bincount(y[validation]).tolist() == [90, 45, 15]
    assert np.bincount(y[test]).tolist() == [90, 45, 15]
    assert np.bincount(y[training]).tolist() == [420, 210, 70]


def test_total_is_exact_although_no_class_divides_evenly():
    mnist_counts = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert class_quotas(mnist_counts, Fraction(1, 6)).sum() == 10_000


def test_a_class_of_three_rows_is_in_every_part():
    y = labels(1000, 3)
    parts = stratified_parts(y, [Fraction(15, 100), Fraction(15, 100)])
    assert [int((y[part] == 1).sum()) for part in parts] == [1, 1, 1]


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 3, 4, 5, 6), (7, 8, 9, 13)])
def test_small_classes_never_run_out(shape):
    y = labels(*shape)
    parts = stratified_parts(y, [Fraction(15, 100), Fraction(15, 100)])
    assert all(np.bincount(y[part], minlength=len(shape)).min() >= 1 for part in parts)


def test_the_split_is_fixed_forever():
    (validation, _) = stratified_parts(labels(12, 12), [Fraction(1, 6)])
    assert validation.tolist() == [5, 6, 17, 20]
