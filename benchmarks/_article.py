"""The article's program: one network for MNIST, in Keras as it comes, trained and evaluated in a process of its own.

    python -m benchmarks._article FILE CHOICES EPOCHS

FILE holds the images; CHOICES is JSON with `normalization`, `dropout` and `input_dropout`.
"""

import json
import sys

import numpy as np


def main(path: str, choices: str, epochs: str) -> None:
    """Load, build, compile, fit with validation, evaluate, print."""
    import keras

    from benchmarks._baseline import BATCH_SIZE, keras_network
    from worker.datasets.splits import VALIDATION_SHARE
    from worker.training.hyperparameters import Hyperparameters

    with np.load(path) as arrays:
        x_train, x_test = (arrays[name].reshape(len(arrays[name]), -1) / 255.0 for name in ("x_train", "x_test"))
        y_train, y_test = arrays["y_train"], arrays["y_test"]
    h = Hyperparameters(hidden_units=(128, 64, 32), batch_size=BATCH_SIZE, **json.loads(choices))
    model = keras_network(x_train.shape[1], int(y_train.max()) + 1, h)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(
        x_train, y_train, batch_size=BATCH_SIZE, epochs=int(epochs), validation_split=float(VALIDATION_SHARE), verbose=0
    )
    print(model.evaluate(x_test, y_test, verbose=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
