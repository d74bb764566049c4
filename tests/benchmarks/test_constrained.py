"""The recorded grid of the constrained search: whole, and searched as a sweep would search it."""

import pytest

from benchmarks import constrained
from service.domain.parameters import config_hash


@pytest.fixture(scope="module")
def table():
    """The recorded grid."""
    return constrained.read_table()


def test_every_configuration_was_recorded(table):
    assert set(table) == {config_hash(each) for each in constrained.configurations()}
    assert any(constrained.is_wanted(fate) for fate in table.values())


@pytest.mark.parametrize(
    ("fate", "wanted"),
    [
        ({"stability": 0.5, "val_accuracy": 0.97}, True),
        ({"stability": 0.49, "val_accuracy": 0.99}, False),
        ({"stability": 0.9, "val_accuracy": 0.96}, False),
        ({"stability": None, "val_accuracy": None}, False),
    ],
)
def test_wanted_is_what_is_both(fate, wanted):
    assert constrained.is_wanted(fate) is wanted


def test_a_search_counts_its_trials_to_the_first_that_is_wanted(table):
    nothing = {name: {"stability": 0.0, "val_accuracy": 0.0, "diverged": 1.0} for name in table}
    everything = {name: {"stability": 1.0, "val_accuracy": 1.0, "diverged": 0.0} for name in table}
    assert constrained.first_wanted(everything, 0, {}) == 1
    assert constrained.share_wanted(nothing, 0, {"constraints": {"stability": ">= 0.5"}}, n=24) == 0
