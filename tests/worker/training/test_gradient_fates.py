"""Networks whose fate is known, trained for three epochs on real images: what the service makes of their rows."""

from pathlib import Path

import pytest

from benchmarks.verdicts import summary, train
from worker.datasets import load_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """1,797 images of digits."""
    return load_dataset("digits", Path(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize(
    ("changes", "verdict", "prune"),
    [
        ({}, "stable", None),
        ({"hidden_units": (64,) * 6, "normalization": "batch", "residual": True}, "stable", None),
        ({"hidden_units": (64,) * 8, "activation": "sigmoid"}, "vanishing", "collapsed at 3"),
        ({"learning_rate": 3.0}, "exploding", "blowup at 1"),
        ({"optimizer": "sgd", "learning_rate": 100.0, "activation": "elu"}, "nonfinite", "nonfinite at 1"),
    ],
)
def test_the_fate_is_told_from_the_rows(digits, monkeypatch, changes, verdict, prune):
    monkeypatch.setattr("benchmarks.verdicts.EPOCHS", 3)
    told = summary(train(digits, changes, seed=0), changes, (0.1,) * 10)
    assert (told["verdict"], told["prune"]) == (verdict, prune)
    assert (told["stability"] > 0.5) is (verdict == "stable")
