"""Activation functions and their derivatives, chosen for every slot among those that the program knows."""

from collections.abc import Callable, Mapping
from math import pi, sqrt

from keras import ops

from worker.training.fused.layout import Tensor

# Klambauer et al. (2017), Self-normalizing neural networks, eq. 2.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

ROOT_HALF = 0.7071067690849304  # √½ as TensorFlow rounds it in its gelu, for float64 too

Function = Callable[[Tensor], Tensor]


def _gelu(z: Tensor) -> Tensor:
    return z * _normal_distribution(z)


def _gelu_derivative(z: Tensor) -> Tensor:
    u = z * ROOT_HALF
    return _normal_distribution(z) + u * ops.exp(-u * u) * (1.0 / sqrt(pi))


def _normal_distribution(z: Tensor) -> Tensor:
    return 0.5 * (1.0 + ops.erf(z * ROOT_HALF))


def _elu(z: Tensor) -> Tensor:
    return ops.where(z > 0, z, ops.expm1(ops.minimum(z, 0.0)))


def _elu_derivative(z: Tensor) -> Tensor:
    return ops.where(z > 0, 1.0, ops.exp(ops.minimum(z, 0.0)))


def _selu(z: Tensor) -> Tensor:
    return SELU_SCALE * ops.where(z > 0, z, SELU_ALPHA * ops.expm1(ops.minimum(z, 0.0)))


def _selu_derivative(z: Tensor) -> Tensor:
    return SELU_SCALE * ops.where(z > 0, 1.0, SELU_ALPHA * ops.exp(ops.minimum(z, 0.0)))


def _sigmoid_derivative(z: Tensor) -> Tensor:
    s = ops.sigmoid(z)
    return s * (1.0 - s)


def _tanh_derivative(z: Tensor) -> Tensor:
    t = ops.tanh(z)
    return 1.0 - t * t


# relu comes first: it is what a slot gets whose own function is not the one asked about
_FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "relu": (ops.relu, lambda z: ops.where(z > 0, ops.ones_like(z), 0.0)),
    "tanh": (ops.tanh, _tanh_derivative),
    "sigmoid": (ops.sigmoid, _sigmoid_derivative),
    "gelu": (_gelu, _gelu_derivative),
    "selu": (_selu, _selu_derivative),
    "elu": (_elu, _elu_derivative),
}


def activate(z: Tensor, chosen: Mapping[str, Tensor]) -> Tensor:
    """φ(z), with the slot's own φ.

    Args:
        z: Preactivations, shape (S, B, n).
        chosen: For every activation that the program knows, which slots use it: bool, shape (S, 1, 1).
    """
    return _of_own_kind([(_FUNCTIONS[kind][0](z), mine) for kind, mine in chosen.items()])


def through_activation(upstream: Tensor, z: Tensor, chosen: Mapping[str, Tensor]) -> Tensor:
    """∂L/∂z from ∂L/∂φ(z), with the slot's own φ. All shapes (S, B, n); `chosen` as for `activate`."""
    if set(chosen) == {"relu"}:  # a select, not a product: half as many passes over the array
        return ops.where(z > 0, upstream, 0.0)
    return upstream * _of_own_kind([(_FUNCTIONS[kind][1](z), mine) for kind, mine in chosen.items()])


def _of_own_kind(values: list[tuple[Tensor, Tensor]]) -> Tensor:
    result, _ = values[0]
    for value, mine in values[1:]:
        result = ops.where(mine, value, result)
    return result
