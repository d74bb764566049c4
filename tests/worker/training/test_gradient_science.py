"""What the literature says about gradients at initialization, measured on real images by the trainer's own probe.

Slopes are in decades per layer, positive where the gradient vanishes on its way to the input.
"""

import itertools
import statistics
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from service.domain.stability.derived import depth_slope, flow_ratio
from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.theory import gradient_profile
from worker.datasets import load_dataset
from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import initial_weights
from worker.training.probe import probe_rows
from worker.training.statistics import epoch_row
from worker.training.trial import ReferenceTrial

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)
TOLERANCE = 0.03  # of a slope: the theory's width is infinite, ours is 128
GAINS = {"glorot_uniform": 1.0, "lecun_normal": 1.0, "he_normal": 2.0}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """5,000 images of MNIST."""
    return load_dataset("mnist-5k", Path(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module", autouse=True)
def eager():
    """A network that is looked at three times is not worth a graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def probe_epochs(images):
    """Epoch 0 of a trial under each seed, as the service sees it; `gain` multiplies the hidden kernels."""

    def measure(*, n_hidden, gain=1.0, **changes):
        hyperparameters = Hyperparameters(hidden_units=(128,) * n_hidden, **changes)
        trial = ReferenceTrial(images, hyperparameters, SEEDS[0], stream_seed=1)
        rows = []
        gains = [*np.broadcast_to(gain, n_hidden).tolist(), 1.0]
        for seed in SEEDS:
            weights = initial_weights(seed, hyperparameters, images.n_features, images.n_classes)
            for layer, weight, factor in zip(trial.network.layers, weights, gains, strict=True):
                layer.dense.kernel.assign(weight.kernel * np.float32(factor))
            rows.append(probe_epoch(trial, hyperparameters, len(images.y_train)))
        return rows

    return measure


def probe_epoch(trial, hyperparameters, n_rows):
    record, probe = trial.probe()
    row = epoch_row(
        key="",
        epoch=0,
        hyperparameters=hyperparameters,
        shapes=trial.shapes,
        rows_per_step=len(probe_rows(n_rows)),
        record=record,
        probe=probe,
        evaluation=None,
        wall_seconds=0.0,
        device_seconds=0.0,
    )
    values = {field.name: getattr(row, field.name) for field in fields(EpochRow) if field.name != "layers"}
    return EpochRow(**values, layers=tuple(LayerRow(**asdict(layer)) for layer in row.layers))


def kernel_norm(row):
    return np.sqrt(sum(layer.grad_norm_mean**2 for layer in row.layers))


def theory(n_hidden, *, activation, initializer, gain=1.0, normalization="none", residual=False):
    variance = GAINS[initializer] * gain**2
    profile = gradient_profile(activation, variance, n_hidden, normalized=normalization != "none", residual=residual)
    return statistics.linear_regression(range(n_hidden), profile).slope


RELU_GAIN_3 = {"activation": "relu", "initializer": "he_normal", "gain": 1.5**0.5}  # σ_w² = 3


@pytest.mark.parametrize(
    ("case", "slope"),
    [
        ({"activation": "sigmoid", "initializer": "glorot_uniform"}, 0.628),
        ({"activation": "relu", "initializer": "glorot_uniform"}, 0.15),
        ({"activation": "relu", "initializer": "he_normal"}, 0.00),
        (RELU_GAIN_3, -0.09),
        ({"activation": "tanh", "initializer": "glorot_uniform"}, 0.02),
        ({"activation": "relu", "initializer": "glorot_uniform", "normalization": "batch"}, -0.08),
        ({"activation": "sigmoid", "initializer": "glorot_uniform", "normalization": "batch"}, 0.00),
        ({"activation": "relu", "initializer": "he_normal", "residual": True}, -0.02),
    ],
)
def test_slopes_at_initialization_are_those_of_mean_field_theory(probe_epochs, case, slope):
    measured = statistics.mean(depth_slope(row) for row in probe_epochs(n_hidden=20, **case))
    assert measured == pytest.approx(slope, abs=TOLERANCE)
    assert measured == pytest.approx(theory(20, **case), abs=TOLERANCE)


@pytest.mark.parametrize(("n_hidden", "norm"), [(3, 0.28), (10, 0.035), (20, 1.3e-3), (30, 4e-5)])
def test_relu_with_glorot_has_ever_smaller_gradients_that_no_ratio_of_kernels_shows(probe_epochs, n_hidden, norm):
    """The norm over all kernels. The output's bias is left out: its gradient, about 0.07, is as large at any depth."""
    for row in probe_epochs(n_hidden=n_hidden):
        assert np.log10(kernel_norm(row)) == pytest.approx(np.log10(norm), abs=0.5)
        assert 1 <= flow_ratio(row) <= 10


def test_a_scaled_residual_stack_does_not_explode(probe_epochs):
    """Ours multiplies each of the 20 blocks by α = 1/√20; without it the gradient explodes.

    For a ReLU, α·φ(W h) = φ(αW h): kernels that are √20 times as large undo α, and their gradients are α times those
    of the stack without it.
    """
    residual = {"n_hidden": 21, "activation": "relu", "initializer": "he_normal", "residual": True}
    undone = np.array([1.0, *[20**0.5] * 20])

    scaled = [row.global_norm_p50 for row in probe_epochs(**residual)]
    unscaled = [20**0.5 * kernel_norm(row) for row in probe_epochs(**residual, gain=undone)]

    assert max(scaled) < 100
    assert 1e4 < statistics.median(unscaled) < 1e6


@pytest.mark.parametrize(("n_hidden", "bounds"), [(2, (4.0, 6.7)), (3, (18, 31)), (4, (80, 195))])
def test_nielsens_ratios(images, n_hidden, bounds):
    """Nielsen (2015), Neural Networks and Deep Learning, chapter 5: bias gradients of the last and first hidden layer.

    Sigmoid everywhere, cross-entropy, weights N(0, 1/n_in), biases N(0, 1), 30 units a layer, mean over 1,000 images.
    """
    x = images.x_train[:1000] * np.float64(images.scale)
    targets = np.eye(10)[images.y_train[:1000]]
    ratios = [nielsen_ratio(np.random.default_rng(seed), x, targets, [784, *[30] * n_hidden, 10]) for seed in range(20)]
    assert bounds[0] <= np.median(ratios) <= bounds[1]


def nielsen_ratio(generator, x, targets, sizes):
    activations, weights = [x], []
    for n_in, n_out in itertools.pairwise(sizes):
        weights.append(generator.normal(size=(n_in, n_out)) / np.sqrt(n_in))
        z = activations[-1] @ weights[-1] + generator.normal(size=n_out)
        activations.append(1 / (1 + np.exp(-z)))
    delta = activations[-1] - targets
    norms = []
    for weight, a in zip(weights[:0:-1], activations[-2:0:-1], strict=True):
        delta = (delta @ weight.T) * a * (1 - a)
        norms.append(np.linalg.norm(delta.mean(axis=0)))
    return norms[0] / norms[-1]
