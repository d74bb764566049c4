"""When a replay's rows are equal to the stored ones, and when not."""

import math
from types import SimpleNamespace

import pytest

from worker.comparing import STATISTICS, compare, difference, first_unequal, is_same_program, numbers_of

HERE = {"trainer": "fused", "device_kind": "CPU", "device": "x86_64", "kinds": "{}", "slots_per_tile": "4"}


def numbers(epoch=1, steps=10, *, nonfinite=None, layer=None, **metrics):
    """An epoch with one layer, all its values 0.5 unless told otherwise."""
    row = {"train_loss": 0.5, "val_loss": 0.5, "val_accuracy": 0.5} | metrics
    statistics = dict.fromkeys(STATISTICS, 0.5) | (layer or {})
    layers = [SimpleNamespace(layer=1, nonfinite={}, **statistics)]
    return numbers_of(SimpleNamespace(epoch=epoch, steps=steps, nonfinite=nonfinite or {}, **row), layers)


@pytest.mark.parametrize(
    ("name", "one", "other", "expected"),
    [
        ("val_loss", 2.0, 1.0, 0.5),
        ("val_accuracy", 0.02, 0.01, 0.01),
        ("2.dead_fraction", 0.02, 0.0, 0.02),
        ("2.weight_norm", 0.0, 0.0, 0.0),
        ("val_loss", None, None, 0.0),
        ("val_loss", None, 0.0, math.inf),
        ("val_loss", math.nan, math.nan, 0.0),
        ("val_loss", math.inf, math.inf, 0.0),
        ("val_loss", math.inf, 1.0, math.inf),
        ("val_loss", math.nan, 1.0, math.inf),
    ],
)
def test_differences_are_relative_and_those_of_fractions_plain(name, one, other, expected):
    assert difference(name, one, other) == pytest.approx(expected)
    assert difference(name, other, one) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("same_program", "steps_before", "changes", "is_equal"),
    [
        (True, 5000, {"val_loss": 0.5 * (1 + 5e-6)}, True),
        (True, 0, {"val_loss": 0.5 * (1 + 5e-5)}, False),
        (True, 5000, {"layer": {"grad_norm_std": 0.5 * (1 + 5e-5)}}, False),
        (False, 20, {"val_loss": 0.5 * (1 + 5e-4)}, True),
        (False, 20, {"val_loss": 0.5 * (1 + 5e-3)}, False),
        (False, 20, {"layer": {"delta_rms": 0.5 * (1 + 5e-3)}}, False),
        (False, 20, {"layer": {"dead_fraction": 0.505}}, True),
        (False, 21, {"val_loss": 0.5 * (1 + 5e-3)}, True),
        (False, 21, {"layer": {"delta_rms": 5.0}}, True),
        (False, 21, {"val_loss": 0.6}, False),
        (False, 21, {"val_accuracy": 0.65}, False),
        (False, 21, {"steps": 9}, False),
        (False, 21, {"train_loss": None}, False),
    ],
)
def test_tolerances_follow_from_the_program_and_the_steps(same_program, steps_before, changes, is_equal):
    found = compare(numbers(), numbers(**changes), steps_before=steps_before, same_program=same_program)
    assert found.is_equal == is_equal


def test_a_value_that_was_spelled_out_is_the_value_again():
    stored = numbers(train_loss=None, nonfinite={"train_loss": "nan"})
    assert compare(stored, numbers(train_loss=math.nan), steps_before=0, same_program=True).train_loss == 0
    assert compare(stored, numbers(train_loss=math.inf), steps_before=0, same_program=True).train_loss == math.inf


def test_the_largest_difference_of_the_layers_is_named():
    again = numbers(layer={"weight_norm": 1.0, "delta_rms": 0.6})
    found = compare(numbers(), again, steps_before=0, same_program=True)
    assert (found.statistic, found.statistics) == ("1.weight_norm", 0.5)


def test_the_first_epoch_that_differs_is_told():
    losses = [0.5, 0.6, 0.5, 0.7]
    pairs = [(numbers(epoch), numbers(epoch, val_loss=loss)) for epoch, loss in enumerate(losses)]
    differences = [compare(*pair, steps_before=0, same_program=True) for pair in pairs]
    assert first_unequal(differences) == 1
    assert first_unequal(differences[:1]) is None


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [({}, True), ({"trainer": "reference"}, False), ({"slots_per_tile": "2"}, False), ({"device": "arm64"}, False)],
)
def test_the_program_is_the_same_if_all_that_makes_it_is(changes, is_same):
    assert is_same_program(HERE, HERE | changes) == is_same


def test_on_a_gpu_no_program_repeats():
    gpu = HERE | {"device_kind": "GPU"}
    assert not is_same_program(gpu, gpu)
