"""Scripts as text: every parameter is in them, and no name gets out of its comment."""

import ast

import pytest

from service.domain.keras_script import ScriptFacts, keras_script
from service.domain.parameters import canonical
from service.wire.parameters import Parameters

FACTS = ScriptFacts(sweep="look", number=3, seed=7, dataset="digits")
BASE = {"optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "residual": True, "hidden_units": (8, 8)}
OTHER = {
    "learning_rate": 0.5,
    "schedule": "exponential",
    "warmup_epochs": 1.5,
    "optimizer": "adam",
    "momentum": 0.5,
    "nesterov": True,
    "normalization": "layer",
    "dropout": 0.25,
    "input_dropout": 0.125,
    "residual": False,
    "hidden_units": (8, 9),
    "activation": "gelu",
    "initializer": "orthogonal",
    "batch_size": 32,
    "epochs": 3,
    "weight_decay": 0.01,
    "clip_norm": 2.0,
    "label_smoothing": 0.1,
    "class_weight": "balanced",
}


def code(parameters, facts=FACTS):
    """A script without its comments."""
    return ast.dump(ast.parse(keras_script(canonical(parameters), facts)))


@pytest.mark.parametrize("name", Parameters.model_fields)
def test_every_parameter_changes_what_the_script_does(name):
    assert code(BASE | {name: OTHER[name]}) != code(BASE)


@pytest.mark.parametrize(
    "name", ['"""\nimport os', "\r\nimport os", "\u2028import os", "\x85x", "#'\\", "é 🎲", "\ud800"]
)
def test_a_name_stays_in_its_comment(name):
    facts = ScriptFacts(sweep=name, number=3, seed=7, dataset="digits")
    assert keras_script(canonical(BASE), facts).isascii()
    assert code(BASE, facts) == code(BASE)


@pytest.mark.parametrize("dataset", ["digits", "mnist-5k", "mnist", "fashion-mnist", "my-own_2"])
def test_every_data_set_has_a_source(dataset):
    text = keras_script(canonical(BASE), ScriptFacts(sweep="look", number=3, seed=7, dataset=dataset))
    functions = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert functions == ["source", "split", "quotas", "load", "flat", "build", "compile_model", "main"]


def test_the_seed_is_one_that_keras_takes():
    facts = ScriptFacts(sweep="look", number=3, seed=2**64 - 1, dataset="digits")
    assert "SEED = 4294967295\n" in keras_script(canonical(BASE), facts)


def test_what_is_not_used_is_not_there():
    text = keras_script(canonical({}), FACTS)
    assert [
        word
        for word in ("Rate", "Dropout", "Normalization(", "alpha", "class_weight=", "math", "clipnorm")
        if word in text
    ] == []
