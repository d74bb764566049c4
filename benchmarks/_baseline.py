"""What the engine is compared with: the same network in plain Keras, trained by `model.fit` tuned to its best.

`fit` here trains without validation, statistics or callbacks; it gets all cores and the best of several settings.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from worker.datasets import Dataset, load_dataset
from worker.datasets.arrays import RawArrays
from worker.datasets.loading import build_dataset
from worker.training.hyperparameters import Hyperparameters

N_ROWS = 60_000
BATCH_SIZE = 64
ARTICLE: dict[str, Any] = {"normalization": "batch", "dropout": 0.5, "input_dropout": 0.5}
FIT_SETTINGS = [(1, False), (32, False), (32, True), (256, True)]  # steps_per_execution, jit_compile


def images(path: Path | None, *, repeat: bool = True) -> Dataset:
    """Real images to train on.

    Args:
        path: A file in the layout of Keras' mnist.npz; without one, the 5,000 images that come with a library.
        repeat: Without a file, repeat the training rows up to 60,000, so that an epoch is as long as MNIST's.
    """
    if path is not None:
        return build_dataset("mnist", mnist_arrays(path))
    dataset = load_dataset("mnist-5k", Path("gradsweep-data"))
    if not repeat:
        return dataset
    times = -(-N_ROWS // len(dataset.y_train))
    return Dataset(
        name="mnist-5k, repeated",
        sha256=dataset.sha256,
        n_classes=dataset.n_classes,
        scale=dataset.scale,
        x_train=np.tile(dataset.x_train, (times, 1))[:N_ROWS],
        y_train=np.tile(dataset.y_train, times)[:N_ROWS],
        x_val=dataset.x_val,
        y_val=dataset.y_val,
        x_test=dataset.x_test,
        y_test=dataset.y_test,
    )


def mnist_arrays(path: Path) -> RawArrays:
    """The arrays of a file in the layout of Keras' mnist.npz."""
    with np.load(path) as arrays:
        parts = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    return RawArrays(training=parts[0], test=parts[1])


def keras_network(n_features: int, n_classes: int, h: Hyperparameters) -> Any:
    """The network as anyone would write it: a `keras.Sequential` of normalization, dropout and dense layers."""
    import keras

    layers: list[Any] = [keras.Input((n_features,))]
    for k, width in enumerate([*h.hidden_units, n_classes]):
        rate = h.dropout if k else h.input_dropout
        layers += [keras.layers.BatchNormalization()] if h.normalization == "batch" else []
        layers += [keras.layers.Dropout(rate)] if rate else []
        layers += [keras.layers.Dense(width, activation="relu" if k < len(h.hidden_units) else None)]
    return keras.Sequential(layers)


def fit_epoch(dataset: Dataset, h: Hyperparameters, steps_per_execution: int, jit_compile: bool) -> Callable[[], float]:
    """Trains one trial for an epoch with Adam and returns the seconds."""
    import keras

    model = keras_network(dataset.n_features, dataset.n_classes, h)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    x = dataset.x_train.astype("float32") * np.float32(dataset.scale)

    def epoch() -> float:
        began = time.perf_counter()
        model.fit(x, dataset.y_train, batch_size=h.batch_size, epochs=1, verbose=0)
        return time.perf_counter() - began

    return epoch


def tuned_fit(dataset: Dataset, h: Hyperparameters) -> tuple[Callable[[], float], dict[str, Any]]:
    """The fastest of the settings of `model.fit`, each tried warm, and what they are."""
    candidates = {setting: fit_epoch(dataset, h, *setting) for setting in FIT_SETTINGS}
    trials = {setting: (epoch(), min(epoch(), epoch()))[1] for setting, epoch in candidates.items()}
    best = min(trials, key=trials.__getitem__)
    return candidates[best], {"steps_per_execution": best[0], "jit_compile": best[1]}


def ratios(numerators: list[float], denominators: list[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": round(median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}
