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
from itertools import groupby
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

    def of_terms(self, terms: Sequence[tuple[Sequence[Tensor], Term]]) -> Tensor:
        """Sum of each term(*arrays) over all but the slot axis: K pairs, arrays (S, …) → (S, K).

        A term sees its arrays flat, (S, n), or slices of them.
        """


class PlainSums:
    """Ordinary reductions."""

    def over_rows(self, x: Tensor) -> Tensor:
        return ops.sum(x, axis=1, keepdims=True)

    def over_features(self, x: Tensor) -> Tensor:
        return ops.sum(x, axis=2, keepdims=True)

    def over_units(self, a: Tensor, b: Tensor) -> Tensor:
        return ops.sum(a * b, axis=1, keepdims=True)

    def of_terms(self, terms: Sequence[tuple[Sequence[Tensor], Term]]) -> Tensor:
        return ops.stack([ops.sum(term(*_flat(arrays)), axis=1) for arrays, term in terms], axis=1)


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

    def of_terms(self, terms: Sequence[tuple[Sequence[Tensor], Term]]) -> Tensor:
        """After one level each, equal layers are folded together: else a deep network takes minutes to compile."""
        once = [_fold_once(_flat(arrays), axis=1, leave=WIDEST, term=term) for arrays, term in terms]
        lanes = []
        for _, equals in groupby(once, key=lambda partial: partial.shape[1]):
            few = fold([ops.stack(list(equals), axis=1)], axis=2, leave=WIDEST)
            lanes.append(ops.pad(few, ((0, 0), (0, 0), (0, WIDEST - few.shape[2]))))
        return ops.sum(ops.concatenate(lanes, axis=1), axis=2)


def fold(arrays: Sequence[Tensor], *, axis: int, leave: int = 1, term: Term | None = None) -> Tensor:
    """Sum of term(*arrays) along an axis, down to at most `leave` partial sums, by adding slices.

    Args:
        arrays: Tensors of one shape.
        axis: The axis to shorten.
        leave: How many partial sums may remain along it.
        term: Applied to slices of the arrays; by default the only array is summed as it is.
    """
    total = _fold_once(arrays, axis=axis, leave=leave, term=term)
    return total if total.shape[axis] <= leave else fold([total], axis=axis, leave=leave)


def _fold_once(arrays: Sequence[Tensor], *, axis: int, leave: int, term: Term | None) -> Tensor:
    """One level of a fold: as many partial sums as a slice is wide, and those of the tail, if there is one."""
    length = arrays[0].shape[axis]
    if length <= leave:
        return term(*arrays) if term else arrays[0]
    n_slices = _n_slices(length, leave)
    width = length // n_slices
    slices = zip(*(_slices(a, axis, n_slices, width) for a in arrays), strict=True)
    total = _tree([term(*s) if term else s[0] for s in slices])
    if remainder := length - n_slices * width:
        tail = [_slice(a, axis, n_slices * width, remainder) for a in arrays]
        total = ops.concatenate([total, term(*tail) if term else tail[0]], axis=axis)
    return total


def _n_slices(length: int, leave: int) -> int:
    """The most slices that divide the length evenly; if none do, as many as may be, and a tail remains."""
    most = min(WIDEST, -(-length // leave))
    even = next((k for k in range(most, 1, -1) if length % k == 0), None)
    return even or min(most, length)


def _flat(arrays: Sequence[Tensor]) -> list[Tensor]:
    return [ops.reshape(a, (a.shape[0], -1)) for a in arrays]


def _slices(x: Tensor, axis: int, n: int, width: int) -> Sequence[Tensor]:
    """The first n slices of a width. A split is one operation, and traced in a fraction of the time of n slices."""
    even = x if x.shape[axis] == n * width else _slice(x, axis, 0, n * width)
    return ops.split(even, n, axis=axis)  # type: ignore[no-any-return]


def _slice(x: Tensor, axis: int, start: int, width: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(start, start + width),)]


def _tree(terms: list[Tensor]) -> Tensor:
    """Add up pairwise: rounding grows with the logarithm of the number of terms."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(terms) - len(terms) % 2 :]
    return terms[0]
