"""What a sweep's rules do to a running trial when epochs are reported.

news ── may any rule hold? (cheap, from the epoch alone) ── yes ──► the attempt's rows ──► prune | warn | audited
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from service.domain.metrics import TRIAL_METRICS
from service.domain.stability.derived import bias_slope, depth_slope, median_over
from service.domain.stability.rows import STALLED_GAIN, EpochRow, learning_epochs
from service.domain.stability.rules import (
    Action,
    Decision,
    Rule,
    RuleSet,
    RuleSetting,
    holding,
    is_audited,
    thresholds_of,
)
from service.domain.stability.score import score
from service.domain.stability.trial_metrics import at_best, gradient_metrics, part_columns
from service.domain.stability.verdict import (
    THRESHOLDS,
    Evidence,
    Finding,
    Thresholds,
    gains_nothing,
    judge,
    signs_of_vanishing,
    tells_nothing,
)
from service.domain.states import StabilityLimit
from service.wire.leases import EpochReport
from service.wire.parameters import Parameters

APPRAISED = (
    *("stability", "depth_slope", "stability_limited_by", "stability_parts", "score_version"),
    *("verdict", "verdict_evidence", "rule_warnings", "would_have_pruned", "would_have_pruned_epoch"),
    *TRIAL_METRICS,
)
"""Columns of a trial that say what its gradients did; an attempt begins without them."""


_Reported = EpochRow | EpochReport
_SPELLED = attrgetter("nonfinite_values")


@dataclass(frozen=True, slots=True)
class Case:
    """An attempt as its rules see it: its rows in the order of the epochs, and what they are judged by."""

    rows: Sequence[EpochRow]
    parameters: Parameters
    class_shares: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What the rules say about new epochs: at most one prune, at most one that was let off, warnings once a rule."""

    prune: Decision | None = None
    let_off: Decision | None = None
    warnings: tuple[Decision, ...] = ()


def is_plain(report: EpochReport) -> bool:
    """Whether a report can be asked like a row: nothing in it is spelled out, and its layers are in order."""
    numbers = [layer.layer for layer in report.layers]
    return not report.nonfinite_values and numbers == sorted(numbers) and not any(map(_SPELLED, report.layers))


def may_hold(
    rules: RuleSet, row: EpochRow | EpochReport, accuracy_before: float | None, class_shares: Sequence[float] | None
) -> bool:
    """Whether a rule could hold after this epoch; if not, nothing else need be read. Never false where one does.

    Asked of every epoch that is reported, so it makes no evidence, only comparisons.

    Args:
        rules: The sweep's rules.
        row: The epoch that was reported; a report only if it is plain.
        accuracy_before: The training accuracy of the epoch before; None if it is unknown.
        class_shares: Share of each class in the validation data, if known.
    """
    if row.epoch == 0:
        return _is_watched(rules, Rule.VANISHING) and _shows_vanishing(row, THRESHOLDS)
    return any(
        setting.action is not Action.OFF and _POSSIBLE[rule](row, setting, accuracy_before, class_shares)
        for rule, setting in rules.items()
    )


def enforce(
    rules: RuleSet, case: Case, new_epochs: Collection[int], *, sweep_seed: int, number: int, audit_fraction: float
) -> Enforcement:
    """Look at each new epoch as if it had come alone; the first rule that prunes ends the look.

    Signs of vanishing before the first update are a warning, for training may overcome them. Values that are not
    finite are left out: they always prune, wherever they come from. A rule that would prune at the last epoch only
    warns, for nothing would be saved.
    """
    is_let_off = is_audited(sweep_seed, number, audit_fraction)
    let_off: Decision | None = None
    warnings: dict[tuple[Rule, bool], Decision] = {}
    for count, row in enumerate(case.rows, start=1):
        if row.epoch not in new_epochs:
            continue
        if row.epoch == 0:
            signs = signs_of_vanishing(row) if _is_watched(rules, Rule.VANISHING) else ()
            if signs:
                warnings[Rule.VANISHING, True] = Decision(Rule.VANISHING, Action.WARN, 0, signs[0])
            continue
        for decision in holding(rules, case.rows[:count], case.parameters, case.class_shares):
            if decision.rule is Rule.NONFINITE:
                continue
            if decision.action is not Action.PRUNE or row.epoch >= case.parameters.epochs:
                warnings.setdefault((decision.rule, False), decision)
            elif is_let_off:
                let_off = let_off or decision
            else:
                return Enforcement(decision, let_off, tuple(warnings.values()))
    return Enforcement(None, let_off, tuple(warnings.values()))


def appraise(
    rows: Sequence[EpochRow], class_shares: Sequence[float] | None = None, best_epoch: int | None = None
) -> dict[str, Any]:
    """The columns of a trial that follow from its rows: score, verdict, one number per metric; None where unknown.

    Args:
        rows: Of the attempt that ended, in the order of the epochs.
        class_shares: Share of each class in the validation data, if known.
        best_epoch: The epoch that was best by the sweep's metric, for the other metrics as they were then.
    """
    stability = score(rows)
    finding = judge(rows, class_shares)
    return {
        "stability": None if stability is None else stability.stability,
        "stability_limited_by": _limit(None if stability is None else stability.limiting),
        "stability_parts": None if stability is None else stability.measured,
        "score_version": None if stability is None else stability.version,
        "depth_slope": median_over(learning_epochs(rows), depth_slope),
        "verdict": None if finding is None else finding.verdict,
        "verdict_evidence": plain_evidence(finding),
        **part_columns(stability),
        **gradient_metrics(rows),
        **at_best(rows, best_epoch),
    }


def _is_watched(rules: RuleSet, rule: Rule) -> bool:
    return rule in rules and rules[rule].action is not Action.OFF


def plain_evidence(finding: Finding | None) -> list[dict[str, Any]] | None:
    """Evidence as plain data; a value that is not finite is spelled."""
    return None if finding is None else [_plain(evidence) for evidence in finding.evidence]


def plain_decision(decision: Decision) -> dict[str, Any]:
    """A rule's warning as plain data."""
    return {"rule": decision.rule.value, "epoch": decision.epoch, "detail": str(decision)}


def _plain(evidence: Evidence) -> dict[str, Any]:
    plain = asdict(evidence)
    if not math.isfinite(evidence.value):
        plain["value"] = str(evidence.value)
    return plain


def _limit(name: str | None) -> StabilityLimit | None:
    return None if name is None else StabilityLimit(name)


def _may_blow_up(row: _Reported, setting: RuleSetting, _before: float | None, _shares: Sequence[float] | None) -> bool:
    at = thresholds_of(Rule.BLOWUP, setting)
    return row.loss_doublings >= at.doublings or (row.loss_max is not None and row.loss_max > at.step_loss)


def _may_collapse(row: _Reported, setting: RuleSetting, _before: float | None, shares: Sequence[float] | None) -> bool:
    at = thresholds_of(Rule.COLLAPSED, setting)
    share = row.val_top_class_share
    return shares is not None and share is not None and share >= at.top_class_share


def _may_vanish(row: _Reported, setting: RuleSetting, before: float | None, _shares: Sequence[float] | None) -> bool:
    """The rule needs an epoch gain below 0.01, however small the gradient is."""
    is_gain_known = before is not None and row.train_accuracy is not None
    if is_gain_known and (row.epoch < 3 or round(row.train_accuracy - before, 9) >= STALLED_GAIN):  # type: ignore[operator]
        return False
    return _shows_vanishing(row, thresholds_of(Rule.VANISHING, setting))


def _shows_vanishing(row: _Reported, at: Thresholds) -> bool:
    """Whether `signs_of_vanishing` would find any."""
    for layer in row.layers:
        if layer.grad_rms_median is not None and layer.grad_rms_median < at.grad_rms:
            return True
    slope = bias_slope(row.layers[:-1])
    return slope is not None and slope * (len(row.layers) - 2) >= at.vanishing_range


def _may_be_dead(row: _Reported, setting: RuleSetting, _before: float | None, shares: Sequence[float] | None) -> bool:
    at = thresholds_of(Rule.DEAD, setting)
    return gains_nothing(row, shares, at) or tells_nothing(row, shares, at)


def _may_overstep(row: _Reported, setting: RuleSetting, _before: float | None, _shares: Sequence[float] | None) -> bool:
    at = thresholds_of(Rule.OVERSTEP, setting)
    return any(
        layer.update_ratio_median is not None and layer.update_ratio_median > at.update_ratio for layer in row.layers
    )


_POSSIBLE: Mapping[Rule, Any] = {
    Rule.NONFINITE: lambda *_: False,  # decided from the report itself
    Rule.BLOWUP: _may_blow_up,
    Rule.COLLAPSED: _may_collapse,
    Rule.VANISHING: _may_vanish,
    Rule.DEAD: _may_be_dead,
    Rule.OVERSTEP: _may_overstep,
}
