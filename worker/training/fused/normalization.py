"""Batch and layer normalization of every slot, forward and backward, with the formulas of Keras' layers.

x̂ = (x - mean)·rstd with rstd = 1/√(variance + ε), over the rows of the batch (batch) or the features of a row
(layer); the output is γ·x̂ + β. A slot that does not normalize has x̂ = x, γ = 1, β = 0, whatever is stored.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from keras import ops

from worker.training.fused.layout import Tensor
from worker.training.fused.sums import Sums

EPSILON = 1e-3  # Keras' default for both layers
MOMENTUM = 0.99  # Keras' default: a moving average keeps this share at each step

BATCH, LAYER, NONE = "batch", "layer", "none"


class Normalized(NamedTuple):
    """What the backward pass needs to know of a normalization.

    Attributes:
        x_hat: The normalized input, (S, B, n), or (1, B, n) where all slots share it.
        gamma, beta: Scale and offset in use, (S, 1, n).
        rstd_batch: 1/√(variance + ε) of the batch, (S, 1, n); None if no trial uses it.
        rstd_layer: The same of each row, (S, B, 1).
        mean, variance: Of the batch, (S, 1, n), for the moving averages.
    """

    x_hat: Tensor
    gamma: Tensor
    beta: Tensor
    rstd_batch: Tensor | None
    rstd_layer: Tensor | None
    mean: Tensor | None
    variance: Tensor | None


class Normalization:
    """The normalizations that a program knows, and which slot uses which.

    Args:
        chosen: For every kind that occurs, none included, which slots use it: bool, (S, 1, 1).
        sums: How to sum.
        use_moving: Which slots take moving averages in place of the batch's statistics, (S, 1, 1); None: no slot.
    """

    def __init__(self, chosen: Mapping[str, Tensor], sums: Sums, use_moving: Tensor | None = None) -> None:
        self._chosen = chosen
        self._sums = sums
        self._use_moving = use_moving

    def forward(
        self, x: Tensor, gamma: Tensor, beta: Tensor, moving: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Normalized]:
        """γ·x̂ + β, and what the way back needs.

        Args:
            x: (S, B, n), or (1, B, n) where all slots share it.
            gamma, beta: (S, 1, n).
            moving: Moving mean and variance, each (S, 1, n); needed if some slots use them.
        """
        x_hat, rstd_batch, rstd_layer, mean, variance = x, None, None, None, None
        if BATCH in self._chosen:
            mean, variance = moments(x, self._sums.over_rows, x.shape[1])
            used_mean, used_variance = mean, variance
            if self._use_moving is not None and moving is not None:
                used_mean = ops.where(self._use_moving, moving[0], mean)
                used_variance = ops.where(self._use_moving, moving[1], variance)
            rstd_batch = ops.rsqrt(used_variance + EPSILON)
            x_hat = self._mine(BATCH, (x - used_mean) * rstd_batch, x_hat)
        if LAYER in self._chosen:
            center, spread = moments(x, self._sums.over_features, x.shape[2])
            rstd_layer = ops.rsqrt(spread + EPSILON)
            x_hat = self._mine(LAYER, (x - center) * rstd_layer, x_hat)
        if NONE in self._chosen:
            gamma = ops.where(self._chosen[NONE], ops.ones_like(gamma), gamma)
            beta = ops.where(self._chosen[NONE], ops.zeros_like(beta), beta)
        return x_hat * gamma + beta, Normalized(x_hat, gamma, beta, rstd_batch, rstd_layer, mean, variance)

    def backward(
        self, upstream: Tensor, n: Normalized, *, input_too: bool = True
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """∂L/∂x (S, B, n), unless not wanted, and ∂L/∂γ, ∂L/∂β (S, 1, n), from upstream = ∂L/∂(γ·x̂ + β).

        References:
            Ioffe and Szegedy (2015), Batch normalization, section 3, simplified: with δ = γ·upstream,
            ∂L/∂x = rstd·(δ - mean(δ) - x̂·mean(δ·x̂)), the means over what was normalized over.
            A moving average does not depend on x: there ∂L/∂x = rstd·δ.
        """
        d_gamma, d_beta = self._sums.over_rows(upstream * n.x_hat), self._sums.over_rows(upstream)
        d_x = self._input_gradient(upstream, n, d_gamma, d_beta) if input_too else None
        return d_x, self.trained(d_gamma), self.trained(d_beta)

    def trained(self, gradient: Tensor) -> Tensor:
        """A gradient of γ or β, but zero where a slot does not normalize."""
        if NONE not in self._chosen:
            return gradient
        return ops.where(self._chosen[NONE], ops.zeros_like(gradient), gradient)

    def _input_gradient(self, upstream: Tensor, n: Normalized, d_gamma: Tensor, d_beta: Tensor) -> Tensor:
        result = delta = upstream * n.gamma
        if LAYER in self._chosen:
            features = delta.shape[2]
            mean = self._sums.over_features(delta) * (1.0 / features)
            projection = self._sums.over_features(delta * n.x_hat) * (1.0 / features)
            result = self._mine(LAYER, n.rstd_layer * (delta - mean - n.x_hat * projection), result)
        if BATCH in self._chosen:
            rows = upstream.shape[1]  # γ is the same in every row: the means are those of the parameters' gradients
            factor = n.rstd_batch * n.gamma
            batch = factor * (upstream - d_beta * (1.0 / rows) - n.x_hat * (d_gamma * (1.0 / rows)))
            if self._use_moving is not None:
                batch = ops.where(self._use_moving, factor * upstream, batch)
            result = self._mine(BATCH, batch, result)
        return result

    def _mine(self, kind: str, value: Tensor, otherwise: Tensor) -> Tensor:
        """`value` for slots of this kind; no select where every slot is of it."""
        return value if set(self._chosen) == {kind} else ops.where(self._chosen[kind], value, otherwise)


def moments(x: Tensor, total: Callable[[Tensor], Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Mean and variance in two passes, as one pass would cancel."""
    mean = total(x) * (1.0 / length)
    centered = x - mean
    return mean, total(centered * centered) * (1.0 / length)


def moved(average: Tensor, value: Tensor, moves: Tensor) -> Tensor:
    """A moving average after one more value, all (S, M); slots where `moves`, (S, 1), is false keep theirs."""
    return ops.where(moves, average * MOMENTUM + value * (1.0 - MOMENTUM), average)
