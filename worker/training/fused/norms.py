"""Euclidean norms that neither overflow nor vanish, at the price of ones that do.

A square of a float32 overflows beyond 1.8e19 and vanishes below 1e-23. Scaling by the largest element first needs a
second pass over memory. Instead an array is scaled by its norm at the step before: norms change little from step to
step. Where that guess was bad – the scaled sum of squares is not finite, or tiny – the largest element is sought
after all, in a branch that is hardly ever taken.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras import ops

from worker.training.fused.backend import either
from worker.training.fused.layout import Tensor
from worker.training.fused.sums import Sums

SMALLEST, LARGEST = 1e-30, 1e30  # norms by which an array is scaled; beyond them the largest element is sought
TINY = 1e-20  # a sum of scaled squares from which nothing was lost


class Quantity(NamedTuple):
    """term(*arrays), whose norm over all but the slot axis is wanted; the term is formed slice by slice."""

    arrays: Sequence[Tensor]
    term: Callable[..., Tensor] = lambda x: x


def norms(quantities: Sequence[Quantity], before: Tensor, sums: Sums) -> Tensor:
    """The norm of each quantity in each slot.

    Args:
        quantities: K of them.
        before: Their norms at the step before, or a guess, (S, K).
        sums: How to sum.

    Returns:
        Shape (S, K): finite exactly if all elements are, unless the norm itself is too large a number.
    """
    guess = ops.where(ops.isfinite(before), ops.clip(before, SMALLEST, LARGEST), 1.0)
    squares = _squares(quantities, 1.0 / guess, sums)
    is_lost = ops.isfinite(before) & ~(ops.isfinite(squares) & ((squares > TINY) | (before <= SMALLEST)))
    return either(
        ops.any(is_lost),
        lambda: ops.where(is_lost, _scaled_by_largest(quantities), ops.sqrt(squares) * guess),
        lambda: ops.sqrt(squares) * guess,
    )


def exact_norms(quantities: Sequence[Quantity]) -> Tensor:
    """The same without a guess, in two passes; for what runs once an epoch."""
    return _scaled_by_largest(quantities)


def total_norm(norms_of_parts: Tensor) -> Tensor:
    """The norm of the whole from the norms of its parts, (S, K) → (S,), scaled likewise."""
    largest = ops.max(norms_of_parts, axis=1, keepdims=True)
    scale = ops.where(largest > 0, largest, 1.0)
    return ops.sqrt(ops.sum(ops.square(norms_of_parts / scale), axis=1)) * scale[:, 0]


def _squares(quantities: Sequence[Quantity], scale: Tensor, sums: Sums) -> Tensor:
    """Sums of squares of the scaled quantities: (S, K)."""
    lanes = []
    for i, (arrays, term) in enumerate(quantities):

        def square(*slices: Tensor, term=term, factor=scale[:, i : i + 1]) -> Tensor:  # type: ignore[no-untyped-def]
            scaled = term(*slices) * factor
            return scaled * scaled

        lanes.append(sums.of_terms(arrays, square))
    return ops.sum(ops.stack(lanes, axis=1), axis=2)


def _scaled_by_largest(quantities: Sequence[Quantity]) -> Tensor:
    columns = []
    for arrays, term in quantities:
        values = ops.abs(term(*(ops.reshape(a, (a.shape[0], -1)) for a in arrays)))
        largest = ops.max(values, axis=1, keepdims=True)
        scale = ops.where(largest > 0, largest, 1.0)
        root = ops.sqrt(ops.sum(ops.square(values / scale), axis=1, keepdims=True))
        columns.append(root * largest)
    return ops.concatenate(columns, axis=1)
