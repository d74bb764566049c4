"""Sums that are fast where they run.

On a CPU, XLA compiles a reduction to scalar code: 35 µs for the squares of a 784×128 kernel, where memory would
allow 7. `FoldedSums` adds slices of the array element by element instead, which XLA vectorizes: a *fold*. Three
rules keep the compiler from undoing it:
- a fold of at most 16 slices a level, so that a kernel stays small;
- terms are formed per slice (square the slice, do not slice the square), so that nothing is stored in between;
- a fold that is used again is divided by a 1.0 known only at run time: XLA never duplicates a division, and would
  otherwise recompute the fold in every consumer.
`PlainSums` is the same in ordinary reductions, for GPUs and for programs that run once an epoch.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from keras import ops

from worker.training.fused.layout import Tensor

WIDEST = 16  # slices added in one level of a fold
Term = Callable[..., Tensor]


class Sums(Protocol):
    """The sums that the engine takes."""

    def over_rows(self, x: Tensor) -> Tensor:
        """Sum over the rows of the batch: (S, B, n) → (S, 1, n)."""

    def over_features(self, x: Tensor) -> Tensor:
        """Sum over the features: (S, B, n) → (S, B, 1)."""

    def over_units(self, a: Tensor, b: Tensor) -> Tensor:
        """Sum of a·b over the units: two (S, n_out, n_in) → (S, 1, n_in)."""

    def of_terms(self, arrays: Sequence[Tensor], term: Term) -> Tensor:
        """Partial sums of term(*arrays) over all but the slot axis: (S, …)… → (S, 16), to be added up later.

        The term sees the arrays flat, (S, n), or slices of them.
        """


class PlainSums:
    """Ordinary reductions."""

    def over_rows(self, x: Tensor) -> Tensor:
        return ops.sum(x, axis=1, keepdims=True)

    def over_features(self, x: Tensor) -> Tensor:
        return ops.sum(x, axis=2, keepdims=True)

    def over_units(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.sum(a * b, axis=1, keepdims=True)

    def of_terms(self, arrays: Sequence[Tensor], term: Term) -> Tensor:
        total = ops.sum(term(*_flat(arrays)), axis=1, keepdims=True)
        return ops.pad(total, ((0, 0), (0, WIDEST - 1)))


class FoldedSums:
    """Sums by folding. `one` is a scalar tensor that holds 1.0 and that the compiler cannot see through."""

    def __init__(self, one: Tensor) -> None:
        self._one = one

    def over_rows(self, x: Tensor) -> Tensor:
        return fold([x], axis=1) / self._one

    def over_features(self, x: Tensor) -> Tensor:
        lanes = fold([x], axis=2, leave=WIDEST) / self._one if x.shape[2] >= 2 * WIDEST else x
        return ops.sum(lanes, axis=2, keepdims=True)

    def over_units(self, a: Tensor, b: Tensor) -> Tensor:
        return fold([a, b], axis=1, term=ops.multiply) / self._one

    def of_terms(self, arrays: Sequence[Tensor], term: Term) -> Tensor:
        lanes = fold(_flat(arrays), axis=1, leave=WIDEST, term=term)
        return ops.pad(lanes, ((0, 0), (0, WIDEST - lanes.shape[1])))


def fold(arrays: Sequence[Tensor], *, axis: int, leave: int = 1, term: Term | None = None) -> Tensor:
    """Sum of term(*arrays) along an axis, down to at most `leave` partial sums, by adding slices.

    Args:
        arrays: Tensors of one shape.
        axis: The axis to shorten.
        leave: How many partial sums may remain along it.
        term: Applied to slices of the arrays; by default the only array is summed as it is.
    """
    length = arrays[0].shape[axis]
    if length <= leave:
        return term(*arrays) if term else arrays[0]
    n_slices = _n_slices(length, leave)
    width = length // n_slices
    slices = [[_slice(a, axis, i * width, width) for a in arrays] for i in range(n_slices)]
    total = _tree([term(*s) if term else s[0] for s in slices])
    if remainder := length - n_slices * width:
        tail = [_slice(a, axis, n_slices * width, remainder) for a in arrays]
        total = ops.concatenate([total, term(*tail) if term else tail[0]], axis=axis)
    return fold([total], axis=axis, leave=leave)


def _n_slices(length: int, leave: int) -> int:
    """The most slices that divide the length evenly; if none do, as many as may be, and a tail remains."""
    most = min(WIDEST, -(-length // leave))
    even = next((k for k in range(most, 1, -1) if length % k == 0), None)
    return even or min(most, length)


def _flat(arrays: Sequence[Tensor]) -> list[Tensor]:
    return [ops.reshape(a, (a.shape[0], -1)) for a in arrays]


def _slice(x: Tensor, axis: int, start: int, width: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(start, start + width),)]


def _tree(terms: list[Tensor]) -> Tensor:
    """Add up pairwise: rounding grows with the logarithm of the number of terms."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(terms) - len(terms) % 2 :]
    return terms[0]
