import math
from dataclasses import replace

import pytest

from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.verdict import Evidence, early_warning, first_nonfinite, judge
from service.domain.states import Verdict

FLAT = (0.10, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11)
SHARES = (0.112, 0.098, 0.79)


@pytest.mark.parametrize(
    ("fate", "verdict"),
    [
        ("healthy", Verdict.STABLE),
        ("vanishing", Verdict.VANISHING),
        ("steep start", Verdict.STABLE),
        ("exploding", Verdict.EXPLODING),
        ("overstepping", Verdict.EXPLODING),
        ("runaway", Verdict.EXPLODING),
        ("dead", Verdict.DEAD),
        ("noisy", Verdict.UNSTEADY),
        ("swinging", Verdict.UNSTEADY),
        ("shallow", Verdict.STABLE),
        ("converged", Verdict.STABLE),
    ],
)
def test_canonical_trials_get_their_verdict(canonical, fate, verdict):
    assert judge(canonical[fate]).verdict is verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        # the loss: above 1000, or five doublings, and above its initial value (2.3)
        ({"loss_max": 1000.0}, Verdict.STABLE),
        ({"loss_max": 1000.1}, Verdict.EXPLODING),
        ({"loss_max": 2.4, "doublings": 4}, Verdict.STABLE),
        ({"loss_max": 2.4, "doublings": 5}, Verdict.EXPLODING),
        ({"loss_max": 2.3, "doublings": 9}, Verdict.STABLE),
        # the update, in any layer
        ({"update_ratio": 1.0}, Verdict.STABLE),
        ({"update_ratio": 1.001}, Verdict.EXPLODING),
        # the global norm
        ({"norm": (1e3, 1e3)}, Verdict.STABLE),
        ({"norm": (1001.0, 1001.0)}, Verdict.EXPLODING),
        # the spread of the gradient norm
        ({"norm": (1.0, 100.0)}, Verdict.STABLE),
        ({"norm": (1.0, 101.0)}, Verdict.UNSTEADY),
        # five hidden layers: the range is four slopes, and counts only while nothing is learned
        ({"slope": -0.4624, "accuracy": FLAT}, Verdict.STABLE),
        ({"slope": -0.4626, "accuracy": FLAT}, Verdict.EXPLODING),
        ({"slope": -0.4626}, Verdict.STABLE),
        ({"slope": 0.749, "accuracy": FLAT}, Verdict.STABLE),
        ({"slope": 0.751, "accuracy": FLAT}, Verdict.VANISHING),
        ({"slope": 0.751}, Verdict.STABLE),
        # the gradient's size: nothing learned, or the layer does not move
        ({"grad_rms": 1e-7, "accuracy": FLAT}, Verdict.STABLE),
        ({"grad_rms": 0.99e-7, "accuracy": FLAT}, Verdict.VANISHING),
        ({"grad_rms": 0.99e-7}, Verdict.STABLE),
        ({"grad_rms": 0.99e-7, "update_ratio": 1e-6}, Verdict.STABLE),
        ({"grad_rms": 0.99e-7, "update_ratio": 0.99e-6}, Verdict.VANISHING),
        # dead units, or rows without a gradient, and predictions that say nothing
        ({"dead": 0.99, "top_share": 0.995}, Verdict.DEAD),
        ({"dead": 0.989, "top_share": 0.995}, Verdict.STABLE),
        ({"dead": 0.99, "top_share": 0.994}, Verdict.STABLE),
        ({"zero": 0.7, "top_share": 0.995}, Verdict.DEAD),
        ({"zero": 0.699, "top_share": 0.995}, Verdict.STABLE),
        ({"dead": 1.0, "top_share": None}, Verdict.STABLE),
        ({"n_hidden": 2, "slope": 5.0, "accuracy": FLAT}, Verdict.STABLE),
    ],
)
def test_each_threshold_has_two_sides(rows_of, change, verdict):
    assert judge(rows_of(**change)).verdict is verdict


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.799, Verdict.DEAD), (0.801, Verdict.STABLE)])
def test_a_dead_layer_counts_where_nothing_is_gained_over_the_commonest_class(rows_of, accuracy, verdict):
    rows = rows_of(dead=1.0, accuracy=(accuracy,) * 7)
    assert judge(rows, class_shares=SHARES).verdict is verdict


def test_everything_else_comes_after_nonfinite(canonical):
    rows = [*canonical["runaway"]]
    rows[-1] = replace(rows[-1], nonfinite=1)
    assert judge(rows).verdict is Verdict.NONFINITE


def test_evidence_says_where_and_since_when(canonical):
    evidence = judge(canonical["vanishing"]).evidence
    assert evidence[0] == Evidence("depth_range", pytest.approx(3.6), 3.0, layer=1, epoch=1)

    rows = canonical["dead"]
    alive = tuple(replace(layer, dead_fraction=0.0, zero_fraction=0.0) for layer in rows[1].layers)
    only_second = [
        replace(
            row,
            layers=tuple(
                now if now.layer == 2 and row.epoch > 2 else was for now, was in zip(row.layers, alive, strict=True)
            ),
        )
        for row in rows
    ]
    finding = judge(only_second)
    assert finding.verdict is Verdict.DEAD
    assert finding.evidence[0] == Evidence("dead_fraction", 1.0, 0.99, layer=2, epoch=3)


def test_vanishing_shows_a_level_beside_the_range(rows_of):
    finding = judge(rows_of(slope=0.9, grad_rms=1e-9, accuracy=FLAT))
    assert {evidence.metric for evidence in finding.evidence} == {"depth_range", "grad_rms"}


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (EpochRow(epoch=2, nonfinite=4), (None, 2, None)),
        (EpochRow(epoch=2, train_loss=math.nan), (None, 2, None)),
        (EpochRow(epoch=2, loss_max=math.inf), (None, 2, None)),
        (EpochRow(epoch=2, global_norm_p99=math.inf), (None, 2, None)),
        (EpochRow(epoch=2, layers=(LayerRow(layer=1, weight_norm=math.nan),)), (1, 2, None)),
        (
            EpochRow(
                epoch=2,
                layers=(
                    LayerRow(layer=1, nonfinite=2, nonfinite_first_step=9),
                    LayerRow(layer=2, nonfinite=1, nonfinite_first_step=7),
                ),
            ),
            (2, 2, 7),
        ),
    ],
)
def test_the_first_value_that_is_not_finite_is_found(row, where):
    evidence = first_nonfinite([EpochRow(epoch=1), row, EpochRow(epoch=3, nonfinite=9)])
    assert (evidence.layer, evidence.epoch, evidence.step) == where
    assert judge([row]).verdict is Verdict.NONFINITE


def test_an_undefined_value_is_not_a_nonfinite_one():
    assert first_nonfinite([EpochRow(epoch=1, layers=(LayerRow(layer=1),))]) is None


def test_there_is_no_verdict_before_the_first_epoch(rows_of):
    assert judge([]) is None
    assert judge(rows_of()[:1]) is None


def test_one_epoch_is_enough_for_a_verdict(rows_of):
    assert judge(rows_of()[:2]).verdict is Verdict.STABLE
    assert judge(rows_of(slope=0.9, accuracy=(0.11, 0.11))).verdict is Verdict.VANISHING


def test_rows_without_values_are_called_stable_for_want_of_evidence():
    assert judge([EpochRow(epoch=0), EpochRow(epoch=1), EpochRow(epoch=2)]).verdict is Verdict.STABLE


def test_the_probe_warns_of_vanishing(rows_of):
    assert early_warning(rows_of()) == ()
    steep = early_warning(rows_of(slope=0.751))
    assert steep == (Evidence("depth_range", pytest.approx(3.004), 3.0, layer=1, epoch=0),)
    assert {evidence.layer for evidence in early_warning(rows_of(grad_rms=1e-8))} == {1, 2, 3, 4, 5, 6}


def test_a_trial_that_learned_and_then_broke_is_judged_by_what_came_after(rows_of):
    good = rows_of(accuracy=(0.1, 0.6, 0.8), slope=0.0)
    broken = rows_of(accuracy=(0.1,) * 7, slope=-0.6)[3:]
    assert judge([*good, *broken]).verdict is Verdict.EXPLODING


STALLED = {"accuracy": FLAT, "top_share": 0.3, "val_loss": 2.303}
TEN = (0.1,) * 10


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.STALLED),
        ({"val_loss": 2.2911}, Verdict.STALLED),
        ({"val_loss": 2.2910}, Verdict.STABLE),
        ({"accuracy": (0.1, *[0.144] * 6)}, Verdict.STALLED),
        ({"accuracy": (0.1, *[0.146] * 6)}, Verdict.STABLE),
        ({"accuracy": (0.1, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1)}, Verdict.STALLED),
        ({"accuracy": (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2)}, Verdict.STABLE),
        ({"accuracy": (0.1, 0.1, 0.1)}, Verdict.STABLE),
        ({"val_loss": None}, Verdict.STABLE),
        ({"accuracy": (0.1, 0.1, 0.1, 0.1, 0.1, None, 0.1)}, Verdict.STABLE),
        ({"dead": 1.0, "accuracy": (0.1, *[0.144] * 6)}, Verdict.DEAD),
        ({"dead": 1.0, "accuracy": (0.1, *[0.146] * 6)}, Verdict.STABLE),
        ({"slope": 0.9}, Verdict.VANISHING),
        ({"norm": (1e-3, 0.2)}, Verdict.UNSTEADY),
    ],
)
def test_who_learns_nothing_has_stalled_unless_the_gradients_say_why(rows_of, changes, verdict):
    assert judge(rows_of(**(STALLED | changes)), TEN).verdict is verdict


def test_stalled_is_judged_by_the_class_shares(rows_of):
    rows = rows_of(accuracy=(0.9, *[0.9] * 6), val_loss=0.325, top_share=0.3)
    assert judge(rows, (0.9, 0.1)).verdict is Verdict.STALLED
    assert judge(rows, TEN).verdict is judge(rows).verdict is Verdict.STABLE


def test_evidence_of_stalling_is_the_best_of_the_last_epochs_since_when_nothing_was_learned(rows_of):
    rows = rows_of(**(STALLED | {"accuracy": (0.1, 0.4, 0.1, 0.11, 0.12, 0.1, 0.1)}))
    loss, accuracy = judge(rows, TEN).evidence
    assert (loss.metric, loss.value, loss.epoch) == ("val_loss", 2.303, 2)
    assert loss.threshold == pytest.approx(0.995 * 2.302585)
    assert (accuracy.metric, accuracy.value, accuracy.epoch) == ("accuracy", 0.12, 2)
    assert accuracy.threshold == pytest.approx(0.145)
