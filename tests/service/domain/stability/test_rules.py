import math
from dataclasses import replace

import pytest

from service.domain.stability.rules import (
    AUDIT_FRACTION,
    DEFAULT_RULES,
    Action,
    Rule,
    RuleSetting,
    decide,
    entropy,
    holding,
    is_audited,
)

FLAT = (0.105, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11)
TEN = (0.1,) * 10


def only(rule, **setting):
    return {rule: RuleSetting(Action.PRUNE, **setting)}


def first_epoch(rules, rows, parameters, class_shares=TEN):
    """The first epoch after which a rule holds; None if none does."""
    held = [n - 1 for n in range(1, len(rows) + 1) if holding(rules, rows[:n], parameters, class_shares)]
    return min(held, default=None)


def test_by_default_the_hopeless_are_pruned_and_the_others_flagged():
    actions = {rule: setting.action for rule, setting in DEFAULT_RULES.items()}
    assert actions == dict.fromkeys(Rule, Action.WARN) | {Rule.NONFINITE: Action.PRUNE, Rule.BLOWUP: Action.PRUNE}


@pytest.mark.parametrize(
    ("fate", "rule", "action"),
    [
        ("runaway", Rule.BLOWUP, Action.PRUNE),
        ("vanishing", Rule.VANISHING, Action.WARN),
        ("dead", Rule.DEAD, Action.WARN),
        ("overstepping", Rule.OVERSTEP, Action.WARN),
    ],
)
def test_canonical_trials_meet_their_rule(canonical, parameters, fate, rule, action):
    decision = decide(DEFAULT_RULES, canonical[fate], parameters())
    assert (decision.rule, decision.action) == (rule, action)
    assert str(rule) in str(decision)


@pytest.mark.parametrize("fate", ["healthy", "steep start", "noisy", "swinging", "shallow", "converged"])
def test_trials_that_learn_meet_none_at_any_epoch(canonical, parameters, fate):
    every = {rule: RuleSetting(Action.PRUNE) for rule in Rule}
    assert first_epoch(every, canonical[fate], parameters()) is None


@pytest.mark.parametrize(
    ("rule", "change", "epoch"),
    [
        (Rule.BLOWUP, {"loss_max": 1001.0}, 1),
        (Rule.BLOWUP, {"loss_max": 1000.0}, None),
        (Rule.BLOWUP, {"doublings": 5}, 1),
        (Rule.BLOWUP, {"doublings": 4}, None),
        (Rule.COLLAPSED, {"top_share": 0.995, "val_loss": 2.31}, 3),
        (Rule.COLLAPSED, {"top_share": 0.994, "val_loss": 2.31}, None),
        (Rule.COLLAPSED, {"top_share": 0.995, "val_loss": math.log(10) - 0.009}, 3),
        (Rule.COLLAPSED, {"top_share": 0.995, "val_loss": math.log(10) - 0.011}, None),
        (Rule.COLLAPSED, {"top_share": None}, None),
        (Rule.VANISHING, {"slope": 0.751, "accuracy": FLAT}, 3),
        (Rule.VANISHING, {"slope": 0.749, "accuracy": FLAT}, None),
        (Rule.VANISHING, {"slope": 0.751}, None),
        (Rule.DEAD, {"dead": 0.99, "top_share": 1.0}, 2),
        (Rule.DEAD, {"dead": 0.98, "top_share": 1.0}, None),
        (Rule.OVERSTEP, {"update_ratio": 1.01}, 1),
        (Rule.OVERSTEP, {"update_ratio": 1.0}, None),
    ],
)
def test_each_rule_has_a_threshold_and_needs_its_evidence(rows_of, parameters, rule, change, epoch):
    assert first_epoch(only(rule), rows_of(**change), parameters()) == epoch


@pytest.mark.parametrize(
    ("rule", "setting", "change", "epoch"),
    [
        (Rule.BLOWUP, {"threshold": 50.0}, {"loss_max": 51.0}, 1),
        (Rule.COLLAPSED, {"threshold": 0.9}, {"top_share": 0.9, "val_loss": 2.4}, 3),
        (Rule.COLLAPSED, {"evidence_epochs": 4}, {"top_share": 1.0, "val_loss": 2.4}, 4),
        (Rule.VANISHING, {"threshold": 2.0}, {"slope": 0.51, "accuracy": FLAT}, 3),
        (Rule.VANISHING, {"evidence_epochs": 4}, {"slope": 0.9, "accuracy": FLAT}, 4),
        (Rule.DEAD, {"threshold": 0.5}, {"dead": 0.6, "top_share": 1.0}, 2),
        (Rule.DEAD, {"evidence_epochs": 1}, {"dead": 1.0, "top_share": 1.0}, 1),
        (Rule.OVERSTEP, {"threshold": 0.1}, {"update_ratio": 0.2}, 1),
        (Rule.OVERSTEP, {"evidence_epochs": 3}, {"update_ratio": 2.0}, 3),
    ],
)
def test_threshold_and_evidence_can_be_set(rows_of, parameters, rule, setting, change, epoch):
    assert first_epoch(only(rule, **setting), rows_of(**change), parameters()) == epoch


@pytest.mark.parametrize(
    ("changes", "epoch"),
    [
        ({"learning_rate": 1e-4}, 3),
        ({"learning_rate": 0.99e-4}, 5),
        ({"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.1}, 5),
        ({"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.1}, 3),
    ],
)
def test_slow_learners_get_more_time_before_they_have_collapsed(rows_of, parameters, changes, epoch):
    rows = rows_of(top_share=1.0, val_loss=2.4)
    assert first_epoch(only(Rule.COLLAPSED), rows, parameters(**changes)) == epoch


def test_collapse_needs_epochs_in_a_row_and_the_class_shares(rows_of, parameters):
    rows = rows_of(top_share=1.0, val_loss=2.4)
    interrupted = [replace(row, val_top_class_share=0.5) if row.epoch in (3, 5) else row for row in rows]
    assert first_epoch(only(Rule.COLLAPSED), interrupted, parameters()) is None
    assert first_epoch(only(Rule.COLLAPSED), rows, parameters(), class_shares=None) is None


def test_imbalanced_classes_collapse_at_their_own_entropy(rows_of, parameters):
    rows = rows_of(top_share=1.0, val_loss=0.33)
    assert entropy((0.9, 0.1)) == pytest.approx(0.32508, abs=1e-5)
    assert first_epoch(only(Rule.COLLAPSED), rows, parameters(), class_shares=(0.9, 0.1)) == 3
    assert first_epoch(only(Rule.COLLAPSED), rows, parameters(), class_shares=(0.5, 0.5)) is None


@pytest.mark.parametrize(("epochs", "epoch"), [(5, 3), (10, 3), (11, 4), (20, 6)])
def test_vanishing_waits_for_a_share_of_the_epochs(rows_of, parameters, epochs, epoch):
    rows = rows_of(slope=0.9, accuracy=FLAT)
    assert first_epoch(only(Rule.VANISHING), rows, parameters(epochs=epochs)) == epoch


def test_vanishing_that_is_over_ends_nothing(rows_of, parameters):
    rows = rows_of(slope=0.9, accuracy=FLAT)
    over = [*rows[:3], *rows_of(slope=0.1, accuracy=FLAT)[3:4]]
    assert first_epoch(only(Rule.VANISHING), over, parameters()) is None


def test_a_gain_in_one_of_the_epochs_puts_the_vanishing_rule_off(rows_of, parameters):
    rows = rows_of(slope=0.9, accuracy=(0.109, 0.11, 0.10, 0.1105, 0.1105, 0.1105))
    assert first_epoch(only(Rule.VANISHING), rows, parameters()) == 5


def test_a_nonfinite_step_is_enough_even_before_the_first_update(rows_of, parameters):
    probe = replace(rows_of()[0], nonfinite=1)
    assert decide(DEFAULT_RULES, [probe], parameters()).rule is Rule.NONFINITE


def test_the_rule_that_prunes_goes_before_the_one_that_warns(canonical, parameters):
    rules = {Rule.VANISHING: RuleSetting(Action.WARN), Rule.OVERSTEP: RuleSetting(Action.PRUNE)}
    both = [
        replace(row, layers=tuple(replace(layer, update_ratio_median=2.0) for layer in row.layers))
        for row in canonical["vanishing"]
    ]
    rules_met = [decision.rule for decision in holding(rules | only(Rule.DEAD), both, parameters())]
    assert Rule.OVERSTEP in rules_met
    assert decide(rules, both, parameters()).rule is Rule.OVERSTEP


def test_a_rule_that_is_off_never_holds(canonical, parameters):
    off = {rule: RuleSetting(Action.OFF) for rule in Rule}
    assert decide(off, canonical["runaway"], parameters()) is None
    assert decide({}, canonical["runaway"], parameters()) is None
    assert decide(DEFAULT_RULES, [], parameters()) is None


def test_the_same_trials_are_audited_each_time_and_about_the_wanted_share():
    audited = [number for number in range(20_000) if is_audited(7, number)]
    assert audited == [number for number in range(20_000) if is_audited(7, number)]
    assert len(audited) / 20_000 == pytest.approx(AUDIT_FRACTION, abs=0.005)
    assert audited != [number for number in range(20_000) if is_audited(8, number)]
    assert not any(is_audited(7, number, 0.0) for number in range(100))
    assert all(is_audited(7, number, 1.0) for number in range(100))
