"""The gates go red: each fault that a fused trainer is prone to, planted, and the gate that must notice it."""

import numpy as np
import pytest
from keras import ops

from worker.training.fused import normalization, program, tile
from worker.training.fused.program import Programs

SMALL = {"hidden_units": (8,)}  # whatever is wrong is wrong in one layer, and compiles sooner
CLIPPED = {"clip_norm": 0.5, "optimizer": "sgd", "learning_rate": 0.1}
NORMALIZED = {"normalization": "batch"}


@pytest.fixture
def make_small_bank(make_bank, short_dataset):
    """Makes banks of two slots that compile anew, so that a planted fault is in them."""

    def make(**options):
        defaults = SMALL | {"n_slots": 2, "slots_per_tile": 2, "fold": False, "programs": Programs()}
        return make_bank(short_dataset, **(defaults | options))

    return make


@pytest.fixture
def isolation(make_small_bank, trial):
    """G1 in small: a trial beside one that diverges at once, and beside nobody."""

    def check(**h):
        programs, weights = Programs(), []
        for learning_rate in (0.1, 1e30):
            bank = make_small_bank(programs=programs)
            neighbour = trial("neighbour", seed=2, **(SMALL | h | {"learning_rate": learning_rate}))
            bank.admit([neighbour, trial("watched", seed=1, **SMALL, **h)])
            bank.train_epoch()
            weights.append(bank.weights("watched")[0]["kernel1"])
        np.testing.assert_array_equal(*weights)

    return check


@pytest.fixture
def parity(make_small_bank, make_twin, short_dataset, trial):
    """G2 in small: a trial against Keras in float64."""

    def check(**h):
        bank = make_small_bank(dtype="float64")
        spec = trial("trial", **SMALL, **h)
        bank.admit([spec])
        bank.train_epoch()
        twin = make_twin(short_dataset, spec, "float64")
        twin.train(30)
        np.testing.assert_allclose(bank.weights("trial")[0]["kernel1"], twin.weights()["kernel1"], rtol=1e-9)

    return check


@pytest.fixture
def emptiness(make_small_bank, trial):
    """The moving averages of an empty slot beside a busy one stay what they are."""

    def check(**h):
        bank = make_small_bank()
        bank.admit([trial("busy", **SMALL, **h)])
        before = np.asarray(bank.tiles[0].state.averages)[1]
        bank.train_epoch()
        np.testing.assert_array_equal(np.asarray(bank.tiles[0].state.averages)[1], before)

    return check


def couple_the_slots_through_a_global_norm(monkeypatch):
    honest = program.total_norm
    monkeypatch.setattr(program, "total_norm", lambda norms: ops.full_like(honest(norms), 1.0) * ops.max(honest(norms)))


def mask_by_multiplication(monkeypatch):
    honest = program.stepped

    def leaky(*arguments):
        new = honest(*arguments)
        return new + 0.0 * ops.sum(new, axis=0, keepdims=True)

    monkeypatch.setattr(program, "stepped", leaky)


def forget_the_bias_correction_of_adam(monkeypatch):
    honest = tile.coefficient_rows
    monkeypatch.setattr(tile, "coefficient_rows", lambda h, rates, first: honest(h, rates, first + 100_000))


def average_over_the_wrong_axis(monkeypatch):
    def moments(x, _total, _length):
        over_units_too = ops.ones_like(x[:, :1]) * ops.mean(x, axis=(1, 2), keepdims=True)
        return over_units_too, ops.mean((x - over_units_too) ** 2, axis=1, keepdims=True)

    monkeypatch.setattr(normalization, "moments", moments)


def move_the_averages_of_every_slot(monkeypatch):
    honest = program.moved
    monkeypatch.setattr(program, "moved", lambda a, value, moves: honest(a, value, ops.ones_like(moves)))


FAULTS = [
    (couple_the_slots_through_a_global_norm, "isolation", CLIPPED),
    (mask_by_multiplication, "isolation", CLIPPED),
    (forget_the_bias_correction_of_adam, "parity", {}),
    (average_over_the_wrong_axis, "parity", NORMALIZED),
    (move_the_averages_of_every_slot, "emptiness", NORMALIZED),
]


@pytest.mark.parametrize(("fault", "gate", "h"), FAULTS)
def test_a_planted_fault_turns_its_gate_red(fault, gate, h, request, monkeypatch):
    check = request.getfixturevalue(gate)
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        check(**h)


@pytest.mark.parametrize(("gate", "h"), [("isolation", CLIPPED), ("parity", NORMALIZED), ("emptiness", NORMALIZED)])
def test_the_gates_are_green_without_a_fault(gate, h, request):
    request.getfixturevalue(gate)(**h)
