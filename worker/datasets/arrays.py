"""What a data set is: arrays, how to scale them, and a hash that names them."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawArrays:
    """Arrays as their source gives them: unchecked, any shape and type; features and labels of each part."""

    training: tuple[NDArray[np.generic], NDArray[np.generic]]
    test: tuple[NDArray[np.generic], NDArray[np.generic]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """A data set ready for training. Two data sets are the same if their `sha256` are.

    `x_*`: shape (N, n_features), uint8 or float32, C-contiguous; a model sees `x * scale` in float32.
    `y_*`: shape (N,), int32, in [0, n_classes); every class occurs in the training and the validation part.
    """

    name: str
    sha256: str
    n_classes: int
    scale: float
    x_train: Features
    y_train: Labels
    x_val: Features
    y_val: Labels
    x_test: Features
    y_test: Labels

    @property
    def n_features(self) -> int:
        """Length of one flattened row."""
        return int(self.x_train.shape[1])


def hash_arrays(*arrays: NDArray[np.generic], scale: float) -> str:
    """SHA-256 over type, shape and bytes of each array in turn, and over the scale, as hexadecimal digits."""
    digest = hashlib.sha256(f"scale {scale!r}".encode())
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
