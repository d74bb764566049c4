"""G1: a trial's numbers are the same, bit by bit, whatever its slot, its neighbours and who was there before."""

import numpy as np
import pytest

WATCHED = {  # trials whose numbers must not change
    "plain": {},
    "batch": {"normalization": "batch", "dropout": 0.3, "input_dropout": 0.2, "optimizer": "rmsprop"},
    "residual": {"residual": True, "optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.01, "clip_norm": 0.5},
    "layer": {"normalization": "layer", "activation": "tanh", "weight_decay": 0.1, "optimizer": "adamw"},
}
OTHERS = {
    "healthy": {"normalization": "batch", "optimizer": "adagrad", "residual": True},
    "diverging": {"optimizer": "sgd", "learning_rate": 1e12, "clip_norm": 1e9},
    "other": {"activation": "tanh", "dropout": 0.5, "optimizer": "sgd", "learning_rate": 0.1},
}
FIRST_EPOCH = 2  # of the watched trials, so that a slot can have a history
N_EPOCHS = 2


@pytest.fixture(scope="module")
def make_mixed_bank(make_bank, short_dataset, all_kinds):
    """Makes banks that run the same program: another one would round differently."""
    return lambda **options: make_bank(short_dataset, kinds=all_kinds, **options)


def story(bank, numbers, spec, others=()):
    """Everything that a trial's next epochs in a bank say about it, beside others that are admitted before it."""
    rows = [bank.admit([*others, spec])[-1]]
    rows += [bank.train_epoch()[-1] for _ in range(N_EPOCHS)]
    parameters, averages = bank.weights(spec.key)
    return [numbers(row) for row in rows], parameters | averages, bank.test_metrics(spec.key)


def assert_same(one, other):
    assert repr(one[0]) == repr(other[0])  # nan reads like nan, and a float's repr is exact
    assert one[2] == other[2]
    for name, value in one[1].items():
        np.testing.assert_array_equal(value, other[1][name], err_msg=name)


@pytest.fixture(scope="module")
def alone(trial, make_mixed_bank, numbers):
    """Each watched trial in a bank of its own."""
    return {
        name: story(make_mixed_bank(start_epoch=FIRST_EPOCH), numbers, trial(name, **h)) for name, h in WATCHED.items()
    }


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize("others", [["healthy"], ["diverging"], ["diverging", "other", "healthy"]])
def test_slot_and_neighbours_change_nothing(name, others, alone, trial, make_mixed_bank, numbers):
    neighbours = [trial(key, seed=7, **OTHERS[key]) for key in others]
    bank = make_mixed_bank(start_epoch=FIRST_EPOCH)
    assert_same(story(bank, numbers, trial(name, **WATCHED[name]), neighbours), alone[name])


@pytest.mark.parametrize("name", WATCHED)
def test_a_refilled_slot_is_like_a_new_one(name, alone, trial, make_mixed_bank, numbers):
    bank = make_mixed_bank()
    bank.admit([trial(key, seed=7, **h) for key, h in OTHERS.items()])
    diverged = bank.train_epoch()[1]
    assert diverged.nonfinite > 0
    bank.evict("diverging")
    bank.train_epoch()
    assert_same(story(bank, numbers, trial(name, **WATCHED[name])), alone[name])


def test_an_empty_slot_stays_empty(trial, make_mixed_bank):
    bank = make_mixed_bank()
    bank.admit([trial("batch", **WATCHED["batch"]), trial("healthy", **OTHERS["healthy"])])
    bank.evict("batch")
    bank.train_epoch()
    state = bank.tiles[0].state._asdict()
    del state["norms"]  # those of gradients that nobody follows
    for name, values in state.items():
        np.testing.assert_array_equal(np.asarray(values)[[0, 2, 3]], 0.0, err_msg=name)
