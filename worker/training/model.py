"""The network of one trial, out of plain Keras layers.

    each layer:    normalization → dropout → dense → activation       (the last: → logits)
    residual:      from the second hidden layer on, h ← skip(h) + α · layer(h)

`skip` is the identity, or a learned projection where the width changes; α = 1/√(number of residual blocks), without
which a deep residual stack without normalization explodes at the start.

Numbers are of the type that `keras.config.set_dtype_policy` says: float32, or float64 for comparisons without rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import LayerWeights, residual_scale

Tensor = Any  # TensorFlow publishes no types


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPass:
    """What the layers said, one entry for each layer, the output layer last. B rows.

    `inputs`: what the kernel is multiplied with, after normalization and dropout, (B, n_in); `pre_activations`: z,
    (B, n_out); `activations`: φ(z) before the residual connection, (B, n_out), for the output layer the logits.
    """

    inputs: list[Tensor]
    pre_activations: list[Tensor]
    activations: list[Tensor]

    @property
    def logits(self) -> Tensor:
        """Shape (B, n_classes)."""
        return self.activations[-1]


class NetworkLayer:
    """One layer's variables, set to given weights. The order of `variables` is the order of an optimizer's slots."""

    def __init__(self, hyperparameters: Hyperparameters, weights: LayerWeights) -> None:
        n_in, n_out = weights.kernel.shape
        self.dense = keras.layers.Dense(n_out)
        self.dense.build((None, n_in))
        self.dense.set_weights([weights.kernel, weights.bias])
        self.variables = [self.dense.kernel, self.dense.bias]
        self.normalization: Any = None
        if hyperparameters.normalization != "none":
            self.normalization = make_normalization(hyperparameters)
            self.normalization.build((None, n_in))
            self.normalization.gamma.assign(weights.gamma)
            self.normalization.beta.assign(weights.beta)
            self.variables += [self.normalization.gamma, self.normalization.beta]
        self.projection: Any = None
        if weights.projection is not None:
            self.projection = keras.layers.Dense(n_out, use_bias=False)
            self.projection.build((None, n_in))
            self.projection.set_weights([weights.projection])
            self.variables += [self.projection.kernel]


def make_normalization(hyperparameters: Hyperparameters, name: str | None = None) -> Any:
    """Keras' layer with Keras' defaults: ε = 1e-3, and momentum 0.99 for the moving statistics of batches."""
    if hyperparameters.normalization == "batch":
        return keras.layers.BatchNormalization(name=name)
    return keras.layers.LayerNormalization(name=name)


class Network:
    """A trial's network. Its variables change as it trains; nothing else does."""

    def __init__(self, hyperparameters: Hyperparameters, weights: Sequence[LayerWeights]) -> None:
        self.layers = [NetworkLayer(hyperparameters, layer) for layer in weights]
        self._is_residual = hyperparameters.residual
        self._has_moving_statistics = hyperparameters.normalization == "batch"
        self._residual_scale = residual_scale(len(hyperparameters.hidden_units))
        self._activation = keras.activations.get(hyperparameters.activation)

    @property
    def dtype(self) -> str:
        """The type of weights, activations and gradients."""
        return str(self.layers[0].dense.compute_dtype)

    @property
    def kernels(self) -> list[Any]:
        """The L kernels in forward order."""
        return [layer.dense.kernel for layer in self.layers]

    @property
    def trainable_variables(self) -> list[Any]:
        """Everything an optimizer changes."""
        return [variable for layer in self.layers for variable in layer.variables]

    def forward(self, x: Tensor, masks: Sequence[Tensor | None], *, batch_statistics: bool) -> ForwardPass:
        """Send a batch through.

        Args:
            x: Shape (B, n_features), scaled.
            masks: For each layer what its normalized input is multiplied by, shape (B, n_in), or None for no dropout.
            batch_statistics: Whether batch normalization takes the statistics of this batch, and remembers them, as
                in training; else its moving ones.
        """
        seen = ForwardPass(inputs=[], pre_activations=[], activations=[])
        h = x
        for layer, mask in zip(self.layers, masks, strict=True):
            n = self._normalize(layer, h, batch_statistics)
            n = n if mask is None else n * tf.cast(mask, n.dtype)
            z = layer.dense(n)
            is_first, is_last = layer is self.layers[0], layer is self.layers[-1]
            a = z if is_last else self._activation(z)
            seen.inputs.append(n)
            seen.pre_activations.append(z)
            seen.activations.append(a)
            if self._is_residual and not is_first and not is_last:
                skip = h if layer.projection is None else layer.projection(h)
                h = skip + self._residual_scale * a
            else:
                h = a
        return seen

    def _normalize(self, layer: NetworkLayer, h: Tensor, batch_statistics: bool) -> Tensor:
        if layer.normalization is None:
            return h
        if self._has_moving_statistics:
            return layer.normalization(h, training=batch_statistics)
        return layer.normalization(h)

    def forget_moving_statistics(self) -> None:
        """Set the moving statistics of batch normalization to their initial mean 0 and variance 1."""
        if self._has_moving_statistics:
            for layer in self.layers:
                layer.normalization.moving_mean.assign(tf.zeros_like(layer.normalization.moving_mean))
                layer.normalization.moving_variance.assign(tf.ones_like(layer.normalization.moving_variance))
