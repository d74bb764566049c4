"""The fixed split. It depends on the labels alone, so every sweep on a data set is judged on the same rows.

| the source has | training | validation | test |
|---|---|---|---|
| a test part | 5/6 of the training part | 1/6 of the training part | as given |
| none | 70 % | 15 % | 15 % |

Each part is stratified: it holds every class in the share that the class has of the whole, to one row. MNIST
becomes 50,000 / 10,000 / 10,000, its 5,000 images without a test part 3,500 / 750 / 750.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from worker.datasets.arrays import Labels

VALIDATION_SHARE = Fraction(1, 6)
SHARE_WITHOUT_TEST = Fraction(15, 100)  # of all rows, for validation and for test
# A change of this key changes every split, and with it every result: it stays.
SPLIT_KEY = 20260101

Rows = NDArray[np.int64]


def stratified_parts(y: Labels, shares: list[Fraction]) -> list[Rows]:
    """Split rows into disjoint parts by class.

    Args:
        y: Shape (N,), labels from 0 without gaps; each class has more rows than there are shares.
        shares: The share of all rows that each part but the last takes; the last part is what remains.

    Returns:
        Row numbers of each part, ascending; one part more than there are shares.
    """
    generator = np.random.Generator(np.random.Philox(key=SPLIT_KEY))
    counts = np.bincount(y)
    taken = [class_quotas(counts, share) for share in shares]
    parts: list[list[Rows]] = [[] for _ in range(len(shares) + 1)]
    for label in range(len(counts)):
        rows = generator.permutation(np.flatnonzero(y == label))
        ends = np.cumsum([quotas[label] for quotas in taken])
        for part, piece in zip(parts, np.split(rows, ends), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def class_quotas(counts: NDArray[np.int64], share: Fraction) -> NDArray[np.int64]:
    """How many rows of each class make up `share` of all, by largest remainder; at least one of each.

    So the total is exact (10,000 of MNIST's 60,000, not 9,998) unless a class is too small for its share.
    """
    exact = [int(count) * share for count in counts]
    quotas = np.array([max(1, int(e)) for e in exact], dtype=np.int64)
    missing = round(int(counts.sum()) * share) - int(quotas.sum())
    large_enough = [label for label in range(len(counts)) if exact[label] >= 1]
    by_remainder = sorted(large_enough, key=lambda label: (int(exact[label]) - exact[label], label))
    for label in by_remainder[: max(0, missing)]:
        quotas[label] += 1
    return quotas
