"""The recorded grid of the constrained search: whole, and searched as a sweep would search it."""

import pytest

from benchmarks import _grid, constrained
from service.domain.parameters import config_hash


@pytest.fixture(scope="module")
def table():
    """The recorded grid."""
    return _grid.read_table()


def test_every_configuration_was_recorded(table):
    assert set(table) == {config_hash(each) for each in _grid.configurations()}


def test_half_of_the_accurate_networks_break_the_bounds_that_are_medians(table):
    accurate = constrained.accurate_ones(table)
    bounds = constrained.bounds_of(accurate)
    assert 0.03 * len(table) - 1 <= len(accurate) < 0.06 * len(table)
    assert list(bounds) == ["stability", "update_ratio", "global_norm_max"]
    limit = float(bounds["update_ratio"].removeprefix("<= "))
    assert sum(fate["update_ratio"] <= limit for fate in accurate) == pytest.approx(len(accurate) / 2, abs=1)


def test_a_search_counts_its_trials_to_the_first_that_is_wanted(table):
    nothing = {name: {**dict.fromkeys(_grid.KEPT, 0.0), "diverged": 1.0} for name in table}
    everything = {name: {**dict.fromkeys(_grid.KEPT, 1.0), "diverged": 0.0} for name in table}
    keys = {"constraints": {"stability": ">= 0.5"}}

    def is_wanted(fate):
        return fate["stability"] >= 0.5

    assert constrained.first_wanted(everything, 0, {}, is_wanted) == 1
    assert constrained.share_wanted(nothing, 0, keys, is_wanted, n=24) == 0
