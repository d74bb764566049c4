"""Initial weights of one trial from its seed: NumPy alone, so that both trainers begin with the same bits.

Each kernel has a random stream of its own, keyed by (seed, which kernel). So trials of one seed that differ in
normalization, dropout or residual connections begin with the same kernels, and comparisons lose noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from worker.training.hyperparameters import Hyperparameters, Initializer

Array = NDArray[np.float32]

# Standard deviation of a standard normal cut off at two standard deviations; Keras divides by it.
TRUNCATED_STANDARD_DEVIATION = 0.87962566103423978
MASS_BELOW_MINUS_TWO = 0.022750131948179195  # of a standard normal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerWeights:
    """Weights of layer l: normalization, then dropout, then kernel and bias. All float32.

    `kernel`: (n_in, n_out); `bias`: (n_out,), zeros; `gamma`, `beta`: (n_in,), ones and zeros, used if there is
    a normalization; `projection`: (n_in, n_out) of a residual connection whose widths differ, else None.
    """

    kernel: Array
    bias: Array
    gamma: Array
    beta: Array
    projection: Array | None


def layer_shapes(n_features: int, hidden_units: Sequence[int], n_classes: int) -> list[tuple[int, int]]:
    """(n_in, n_out) of every kernel, in forward order; the last is the output layer."""
    widths = [n_features, *hidden_units, n_classes]
    return list(pairwise(widths))


def residual_scale(n_hidden: int) -> float:
    """α = 1/√(number of residual blocks), which keeps the variance of a deep residual stack near that of its input.

    Every hidden layer but the first is a block.
    """
    return 1.0 / math.sqrt(max(1, n_hidden - 1))


def needs_projection(layer: int, shape: tuple[int, int], n_layers: int) -> bool:
    """Whether a residual connection around layer `layer` (from 1) must change the width; the output layer has none."""
    return 1 < layer < n_layers and shape[0] != shape[1]


def initial_weights(seed: int, hyperparameters: Hyperparameters, n_features: int, n_classes: int) -> list[LayerWeights]:
    """Weights of a trial before its first update, one entry for each layer, the output layer last.

    Args:
        seed: The trial's seed, in [0, 2⁶⁴).
        hyperparameters: Its `hidden_units`, `initializer` and `residual` matter here.
        n_features: Width of the input.
        n_classes: Width of the output.
    """
    shapes = layer_shapes(n_features, hyperparameters.hidden_units, n_classes)
    weights = []
    for layer, (n_in, n_out) in enumerate(shapes, start=1):
        projection = None
        if hyperparameters.residual and needs_projection(layer, (n_in, n_out), len(shapes)):
            projection = draw_kernel(seed, 2 * layer + 1, hyperparameters.initializer, n_in, n_out)
        weights.append(
            LayerWeights(
                kernel=draw_kernel(seed, 2 * layer, hyperparameters.initializer, n_in, n_out),
                bias=np.zeros(n_out, np.float32),
                gamma=np.ones(n_in, np.float32),
                beta=np.zeros(n_in, np.float32),
                projection=projection,
            )
        )
    return weights


def draw_kernel(seed: int, stream: int, initializer: Initializer, n_in: int, n_out: int) -> Array:
    """One kernel by Keras' definition of the initializer.

    Args:
        seed: The trial's seed.
        stream: Which of the trial's random streams to draw from.
        initializer: `glorot_uniform`: uniform within ±√(6/(n_in + n_out)) (Glorot, Bengio 2010). `he_normal`,
            `lecun_normal`: normal cut off at two deviations, of variance 2/n_in (He et al. 2015) and 1/n_in.
            `orthogonal`: Q of a Gaussian matrix, signs so that Q is uniform (Saxe et al. 2014).
        n_in: Width of the layer's input.
        n_out: Width of its output.

    Returns:
        Shape (n_in, n_out), float32.
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, stream], dtype=np.uint64)))
    if initializer == "glorot_uniform":
        limit = math.sqrt(6.0 / (n_in + n_out))
        kernel = generator.uniform(-limit, limit, (n_in, n_out))
    elif initializer == "orthogonal":
        kernel = draw_orthogonal(generator, n_in, n_out)
    else:
        variance = (2.0 if initializer == "he_normal" else 1.0) / n_in
        uniform = generator.uniform(MASS_BELOW_MINUS_TWO, 1 - MASS_BELOW_MINUS_TWO, (n_in, n_out))
        kernel = ndtri(uniform) * (math.sqrt(variance) / TRUNCATED_STANDARD_DEVIATION)
    return kernel.astype(np.float32)


def draw_orthogonal(generator: np.random.Generator, n_in: int, n_out: int) -> NDArray[np.float64]:
    """Orthonormal columns, or rows where there are fewer of those; shape (n_in, n_out)."""
    gaussian = generator.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))
    return q if n_in >= n_out else q.T
