"""How values are put into words."""

from typing import Any

import pytest

from gradsweep.cli.wording import duration, number, parameter, searched_names
from service.wire.parameters import Parameters

PARAMETERS = Parameters(
    learning_rate=0.001,
    schedule="constant",
    warmup_epochs=0.0,
    optimizer="adam",
    momentum=None,
    nesterov=None,
    normalization="none",
    dropout=0.0,
    input_dropout=0.0,
    residual=False,
    hidden_units=(32, 16),
    activation="relu",
    initializer="glorot_uniform",
    batch_size=64,
    epochs=3,
    weight_decay=0.0,
    clip_norm=None,
    label_smoothing=0.0,
    class_weight="none",
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "?"),
        (0.0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (3599.9, "1 h 0 min"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(None, ""), (0.98765, "0.9877"), (1e-5, "1e-05"), (0.0, "0")])
def test_numbers(value: float | None, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (True, "true"), (0.00123456, "0.001235"), ((32, 16), "32-16"), ("adam", "adam"), (64, "64")],
)
def test_parameters(value: Any, words: str) -> None:
    assert parameter(value) == words


def test_only_parameters_that_differ_are_searched() -> None:
    other = PARAMETERS.model_copy(update={"learning_rate": 0.1, "residual": True})
    assert searched_names([PARAMETERS, other]) == ["learning_rate", "residual"]


def test_equal_assignments_search_nothing() -> None:
    assert searched_names([PARAMETERS, PARAMETERS]) == []
