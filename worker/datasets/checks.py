"""Is it usable for training? Each refusal names the value that is wrong and what to do about it."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from worker.datasets.arrays import Features, Labels
from worker.errors import DatasetInvalid


def check_features(x: NDArray[np.generic], label: str) -> Features:
    """Rows of numbers, flattened: uint8 stays as it is, every other kind of number becomes float32.

    Args:
        x: Shape (N, …); images (N, H, W) or (N, H, W, C) are flattened row by row.
        label: What the array is called in messages.

    Returns:
        Shape (N, n_features), C-contiguous.
    """
    if x.ndim < 2:
        raise DatasetInvalid(
            f"{label} has shape {x.shape}; it must be (rows, features). Store a single feature with x.reshape(-1, 1)."
        )
    if x.size == 0:
        raise DatasetInvalid(f"{label} is empty (shape {x.shape}). Store at least a few rows of each class.")
    if x.dtype.kind not in "biuf":
        raise DatasetInvalid(f"{label} holds {x.dtype}, not numbers. Store it as uint8 or float32.")
    rows = x.reshape(len(x), -1)
    if x.dtype == np.uint8:
        return np.ascontiguousarray(cast("NDArray[np.uint8]", rows))
    with np.errstate(over="ignore"):  # what does not fit into float32 is inf, and refused as such below
        numbers = np.ascontiguousarray(rows, dtype=np.float32)
    refuse_nonfinite(numbers, label)
    return numbers


def refuse_nonfinite(numbers: NDArray[np.float32], label: str) -> None:
    """Raise DatasetInvalid at the first value that is nan, infinite or too large for float32."""
    bad = ~np.isfinite(numbers)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DatasetInvalid(
            f"{label} is not finite: row {row}, feature {column} is {numbers[row, column]} as float32 "
            f"({int(bad.sum())} such values). Drop or fill these rows."
        )


def check_labels(y: NDArray[np.generic], n_rows: int, label: str) -> Labels:
    """Integer labels from 0, one for each row.

    Returns:
        Shape (N,), int32.
    """
    if y.ndim != 1:
        hint = "y.ravel()" if y.size == n_rows else "y.argmax(axis=1) if it is one-hot"
        raise DatasetInvalid(f"{label} has shape {y.shape}; it must be (rows,). Store {hint}.")
    if len(y) != n_rows:
        raise DatasetInvalid(f"{label} has {len(y)} labels for {n_rows} rows. Store one label for each row.")
    if y.dtype.kind not in "iu":
        raise DatasetInvalid(
            f"{label} holds {y.dtype}; labels must be integers counted from 0. "
            'Store y.astype("int64") if they are whole numbers, or np.unique(y, return_inverse=True)[1].'
        )
    lowest, highest = int(y.min()), int(y.max())
    if lowest < 0:
        raise DatasetInvalid(
            f"{label} holds the label {lowest}; labels count from 0. Store np.unique(y, return_inverse=True)[1]."
        )
    if highest > np.iinfo(np.int32).max:
        raise DatasetInvalid(
            f"{label} holds the label {highest}, too large for a class. Store np.unique(y, return_inverse=True)[1]."
        )
    return y.astype(np.int32)


def check_classes(y: Labels, minimum_rows: int, label: str) -> int:
    """Every class from 0 to the highest has rows enough to be split. Returns the number of classes."""
    n_classes = int(y.max()) + 1
    if n_classes < 2:
        raise DatasetInvalid(f"{label} holds a single class, 0. There is nothing to learn: store two.")
    present, counts = np.unique(y, return_counts=True)
    if len(present) < n_classes:
        missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise DatasetInvalid(
            f"{label} has labels up to {n_classes - 1} but no row of class {missing}. "
            "Store np.unique(y, return_inverse=True)[1], which leaves no gap."
        )
    rarest = int(counts.argmin())
    if counts[rarest] < minimum_rows:
        raise DatasetInvalid(
            f"{label} has {int(counts[rarest])} row(s) of class {rarest}; "
            f"a split needs at least {minimum_rows} of each. Add rows or drop the class."
        )
    return n_classes
