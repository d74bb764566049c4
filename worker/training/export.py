"""A trial's configuration, trained again and saved as a file that plain Keras loads: no code of ours inside.

The model takes raw rows, as the data set's file holds them: its first layer scales them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from worker.datasets.arrays import Dataset
from worker.training.contract import EpochRow, TestMetrics, TrialSpec
from worker.training.draws import layer_dropout
from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import layer_shapes, needs_projection, residual_scale
from worker.training.model import Network, NetworkLayer, make_normalization
from worker.training.reference import ReferenceBank


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What the saved weights reach: the row of the last epoch, and the metrics on the test split."""

    last_epoch: EpochRow
    test: TestMetrics


def train_to_keras(dataset: Dataset, spec: TrialSpec, stream_seed: int, start_epoch: int, path: Path) -> Trained:
    """Train a configuration again, alone and by the reference trainer, and save the model.

    Args:
        dataset: What it was trained on.
        spec: Its seed and hyperparameters.
        stream_seed: The stream of the bank that trained it.
        start_epoch: The bank's epoch at which it began; with the stream, its minibatches and dropout masks.
        path: Where to save, ending in `.keras`.

    Raises:
        TrialError: The configuration cannot be trained on this data set.
        ValueError: The path does not end in `.keras`.
    """
    if path.suffix != ".keras":
        raise ValueError(f"{path} does not end in .keras, by which Keras knows its format. Name it {path.stem}.keras.")
    hyperparameters = spec.hyperparameters
    bank = ReferenceBank(
        dataset, hyperparameters.hidden_units, hyperparameters.batch_size, stream_seed, start_epoch=start_epoch
    )
    (row,) = bank.admit([spec])
    for _ in range(hyperparameters.epochs):
        (row,) = bank.train_epoch()
    model = build_keras_model(hyperparameters, dataset.n_features, dataset.n_classes, scale=dataset.scale)
    copy_weights(bank.trial(spec.key).network, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return Trained(last_epoch=row, test=bank.test_metrics(spec.key))


def build_keras_model(
    hyperparameters: Hyperparameters, n_features: int, n_classes: int, *, scale: float = 1.0
) -> keras.Model:
    """The network of `model.Network` as a functional Keras model out of standard layers, with Keras' initial weights.

    Args:
        hyperparameters: The configuration.
        n_features: Length of a flattened row.
        n_classes: Number of logits.
        scale: What raw values are multiplied by.

    Returns:
        A model from raw rows, shape (B, n_features), to logits, shape (B, n_classes).
    """
    shapes = layer_shapes(n_features, hyperparameters.hidden_units, n_classes)
    alpha = residual_scale(len(hyperparameters.hidden_units))
    inputs = keras.Input((n_features,), name="raw")
    h = keras.layers.Rescaling(scale, name="scaling")(inputs)
    for layer, (n_in, n_out) in enumerate(shapes, start=1):
        is_last = layer == len(shapes)
        n = h
        if hyperparameters.normalization != "none":
            n = make_normalization(hyperparameters, name=f"normalization_{layer}")(n)
        rate = layer_dropout(hyperparameters, layer)
        if rate > 0:
            n = keras.layers.Dropout(rate, name=f"dropout_{layer}")(n)
        dense = keras.layers.Dense(
            n_out,
            activation=None if is_last else hyperparameters.activation,
            kernel_initializer=hyperparameters.initializer,
            name="logits" if is_last else f"dense_{layer}",
        )
        a = dense(n)
        if hyperparameters.residual and 1 < layer < len(shapes):
            skip = h
            if needs_projection(layer, (n_in, n_out), len(shapes)):
                skip = keras.layers.Dense(
                    n_out, use_bias=False, kernel_initializer=hyperparameters.initializer, name=f"projection_{layer}"
                )(h)
            scaled = keras.layers.Rescaling(alpha, name=f"residual_scale_{layer}")(a)
            a = keras.layers.Add(name=f"residual_{layer}")([skip, scaled])
        h = a
    return keras.Model(inputs, h)


def copy_weights(network: Network, model: keras.Model) -> None:
    """Give a model of `build_keras_model` the weights and moving statistics of a trained network."""
    for number, layer in enumerate(network.layers, start=1):
        for name, source in named_layers(layer, number, is_last=layer is network.layers[-1]).items():
            model.get_layer(name).set_weights(source.get_weights())


def named_layers(layer: NetworkLayer, number: int, *, is_last: bool) -> dict[str, Any]:
    """The Keras layers that hold a layer's weights, by the names that `build_keras_model` gives them."""
    named = {
        "logits" if is_last else f"dense_{number}": layer.dense,
        f"normalization_{number}": layer.normalization,
        f"projection_{number}": layer.projection,
    }
    return {name: source for name, source in named.items() if source is not None}
