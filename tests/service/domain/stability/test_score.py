import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.stability.score import SCORE_VERSION, WEIGHTS, combine, ramp, score

FATES = ["healthy", "vanishing", "steep start", "exploding", "overstepping", "runaway", "dead", "noisy", "swinging"]
shares = st.floats(0, 1)
parts_of_a_score = st.fixed_dictionaries(dict.fromkeys(WEIGHTS, shares))


def naive_score(rows):
    """The formulas of docs/gradients.md once more, in NumPy float64, for rows without gaps; learning epochs given."""
    first, trained = rows[0], rows[1:]

    def clip(x, a, b):
        return float(np.clip((x - b) / (a - b), 0, 1))

    def hidden(name):
        return np.median([[getattr(layer, name) for layer in row.layers[:-1]] for row in trained], axis=0)

    biases = np.log10([[layer.bias_grad_rms_median for layer in row.layers[:-1]] for row in trained])
    depth = np.array([np.polyfit(range(len(line)), line, 1)[0] * (len(line) - 1) for line in biases])
    sizes = np.median([[layer.grad_rms_median for layer in row.layers] for row in trained], axis=0)
    norm = np.log10(np.median([row.global_norm_p50 for row in trained]))
    spread = np.median([np.log10(row.global_norm_p99 / row.global_norm_p50) for row in trained])
    accuracy = np.array([row.train_accuracy for row in trained])
    falls, rises = accuracy[:-2] - accuracy[1:-1], accuracy[2:] - accuracy[1:-1]
    swings = np.mean(np.append((falls > 0.03 - 1e-9) & (rises > 0.03 - 1e-9), [0, 0])) >= 0.2
    peak = np.max([row.loss_max for row in trained])
    update = np.log10(hidden("update_ratio_median"))
    trapezoid = np.interp(update, [-6, -4, -1.5, 0], [0, 1, 1, 0])
    return {
        "depth": clip(abs(np.median(depth)), 1, 3),
        "update": float(trapezoid.min()),
        "level": min(clip(np.log10(size), -6, -8) * clip(norm, 2, 4) for size in sizes),
        "steady": clip(spread, 0.5, 2),
        "units": clip(hidden("dead_fraction").max(), 0.25, 0.75),
        "loss": clip(np.log10(peak / first.train_loss), 0.3, 2) * (0.5 if swings else 1),
    }


@pytest.mark.parametrize("fate", FATES)
def test_score_is_the_naive_one(canonical, fate):
    rows = canonical[fate]
    expected = naive_score(rows)

    found = score(rows)

    assert dict(found.parts) == pytest.approx(expected, abs=1e-12)
    d = expected
    product = d["depth"] ** 2 * d["update"] ** 2 * d["level"] * d["steady"] * d["units"] * d["loss"]
    assert found.stability == pytest.approx(product ** (1 / 8))
    assert found.version == SCORE_VERSION


@pytest.mark.parametrize(
    ("fate", "limiting"),
    [
        ("healthy", None),
        ("vanishing", "depth"),
        ("exploding", "depth"),
        ("overstepping", "update"),
        ("runaway", "loss"),
        ("dead", "units"),
        ("noisy", "steady"),
        ("swinging", "loss"),
    ],
)
def test_the_limiting_part_is_named(canonical, fate, limiting):
    assert score(canonical[fate]).limiting == limiting


def test_the_part_that_costs_most_limits_not_the_lowest(rows_of):
    found = score(rows_of(slope=0.45, grad_rms=1e-7))  # depth 0.6 counts twice: 0.36; level 0.5 counts once
    assert found.parts["depth"] > found.parts["level"]
    assert found.limiting == "depth"


def test_a_converged_network_is_judged_while_it_learned(canonical):
    assert score(canonical["converged"]).stability == 1


@pytest.mark.parametrize(
    ("change", "part", "value"),
    [
        ({"slope": 0.25}, "depth", 1.0),
        ({"slope": 0.5}, "depth", 0.5),
        ({"slope": -0.5}, "depth", 0.5),
        ({"slope": 0.75}, "depth", 0.0),
        ({"update_ratio": 1e-6}, "update", 0.0),
        ({"update_ratio": 1e-5}, "update", 0.5),
        ({"update_ratio": 1e-4}, "update", 1.0),
        ({"update_ratio": 10**-1.5}, "update", 1.0),
        ({"update_ratio": 10**-0.75}, "update", 0.5),
        ({"update_ratio": 1.0}, "update", 0.0),
        ({"update_ratio": 0.0}, "update", 0.0),
        ({"grad_rms": 1e-6}, "level", 1.0),
        ({"grad_rms": 1e-7}, "level", 0.5),
        ({"grad_rms": 1e-8}, "level", 0.0),
        ({"grad_rms": 0.0}, "level", 0.0),
        ({"norm": (100.0, 100.0)}, "level", 1.0),
        ({"norm": (1e3, 1e3)}, "level", 0.5),
        ({"norm": (1e4, 1e4)}, "level", 0.0),
        ({"norm": (1.0, 10**0.5)}, "steady", 1.0),
        ({"norm": (1.0, 10**1.25)}, "steady", 0.5),
        ({"norm": (1.0, 100.0)}, "steady", 0.0),
        ({"norm": (0.0, 1.0)}, "steady", 0.0),
        ({"dead": 0.25}, "units", 1.0),
        ({"dead": 0.5}, "units", 0.5),
        ({"saturated": 0.75}, "units", 0.0),
        ({"loss_max": 2.3 * 10**0.3}, "loss", 1.0),
        ({"loss_max": 2.3 * 10**1.15}, "loss", 0.5),
        ({"loss_max": 230.0}, "loss", 0.0),
    ],
)
def test_each_part_has_its_ramp(rows_of, change, part, value):
    assert score(rows_of(**change)).parts[part] == pytest.approx(value)


def test_what_was_not_measured_counts_as_one_and_is_named(rows_of, canonical):
    blank = rows_of(update_ratio=None, grad_rms=None, norm=(None, None), dead=None, loss_max=None, n_hidden=2)
    assert score(blank).unknown == ("depth", "update", "level", "steady", "units", "loss")
    assert score(blank).stability == 1
    assert score(canonical["shallow"]).unknown == ("depth",)
    assert score(canonical["healthy"]).unknown == ()


def test_an_unknown_level_or_norm_leaves_the_other(rows_of):
    assert score(rows_of(grad_rms=None, norm=(1e3, 1e3))).parts["level"] == pytest.approx(0.5)
    assert score(rows_of(grad_rms=1e-7, norm=(None, None))).parts["level"] == pytest.approx(0.5)


def test_oscillation_counts_without_a_loss(rows_of, canonical):
    rows = [replace(row, loss_max=None) for row in canonical["swinging"]]
    assert score(rows).parts["loss"] == 0.5


@pytest.mark.parametrize("change", [{"nonfinite": 1}, {"train_loss": math.nan}, {"loss_max": math.inf}])
def test_anything_not_finite_shuts_the_gate(rows_of, change):
    rows = rows_of()
    rows[-1] = replace(rows[-1], **change)
    assert score(rows).stability == 0
    assert score(rows).limiting == "nonfinite"


def test_a_nonfinite_probe_has_a_score_and_a_finite_one_has_none(rows_of):
    probe = rows_of()[0]
    assert score([probe]) is None
    assert score([]) is None
    assert score([replace(probe, nonfinite=3)]).stability == 0


@given(parts_of_a_score, st.sampled_from(sorted(WEIGHTS)), shares)
def test_the_score_is_in_range_and_rises_with_each_part(parts, name, value):
    higher = parts | {name: max(parts[name], value)}
    assert 0 <= combine(parts) <= combine(higher) <= 1


@given(st.floats(allow_nan=False), st.sampled_from([(1.0, 3.0), (-6.0, -8.0), (0.5, 2.0), (-1.5, 0.0)]))
def test_a_ramp_stays_between_zero_and_one(x, bounds):
    assert 0 <= ramp(x, *bounds) <= 1


numbers = st.one_of(st.none(), st.floats(0, 1e30), st.just(math.inf), st.just(math.nan))


@given(
    slope=st.floats(-3, 3),
    grad_rms=numbers,
    update_ratio=numbers,
    norm=st.tuples(numbers, numbers),
    dead=numbers,
    loss_max=numbers,
)
def test_any_rows_have_a_score_between_zero_and_one(rows_of, **measured):
    found = score(rows_of(**measured))
    assert 0 <= found.stability <= 1
    assert all(0 <= part <= 1 for part in found.parts.values())
