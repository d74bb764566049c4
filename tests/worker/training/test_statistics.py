"""Rows of an epoch against plain NumPy, and what inf, nan and nothing become."""

from dataclasses import replace

import numpy as np
import pytest

from worker.training.evaluation import Evaluation
from worker.training.hyperparameters import Hyperparameters
from worker.training.probe import ProbeRecord
from worker.training.statistics import (
    StepRecord,
    count_zeros_every,
    epoch_row,
    longest_doubling,
    measured_now_and_then,
    quantile,
)

SHAPES = [(6, 4), (4, 5), (5, 3)]
T, L = 40, 3


@pytest.fixture
def record():
    generator = np.random.default_rng(0)
    return StepRecord(
        loss=generator.uniform(0.5, 1.5, T).astype(np.float32),
        correct=generator.integers(0, 9, T).astype(np.float32),
        global_norm=generator.uniform(1, 3, T),
        kernel_grad_norm=generator.uniform(0.1, 1, (T, L)),
        bias_grad_norm=generator.uniform(0.1, 1, (T, L)),
        update_norm=generator.uniform(1e-3, 1e-2, (T, L)),
        weight_norm=generator.uniform(1, 2, (T + 1, L)),
        zero_fraction=generator.uniform(0, 1, (T, L)),
    )


PROBE = ProbeRecord(
    activation_std=np.array([0.5, 0.4, 2.0]),
    dead_fraction=np.array([0.25, 0.0, 0.0]),
    saturated_fraction=np.array([0.1, 0.2, 0.0]),
    delta_rms=np.array([1e-3, 2e-3, 3e-3]),
)
EVALUATION = Evaluation(loss=0.3, accuracy=0.9, balanced_accuracy=0.8, macro_f1=0.7, top_class_share=0.2)


def make_row(record, epoch=1, **hyperparameters):
    return epoch_row(
        key="t",
        epoch=epoch,
        hyperparameters=Hyperparameters(hidden_units=(4, 5), **hyperparameters),
        shapes=SHAPES,
        rows_per_step=10,
        record=record,
        probe=PROBE,
        evaluation=EVALUATION if epoch > 0 else None,
        wall_seconds=2.0,
        device_seconds=0.5,
    )


def test_scalars_are_those_of_numpy(record):
    row = make_row(record, clip_norm=2.0)
    assert (row.key, row.epoch, row.steps, row.wall_seconds, row.device_seconds) == ("t", 1, T, 2.0, 0.5)
    assert row.train_loss == pytest.approx(record.loss.mean(), rel=1e-6)
    assert row.train_accuracy == pytest.approx(record.correct.sum() / (T * 10))
    assert row.loss_max == record.loss.max()
    assert row.global_norm_mean == pytest.approx(record.global_norm.mean())
    assert row.global_norm_std == pytest.approx(record.global_norm.std())
    assert row.global_norm_max == record.global_norm.max()
    assert row.global_norm_p50 == pytest.approx(np.quantile(record.global_norm, 0.5))
    assert row.global_norm_p99 == pytest.approx(np.quantile(record.global_norm, 0.99))
    assert row.clip_fraction == pytest.approx((record.global_norm > 2.0).mean())
    assert row.nonfinite == 0
    assert (row.val_loss, row.val_accuracy, row.val_balanced_accuracy) == (0.3, 0.9, 0.8)
    assert (row.val_macro_f1, row.val_top_class_share) == (0.7, 0.2)


@pytest.mark.parametrize("i", range(L))
def test_layers_are_those_of_numpy(i, record):
    row = make_row(record).layers[i]
    n_in, n_out = SHAPES[i]
    gradient = record.kernel_grad_norm[:, i]
    ratio = record.update_norm[:, i] / record.weight_norm[:T, i]
    assert row.layer == i + 1
    assert row.grad_norm_mean == pytest.approx(gradient.mean())
    assert row.grad_norm_std == pytest.approx(gradient.std())
    assert row.grad_norm_max == gradient.max()
    assert row.grad_rms_median == pytest.approx(np.median(gradient) / np.sqrt(n_in * n_out))
    assert row.grad_rms_p05 == pytest.approx(np.quantile(gradient, 0.05) / np.sqrt(n_in * n_out))
    assert row.bias_grad_rms_median == pytest.approx(np.median(record.bias_grad_norm[:, i]) / np.sqrt(n_out))
    assert row.update_ratio_median == pytest.approx(np.median(ratio))
    assert row.update_ratio_p95 == pytest.approx(np.quantile(ratio, 0.95))
    assert row.weight_norm == record.weight_norm[-1, i]
    assert row.zero_fraction == pytest.approx(record.zero_fraction[:, i].mean())
    assert (row.nonfinite, row.nonfinite_first_step) == (0, None)
    assert row.activation_std == PROBE.activation_std[i]
    assert row.delta_rms == PROBE.delta_rms[i]


def test_dead_and_saturated_are_of_hidden_layers(record):
    layers = make_row(record, activation="tanh").layers
    assert [layer.dead_fraction for layer in layers] == [0.25, 0.0, None]
    assert [layer.saturated_fraction for layer in layers] == [0.1, 0.2, None]


def test_relu_has_no_saturation(record):
    assert [layer.saturated_fraction for layer in make_row(record).layers] == [None, None, None]


def test_clip_fraction_needs_a_clip_norm(record):
    assert make_row(record).clip_fraction is None


def test_epoch_zero_is_one_step_without_update(record):
    probe_step = StepRecord(
        **{
            name: getattr(record, name)[:1]
            for name in ("loss", "correct", "global_norm", "kernel_grad_norm", "bias_grad_norm", "zero_fraction")
        },
        update_norm=np.zeros((1, L)),
        weight_norm=record.weight_norm[:2],
    )
    row = make_row(probe_step, epoch=0, clip_norm=0.1)
    assert (row.steps, row.val_loss, row.val_accuracy, row.clip_fraction) == (0, None, None, None)
    assert row.global_norm_p99 == row.global_norm_p50 == row.global_norm_max == record.global_norm[0]
    assert row.global_norm_std == 0.0
    assert [layer.update_ratio_median for layer in row.layers] == [None] * L
    assert [layer.grad_norm_mean for layer in row.layers] == record.kernel_grad_norm[0].tolist()


def test_a_lost_step_is_counted_where_it_happens(record):
    gradient, loss, weights = record.kernel_grad_norm.copy(), record.loss.copy(), record.weight_norm.copy()
    gradient[30:, 1] = np.inf
    weights[36:, 2] = np.nan  # after step 35
    loss[10] = np.nan
    row = make_row(replace(record, kernel_grad_norm=gradient, loss=loss, weight_norm=weights))
    assert [layer.nonfinite for layer in row.layers] == [0, 10, 5]
    assert [layer.nonfinite_first_step for layer in row.layers] == [None, 30, 35]
    assert row.nonfinite == 11
    assert np.isnan(row.train_loss)
    assert row.layers[1].grad_norm_max == np.inf
    assert np.isfinite(row.layers[1].grad_rms_median)
    assert np.isfinite(row.layers[0].grad_norm_mean)


@pytest.mark.parametrize("every", [1, 3, 7, 64])
def test_a_record_of_every_few_steps_holds_these(record, every):
    steps = list(range(0, T, every))
    few = measured_now_and_then(record, every)
    assert few.loss.shape == few.correct.shape == (T,)
    np.testing.assert_array_equal(few.global_norm, record.global_norm[steps])
    np.testing.assert_array_equal(few.update_norm, record.update_norm[steps])
    np.testing.assert_array_equal(few.weight_norm, record.weight_norm[[*steps, T]])
    row = make_row(few)
    assert (row.steps, row.train_loss) == (T, make_row(record).train_loss)
    assert row.global_norm_max == record.global_norm[steps].max()
    assert row.layers[1].update_ratio_median == pytest.approx(
        np.median(record.update_norm[steps, 1] / record.weight_norm[steps, 1])
    )
    assert row.layers[2].weight_norm == record.weight_norm[T, 2]
    assert row.layers[0].zero_fraction == record.zero_fraction[0, 0]  # the next is counted after 60 steps or more


@pytest.mark.parametrize(("every", "counted"), [(1, 64), (2, 64), (7, 63), (64, 64), (100, 100)])
def test_zeros_are_counted_at_measured_steps_about_every_64(every, counted):
    assert count_zeros_every(every) == counted


def test_steps_are_lost_where_they_are_measured_and_losses_everywhere(record):
    loss, gradient = record.loss.copy(), record.kernel_grad_norm.copy()
    loss[10] = np.nan
    gradient[28:, 1] = np.inf
    row = make_row(measured_now_and_then(replace(record, loss=loss, kernel_grad_norm=gradient), 7))
    assert (row.layers[1].nonfinite, row.layers[1].nonfinite_first_step) == (2, 28)
    assert row.nonfinite == 3  # steps 10, 28 and 35


def test_huge_float32_norms_do_not_overflow(record):
    huge = np.full((T, L), 3e38, np.float32)
    row = make_row(replace(record, kernel_grad_norm=huge, global_norm=huge[:, 0]))
    assert row.global_norm_mean == pytest.approx(3e38, rel=1e-6)
    assert row.layers[0].grad_norm_mean == pytest.approx(3e38, rel=1e-6)
    assert row.layers[0].grad_norm_std == pytest.approx(0, abs=1e30)
    assert row.nonfinite == 0


def test_zero_fraction_skips_steps_that_were_not_counted(record):
    zero = np.full((T, L), np.nan)
    zero[3, 0], zero[7, 0] = 0.25, 0.75
    layers = make_row(replace(record, zero_fraction=zero)).layers
    assert [layer.zero_fraction for layer in layers] == [0.5, None, None]


def test_spikes_are_losses_above_three_medians(record):
    loss = np.ones(T)
    loss[[5, 9]] = 3.1
    loss[12] = 2.9
    loss[20] = np.inf
    assert make_row(replace(record, loss=loss)).loss_spikes == 3


@pytest.mark.parametrize(
    ("windows", "longest"),
    [
        ([1, 1, 1], 0),
        ([1, 2, 4, 8], 3),
        ([1, 2, 3, 6, 12.5, 2], 2),
        ([1, 1.99], 0),
        ([0, 0, 1], 1),
        ([1, np.inf, np.inf], 1),
        ([1, np.nan, 4], 0),
        ([5], 0),
        ([], 0),
    ],
)
def test_longest_run_of_doublings(windows, longest):
    loss = np.append(np.repeat(np.array(windows, np.float64), 10), [1e9] * 7)  # the last window is not whole
    assert longest_doubling(loss) == longest


@pytest.mark.parametrize("q", [0.0, 0.05, 0.5, 0.95, 0.99, 1.0])
def test_quantile_is_that_of_numpy_on_finite_values(q):
    values = np.random.default_rng(1).normal(size=(37, 2))
    assert quantile(values, q) == pytest.approx(np.quantile(values, q, axis=0))


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([1.0, 2.0, np.inf], 0.5, 2.0),
        ([1.0, 2.0, np.inf], 0.75, np.inf),
        ([np.nan, 1.0, 2.0], 0.5, 2.0),
        ([np.nan, np.nan, 1.0], 0.5, np.nan),
        ([4.0], 0.99, 4.0),
    ],
)
def test_quantile_keeps_inf_and_puts_nan_last(values, q, expected):
    assert quantile(np.array(values), q) == pytest.approx(expected, nan_ok=True)
