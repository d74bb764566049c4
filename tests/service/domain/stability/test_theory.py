import math

import numpy as np
import pytest
from scipy.special import ndtr

from service.domain.stability.theory import WEIGHT_VARIANCE, expected_slope, gradient_profile

Z = np.linspace(-12, 12, 24_000)  # an even number: no node at ReLU's kink
DENSITY = np.exp(-Z * Z / 2) / math.sqrt(2 * math.pi) * (Z[1] - Z[0])
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def below(x):
    return np.minimum(x, 0)


FUNCTIONS = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "gelu": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(below(x))), lambda x: np.where(x > 0, 1, np.exp(below(x)))),
    "selu": (
        lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(below(x))),
        lambda x: SCALE * np.where(x > 0, 1, ALPHA * np.exp(below(x))),
    ),
}


def naive_slope(activation, variance, n_hidden, normalized):
    """−½·log10 χ of each layer, χ by numerical integration; the least-squares line through their running sum."""
    function, derivative = FUNCTIONS[activation]
    q = variance * (1 if normalized else 0.25)
    squares, spreads = [], []
    for _ in range(n_hidden):
        values, slopes = function(math.sqrt(q) * Z), derivative(math.sqrt(q) * Z)
        squares.append(np.sum(DENSITY * slopes**2))
        second = np.sum(DENSITY * values**2)
        spreads.append(second - np.sum(DENSITY * values) ** 2 if normalized else 1.0)
        q = variance * (1 if normalized else second)
    log_deltas = [0.0]
    for layer in range(n_hidden - 1):  # δ_l² = δ_{l+1}² · σ_w² E[φ'(z_l)²] (÷ the variance normalized away)
        log_deltas.append(log_deltas[-1] - 0.5 * math.log10(variance * squares[layer] / spreads[layer]))
    return np.polyfit(range(n_hidden), log_deltas, 1)[0]


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
@pytest.mark.parametrize("initializer", sorted(WEIGHT_VARIANCE))
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_expected_slope_is_the_integral(parameters, activation, initializer, normalization):
    asked = parameters(
        activation=activation, initializer=initializer, normalization=normalization, hidden_units=(128,) * 20
    )
    expected = naive_slope(activation, WEIGHT_VARIANCE[initializer], 20, normalization != "none")
    assert expected_slope(asked) == pytest.approx(expected, abs=3e-4)


@pytest.mark.parametrize(
    ("activation", "initializer", "normalization", "slope"),
    [
        ("relu", "glorot_uniform", "none", 0.5 * math.log10(2)),
        ("relu", "he_normal", "none", 0.0),
        ("relu", "glorot_uniform", "batch", -0.5 * math.log10(math.pi / (math.pi - 1))),
        ("relu", "he_normal", "layer", -0.5 * math.log10(math.pi / (math.pi - 1))),
    ],
)
def test_relu_has_closed_forms(parameters, activation, initializer, normalization, slope):
    asked = parameters(activation=activation, initializer=initializer, normalization=normalization)
    assert expected_slope(asked) == pytest.approx(slope, abs=1e-4)


def test_sigmoid_cannot_lose_less_than_its_largest_derivative_allows(parameters):
    asked = parameters(activation="sigmoid", hidden_units=(128,) * 20)
    assert expected_slope(asked) == pytest.approx(0.628, abs=0.005)
    assert expected_slope(asked) >= -0.5 * math.log10(1 / 16)


def test_a_residual_stack_keeps_its_gradient(parameters):
    deep = parameters(hidden_units=(128,) * 20, initializer="he_normal", residual=True)
    # α² = 1/19 and χ = 1: each block multiplies the squared gradient by 1 + 1/19; the first layer has no α
    profile = np.array([0.5 * (19 - layer) * math.log10(1 + 1 / 19) for layer in range(20)])
    profile[0] += 0.5 * math.log10(19)
    assert expected_slope(deep) == pytest.approx(np.polyfit(range(20), profile, 1)[0], abs=1e-6)
    assert abs(expected_slope(deep)) < 0.03


@pytest.mark.parametrize("hidden_units", [(128, 128), (128, 64, 32)])
def test_nothing_is_expected_of_short_or_uneven_networks(parameters, hidden_units):
    assert expected_slope(parameters(hidden_units=hidden_units)) is None


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
@pytest.mark.parametrize("residual", [True, False])
def test_a_hundred_layers_stay_finite(activation, residual):
    for normalized in (True, False):
        profile = gradient_profile(activation, 2.0, 100, normalized=normalized, residual=residual)
        assert np.isfinite(profile).all()
