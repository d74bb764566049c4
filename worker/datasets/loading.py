"""From a name to a data set. A file in the data folder comes before what is built in or downloaded."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from worker.datasets.arrays import Dataset, Features, Labels, RawArrays, hash_arrays
from worker.datasets.checks import check_classes, check_features, check_labels
from worker.datasets.downloads import DOWNLOADS, download_dataset
from worker.datasets.sources import BUILT_IN, LAYOUT_HINT, read_file
from worker.datasets.splits import SHARE_WITHOUT_TEST, VALIDATION_SHARE, stratified_parts
from worker.errors import DatasetInvalid, DatasetNotFound

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def load_dataset(name: str, data_dir: Path, *, make_client: Callable[[], httpx.Client] | None = None) -> Dataset:
    """Load, check and split the data set `name`.

    Args:
        name: `digits`, `mnist-5k`, `mnist`, `fashion-mnist`, or NAME for `data_dir/datasets/NAME.npz`.
        data_dir: The data folder; downloads are kept under its `datasets/`.
        make_client: Makes the HTTP client of a download.

    Raises:
        DatasetNotFound: There is no such data set and it cannot be fetched.
        DatasetInvalid: There is one, but it cannot be trained on.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise DatasetNotFound(
            f"{name!r} is not a name of a data set: 1 to 64 of the characters a-z 0-9 _ - , "
            "beginning with a letter or digit."
        )
    path = data_dir / "datasets" / f"{name}.npz"
    scale = None
    if path.is_file():
        raw = read_file(path)
    elif name in BUILT_IN:
        source, scale = BUILT_IN[name]
        raw = source()
    elif name in DOWNLOADS:
        download_dataset(name, path, make_client)
        raw = read_file(path)
    else:
        known = ", ".join(available_datasets(data_dir))
        raise DatasetNotFound(
            f"there is no data set {name!r}; known are {known}. To add it, put a file at {path}. {LAYOUT_HINT}"
        )
    return build_dataset(name, raw, scale)


def available_datasets(data_dir: Path) -> list[str]:
    """Names that `load_dataset` accepts, sorted: built in, to be downloaded, and files in the data folder."""
    files = {path.stem for path in (data_dir / "datasets").glob("*.npz")}
    return sorted(set(BUILT_IN) | set(DOWNLOADS) | {name for name in files if NAME_PATTERN.fullmatch(name)})


def build_dataset(name: str, raw: RawArrays, scale: float | None = None) -> Dataset:
    """Check arrays and split them (`splits` says how).

    Args:
        name: The data set's name, for messages and for the result.
        raw: The arrays as the source gave them.
        scale: What a model multiplies features by; None: 1/255 for bytes, 1 for other numbers.
    """
    x = check_features(raw.training[0], f"{name}: x")
    y = check_labels(raw.training[1], len(x), f"{name}: y")
    if raw.test is None:
        n_classes = check_classes(y, 3, f"{name}: y")
        validation, test, training = stratified_parts(y, [SHARE_WITHOUT_TEST, SHARE_WITHOUT_TEST])
        x_test, y_test = x[test], y[test]
    else:
        n_classes = check_classes(y, 2, f"{name}: y_train")
        validation, training = stratified_parts(y, [VALIDATION_SHARE])
        x_test, y_test = check_test_part(name, *raw.test, x, n_classes)
    if scale is None:
        scale = 1 / 255 if x.dtype.kind == "u" else 1.0
    parts = (x[training], y[training], x[validation], y[validation], x_test, y_test)
    return Dataset(
        name=name,
        sha256=hash_arrays(*parts, scale=scale),
        n_classes=n_classes,
        scale=scale,
        x_train=parts[0],
        y_train=parts[1],
        x_val=parts[2],
        y_val=parts[3],
        x_test=parts[4],
        y_test=parts[5],
    )


def check_test_part(
    name: str, raw_x: NDArray[np.generic], raw_y: NDArray[np.generic], x: Features, n_classes: int
) -> tuple[Features, Labels]:
    """The given test part, in the features, number type and classes of the training part `x`."""
    x_test = check_features(raw_x, f"{name}: x_test")
    y_test = check_labels(raw_y, len(x_test), f"{name}: y_test")
    if x_test.shape[1] != x.shape[1]:
        raise DatasetInvalid(
            f"{name}: x_test has {x_test.shape[1]} features a row, x_train {x.shape[1]}. Store equal shapes."
        )
    if x_test.dtype != x.dtype:
        raise DatasetInvalid(
            f"{name}: x_test is read as {x_test.dtype}, x_train as {x.dtype}, and bytes are scaled by 1/255. "
            "Store both with the same type."
        )
    if y_test.max() >= n_classes:
        raise DatasetInvalid(
            f"{name}: y_test holds the label {int(y_test.max())}, but the training labels end at "
            f"{n_classes - 1}. Store rows of that class in x_train too."
        )
    return x_test, y_test
