"""The reference bank: the life of its trials, and rows that repeat."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest
import tensorflow as tf

from worker.datasets import load_dataset
from worker.errors import OutOfDeviceMemory, TrialError
from worker.training.contract import TrialSpec
from worker.training.hyperparameters import Hyperparameters
from worker.training.reference import ReferenceBank, device_memory

MIXED = Hyperparameters(
    hidden_units=(4, 3),
    batch_size=8,
    normalization="batch",
    dropout=0.3,
    residual=True,
    activation="tanh",
    clip_norm=1.0,
)
PLAIN = Hyperparameters(hidden_units=(4, 3), batch_size=8)


def spec(key, hyperparameters=PLAIN, seed=1):
    return TrialSpec(key=key, seed=seed, hyperparameters=hyperparameters)


@pytest.fixture(scope="module")
def make_bank(tiny_dataset):
    def make(n_slots=2, start_epoch=0):
        return ReferenceBank(
            tiny_dataset, (4, 3), 8, stream_seed=5, n_slots=n_slots, start_epoch=start_epoch, clock=lambda: 0.0
        )

    return make


def train(bank, trial, epochs=2):
    return [*bank.admit([trial]), *(row for _ in range(epochs) for row in bank.train_epoch())]


@pytest.fixture(scope="module")
def mixed_rows(make_bank):
    """Epochs 0, 1 and 2 of one trial, alone in a bank."""
    return train(make_bank(), spec("a", MIXED))


def test_the_same_trial_has_the_same_rows(make_bank, mixed_rows):
    assert train(make_bank(), spec("a", MIXED)) == mixed_rows


def test_another_seed_has_others(make_bank, mixed_rows):
    assert train(make_bank(), spec("a", MIXED, seed=2))[0] != mixed_rows[0]


def test_neighbours_change_nothing(make_bank, mixed_rows):
    bank = make_bank()
    bank.admit([spec("diverges", replace(PLAIN, optimizer="sgd", learning_rate=1e30))])
    first = bank.admit([spec("a", MIXED)])
    rows = [row for _ in range(2) for row in bank.train_epoch()]
    assert [*first, *(row for row in rows if row.key == "a")] == mixed_rows


def test_a_trial_is_replayed_from_its_start_epoch(make_bank, mixed_rows):
    bank = make_bank()
    bank.train_epoch()
    assert bank.bank_epoch == 1
    later = train(bank, spec("a", MIXED), epochs=1)
    assert later == train(make_bank(start_epoch=1), spec("a", MIXED), epochs=1)
    assert later[0] == mixed_rows[0]
    assert later[1] != mixed_rows[1]


def test_slots_are_counted_and_freed(make_bank):
    bank = make_bank(n_slots=2)
    assert bank.free_slots == 2
    bank.admit([spec("a"), spec("b")])
    assert bank.free_slots == 0
    assert [row.key for row in bank.train_epoch()] == ["a", "b"]
    assert bank.steps_done() == 2 * 3
    bank.evict("a")
    bank.evict("a")
    assert bank.free_slots == 1
    assert [(row.key, row.epoch) for row in bank.train_epoch()] == [("b", 2)]


@pytest.fixture(scope="module")
def bank_with_one(make_bank):
    bank = make_bank()
    bank.admit([spec("a")])
    return bank


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([spec("b", replace(PLAIN, batch_size=4))], "trial b has .*4.*Admit it to a bank of its own signature"),
        ([spec("b", replace(PLAIN, hidden_units=(4,)))], "trial b has .*Admit it to a bank of its own signature"),
        ([spec("a")], "trial a is in the bank already"),
        ([spec("b"), spec("c")], "2 trials for 1 free slots"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_admitted(specs, message, bank_with_one):
    with pytest.raises(TrialError, match=message):
        bank_with_one.admit(specs)
    assert bank_with_one.free_slots == 1


def test_a_batch_larger_than_the_data_is_refused(tiny_dataset):
    with pytest.raises(TrialError, match="batch_size is 64, but the training split has 26 rows"):
        ReferenceBank(tiny_dataset, (4,), 64, stream_seed=0)


UNDEFINED_AT_ZERO = {
    "val_loss",
    "val_accuracy",
    "val_balanced_accuracy",
    "val_macro_f1",
    "val_top_class_share",
    "clip_fraction",
}


def undefined(row):
    return {field.name for field in fields(row) if getattr(row, field.name) is None}


def test_every_field_is_filled_but_where_it_means_nothing(mixed_rows):
    first, trained, _ = mixed_rows
    assert undefined(first) == UNDEFINED_AT_ZERO
    assert undefined(trained) == set()
    never = {"nonfinite_first_step"}
    updates = {"update_ratio_median", "update_ratio_p95"}
    output = {"dead_fraction", "saturated_fraction"}
    assert [undefined(layer) for layer in first.layers] == [never | updates] * 2 + [never | updates | output]
    assert [undefined(layer) for layer in trained.layers] == [never] * 2 + [never | output]


def test_a_diverging_trial_says_so_and_raises_nothing(make_bank):
    rows = train(make_bank(), spec("a", replace(PLAIN, optimizer="sgd", learning_rate=1e30)))
    last = rows[-1]
    assert rows[0].nonfinite == 0
    assert last.nonfinite > 0
    assert any(layer.nonfinite_first_step == 0 for layer in last.layers)
    assert not np.isfinite(last.train_loss)
    assert not np.isfinite(last.val_loss)
    assert 0 <= last.val_accuracy <= 1


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_weights_lost_with_normalization_raise_nothing_either(normalization, make_bank):
    lost = replace(MIXED, normalization=normalization, optimizer="sgd", learning_rate=1e38)
    assert train(make_bank(), spec("a", lost))[-1].nonfinite > 0


def test_test_metrics_are_those_of_the_present_weights_on_the_test_split(tiny_dataset):
    dataset = replace(tiny_dataset, x_test=tiny_dataset.x_val, y_test=tiny_dataset.y_val)
    bank = ReferenceBank(dataset, (4, 3), 8, stream_seed=5)
    bank.admit([spec("a", replace(PLAIN, label_smoothing=0.1, class_weight="balanced"))])
    for _ in range(2):
        (row,) = bank.train_epoch()
        metrics = bank.test_metrics("a")
        assert (metrics.test_loss, metrics.test_accuracy) == (row.val_loss, row.val_accuracy)


def test_digits_are_learned(tmp_path):
    bank = ReferenceBank(load_dataset("digits", tmp_path), (32,), 32, stream_seed=0)
    bank.admit([spec("a", Hyperparameters(hidden_units=(32,), batch_size=32, learning_rate=5e-3))])
    rows = [bank.train_epoch()[0] for _ in range(8)]
    assert rows[-1].val_accuracy > 0.93
    assert rows[-1].train_accuracy > 0.95
    assert bank.test_metrics("a").test_accuracy > 0.93
    assert 1e-4 < rows[-1].layers[0].update_ratio_median < 1e-1


def test_bytes_are_scaled(tmp_path):
    digits = load_dataset("digits", tmp_path)
    assert digits.x_train.dtype == np.uint8
    scaled = replace(
        digits, **{x: (getattr(digits, x) / 16).astype(np.float32) for x in ("x_train", "x_val")}, scale=1.0
    )
    losses = [
        ReferenceBank(dataset, (8,), 32, stream_seed=0)
        .admit([spec("a", Hyperparameters(hidden_units=(8,), batch_size=32))])[0]
        .train_loss
        for dataset in (digits, scaled)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_full_device_has_its_own_error():
    with pytest.raises(OutOfDeviceMemory, match=r"no room.*use fewer slots"), device_memory():
        raise tf.errors.ResourceExhaustedError(None, None, "no room")


def test_rows_are_plain_values(mixed_rows):
    assert {type(value) for value in astuple(mixed_rows[1].layers[0])} <= {int, float, type(None)}
    assert {type(value) for value in astuple(mixed_rows[1])[:-1]} == {str, int, float}
