"""Values as positions, and numbers as labels."""

import math

import pytest

from gradsweep.printing.scales import Scale, power_of_ten


@pytest.mark.parametrize(
    ("layout", "values", "positions"),
    [
        ({}, [1, None, 2.5], [1.0, math.nan, 2.5]),
        ({}, ["b", "a", None, "b"], [0.0, 1.0, math.nan, 0.0]),
        ({"type": "category"}, [3, 1], [0.0, 1.0]),
        ({"type": "category", "categoryarray": ["a", "b"]}, ["c", "b", "a"], [2.0, 1.0, 0.0]),
        ({}, ["1970-01-02", "1970-01-03T12:00:00"], [1.0, 2.5]),
        ({"type": "date"}, [86_400_000], [1.0]),
    ],
    ids=["numbers", "words", "numbers as words", "words in an order", "dates", "milliseconds"],
)
def test_values_become_positions(layout, values, positions):
    assert Scale(layout, values).positions(values) == pytest.approx(positions, nan_ok=True)


@pytest.mark.parametrize(
    ("value", "label"),
    [(1.0, "1"), (0.001, "0.001"), (1e-4, "10⁻⁴"), (2e-5, "2·10⁻⁵"), (1e12, "10¹²"), (1000.0, "1e+03"), (200.0, "200")],
)
def test_powers_of_ten_are_written_as_people_do(value, label):
    assert power_of_ten(value) == label
