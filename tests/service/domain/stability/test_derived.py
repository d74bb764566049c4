import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.stability.derived import (
    depth_range,
    depth_slope,
    flow_ratio,
    gsr,
    is_oscillating,
    layer_medians,
    loss_spikes,
    median,
    oscillation,
)
from service.domain.stability.rows import EpochRow, LayerRow


def with_biases(*values):
    return EpochRow(
        epoch=1, layers=tuple(LayerRow(layer=i + 1, bias_grad_rms_median=value) for i, value in enumerate(values))
    )


@given(st.lists(st.floats(1e-30, 1e6), min_size=4, max_size=40))
def test_depth_slope_is_the_least_squares_line_over_the_hidden_layers(values):
    row = with_biases(*values)
    hidden = np.log10(np.array(values[:-1], np.float64))

    slope = np.polyfit(np.arange(len(hidden)), hidden, 1)[0]

    assert depth_slope(row) == pytest.approx(slope, abs=1e-9)
    assert depth_range(row) == pytest.approx(slope * (len(hidden) - 1), abs=1e-8)


def test_depth_range_is_positive_where_the_gradient_vanishes_towards_the_input():
    assert depth_range(with_biases(1e-6, 1e-5, 1e-4, 1e-3, 7.0)) == pytest.approx(3)
    assert depth_range(with_biases(1e-3, 1e-4, 1e-5, 1e-6, 7.0)) == pytest.approx(-3)


@pytest.mark.parametrize(
    "values", [(), (1.0,), (1.0, 1.0, 1.0), (1.0, None, 1.0, 1.0), (1.0, math.nan, 1.0, 1.0), (math.inf, 1.0, 1.0, 1.0)]
)
def test_no_slope_without_three_finite_hidden_layers(values):
    assert depth_slope(with_biases(*values)) is None
    assert depth_range(with_biases(*values)) is None


def test_a_gradient_of_zero_vanishes():
    assert depth_range(with_biases(0.0, 1e-3, 1e-3, 1.0)) > 3
    assert depth_slope(with_biases(0.0, 0.0, 0.0, 1.0)) == 0


@pytest.mark.parametrize(
    ("p50", "p99", "expected"),
    [
        (1.0, 100.0, 2.0),
        (2.0, 2.0, 0.0),
        (0.0, 1.0, math.inf),
        (0.0, 0.0, None),
        (None, 1.0, None),
        (math.nan, 1.0, None),
    ],
)
def test_gsr_is_the_spread_in_decades(p50, p99, expected):
    assert gsr(EpochRow(epoch=1, global_norm_p50=p50, global_norm_p99=p99)) == expected


def test_flow_ratio_is_first_over_last():
    layers = tuple(LayerRow(layer=i, grad_norm_mean=value) for i, value in enumerate((3.0, 9.0, 6.0), 1))
    assert flow_ratio(EpochRow(epoch=1, layers=layers)) == 0.5
    assert flow_ratio(EpochRow(epoch=1)) is None


def naive_oscillation(accuracy):
    dips = [
        i
        for i in range(1, len(accuracy) - 1)
        if accuracy[i - 1] - accuracy[i] >= 0.03 - 1e-10 and accuracy[i + 1] - accuracy[i] >= 0.03 - 1e-10
    ]
    return len(dips) / len(accuracy)


@given(st.lists(st.integers(0, 100), min_size=3, max_size=30))
def test_oscillation_is_the_share_of_dips(percent):
    accuracy = np.array(percent, np.float64) / 100
    rows = [EpochRow(epoch=e, train_accuracy=share) for e, share in enumerate(accuracy.tolist(), 1)]
    assert oscillation(rows) == pytest.approx(naive_oscillation(accuracy))


@pytest.mark.parametrize(
    ("accuracy", "fires"),
    [
        ((0.10, 0.50, 0.47, 0.50, 0.60, 0.70), True),  # one dip in five epochs is a fifth
        ((0.10, 0.50, 0.471, 0.50, 0.60, 0.70), False),
        ((0.10, 0.50, 0.40, 0.50, 0.60), False),  # four epochs are too few
        ((0.90, 0.10, 0.50, 0.60, 0.70, 0.80), False),  # epoch 0 is not an epoch of training
        ((0.10, 0.50, 0.40, 0.50, 0.60, 0.70, 0.80), False),  # one in six
    ],
)
def test_oscillation_fires_at_a_fifth_of_five_epochs(accuracy, fires):
    rows = [EpochRow(epoch=e, train_accuracy=share) for e, share in enumerate(accuracy)]
    assert is_oscillating(rows) is fires


def test_spikes_add_up():
    assert loss_spikes([EpochRow(epoch=1, loss_spikes=2), EpochRow(epoch=2, loss_spikes=3)]) == 5


def test_medians_leave_out_what_is_unknown():
    assert median([None, math.nan, 3.0, 1.0, math.inf]) == 3.0
    assert median([None, math.nan]) is None


def test_layer_medians_are_taken_over_the_epochs_of_each_layer():
    values = np.array([[1.0, 5.0, 9.0], [2.0, 4.0, 7.0], [9.0, 6.0, 8.0]])
    rows = [
        EpochRow(epoch=e, layers=tuple(LayerRow(layer=i, weight_norm=x) for i, x in enumerate(line, 1)))
        for e, line in enumerate(values.tolist(), 1)
    ]
    every = layer_medians(rows, lambda row: row.weight_norm)
    assert list(every.values()) == np.median(values, axis=0).tolist()
    assert list(layer_medians(rows, lambda row: row.weight_norm, hidden=True)) == [1, 2]
