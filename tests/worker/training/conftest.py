"""A small data set on which a step can be followed by hand."""

import keras
import numpy as np
import pytest

from worker.datasets.arrays import RawArrays
from worker.datasets.loading import build_dataset


@pytest.fixture(scope="session")
def tiny_dataset():
    """36 rows of 5 features in 3 unequal classes: 26 to train on, the rest to judge. Two features are mostly 0."""
    generator = np.random.default_rng(20)
    y = np.repeat([0, 1, 2], [16, 12, 8])
    x = generator.normal(size=(36, 5)) + y[:, None]
    x[:, 3:] *= generator.uniform(size=(36, 2)) < 0.15
    return build_dataset("tiny", RawArrays(training=(x, y)))


@pytest.fixture
def float64_keras():
    """Weights, gradients and inputs in float64; Keras still rounds some constants to float32 (`as_keras_rounds`)."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")
