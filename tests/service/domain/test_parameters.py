"""Canonical parameters: what trains alike is equal, and equal is hashed alike."""

from typing import Any

import pytest

from service.domain.parameters import canonical, config_hash, effective_names, signature


def test_what_is_left_out_is_neutral() -> None:
    parameters = canonical({})
    assert parameters.model_dump() == {
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "optimizer": "adam",
        "momentum": None,
        "nesterov": None,
        "normalization": "none",
        "dropout": 0.0,
        "input_dropout": 0.0,
        "residual": False,
        "hidden_units": (128, 64, 32),
        "activation": "relu",
        "initializer": "glorot_uniform",
        "batch_size": 64,
        "epochs": 10,
        "weight_decay": 0.0,
        "clip_norm": None,
        "label_smoothing": 0.0,
        "class_weight": "none",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, {"optimizer": "adam"}),
        ({"optimizer": "adam", "nesterov": True}, {"optimizer": "adam"}),
        ({"optimizer": "sgd", "nesterov": True}, {"optimizer": "sgd", "momentum": 0.0}),
        ({"optimizer": "momentum"}, {"optimizer": "sgd", "momentum": 0.9}),
        ({"optimizer": "nesterov"}, {"optimizer": "sgd", "momentum": 0.9, "nesterov": True}),
        ({"optimizer": "adamw"}, {"optimizer": "adamw", "weight_decay": 0.004}),
        ({"optimizer": "adam"}, {"optimizer": "adam", "weight_decay": 0}),
        ({"hidden_units": [64], "residual": True}, {"hidden_units": (64,)}),
        ({"depth": 3, "width": 16}, {"hidden_units": [16, 16, 16]}),
        ({"dropout": -0.0}, {"dropout": 0}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
    ],
)
def test_what_trains_alike_is_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical(one) == canonical(other)
    assert config_hash(canonical(one)) == config_hash(canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "sgd"}),
        ({"optimizer": "momentum"}, {"optimizer": "nesterov"}),
        ({"optimizer": "adamw"}, {"optimizer": "adam", "weight_decay": 0.004}),
        ({"hidden_units": [64, 64], "residual": True}, {"hidden_units": [64, 64]}),
        ({"clip_norm": 1.0}, {}),
        ({"epochs": 11}, {}),
    ],
)
def test_what_trains_differently_is_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert config_hash(canonical(one)) != config_hash(canonical(other))


def test_a_fingerprint_never_changes() -> None:
    """It is stored: another value for the same trial would train it twice."""
    assert config_hash(canonical({})) == "8b0da692893c88b8925762f7ced352eed43275635530109508296f458ac5c8c7"


def test_the_signature_knows_shapes_and_measured_steps_only() -> None:
    plain = signature("mnist", canonical({}))
    assert plain == signature("mnist", canonical({"learning_rate": 0.1, "optimizer": "sgd", "epochs": 3}))
    others = [
        signature("digits", canonical({})),
        signature("mnist", canonical({"hidden_units": [128, 64]})),
        signature("mnist", canonical({"batch_size": 32})),
        signature("mnist", canonical({}), statistics_every=4),
    ]
    assert len({plain, *others}) == 5
    assert {len(each) for each in others} == {64}


@pytest.mark.parametrize(
    ("values", "idle"),
    [
        ({"optimizer": "adam"}, {"momentum", "nesterov"}),
        ({"optimizer": "sgd"}, {"nesterov"}),
        ({"optimizer": "sgd", "momentum": 0.5}, set()),
        ({"optimizer": "nesterov", "hidden_units": [8]}, {"residual"}),
    ],
)
def test_what_has_no_effect_is_known(values: dict[str, Any], idle: set[str]) -> None:
    effective = effective_names(canonical(values))
    assert {"momentum", "nesterov", "residual", "dropout"} - effective == idle
