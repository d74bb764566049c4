"""G2: a trial in the bank equals one trained by Keras' own layers and optimizers."""

import numpy as np
import pytest

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.01},
    "nesterov": {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "learning_rate": 0.01},
    "adam": {"optimizer": "adam", "learning_rate": 0.003},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.002},
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.05},
}
NORMALIZATIONS = ["none", "batch", "layer"]
ACTIVATIONS = ["relu", "tanh", "sigmoid", "gelu", "selu", "elu"]
EXTRAS = {  # what else a trial may ask for, one after the other
    "plain": {},
    "dropout": {"dropout": 0.3},
    "input dropout": {"dropout": 0.5, "input_dropout": 0.2},
    "clipped": {"clip_norm": 0.3},
    "smoothed": {"label_smoothing": 0.1, "schedule": "cosine", "epochs": 2},
    "weighted": {"class_weight": "balanced", "schedule": "exponential", "warmup_epochs": 0.2, "epochs": 1},
    "decayed": {"weight_decay": 0.02, "clip_norm": 1.0, "initializer": "he_normal"},
}


def all_cases():
    """Every optimizer with every normalization; skips, activations and extras in turn, so that all pairs differ."""
    cases = {}
    for i, (name, optimizer) in enumerate(OPTIMIZERS.items()):
        for j, normalization in enumerate(NORMALIZATIONS):
            n = 3 * i + j
            extra = list(EXTRAS)[(i + 2 * j) % len(EXTRAS)]
            activation = ACTIVATIONS[(n + n // 6) % 6]
            cases[f"{name}-{normalization}-{activation}-{extra}"] = (
                {"normalization": normalization, "activation": activation, "residual": (i + j) % 2 == 1}
                | EXTRAS[extra]
                | optimizer
            )
    return cases


CASES = all_cases()


def trained_rows(bank, trial):
    """Rows of all cases after an epoch, by key."""
    bank.admit([trial(name, seed=i, **case) for i, (name, case) in enumerate(CASES.items())])
    return {row.key: row for row in bank.train_epoch()}


@pytest.fixture(scope="module")
def bank_in_double(trial, make_bank, dataset):
    """One wide tile."""
    bank = make_bank(dataset, n_slots=len(CASES), slots_per_tile=len(CASES), dtype="float64")
    return bank, trained_rows(bank, trial)


@pytest.fixture(scope="module")
def rows_in_single(trial, make_bank, short_dataset, all_kinds):
    """Tiles of four slots in two streams."""
    return trained_rows(make_bank(short_dataset, n_slots=len(CASES), n_streams=2, kinds=all_kinds), trial)


@pytest.mark.parametrize("name", CASES)
def test_hundred_steps_in_double_precision_equal_keras(name, bank_in_double, make_twin, dataset, trial):
    bank, rows = bank_in_double
    twin = make_twin(dataset, trial(name, seed=list(CASES).index(name), **CASES[name]), "float64")
    twin.train(100)
    parameters, averages = bank.weights(name)
    ours = parameters | averages
    for weight, theirs in twin.weights().items():
        np.testing.assert_allclose(ours[weight].reshape(theirs.shape), theirs, rtol=1e-9, atol=1e-10, err_msg=weight)
    assert rows[name].train_loss == pytest.approx(np.mean(twin.losses), rel=1e-9)
    assert rows[name].loss_max == pytest.approx(np.max(twin.losses), rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_thirty_steps_in_single_precision_follow_keras(name, rows_in_single, make_twin, short_dataset, trial):
    """Later, one ReLU at a tie may part the curves of any two correct programs."""
    twin = make_twin(short_dataset, trial(name, seed=list(CASES).index(name), **CASES[name]), "float32")
    twin.train(30)
    row = rows_in_single[name]
    assert row.train_loss == pytest.approx(np.mean(twin.losses), rel=1e-5)
    assert row.loss_max == pytest.approx(np.max(twin.losses), rel=1e-5)
