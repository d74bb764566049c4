"""Pareto fronts: what nothing else beats in every respect.

References:
    Kung, Luccio, Preparata (1975), On finding the maxima of a set of vectors.
"""

from collections.abc import Sequence

import numpy as np

Losses = Sequence[float]
"""One number per metric, the less the better."""


def dominates(one: Losses, other: Losses) -> bool:
    """Whether one is nowhere worse than the other, and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def fronts(losses: Sequence[Losses], *, enough: int | None = None) -> list[list[int]]:
    """The indices front by front: the first is beaten by none, the second by the first alone, and so on.

    Args:
        losses: What each has, none of them nan; of two metrics a front costs one pass, of more each trial is compared
            with the members of the front, all at once.
        enough: Stop once so many indices were given; None for all.

    Returns:
        Within a front by the first loss, equal ones by index. Equal losses share a front.
    """
    rest = sorted(range(len(losses)), key=lambda index: (*losses[index], index))
    found: list[list[int]] = []
    given = 0
    while rest and (enough is None or given < enough):
        front, rest = _first_front(losses, rest)
        found.append(front)
        given += len(front)
    return found


def _first_front(losses: Sequence[Losses], ordered: Sequence[int]) -> tuple[list[int], list[int]]:
    """Split indices, in the order of their losses, into those that none beats and the others.

    Who comes later in that order never beats who came before.
    """
    if len(losses[ordered[0]]) > 2:
        return _first_front_of_many(np.array([losses[index] for index in ordered]), ordered)
    front: list[int] = []
    rest: list[int] = []
    for index in ordered:  # with two losses the last member of the front is the hardest to beat
        beaten = bool(front) and dominates(losses[front[-1]], losses[index])
        (rest if beaten else front).append(index)
    return front, rest


def _first_front_of_many(rows: np.ndarray, ordered: Sequence[int]) -> tuple[list[int], list[int]]:
    """The same for three losses and more; each member strikes out whom it beats, (n, metrics)."""
    is_open = np.ones(len(rows), bool)
    for at, row in enumerate(rows):
        if is_open[at]:
            later = rows[at + 1 :]
            is_open[at + 1 :] &= (later < row).any(axis=1) | (later == row).all(axis=1)
    front = [index for index, kept in zip(ordered, is_open, strict=True) if kept]
    rest = [index for index, kept in zip(ordered, is_open, strict=True) if not kept]
    return front, rest
