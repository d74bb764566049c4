"""Gradient rules in the transaction of a report, and what a trial says of its gradients when it has ended."""

import pytest

from service.domain.stability.score import SCORE_VERSION
from service.domain.states import PruneReason, StabilityLimit, TrialState, Verdict
from service.wire.leases import Completed, LayerReport, Start

TEN = (0.1,) * 10
DONE = Completed(test_loss=0.1, test_accuracy=0.9, best_epoch=9)
COLLAPSED = {"val_top_class_share": 1.0, "val_loss": 2.4}


def layers(n=5, **measured):
    healthy = {"grad_rms_median": 1e-3, "bias_grad_rms_median": 1e-3, "update_ratio_median": 1e-3, "dead_fraction": 0.0}
    return tuple(LayerReport(layer=number, **healthy | measured) for number in range(1, n + 1))


@pytest.fixture
def begin(submit, worker, speak):
    """Submits a sweep with some rules, claims a trial and reports its epoch 0; the fence of the trial."""

    def begin_one(rules=None, start=None, value=0.1, audit_fraction=0.0):
        submit(gradient_rules={"audit_fraction": audit_fraction} | (rules or {}))
        [fence] = worker.claim(1)
        worker.report(speak["epoch"](fence, 0, value, train_loss=2.3, start=start, layers=layers()))
        return fence

    return begin_one


def start(class_shares=TEN):
    return Start(stream_seed=1, start_epoch=0, dataset_sha256="0" * 64, class_shares=class_shares)


def test_a_loss_that_blows_up_is_pruned_by_default(begin, worker, speak, record):
    fence = begin()

    [answer] = worker.report(speak["epoch"](fence, 1, 0.1, loss_max=5e4, layers=layers()))

    assert answer.directive == "prune"
    assert answer.reason == "blowup: loss_max 5e+04 (threshold 1000)"
    trial = record.trial(fence)
    assert (trial.state, trial.prune_reason) == (TrialState.PRUNED, PruneReason.BLOWUP)
    assert trial.verdict is Verdict.EXPLODING
    assert trial.verdict_evidence[0]["metric"] == "loss_max"
    assert (trial.stability, trial.stability_limited_by) == (0.0, StabilityLimit.LOSS)


def test_the_other_rules_flag_a_trial_once(begin, worker, speak, record):
    fence = begin()

    told = [worker.directives(speak["epoch"](fence, n, 0.1, layers=layers(update_ratio_median=3.0))) for n in (1, 2)]

    assert told == [["continue"], ["continue"]]
    [warning] = record.trial(fence).rule_warnings
    assert (warning["rule"], warning["epoch"]) == ("overstep", 1)
    assert warning["detail"] == "overstep: update_ratio 3 in layer 1 (threshold 1)"


def test_a_probe_whose_gradient_vanishes_flags_the_trial_before_an_epoch_is_spent(submit, worker, speak, record):
    submit()
    [fence] = worker.claim(1)
    faint = layers(grad_rms_median=1e-9)

    told = [worker.directives(speak["epoch"](fence, n, 0.1, layers=faint))[0] for n in range(5)]

    assert told == ["continue"] * 5
    warnings = record.trial(fence).rule_warnings
    assert [(warning["rule"], warning["epoch"]) for warning in warnings] == [("vanishing", 0), ("vanishing", 3)]


@pytest.mark.parametrize(
    ("rule", "measured", "directives"),
    [
        ("overstep", {"layers": layers(update_ratio_median=3.0)}, ["prune"]),
        ("dead", {"layers": layers(dead_fraction=1.0), "val_top_class_share": 1.0}, ["continue", "prune"]),
        ("collapsed", {"layers": layers(), **COLLAPSED}, ["continue", "continue", "prune"]),
        ("vanishing", {"layers": layers(grad_rms_median=1e-9)}, ["continue", "continue", "prune"]),
    ],
)
def test_a_sweep_may_prune_by_any_rule(begin, worker, speak, record, rule, measured, directives):
    fence = begin({rule: "prune"}, start())

    told = [worker.directives(speak["epoch"](fence, n, 0.1, **measured))[0] for n in range(1, len(directives) + 1)]

    assert told == directives
    assert record.trial(fence).prune_reason == rule
    assert record.trial(fence).prune_detail.startswith(f"{rule}: ")


def test_epochs_that_come_together_are_judged_as_if_they_had_come_alone(begin, worker, speak, record):
    fence = begin({"collapsed": "prune"}, start())

    told = worker.directives(*(speak["epoch"](fence, n, 0.1, layers=layers(), **COLLAPSED) for n in (1, 2, 3)))

    assert told == ["prune"] * 3
    assert record.trial(fence).prune_reason is PruneReason.COLLAPSED


def test_class_shares_that_come_with_the_epochs_count_at_once(submit, worker, speak):
    submit(gradient_rules={"audit_fraction": 0, "collapsed": "prune"})
    [fence] = worker.claim(1)
    probe = speak["epoch"](fence, 0, 0.1, train_loss=2.3, start=start(), layers=layers())

    told = worker.directives(probe, *(speak["epoch"](fence, n, 0.1, layers=layers(), **COLLAPSED) for n in (1, 2, 3)))

    assert told == ["prune"] * 4


def test_without_class_shares_nothing_counts_as_collapsed(begin, worker, speak):
    fence = begin({"collapsed": "prune"}, start(None))
    told = [worker.directives(speak["epoch"](fence, n, 0.1, layers=layers(), **COLLAPSED)) for n in (1, 2, 3, 4)]
    assert told == [["continue"]] * 4


def test_an_audited_trial_runs_on_and_says_what_would_have_ended_it(begin, worker, speak, record):
    fence = begin({"overstep": "prune"}, audit_fraction=1.0)
    for epoch in range(1, 9):
        worker.report(speak["epoch"](fence, epoch, 0.1 + epoch / 20, layers=layers(update_ratio_median=3.0)))

    worker.report(speak["epoch"](fence, 9, 0.6, layers=layers(), final=DONE))

    trial = record.trial(fence)
    assert (trial.state, trial.prune_reason) == (TrialState.COMPLETED, None)
    assert (trial.would_have_pruned, trial.would_have_pruned_epoch) == (PruneReason.OVERSTEP, 1)


def test_at_the_last_epoch_a_rule_only_warns(begin, worker, speak, record):
    fence = begin()

    [told] = worker.directives(speak["epoch"](fence, 9, 0.1, loss_max=5e4, layers=layers()))

    assert told == "continue"
    assert record.trial(fence).rule_warnings[0]["rule"] == "blowup"


def test_one_trial_never_pays_for_its_neighbour(submit, worker, speak, record):
    submit(gradient_rules={"audit_fraction": 0})
    guilty, innocent = worker.claim(2)

    told = worker.directives(
        speak["epoch"](guilty, 1, 0.5, loss_max=5e4, layers=layers()), speak["epoch"](innocent, 1, 0.5, layers=layers())
    )

    assert told == ["prune", "continue"]
    assert record.trial(innocent).rule_warnings is None


def test_the_same_epoch_again_is_answered_the_same(begin, worker, speak):
    fence = begin()
    entry = speak["epoch"](fence, 1, 0.1, loss_max=5e4, layers=layers())
    assert worker.report(entry) == worker.report(entry)


def test_a_completed_trial_has_a_verdict_and_a_score_with_its_parts(begin, worker, speak, record):
    fence = begin()
    measured = {"train_loss": 1.0, "loss_max": 2.0, "global_norm_p50": 1.0, "global_norm_p99": 2.0}
    worker.report(speak["epoch"](fence, 1, 0.8, layers=layers(), **measured))

    worker.report(speak["final"](fence))

    trial = record.trial(fence)
    assert (trial.verdict, trial.verdict_evidence) == (Verdict.STABLE, [])
    assert (trial.stability, trial.stability_limited_by) == (1.0, None)
    assert trial.stability_parts == dict.fromkeys(("depth", "update", "level", "steady", "units", "loss"), 1.0)
    assert trial.score_version == SCORE_VERSION
    assert trial.depth_slope == pytest.approx(0, abs=1e-12)


def test_parts_that_were_not_measured_are_null(begin, worker, speak, record):
    fence = begin()
    worker.report(speak["epoch"](fence, 1, 0.8, layers=layers(2)))
    worker.report(speak["final"](fence))
    assert record.trial(fence).stability_parts["depth"] is None


def test_a_diverged_trial_is_nonfinite_and_has_no_stability(begin, worker, speak, record):
    fence = begin()
    lost = layers(nonfinite=3, nonfinite_first_step=7)
    worker.report(speak["epoch"](fence, 1, 0.1, nonfinite=3, nonfinite_values={"train_loss": "nan"}, layers=lost))
    trial = record.trial(fence)
    assert (trial.prune_reason, trial.verdict) == (PruneReason.NONFINITE, Verdict.NONFINITE)
    assert (trial.stability, trial.stability_limited_by) == (0.0, StabilityLimit.NONFINITE)
    assert (trial.verdict_evidence[0]["layer"], trial.verdict_evidence[0]["step"]) == (1, 7)


def test_a_trial_that_failed_before_its_first_epoch_has_neither(begin, worker, speak, record):
    fence = begin()
    worker.report(speak["final"](fence, "failed"))
    assert (record.trial(fence).verdict, record.trial(fence).stability) == (None, None)


def test_a_new_attempt_begins_without_the_warnings_of_the_last(begin, worker, speak, record):
    fence = begin()
    worker.report(speak["epoch"](fence, 1, 0.1, layers=layers(update_ratio_median=3.0)))
    assert record.trial(fence).rule_warnings is not None

    worker.release([fence])
    assert (fence[0], 2) in worker.claim(8)

    assert record.trial(fence).rule_warnings is None
