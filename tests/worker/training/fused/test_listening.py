"""Single steps, as both banks tell of them, are those that the rows of the epochs are made of."""

import statistics

import pytest

from worker.training.reference import ReferenceBank
from worker.training.steps import step_rows


def heard(bank, spec):
    """The rows of two epochs' steps as the listener had them, and the epochs' own rows."""
    row, *_ = bank.admit([spec])
    return [*bank.train_epoch(), *bank.train_epoch()], row.key


@pytest.mark.parametrize("kind", ["fused", "reference"])
def test_steps_add_up_to_their_epoch(trial, make_bank, short_dataset, all_kinds, kind):
    told = []
    spec = trial("a", normalization="batch")
    shapes = (short_dataset, spec.hyperparameters.hidden_units, 16)
    banks = {
        "fused": lambda: make_bank(short_dataset, kinds=all_kinds, listen=lambda *one: told.append(one)),
        "reference": lambda: ReferenceBank(*shapes, 7, listen=lambda *one: told.append(one)),
    }

    epochs, key = heard(banks[kind](), spec)

    assert [one[0] for one in told] == [key, key]
    for row, (_key, record, kernels) in zip(epochs, told, strict=True):
        steps = list(step_rows(record, kernels, steps_before=0, every=1, last_step=10_000))
        assert len(steps) == row.steps * len(row.layers)
        for layer in row.layers:
            own = [step for step in steps if step.layer == layer.layer]
            assert statistics.median(s.grad_rms for s in own) == pytest.approx(layer.grad_rms_median, rel=1e-6)
            assert statistics.median(s.bias_grad_rms for s in own) == pytest.approx(
                layer.bias_grad_rms_median, rel=1e-6
            )
            assert statistics.median(s.update_ratio for s in own) == pytest.approx(layer.update_ratio_median, rel=1e-6)
            assert own[-1].weight_norm == pytest.approx(layer.weight_norm, rel=1e-6)
