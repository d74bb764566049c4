"""Every field of every row is what the reference bank measures."""

from dataclasses import asdict

import pytest

from worker.training.reference import ReferenceBank

TRIALS = {
    "plain": {"clip_norm": 0.5},
    "batch": {"normalization": "batch", "dropout": 0.3, "input_dropout": 0.2, "optimizer": "sgd"},
    "residual": {"residual": True, "activation": "tanh", "weight_decay": 0.1, "optimizer": "adamw"},
    "layer": {"normalization": "layer", "activation": "sigmoid", "class_weight": "balanced"},
}
EPOCHS = 2
N_OUT = (16, 16, 8, 3)  # of the layers that `make_bank` makes


@pytest.fixture(scope="module")
def both(trial, make_bank, short_dataset, all_kinds):
    """Rows of all trials and epochs by (key, epoch), from the fused and from the reference bank."""
    specs = [trial(name, **h) for name, h in TRIALS.items()]
    fused = make_bank(short_dataset, kinds=all_kinds)
    reference = ReferenceBank(short_dataset, specs[0].hyperparameters.hidden_units, 16, fused.stream_seed, n_slots=4)
    result = []
    for bank in (fused, reference):
        rows = bank.admit(specs)
        for _ in range(EPOCHS):
            rows = rows + bank.train_epoch()
        result.append({(row.key, row.epoch): row for row in rows})
        result[-1] |= {(spec.key, "test"): bank.test_metrics(spec.key) for spec in specs}
    return result


def numbers_and_gaps(row, *left_out):
    """A row's numbers by field, and the fields that hold None."""
    fields = {name: value for name, value in asdict(row).items() if name not in left_out}
    gaps = {name for name, value in fields.items() if value is None}
    return {name: value for name, value in fields.items() if name not in gaps}, gaps


@pytest.mark.parametrize("epoch", range(EPOCHS + 1))
@pytest.mark.parametrize("key", TRIALS)
def test_rows_equal_those_of_the_reference(key, epoch, both):
    ours, theirs = (rows[key, epoch] for rows in both)
    assert ours.wall_seconds >= ours.device_seconds > 0
    left_out = ("key", "wall_seconds", "device_seconds", "layers")
    assert_close(numbers_and_gaps(ours, *left_out), numbers_and_gaps(theirs, *left_out))
    for layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        assert_close(numbers_and_gaps(layer), numbers_and_gaps(their_layer))


def assert_close(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=2e-4, abs=1e-6)
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("key", TRIALS)
def test_test_metrics_equal_those_of_the_reference(key, both):
    ours, theirs = (asdict(rows[key, "test"]) for rows in both)
    assert ours == pytest.approx(theirs, rel=2e-4)


def test_the_global_norm_is_that_of_all_gradients_where_nothing_but_kernels_and_biases_is_trained(
    trial, make_bank, short_dataset
):
    bank = make_bank(short_dataset, n_slots=1, n_streams=1, slots_per_tile=1)
    probe, *trained = [*bank.admit([trial("alone")]), *bank.train_epoch()]
    biases = [layer.bias_grad_rms_median**2 * n_out for layer, n_out in zip(probe.layers, N_OUT, strict=True)]
    kernels = [layer.grad_norm_mean**2 for layer in probe.layers]
    assert probe.global_norm_mean == pytest.approx((sum(kernels) + sum(biases)) ** 0.5, rel=1e-5)
    assert [row.nonfinite for row in (probe, *trained)] == [0, 0]


def test_layers_of_one_shape_are_told_apart(trial, make_bank, short_dataset):
    """Their norms are taken together."""
    units = (8, 8, 8, 8)
    spec = trial("deep", hidden_units=units, optimizer="adamw", weight_decay=0.1)
    fused = make_bank(short_dataset, hidden_units=units, n_slots=2, slots_per_tile=2)
    reference = ReferenceBank(short_dataset, units, 16, fused.stream_seed)
    for bank in (fused, reference):
        bank.admit([spec])
    (ours,), (theirs,) = fused.train_epoch(), reference.train_epoch()
    for layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        assert_close(numbers_and_gaps(layer), numbers_and_gaps(their_layer))
