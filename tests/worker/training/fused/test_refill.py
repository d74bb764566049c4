"""G3 and G5: trials of all kinds come and go, and neither a compilation nor memory stays behind."""

import gc
from pathlib import Path
from resource import getpagesize

import numpy as np
import pytest
import tensorflow as tf

from worker.errors import OutOfDeviceMemory, TrialError
from worker.training.fused.program import Programs

CHOICES = {
    "optimizer": ["sgd", "adam", "adamw", "rmsprop", "adagrad"],
    "normalization": ["none", "batch", "layer"],
    "activation": ["relu", "tanh", "sigmoid", "gelu", "selu", "elu"],
    "initializer": ["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"],
    "schedule": ["constant", "cosine", "exponential"],
    "class_weight": ["none", "balanced"],
    "residual": [False, True],
    "dropout": [0.0, 0.3],
    "input_dropout": [0.0, 0.2],
    "weight_decay": [0.0, 0.01],
    "clip_norm": [None, 1.0],
    "label_smoothing": [0.0, 0.1],
    "learning_rate": [1e-3, 1e-2, 1e3],
}


def run_mixed_trials(bank, trial, n_trials, seed):
    """A sweep in which every trial ends after one or two epochs and the next takes its slot; returns epochs trained."""
    random = np.random.default_rng(seed)
    waiting = [
        trial(f"{seed}/{i}", seed=i, **{name: random.choice(values) for name, values in CHOICES.items()})
        for i in range(n_trials)
    ]
    n_rows = 0
    while waiting or bank.free_slots < bank.n_slots:
        n_free = bank.free_slots
        bank.admit(waiting[:n_free])
        waiting = waiting[n_free:]
        rows = bank.train_epoch()
        n_rows += len(rows)
        for row in rows:
            _ = bank.evict(row.key) if row.epoch > random.integers(2) else None
    return n_rows


def resident_bytes():
    """Memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


@pytest.fixture(scope="module")
def warm_bank(make_bank, short_dataset, all_kinds, trial):
    """Two tiles in two streams, after a first round of trials."""
    bank = make_bank(short_dataset, n_slots=8, n_streams=2, kinds=all_kinds)
    run_mixed_trials(bank, trial, 40, seed=1)
    return bank


def test_two_hundred_mixed_trials_compile_nothing(warm_bank, trial):
    before = warm_bank.compilations
    assert run_mixed_trials(warm_bank, trial, 200, seed=2) > 200
    assert warm_bank.compilations == before > 0


def test_a_hundred_trials_leave_no_memory_behind(warm_bank, trial):
    before = resident_bytes()
    run_mixed_trials(warm_bank, trial, 100, seed=3)
    assert resident_bytes() - before < 5e6


def test_a_new_kind_costs_one_compilation_and_changes_no_trial(make_bank, short_dataset, trial):
    """Of each of the three functions of a program; `alone` stays in the program that `growing` leaves."""
    options = {"hidden_units": (8,), "n_slots": 2, "slots_per_tile": 2, "fold": False, "dtype": "float64"}
    programs = Programs()
    alone, growing = (make_bank(short_dataset, programs=programs, **options) for _ in range(2))
    first = trial("first", hidden_units=(8,))
    for bank in (alone, growing):
        bank.admit([first])
        bank.train_epoch()
    assert programs.n_compilations == 3
    growing.admit([trial("second", hidden_units=(8,), normalization="batch")])
    for bank in (alone, growing):
        bank.train_epoch()
    assert programs.n_compilations == 6
    ours, theirs = growing.weights("first")[0], alone.weights("first")[0]
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_steps_are_counted_per_trial(warm_bank, trial):
    before = warm_bank.steps_done()
    warm_bank.admit([trial("one"), trial("two!")])
    warm_bank.train_epoch()
    assert warm_bank.steps_done() - before == 2 * 30
    warm_bank.evict("one")
    warm_bank.evict("two!")
    warm_bank.evict("two!")
    assert warm_bank.free_slots == 8


def test_the_streams_share_the_trials(warm_bank, trial):
    names = ["a", "b", "c"]
    warm_bank.admit([trial(name) for name in names])
    assert sorted(tile.n_trials for tile in warm_bank.tiles) == [1, 2]
    for name in names:
        warm_bank.evict(name)


def test_what_does_not_fit_is_refused_as_a_whole(warm_bank, trial, make_bank, short_dataset):
    with pytest.raises(TrialError, match="9 trials for 8 free slots"):
        warm_bank.admit([trial(str(i)) for i in range(9)])
    with pytest.raises(TrialError, match="already"):
        warm_bank.admit([trial("twin"), trial("twin")])
    assert warm_bank.free_slots == 8


@pytest.fixture
def fill_device(monkeypatch):
    """Makes a function of one tile meet TensorFlow's own error of a full device."""

    def refuse(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    return lambda tile, name: monkeypatch.setattr(tile, name, refuse)


@pytest.mark.parametrize("i", [0, 1])
def test_a_full_device_in_any_stream_says_so_and_loses_no_trial(i, warm_bank, trial, fill_device):
    warm_bank.admit([trial("one"), trial("two!")])
    fill_device(warm_bank.tiles[i], "train_epoch")
    with pytest.raises(OutOfDeviceMemory, match="use fewer slots"):
        warm_bank.train_epoch()
    assert warm_bank.free_slots == 6
    warm_bank.evict("one")
    warm_bank.evict("two!")
