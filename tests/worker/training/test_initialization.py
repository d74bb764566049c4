"""Initial weights: Keras' definitions, from the seed alone."""

import keras
import numpy as np
import pytest

from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import draw_kernel, initial_weights, layer_shapes, residual_scale

INITIALIZERS = ["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"]


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(300, 200), (200, 300)])
def test_spread_and_bounds_are_those_of_keras(name, shape):
    ours = draw_kernel(1, 2, name, *shape)
    theirs = np.asarray(keras.initializers.get({"class_name": name, "config": {"seed": 3}})(shape))
    # 60,000 draws each: the standard deviation of either is known to 0.3 %, the extremes to less than 1 %.
    assert ours.std() == pytest.approx(theirs.std(), rel=0.01)
    assert abs(ours.mean()) < 3 * ours.std() / np.sqrt(ours.size)
    # The largest of 60,000 normal draws of the orthogonal kernel wavers by 10 %; the others have sharp bounds.
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.2 if name == "orthogonal" else 0.01)


@pytest.mark.parametrize(
    ("name", "variance"), [("glorot_uniform", 2 / 500), ("he_normal", 2 / 300), ("lecun_normal", 1 / 300)]
)
def test_variance_is_the_published_one(name, variance):
    assert draw_kernel(5, 2, name, 300, 200).var() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("shape", [(40, 40), (40, 12), (12, 40)])
def test_orthogonal_is_orthonormal(shape):
    kernel = draw_kernel(0, 2, "orthogonal", *shape).astype(np.float64)
    smaller = kernel.T @ kernel if shape[0] >= shape[1] else kernel @ kernel.T
    assert smaller == pytest.approx(np.eye(min(shape)), abs=1e-6)  # float32 rounding of 40 products


def test_same_seed_same_weights_other_seed_others():
    hyperparameters = Hyperparameters(hidden_units=(7, 5))
    first, same, other = (initial_weights(seed, hyperparameters, 11, 3) for seed in (4, 4, 5))
    assert all(np.array_equal(a.kernel, b.kernel) for a, b in zip(first, same, strict=True))
    assert not any(np.array_equal(a.kernel, b.kernel) for a, b in zip(first, other, strict=True))


def test_layers_of_equal_shape_differ():
    weights = initial_weights(0, Hyperparameters(hidden_units=(8, 8, 8)), 8, 8)
    assert len({layer.kernel.tobytes() for layer in weights}) == 4


def test_shapes_and_constants():
    weights = initial_weights(0, Hyperparameters(hidden_units=(7, 5)), 11, 3)
    assert [layer.kernel.shape for layer in weights] == layer_shapes(11, (7, 5), 3) == [(11, 7), (7, 5), (5, 3)]
    assert [layer.bias.tolist() for layer in weights] == [[0.0] * 7, [0.0] * 5, [0.0] * 3]
    assert all((layer.gamma == 1).all() and (layer.beta == 0).all() for layer in weights)
    assert {layer.kernel.dtype for layer in weights} == {np.dtype(np.float32)}


def test_residual_adds_projections_where_widths_differ_and_leaves_the_kernels():
    plain = initial_weights(3, Hyperparameters(hidden_units=(8, 8, 4)), 8, 2)
    residual = initial_weights(3, Hyperparameters(hidden_units=(8, 8, 4), residual=True), 8, 2)
    assert [layer.projection is None for layer in residual] == [True, True, False, True]
    assert residual[2].projection.shape == (8, 4)
    assert not np.array_equal(residual[2].projection, residual[2].kernel)
    assert all(np.array_equal(a.kernel, b.kernel) for a, b in zip(plain, residual, strict=True))


@pytest.mark.parametrize(("n_hidden", "scale"), [(1, 1.0), (2, 1.0), (3, 2**-0.5), (5, 0.5)])
def test_residual_scale(n_hidden, scale):
    assert residual_scale(n_hidden) == pytest.approx(scale)
