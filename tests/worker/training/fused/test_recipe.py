"""An attempt records enough of its program to make the same one."""

import pytest

from worker.training.fused.kinds import Kinds
from worker.training.fused.recipe import program_options, recipe_of

SOME = Kinds(normalizations=frozenset({"none", "batch"}), activations=frozenset({"tanh"}), plain=True, clipping=True)


@pytest.mark.parametrize("kinds", [None, SOME, Kinds()])
def test_a_recorded_program_is_made_again(make_bank, short_dataset, all_kinds, kinds):
    bank = make_bank(short_dataset, kinds=all_kinds if kinds is None else kinds, n_slots=8)
    recorded = recipe_of(bank)
    again = make_bank(short_dataset, **program_options(recorded))
    assert (again.kinds, again.slots_per_tile, again.n_slots) == (bank.kinds, 4, 4)
    assert recipe_of(again) == recorded
    assert all(len(value) <= 512 for value in recorded.values())  # what an attempt's environment may hold


def test_without_a_record_nothing_is_known():
    assert program_options({"trainer": "reference"}) == {}
