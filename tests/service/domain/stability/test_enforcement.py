"""What the rules do to epochs as they come. How each rule judges is tested in test_rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.stability.enforcement import Case, appraise, enforce, is_plain, may_hold
from service.domain.stability.rows import epoch_row_from_report
from service.domain.stability.rules import Action, Rule, RuleSetting, holding
from service.domain.states import StabilityLimit, Verdict
from service.wire.leases import EpochReport, LayerReport

TEN = (0.1,) * 10
EVERY = {rule: RuleSetting(Action.PRUNE) for rule in Rule}
measured = st.fixed_dictionaries(
    {
        "accuracy": st.lists(st.sampled_from((0.1, 0.105, 0.11, 0.3, 0.9)), min_size=2, max_size=6),
        "slope": st.sampled_from((0.0, 0.9, -0.6)),
        "grad_rms": st.sampled_from((1e-3, 1e-9, None)),
        "update_ratio": st.sampled_from((1e-3, 1e-7, 3.0, None)),
        "dead": st.sampled_from((0.0, 1.0, None)),
        "top_share": st.sampled_from((0.1, 1.0, None)),
        "val_loss": st.sampled_from((1.0, 2.4)),
        "loss_max": st.sampled_from((2.5, 5e3)),
        "doublings": st.sampled_from((0, 5)),
    }
)


@given(measured, st.sampled_from((TEN, (0.3, 0.7), None)))
@settings(max_examples=300)
def test_no_rule_holds_where_none_may(rows_of, parameters, measured, class_shares):
    rows = rows_of(**measured)
    before = rows[-2].train_accuracy
    held = [one.rule for one in holding(EVERY, rows, parameters(), class_shares) if one.rule is not Rule.NONFINITE]
    possible = [rule for rule in EVERY if may_hold({rule: EVERY[rule]}, rows[-1], before, class_shares)]
    lasting = {Rule.BLOWUP}  # an earlier epoch's: it was acted upon when that epoch came
    assert set(held) - lasting <= set(possible)


def test_a_healthy_epoch_needs_no_look_back(canonical):
    rows = canonical["healthy"]
    assert not any(may_hold(EVERY, row, rows[row.epoch - 1].train_accuracy, TEN) for row in rows)


@pytest.mark.parametrize(("before", "looks"), [(None, True), (0.105, True), (0.05, False)])
def test_signs_of_vanishing_without_a_gain_make_a_look_back_necessary(canonical, before, looks):
    assert may_hold(EVERY, canonical["vanishing"][-1], before, TEN) is looks
    assert not may_hold(EVERY, canonical["healthy"][-1], before, TEN)


def test_a_rule_that_is_off_needs_no_look_back(canonical):
    assert not may_hold({Rule.BLOWUP: RuleSetting(Action.OFF)}, canonical["runaway"][-1], 0.1, TEN)


def enforced(rows, parameters, new=range(1, 7), rules=EVERY, audit_fraction=0.0, **changes):
    case = Case(rows, parameters(**changes), TEN)
    return enforce(rules, case, new, sweep_seed=7, number=3, audit_fraction=audit_fraction)


def test_the_first_new_epoch_at_which_a_rule_prunes_decides(canonical, parameters):
    prune = enforced(canonical["dead"], parameters).prune
    assert (prune.rule, prune.epoch) == (Rule.DEAD, 2)
    later = enforced(canonical["dead"], parameters, new=[5]).prune
    assert (later.rule, later.epoch) == (Rule.DEAD, 5)


def test_old_epochs_are_not_judged_again(canonical, parameters):
    found = enforced(canonical["runaway"], parameters, new=[])
    assert (found.prune, found.let_off, found.warnings) == (None, None, ())


def test_an_audited_trial_is_let_off_and_goes_on(canonical, parameters):
    found = enforced(canonical["dead"], parameters, audit_fraction=1.0)
    assert found.prune is None
    assert (found.let_off.rule, found.let_off.epoch) == (Rule.DEAD, 2)


def test_each_rule_warns_once(canonical, parameters):
    warn = {Rule.OVERSTEP: RuleSetting(Action.WARN)}
    found = enforced(canonical["overstepping"], parameters, rules=warn)
    assert [(one.rule, one.epoch) for one in found.warnings] == [(Rule.OVERSTEP, 1)]


def test_signs_of_vanishing_before_the_first_update_only_warn(canonical, parameters):
    probe = canonical["vanishing"][0]
    assert may_hold(EVERY, probe, None, TEN)
    found = enforced([probe], parameters, new=[0])
    assert found.prune is None
    assert [(one.rule, one.action, one.epoch) for one in found.warnings] == [(Rule.VANISHING, Action.WARN, 0)]


def test_a_probe_gives_no_warning_where_vanishing_is_not_watched(canonical, parameters):
    off = {Rule.VANISHING: RuleSetting(Action.OFF)}
    assert not may_hold(off, canonical["vanishing"][0], None, TEN)
    assert enforced(canonical["vanishing"][:1], parameters, new=[0], rules=off).warnings == ()
    assert not may_hold(EVERY, canonical["healthy"][0], None, TEN)


def test_at_the_last_epoch_a_rule_that_would_prune_warns(canonical, parameters):
    found = enforced(canonical["runaway"], parameters, new=[6], epochs=6)
    assert found.prune is None
    assert [one.rule for one in found.warnings] == [Rule.BLOWUP]


def test_appraisal_is_score_verdict_and_slope(canonical, parameters):
    found = appraise(canonical["vanishing"])
    assert (found["verdict"], found["stability_limited_by"]) == (Verdict.VANISHING, StabilityLimit.DEPTH)
    assert found["depth_slope"] == pytest.approx(0.9)
    assert found["verdict_evidence"][0]["metric"] == "depth_range"
    assert found["stability_parts"]["update"] == 1.0


def test_evidence_that_is_not_finite_is_spelled(rows_of, parameters):
    found = appraise(rows_of(update_ratio=float("inf")))
    assert found["verdict_evidence"][0]["value"] == "inf"


def test_without_rows_nothing_is_known(parameters):
    assert set(appraise(()).values()) == {None}


LAYERS = tuple(LayerReport(layer=layer, grad_rms_median=1e-3, bias_grad_rms_median=1e-3) for layer in (1, 2, 3, 4))
FAINT = (*LAYERS[:3], LayerReport(layer=4, grad_rms_median=1e-9))
STEEP = tuple(LayerReport(layer=layer, bias_grad_rms_median=10.0 ** (2 * layer)) for layer in (1, 2, 3, 4))


@pytest.mark.parametrize(("layers", "may"), [(LAYERS, False), (FAINT, True), (STEEP, True)])
def test_a_plain_report_is_asked_like_its_row(layers, may):
    report = EpochReport(epoch=3, steps=1, train_accuracy=0.1, layers=layers)
    assert is_plain(report)
    assert may_hold(EVERY, report, 0.1, TEN) is may_hold(EVERY, epoch_row_from_report(report), 0.1, TEN) is may


@pytest.mark.parametrize(
    "report",
    [
        EpochReport(epoch=1, steps=1, nonfinite_values={"loss_max": "inf"}),
        EpochReport(epoch=1, steps=1, layers=(LayerReport(layer=1, nonfinite_values={"grad_norm_max": "nan"}),)),
        EpochReport(epoch=1, steps=1, layers=LAYERS[::-1]),
    ],
    ids=["spelled", "spelled-in-a-layer", "out-of-order"],
)
def test_what_is_spelled_out_or_out_of_order_is_not_plain(report):
    assert not is_plain(report)
