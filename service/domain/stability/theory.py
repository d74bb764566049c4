"""What mean-field theory expects of the gradient over depth at initialization, before anything has been learned.

In a wide network at initialization a pre-activation is Gaussian with variance q, and one layer multiplies the squared
gradient by χ = σ_w² E[φ'(√q z)²], z standard normal: −½·log10 χ decades per layer, positive where it vanishes. With a
normalized input, χ is divided by the variance that is normalized away (as the batch or the layer grows). For ReLU:
χ = ½ σ_w² without and π/(π − 1) with normalization, whatever the weights' scale.

References:
    Glorot, Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
    Schoenholz, Gilmer, Ganguli, Sohl-Dickstein (2017), Deep information propagation, equations 3 and 8.
    Yang, Schoenholz (2017), Mean field residual networks.
    Yang, Pennington, Rao, Sohl-Dickstein, Schoenholz (2019), A mean field theory of batch normalization.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import lru_cache

from service.domain.stability.derived import SMALLEST_NORMAL
from service.wire.parameters import Activation, Initializer, Parameters

FIRST_VARIANCE = 0.25
"""Variance of the first pre-activations per unit σ_w²: about what images with pixels in [0, 1] give."""

WEIGHT_VARIANCE: dict[Initializer, float] = {
    "glorot_uniform": 1.0,
    "lecun_normal": 1.0,
    "orthogonal": 1.0,
    "he_normal": 2.0,
}
"""σ_w², the variance of a weight times the number of inputs, in layers as wide as their input."""

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_STEP = 1 / 32
_NODES = [(i + 0.5) * _STEP for i in range(-256, 256)]  # midpoints: a kink at zero falls between two of them
_DENSITY = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * _STEP for z in _NODES]


def expected_slope(parameters: Parameters) -> float | None:
    """The depth slope to expect at initialization, in decades per layer; to be shown beside the measured one.

    None with fewer than three hidden layers or hidden layers of different widths, for which the theory says
    nothing. Dropout, which is off at epoch 0, is left out.
    """
    if len(parameters.hidden_units) < 3 or len(set(parameters.hidden_units)) != 1:
        return None
    profile = gradient_profile(
        parameters.activation,
        WEIGHT_VARIANCE[parameters.initializer],
        len(parameters.hidden_units),
        normalized=parameters.normalization != "none",
        residual=parameters.residual,
    )
    return statistics.linear_regression(range(len(profile)), profile).slope


@lru_cache(maxsize=256)
def gradient_profile(
    activation: Activation, weight_variance: float, n_hidden: int, *, normalized: bool, residual: bool
) -> Sequence[float]:
    """log10 of the RMS of ∂L/∂z_l for l = 1…H, up to a constant.

    Residual blocks are h ← h + α·φ(W h), α² = 1/(H − 1), from the second hidden layer on.
    """
    alpha_squared = 1 / (n_hidden - 1) if residual else 1.0
    slopes, means, spreads = _forward(activation, weight_variance, n_hidden, normalized, residual)
    profile = [0.0] * n_hidden
    arriving = 0.0  # log10 of E[(∂L/∂h_l)²]
    for layer in reversed(range(n_hidden)):
        is_block = residual and layer > 0
        profile[layer] = 0.5 * (arriving + _log10(slopes[layer] * (alpha_squared if is_block else 1.0)))
        if layer > 0:
            chi = weight_variance * slopes[layer]
            if normalized:
                chi /= max(spreads[layer - 1] - means[layer - 1] ** 2, SMALLEST_NORMAL)
            arriving += _log10(1 + alpha_squared * chi if is_block else chi)
    return tuple(profile)


def _forward(
    activation: Activation, weight_variance: float, n_hidden: int, normalized: bool, residual: bool
) -> tuple[list[float], list[float], list[float]]:
    """For each hidden layer E[φ'²], and the mean and the second moment of its output h."""
    alpha = 1 / math.sqrt(n_hidden - 1) if residual else 1.0
    q = weight_variance * (1.0 if normalized else FIRST_VARIANCE)
    slopes: list[float] = []
    means: list[float] = []
    squares: list[float] = []
    for layer in range(n_hidden):
        mean, square, slope = _moments(activation, q)
        if residual and layer > 0:
            square = squares[-1] + alpha**2 * square + 2 * alpha * means[-1] * mean
            mean = means[-1] + alpha * mean
        slopes.append(slope)
        means.append(mean)
        squares.append(square)
        q = weight_variance * (1.0 if normalized else square)
    return slopes, means, squares


def _moments(activation: Activation, q: float) -> tuple[float, float, float]:
    """E[φ], E[φ²] and E[φ'²] of a Gaussian pre-activation with variance q, by the midpoint rule."""
    scale = math.sqrt(q)
    mean = square = slope = 0.0
    for z, weight in zip(_NODES, _DENSITY, strict=True):
        value, derivative = _ACTIVATIONS[activation](scale * z)
        mean += weight * value
        square += weight * value * value
        slope += weight * derivative * derivative
    return mean, square, slope


def _log10(value: float) -> float:
    return math.log10(max(value, SMALLEST_NORMAL))


def _relu(x: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0 else (0.0, 0.0)


def _tanh(x: float) -> tuple[float, float]:
    value = math.tanh(x)
    return value, 1 - value * value


def _sigmoid(x: float) -> tuple[float, float]:
    value = 0.5 * (1 + math.tanh(x / 2))
    return value, value * (1 - value)


def _gelu(x: float) -> tuple[float, float]:
    cumulative = 0.5 * math.erfc(-x / math.sqrt(2))
    return x * cumulative, cumulative + x * math.exp(-min(x * x / 2, 700.0)) / math.sqrt(2 * math.pi)


def _elu(x: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0 else (math.expm1(x), math.exp(x))


def _selu(x: float) -> tuple[float, float]:
    if x > 0:
        return _SELU_SCALE * x, _SELU_SCALE
    return _SELU_SCALE * _SELU_ALPHA * math.expm1(x), _SELU_SCALE * _SELU_ALPHA * math.exp(x)


_ACTIVATIONS: dict[Activation, Callable[[float], tuple[float, float]]] = {
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "gelu": _gelu,
    "elu": _elu,
    "selu": _selu,
}
"""(φ(x), φ'(x)) of each activation."""
