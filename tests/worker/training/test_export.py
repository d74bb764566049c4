"""A saved model is plain Keras, and is what the reference trainer trained."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from worker.datasets import load_dataset
from worker.training.contract import TrialSpec
from worker.training.export import build_keras_model, train_to_keras
from worker.training.hyperparameters import Hyperparameters
from worker.training.initialization import initial_weights
from worker.training.model import Network

ARTICLE = Hyperparameters(
    hidden_units=(16, 12),
    batch_size=64,
    epochs=3,
    normalization="batch",
    dropout=0.2,
    input_dropout=0.1,
    residual=True,
    activation="gelu",
    learning_rate=0.01,
)

LOAD_IN_PLAIN_KERAS = """
import json, sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
arrays = np.load(sys.argv[2])
result = {}
for part in ("val", "test"):
    labels, logits = arrays["y_" + part], np.asarray(model(arrays["x_" + part]))
    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    result[part] = [float(np.mean(losses)), float(np.mean(logits.argmax(1) == labels))]
print(json.dumps(result | {"ours": sorted({name.split(".")[0] for name in sys.modules} & {"worker", "gradsweep"})}))
"""


def test_a_fresh_process_loads_it_without_us_and_reaches_the_same_metrics(tmp_path):
    digits = load_dataset("digits", tmp_path)
    path = tmp_path / "models" / "best.keras"
    trained = train_to_keras(digits, TrialSpec(key="a", seed=4, hyperparameters=ARTICLE), 7, 2, path)
    arrays = {name: getattr(digits, name) for name in ("x_val", "y_val", "x_test", "y_test")}
    np.savez(tmp_path / "raw.npz", **arrays)
    command = [sys.executable, "-c", LOAD_IN_PLAIN_KERAS, str(path), str(tmp_path / "raw.npz")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    plain = json.loads(result.stdout.splitlines()[-1])
    assert plain["ours"] == []
    # float32 sums in another order: losses to 1e-5, while a class changes only at a tie.
    assert plain["val"] == pytest.approx([trained.last_epoch.val_loss, trained.last_epoch.val_accuracy], rel=1e-5)
    assert plain["test"] == pytest.approx([trained.test.test_loss, trained.test.test_accuracy], rel=1e-5)
    assert trained.last_epoch.epoch == 3
    assert trained.last_epoch.val_accuracy > 0.8


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("hidden_units", [(6,), (6, 6, 4)])
def test_the_model_has_the_parameters_of_the_network_and_no_more(normalization, residual, hidden_units):
    hyperparameters = Hyperparameters(
        hidden_units=hidden_units, normalization=normalization, residual=residual, dropout=0.5
    )
    network = Network(hyperparameters, initial_weights(0, hyperparameters, 9, 3))
    model = build_keras_model(hyperparameters, 9, 3)
    ours = sorted(tuple(variable.shape) for variable in network.trainable_variables)
    assert sorted(tuple(variable.shape) for variable in model.trainable_variables) == ours


def test_dropout_stands_before_every_dense_layer_at_its_rate():
    model = build_keras_model(Hyperparameters(hidden_units=(6, 5), dropout=0.5, input_dropout=0.2), 9, 3)
    layers = [layer.name for layer in model.layers]
    assert layers == ["raw", "scaling", "dropout_1", "dense_1", "dropout_2", "dense_2", "dropout_3", "logits"]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.2, 0.5, 0.5]


def test_another_ending_is_refused_before_any_training(tiny_dataset, tmp_path):
    spec = TrialSpec(key="a", seed=0, hyperparameters=ARTICLE)
    with pytest.raises(ValueError, match=r"does not end in \.keras.*Name it model\.keras"):
        train_to_keras(tiny_dataset, spec, 0, 0, tmp_path / "model.h5")
