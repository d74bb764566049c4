"""Healthy networks are called stable and never pruned: five of them, five seeds each, on real images.

The fused bank trains the five seeds of a network at once; each trial is judged by its own rows, with every rule armed.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.verdicts import CASES, as_stored, summary
from worker.datasets import load_dataset
from worker.training.contract import TrialSpec
from worker.training.fused.bank import FusedBank
from worker.training.hyperparameters import Hyperparameters

pytestmark = pytest.mark.slow
EPOCHS = 4
SEEDS = range(5)
CONTROLS = [
    "healthy: 128-64-32, Adam",
    "healthy: 3 × 128, He, SGD 0.1",
    "healthy: 10 × 128, He, Adam",
    "healthy: 20 × 128, He, batch norm",
    "healthy: 10 × 128, residual, batch norm",
]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """5,000 images of MNIST."""
    return load_dataset("mnist-5k", Path(tmp_path_factory.mktemp("data")))


@pytest.mark.parametrize("control", CONTROLS)
def test_a_healthy_network_is_stable_and_not_pruned_whatever_its_seed(images, control):
    given = Hyperparameters(epochs=EPOCHS, **CASES[control])
    bank = FusedBank(images, given.hidden_units, given.batch_size, stream_seed=1, n_slots=len(SEEDS))
    rows = bank.admit([TrialSpec(key=str(seed), seed=seed, hyperparameters=given) for seed in SEEDS])
    for _ in range(EPOCHS):
        rows += bank.train_epoch()
    shares = (np.bincount(images.y_val) / len(images.y_val)).tolist()
    told = [summary(as_stored([row for row in rows if row.key == str(seed)]), CASES[control], shares) for seed in SEEDS]
    assert [each["verdict"] for each in told] == ["stable"] * len(SEEDS)
    assert [each["prune"] for each in told] == [None] * len(SEEDS)
    assert min(each["stability"] for each in told) > 0.5
