"""The learning rate: shape of each schedule, warm-up, resumption, and Keras' own cosine."""

import keras
import numpy as np
import pytest

from worker.training.hyperparameters import Hyperparameters
from worker.training.schedules import learning_rates


def rates(**changes):
    return learning_rates(Hyperparameters(learning_rate=0.1, epochs=10, **changes), 20, 0, 200)


def test_constant():
    assert rates() == pytest.approx(0.1)


def test_warmup_rises_from_its_first_step_to_the_full_rate():
    values = rates(warmup_epochs=2.0)
    assert values[0] == pytest.approx(0.1 / 40)
    assert np.diff(values[:40]) == pytest.approx(0.1 / 40, rel=1e-5)
    assert values[39:] == pytest.approx(0.1)


def test_cosine_is_keras_cosine_decay():
    theirs = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=200)
    assert rates(schedule="cosine") == pytest.approx([float(theirs(t)) for t in range(200)], rel=1e-4, abs=1e-8)


def test_cosine_after_warmup_begins_at_the_full_rate():
    values = rates(schedule="cosine", warmup_epochs=5.0)
    assert values.argmax() in (99, 100)
    assert values[150] == pytest.approx(0.05)


def test_exponential_ends_at_a_hundredth():
    values = rates(schedule="exponential")
    assert values[100] == pytest.approx(0.01)
    assert values[1:] / values[:-1] == pytest.approx(0.01 ** (1 / 200), rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_a_warmup_as_long_as_training_only_rises(schedule):
    assert (np.diff(rates(schedule=schedule, warmup_epochs=10.0)) > 0).all()


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_an_epoch_alone_equals_its_part_of_the_whole(schedule):
    hyperparameters = Hyperparameters(schedule=schedule, warmup_epochs=1.5)
    whole = learning_rates(hyperparameters, 20, 0, 200)
    assert np.array_equal(learning_rates(hyperparameters, 20, 60, 20), whole[60:80])


def test_zero_steps_per_rate_never_divides_by_zero():
    assert np.isfinite(learning_rates(Hyperparameters(epochs=1, warmup_epochs=3.0, schedule="cosine"), 1, 0, 3)).all()
