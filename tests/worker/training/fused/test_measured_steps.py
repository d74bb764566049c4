"""A bank that measures every few steps: it measures these as one that measures all, and trains the same trials."""

from dataclasses import fields

import numpy as np
import pytest

from worker.training.reference import ReferenceBank
from worker.training.statistics import StepRecord

EVERY = 7  # 30 steps an epoch: the last step is not a measured one
CLIPPED = {"clip_norm": 0.5, "optimizer": "adamw", "weight_decay": 0.1, "normalization": "batch"}
PLAIN = {}


@pytest.fixture(scope="module")
def train(make_bank, short_dataset, trial):
    """Trains a trial for two epochs: its rows, the records of its steps, and its weights."""

    def run(h, every, neighbours=(), make=make_bank, **options):
        told = []
        bank = make(short_dataset, statistics_every=every, listen=lambda key, *one: told.append((key, *one)), **options)
        admitted = bank.admit([*neighbours, trial("watched", **h)])
        rows = [*admitted, *bank.train_epoch(), *bank.train_epoch()]
        mine = [row for row in rows if row.key == "watched"]
        return mine, [record for key, record, _ in told if key == "watched"], bank

    return run


@pytest.mark.parametrize("h", [PLAIN, CLIPPED], ids=["plain", "clipped"])
def test_the_measured_steps_are_those_of_a_bank_that_measures_all(train, h):
    _, whole, all_measured = train(h, 1)
    _, part, few_measured = train(h, EVERY)
    for ours, theirs in zip(part, whole, strict=True):
        steps = np.arange(0, 30, EVERY)
        assert ours.every == EVERY
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-5)
        np.testing.assert_allclose(ours.weight_norm, theirs.weight_norm[[*steps, -1]], rtol=1e-5)
        for name in ("global_norm", "kernel_grad_norm", "bias_grad_norm", "update_norm"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name)[steps], rtol=1e-4, err_msg=name)
    kernels = [bank.weights("watched")[0]["kernel1"] for bank in (all_measured, few_measured)]
    np.testing.assert_allclose(*kernels, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("h", [PLAIN, CLIPPED], ids=["plain", "clipped"])
def test_both_banks_measure_the_same_steps(train, short_dataset, h):
    def reference(dataset, *, listen, statistics_every):
        shapes = ((16, 16, 8), 16, 5)
        return ReferenceBank(dataset, *shapes, statistics_every=statistics_every, listen=listen)

    ours, our_records, _ = train(h, EVERY)
    theirs, their_records, _ = train(h, EVERY, make=reference)
    for our_record, their_record in zip(our_records, their_records, strict=True):
        for each in fields(StepRecord):
            pair = (np.asarray(getattr(record, each.name)) for record in (our_record, their_record))
            np.testing.assert_allclose(*pair, rtol=1e-3, atol=1e-6, err_msg=each.name)
    for our_row, their_row in zip(ours[1:], theirs[1:], strict=True):
        assert our_row.layers[0].update_ratio_p95 == pytest.approx(their_row.layers[0].update_ratio_p95, rel=1e-3)
        assert our_row.layers[0].weight_norm == pytest.approx(their_row.layers[0].weight_norm, rel=1e-4)
        assert our_row.layers[0].zero_fraction == pytest.approx(their_row.layers[0].zero_fraction, abs=1e-6)


def test_neighbours_change_nothing_between_the_measured_steps(train, trial):
    lost = trial("lost", seed=3, optimizer="sgd", learning_rate=1e30)
    other = trial("other", seed=4, optimizer="sgd", learning_rate=0.1)
    alone, beside = (train({"optimizer": "sgd"}, EVERY, neighbours=[one]) for one in (other, lost))
    for one, another in zip(alone[1], beside[1], strict=True):
        for each in fields(StepRecord):
            np.testing.assert_array_equal(*(getattr(record, each.name) for record in (one, another)))
    weights = [bank.weights("watched")[0]["kernel1"] for _, _, bank in (alone, beside)]
    np.testing.assert_array_equal(*weights)


def test_a_loss_is_looked_at_between_the_measured_steps(train):
    rows, records, _ = train({"optimizer": "sgd", "learning_rate": 1e30}, EVERY)
    n_lost = int((~np.isfinite(records[0].loss)).sum())
    assert n_lost > len(records[0].global_norm)  # more than are measured
    assert rows[1].nonfinite >= n_lost
