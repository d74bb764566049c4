"""Euclidean norms that neither overflow nor vanish, at the price of ones that do.

A square of a float32 overflows beyond 1.8e19 and vanishes below 1e-23. Scaling by the largest element first needs a
second pass over memory. Instead an array is scaled by its norm at the step before: norms change little from step to
step. Where that guess was bad – the scaled sum of squares is infinite, or tiny – it is revised and the sum taken
again. That is hardly ever needed, so it stands in a branch of its own: were the first sum in the same loop, XLA would
copy every slice that it reads out of the loop, which costs more than the sum.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras import ops

from worker.training.fused.backend import either, repeat_until
from worker.training.fused.layout import Tensor
from worker.training.fused.sums import PlainSums, Sums

SMALLEST, LARGEST = 1e-30, 1e30  # norms by which an array is scaled
REVISION = 1e15  # by how much a bad guess is changed: well within the range of squares, so that none is skipped
TINY = 1e-20  # the least sum of scaled squares from which nothing was lost


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
    squares = _squares(quantities, guess, sums)
    at_first = ops.sqrt(squares) * guess
    is_good = ops.equal(_revised(guess, squares), guess)
    # Selected, not replaced: the branch is another piece of program, and may round the norms of a neighbor otherwise.
    return either(
        ops.all(is_good),
        lambda: at_first,
        lambda: ops.where(is_good, at_first, _norms_by_trial(quantities, guess)),
    )


def _norms_by_trial(quantities: Sequence[Quantity], guess: Tensor) -> Tensor:
    """The norms, however bad the guess: it is revised until it is good. Rare, so of the sums that compile fastest."""

    def attempt(guess: Tensor, _norms: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        squares = _squares(quantities, guess, PlainSums())
        better = _revised(guess, squares)
        return ops.all(ops.equal(better, guess)), better, ops.sqrt(squares) * guess

    _, result = repeat_until(attempt, (guess, guess))
    return result


def _revised(guess: Tensor, squares: Tensor) -> Tensor:
    """A better guess where the scaled squares overflowed or vanished; where they did not, the same."""
    better = ops.where(squares < TINY, ops.maximum(guess / REVISION, SMALLEST), guess)
    return ops.where(ops.isinf(squares), ops.minimum(guess * REVISION, LARGEST), better)


def total_norm(norms_of_parts: Tensor) -> Tensor:
    """The norm of the whole from the norms of its parts, (S, K) → (S,), scaled by the largest."""
    largest = ops.max(norms_of_parts, axis=1, keepdims=True)
    scale = ops.where(largest > 0, largest, 1.0)
    return ops.sqrt(ops.sum(ops.square(norms_of_parts / scale), axis=1)) * scale[:, 0]


def _squares(quantities: Sequence[Quantity], guess: Tensor, sums: Sums) -> Tensor:
    """Sums of squares of the quantities divided by their guessed norms: (S, K)."""
    terms, scale = [], 1.0 / guess
    for i, (arrays, term) in enumerate(quantities):

        def square(*slices: Tensor, term=term, factor=scale[:, i : i + 1]) -> Tensor:  # type: ignore[no-untyped-def]
            scaled = term(*slices) * factor
            return scaled * scaled

        terms.append((arrays, square))
    return sums.of_terms(terms)
