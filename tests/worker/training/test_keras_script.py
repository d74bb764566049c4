"""The script of a trial against the network and the data that the workers train on."""

import json
import os
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

from service.domain.keras_script import ScriptFacts, keras_script
from service.domain.parameters import canonical
from worker.datasets import load_dataset
from worker.training.hyperparameters import Hyperparameters
from worker.training.schedules import learning_rates
from worker.training.trial import ReferenceTrial

SMALL = {"hidden_units": (16, 12, 12), "epochs": 1, "batch_size": 128}
EVERYTHING = SMALL | {
    "learning_rate": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 0.25,
    "optimizer": "nesterov",
    "normalization": "batch",
    "dropout": 0.2,
    "input_dropout": 0.1,
    "residual": True,
    "activation": "gelu",
    "initializer": "he_normal",
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "class_weight": "balanced",
}
OTHERS = [
    SMALL | {"optimizer": "adamw", "schedule": "exponential", "normalization": "layer", "activation": "selu"},
    SMALL | {"optimizer": "rmsprop", "warmup_epochs": 0.5, "dropout": 0.1, "initializer": "orthogonal"},
]
RUN_ALL = """
import json, runpy, sys
counts = []
for path in sys.argv[1:]:
    saved = sys.argv = [path, path.replace(".py", ".keras")]
    counts.append(runpy.run_path(path, run_name="script")["main"]().count_params())
print(json.dumps({"counts": counts, "ours": sorted({"service", "worker", "gradsweep"} & set(sys.modules))}))
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", tmp_path_factory.mktemp("data"))


def write(path, parameters):
    facts = ScriptFacts(sweep="look", number=3, seed=7, dataset="digits")
    path.write_text(keras_script(canonical(parameters), facts))
    return path


def trial(digits, parameters):
    """What a worker would train; the stream does not matter here."""
    return ReferenceTrial(digits, Hyperparameters(**canonical_values(parameters)), 5, 1)


def canonical_values(parameters):
    values = canonical(parameters).model_dump()
    return values | {"momentum": values["momentum"] or 0.0, "nesterov": bool(values["nesterov"])}


def test_scripts_run_alone_and_train_networks_of_our_size(tmp_path, digits):
    configurations = [EVERYTHING, *OTHERS]
    paths = [write(tmp_path / f"{at}.py", each) for at, each in enumerate(configurations)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": ""}
    command = [sys.executable, "-c", RUN_ALL, *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    result = json.loads(run.stdout.splitlines()[-1])
    ours = [trial(digits, each).network for each in configurations]
    trained = [sum(int(np.prod(variable.shape)) for variable in one.trainable_variables) for one in ours]
    moving = 2 * (64 + 16 + 12 + 12)  # what batch normalization remembers
    assert result == {"counts": [trained[0] + moving, *trained[1:]], "ours": []}
    assert run.stdout.count("test accuracy") == len(configurations)
    assert keras.models.load_model(tmp_path / "0.keras").count_params() == result["counts"][0]


def test_same_rows_same_loss_at_the_same_weights_same_rates(tmp_path, digits):
    script = runpy.run_path(str(write(tmp_path / "script.py", EVERYTHING)), run_name="script")
    (x, y), validation, test, scale = script["load"]()
    ours = (digits.x_train, digits.y_train, digits.x_val, digits.y_val, digits.x_test, digits.y_test)
    for theirs, expected in zip((x, y, *validation, *test), ours, strict=True):
        np.testing.assert_array_equal(theirs, expected)
    assert scale == digits.scale

    model = script["build"](x.shape[1], 10, scale)
    steps = len(y) // EVERYTHING["batch_size"]
    script["compile_model"](model, steps)
    reference = trial(digits, EVERYTHING)
    copy_weights(reference.network, model)
    rows, labels = x[:200], y[:200]
    expected = reference.evaluate(rows, labels)
    targets = keras.utils.to_categorical(labels, 10)
    found = model.evaluate(rows, targets, verbose=0, return_dict=True)
    assert found["plain_loss"] == pytest.approx(expected.loss, rel=1e-5)
    assert found["accuracy"] == pytest.approx(expected.accuracy, rel=1e-6)

    rate = model.optimizer._learning_rate
    rates = learning_rates(Hyperparameters(**canonical_values(EVERYTHING)), steps, 0, steps)
    np.testing.assert_allclose([float(rate(step)) for step in range(steps)], rates, rtol=1e-5)
    assert (model.optimizer.global_clipnorm, model.optimizer.weight_decay) == (1.0, 1e-4)


def copy_weights(network, model):
    """Give the script's model our weights: its layers stand in the order of ours, a projection before its sum."""
    kinds = keras.layers.Dense, keras.layers.BatchNormalization
    theirs = [layer for layer in model.layers if isinstance(layer, kinds)]
    sources = [
        each for layer in network.layers for each in (layer.normalization, layer.dense, layer.projection) if each
    ]
    for layer, source in zip(theirs, sources, strict=True):
        layer.set_weights(source.get_weights())
