"""Keras' optimizers for every setting; what they do step by step is in test_trial.py."""

import gc

import keras
import pytest

from worker.training.hyperparameters import Hyperparameters
from worker.training.optimizers import keras_optimizer
from worker.training.trial import ReferenceTrial


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"optimizer": "sgd"}, "SGD", {"momentum": 0.0, "nesterov": False, "weight_decay": None}),
        (
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
            "SGD",
            {"momentum": 0.9, "nesterov": True, "global_clipnorm": None},
        ),
        ({"optimizer": "adam", "weight_decay": 0.1}, "Adam", {"weight_decay": 0.1}),
        ({"optimizer": "adamw"}, "AdamW", {"weight_decay": 0.0}),
        ({"optimizer": "rmsprop", "clip_norm": 2.0}, "RMSprop", {"global_clipnorm": 2.0, "momentum": 0.0}),
        ({"optimizer": "adagrad"}, "Adagrad", {"initial_accumulator_value": 0.1, "epsilon": 1e-7}),
    ],
)
def test_settings_reach_keras(settings, kind, expected):
    optimizer = keras_optimizer(Hyperparameters(**settings))
    assert type(optimizer) is getattr(keras.optimizers, kind)
    assert {name: getattr(optimizer, name) for name in expected} == expected


def n_graphs():
    gc.collect()
    return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())


def test_a_trial_that_is_gone_leaves_no_graph_behind(tiny_dataset):
    before = n_graphs()
    trial = ReferenceTrial(tiny_dataset, Hyperparameters(hidden_units=(3,), batch_size=8), 0, 0)
    trial.train_epoch(0, lambda: None)
    assert n_graphs() > before
    del trial
    assert n_graphs() == before
