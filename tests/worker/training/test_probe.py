"""The probe: which rows, and what is measured on them."""

import numpy as np
import pytest

from worker.training.probe import probe_record, probe_rows


def test_rows_are_fixed_distinct_and_spread():
    rows = probe_rows(10_000)
    assert np.array_equal(rows, probe_rows(10_000))
    assert len(np.unique(rows)) == 256
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 9_000


def test_a_small_split_is_probed_whole():
    assert probe_rows(20).tolist() == list(range(20))


def one_layer(a, activation="relu", delta=None):
    return probe_record([a], [np.zeros_like(a) if delta is None else delta], activation)


def test_spread_and_delta():
    generator = np.random.default_rng(0)
    a, delta = generator.normal(size=(256, 8)), generator.normal(size=(256, 8))
    record = one_layer(a, delta=delta)
    assert record.activation_std[0] == pytest.approx(np.std(a))
    assert record.delta_rms[0] == pytest.approx(np.sqrt((delta**2).mean()))


def test_a_unit_is_dead_if_its_95th_percentile_is_nothing():
    a = np.zeros((200, 4))
    a[:9, 1] = -3.0  # speaks in 4.5 % of the rows
    a[:11, 2] = 3.0  # in 5.5 %
    a[:, 3] = 9e-6
    assert one_layer(a).dead_fraction.tolist() == [0.75]


def test_a_unit_that_says_nan_is_not_dead():
    assert one_layer(np.full((10, 2), np.nan)).dead_fraction.tolist() == [0.0]


@pytest.mark.parametrize(
    ("activation", "function", "edge"),
    [
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z)), np.arccosh(1 / np.sqrt(0.05)) * 2),
        ("tanh", np.tanh, np.arccosh(1 / np.sqrt(0.05))),
    ],
)
def test_saturation_is_a_slope_below_a_twentieth_of_the_largest(activation, function, edge):
    # φ' of tanh is 1/cosh²(z), of the sigmoid 1/(4 cosh²(z/2)): both fall to 5 % at the edge.
    z = np.array([[0.0, edge * 0.999, -edge * 0.999, edge * 1.001, -edge * 1.001]])
    assert one_layer(function(z), activation).saturated_fraction[0] == pytest.approx(0.4)


def test_other_activations_do_not_saturate():
    assert one_layer(np.full((4, 4), 1e9), "relu").saturated_fraction.tolist() == [0.0]
