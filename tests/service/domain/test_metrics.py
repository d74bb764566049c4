"""The closed lists of metrics: whole, and turned so that less is better."""

import math

import pytest

from service.domain.metrics import (
    GRADIENT_METRICS,
    IDEALS,
    METRIC_WORDS,
    METRICS,
    STABILITY_PARTS,
    STORED_METRICS,
    STORED_WORDS,
    TEST_METRICS,
    is_share,
    loss_of,
)
from service.domain.stability.score import WEIGHTS


def test_every_stored_metric_has_words():
    assert set(STORED_METRICS) == {*METRIC_WORDS, *STORED_WORDS}
    assert set(METRICS) == set(METRIC_WORDS)


def test_parts_and_ideals_are_known_names():
    assert set(STABILITY_PARTS) == set(WEIGHTS)
    assert set(IDEALS) <= set(GRADIENT_METRICS)
    assert not set(TEST_METRICS) & set(STORED_METRICS)


@pytest.mark.parametrize(
    ("name", "value", "loss"),
    [
        ("val_accuracy", 0.9, -0.9),
        ("global_norm_max", 7.0, 7.0),
        ("grad_rms", 1e-3, -1e-3),
        ("depth_slope", -0.3, 0.3),
        ("depth_range", 2.0, 2.0),
        ("flow_ratio", 0.01, 2.0),
        ("flow_ratio", 100.0, 2.0),
        ("flow_ratio", 0.0, math.inf),
    ],
)
def test_less_is_better(name, value, loss):
    assert loss_of(name, value) == pytest.approx(loss)


@pytest.mark.parametrize(
    ("name", "is_one"), [("stability_units", True), ("dead_fraction", True), ("val_loss", False), ("gsr", False)]
)
def test_shares(name, is_one):
    assert is_share(name) is is_one
