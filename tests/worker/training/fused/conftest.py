"""A small data set, banks on it, and a twin of a trial built from Keras' own layers and optimizers."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from worker.datasets import Dataset
from worker.training.contract import EpochRow, TrialSpec
from worker.training.draws import dropout_mask, epoch_key
from worker.training.fused.bank import FusedBank
from worker.training.fused.kinds import Kinds
from worker.training.fused.program import Programs
from worker.training.fused.streams import configure_threads
from worker.training.hyperparameters import Activation, Hyperparameters, Normalization
from worker.training.initialization import initial_weights
from worker.training.loss import class_weights
from worker.training.schedules import learning_rates
from worker.training.stream import epoch_batches

HIDDEN_UNITS = (16, 16, 8)  # one skip is the identity, one a projection
BATCH_SIZE = 16
N_STEPS = 100
STREAM_SEED = 5


def pytest_configure() -> None:
    """Two threads for TensorFlow, set before anything is computed."""
    configure_threads(2)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Three uneven classes of noisy points in 12 dimensions, one of which is always zero; 100 batches of 16."""
    random = np.random.default_rng(1)
    centers = random.normal(size=(3, 12))
    parts: dict[str, Any] = {}
    for split, n_rows in (("train", N_STEPS * BATCH_SIZE), ("val", 90), ("test", 70)):
        y = random.choice(3, n_rows, p=[0.5, 0.3, 0.2]).astype(np.int32)
        x = (centers[y] + random.normal(size=(n_rows, 12))).astype(np.float32)
        x[:, 3] = 0
        parts |= {f"x_{split}": x, f"y_{split}": y}
    return Dataset(name="points", sha256="0" * 64, n_classes=3, scale=0.5, **parts)


@pytest.fixture(scope="session")
def short_dataset(dataset: Dataset) -> Dataset:
    """The same with 30 batches an epoch."""
    n_rows = 30 * BATCH_SIZE
    return replace(dataset, x_train=dataset.x_train[:n_rows], y_train=dataset.y_train[:n_rows])


def make_trial(key: str, seed: int | None = None, **hyperparameters: Any) -> TrialSpec:
    """A trial of the bank's signature; its seed is its key's length unless given."""
    values = {"hidden_units": HIDDEN_UNITS, "batch_size": BATCH_SIZE} | hyperparameters
    return TrialSpec(key=key, seed=len(key) if seed is None else seed, hyperparameters=Hyperparameters(**values))


@pytest.fixture(scope="session")
def trial() -> Callable[..., TrialSpec]:
    """Makes a trial: trial(key, seed=…, learning_rate=…)."""
    return make_trial


@pytest.fixture(scope="session")
def all_kinds() -> Kinds:
    """Everything that there is, so that most tests run the same program: compiling takes longer than training."""
    flags = {f.name: True for f in fields(Kinds)}
    choices = {
        "normalizations": frozenset(get_args(Normalization)),
        "activations": frozenset(get_args(Activation)),
    }
    return Kinds(**(flags | choices))


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Compiled programs, shared by all banks of all tests that have the same kinds."""
    return Programs()


@pytest.fixture(scope="session")
def make_bank(programs: Programs) -> Callable[..., FusedBank]:
    """Makes a bank on a data set, one tile of four slots unless told otherwise."""

    def make(dataset: Dataset, **options: Any) -> FusedBank:
        defaults = {"n_slots": 4, "n_streams": 1, "slots_per_tile": 4, "programs": programs}
        defaults |= {"hidden_units": HIDDEN_UNITS, "batch_size": BATCH_SIZE, "stream_seed": STREAM_SEED}
        return FusedBank(dataset, **(defaults | options))

    return make


@pytest.fixture(scope="session")
def numbers() -> Callable[[EpochRow], EpochRow]:
    """A row without its times, which differ between any two runs."""
    return lambda row: replace(row, wall_seconds=0.0, device_seconds=0.0)


def keras_optimizer(h: Hyperparameters) -> Any:
    """Keras' own optimizer for a trial."""
    options = {"weight_decay": h.weight_decay or None, "global_clipnorm": h.clip_norm}
    makers = {
        "sgd": lambda: keras.optimizers.SGD(1.0, momentum=h.momentum, nesterov=h.nesterov, **options),
        "adam": lambda: keras.optimizers.Adam(1.0, **options),
        "adamw": lambda: keras.optimizers.AdamW(1.0, **(options | {"weight_decay": h.weight_decay})),
        "rmsprop": lambda: keras.optimizers.RMSprop(1.0, **options),
        "adagrad": lambda: keras.optimizers.Adagrad(1.0, **options),
    }
    return makers[h.optimizer]()


class KerasTwin:
    """One trial in Keras' layers and optimizer, on the bank's batches and with its dropout masks.

    Only what the engine's definition adds to Keras is written here: the order of the layers, and the scaled skips.
    """

    def __init__(self, dataset: Dataset, spec: TrialSpec, dtype: str) -> None:
        h = self.hyperparameters = spec.hyperparameters
        self.dataset, self.dtype, self.losses = dataset, dtype, []
        weights = initial_weights(spec.seed, h, dataset.n_features, dataset.n_classes)
        self.layers = []
        for k, w in enumerate(weights, start=1):
            norms = {"batch": keras.layers.BatchNormalization, "layer": keras.layers.LayerNormalization}
            norm = norms.get(h.normalization, keras.layers.Identity)(dtype=dtype)
            is_output = k == len(weights)
            dense = keras.layers.Dense(len(w.bias), activation=None if is_output else h.activation, dtype=dtype)
            skip = keras.layers.Dense(len(w.bias), use_bias=False, dtype=dtype)
            skip = skip if w.projection is not None else keras.layers.Identity(dtype=dtype)
            for layer in (norm, dense, skip):
                layer.build((None, len(w.kernel)))
            dense.set_weights([w.kernel, w.bias])
            skip.set_weights([] if w.projection is None else [w.projection])
            self.layers.append((norm, dense, skip))
        self.variables = [v for group in self.layers for layer in group for v in layer.trainable_variables]
        self.optimizer = keras_optimizer(h)
        self.optimizer.build(self.variables)
        self._compiled_step = tf.function(self._step, autograph=False)

    def forward(self, x: Any, masks: list[Any], training: bool) -> Any:
        """Logits."""
        a = x
        blocks = len(self.layers) - 2
        for k, (norm, dense, skip) in enumerate(self.layers, start=1):
            n = norm(a, training=training) * masks[k - 1]
            is_residual = self.hyperparameters.residual and 1 < k < len(self.layers)
            a = skip(a) + blocks**-0.5 * dense(n) if is_residual else dense(n)
        return a

    def _step(self, x: Any, targets: Any, weights: Any, masks: list[Any], rate: Any) -> Any:
        loss_function = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=self.hyperparameters.label_smoothing, dtype=self.dtype
        )
        with tf.GradientTape() as tape:
            loss = loss_function(targets, self.forward(x, masks, training=True), sample_weight=weights)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        return loss

    def train(self, n_steps: int) -> None:
        """The first steps of bank epoch 0."""
        h, data = self.hyperparameters, self.dataset
        batches = epoch_batches(STREAM_SEED, 0, len(data.y_train), BATCH_SIZE)
        rates = learning_rates(h, len(batches), 0, len(batches))
        of_class = class_weights(data.y_train, data.n_classes, h.class_weight)
        for i, rows in enumerate(batches[:n_steps]):
            x = data.x_train[rows].astype(self.dtype) * np.float32(data.scale)
            targets = np.eye(data.n_classes)[data.y_train[rows]].astype(self.dtype)
            weights = of_class[data.y_train[rows]].astype(self.dtype)
            loss = self._compiled_step(x, targets, weights, self._masks(i), tf.constant(rates[i], "float32"))
            self.losses.append(float(loss))

    def _masks(self, i: int) -> list[Any]:
        h, key = self.hyperparameters, epoch_key(STREAM_SEED, 0)
        masks = []
        for k, (_, dense, _) in enumerate(self.layers, start=1):
            rate = h.input_dropout if k == 1 else h.dropout
            masks.append(dropout_mask(key, i, k, (BATCH_SIZE, dense.kernel.shape[0]), rate).astype(self.dtype))
        return masks

    def weights(self) -> dict[str, Any]:
        """All weights and moving averages by the engine's names."""
        named: dict[str, Any] = {}
        for k, (norm, dense, skip) in enumerate(self.layers, start=1):
            named |= {f"kernel{k}": dense.kernel, f"bias{k}": dense.bias}
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                named |= {f"{name.removeprefix('moving_')}{k}": v for v in norm.weights if v.name == name}
            named |= {f"projection{k}": v for v in skip.weights}
        return {name: np.asarray(v) for name, v in named.items()}


@pytest.fixture(scope="session")
def make_twin() -> Callable[..., KerasTwin]:
    """Makes a Keras twin: make_twin(dataset, spec, dtype)."""
    return KerasTwin
