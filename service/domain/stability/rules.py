"""Rules that end or flag a trial early because of its gradients; each has an action, a threshold and its evidence.

A stability prune is not a performance prune: it has the rule's name as its reason. A small share of the trials that a
rule would prune, the audited ones, runs on to the end, so that the rate of false prunes is measured, not assumed.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from service.domain.stability.derived import entropy
from service.domain.stability.rows import STALLED_GAIN, EpochRow, epoch_gain
from service.domain.stability.verdict import (
    THRESHOLDS,
    Evidence,
    Thresholds,
    blowup,
    first_nonfinite,
    judge,
    signs_of_vanishing,
    worst_update_ratio,
)
from service.domain.states import Verdict
from service.wire.parameters import Parameters

AUDIT_FRACTION = 0.05
ENTROPY_MARGIN = 0.01


class Rule(StrEnum):
    """What a rule looks for; the first in this order is the one that is named."""

    NONFINITE = "nonfinite"
    BLOWUP = "blowup"
    COLLAPSED = "collapsed"
    VANISHING = "vanishing"
    DEAD = "dead"
    OVERSTEP = "overstep"


class Action(StrEnum):
    """What happens to a trial for which a rule's condition holds."""

    OFF = "off"
    WARN = "warn"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """How one rule is used. None leaves the rule's own threshold or evidence (docs/gradients.md)."""

    action: Action
    threshold: float | None = None
    evidence_epochs: int | None = None


THRESHOLD_NAMES: Mapping[Rule, str] = {
    Rule.BLOWUP: "step_loss",
    Rule.COLLAPSED: "top_class_share",
    Rule.VANISHING: "vanishing_range",
    Rule.DEAD: "dead_fraction",
    Rule.OVERSTEP: "update_ratio",
}
"""Which threshold of the verdicts a rule's `threshold` replaces; `nonfinite` has none."""

RuleSet = Mapping[Rule, RuleSetting]

DEFAULT_RULES: RuleSet = MappingProxyType(
    {rule: RuleSetting(Action.PRUNE if rule in (Rule.NONFINITE, Rule.BLOWUP) else Action.WARN) for rule in Rule}
)
"""Hopeless trials are ended; what might still learn is flagged until a sweep says `prune`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A rule that holds for a trial after its last epoch, and why."""

    rule: Rule
    action: Action
    epoch: int
    evidence: Evidence

    def __str__(self) -> str:
        found = self.evidence
        where = "" if found.layer is None else f" in layer {found.layer}"
        return f"{self.rule}: {found.metric} {found.value:.3g}{where} (threshold {found.threshold:g})"


def decide(
    rules: RuleSet, rows: Sequence[EpochRow], parameters: Parameters, class_shares: Sequence[float] | None = None
) -> Decision | None:
    """The rule to act on after the last of the rows: the first that prunes, else the first that warns, else none."""
    held = holding(rules, rows, parameters, class_shares)
    return next((decision for decision in held if decision.action is Action.PRUNE), held[0] if held else None)


def holding(
    rules: RuleSet, rows: Sequence[EpochRow], parameters: Parameters, class_shares: Sequence[float] | None = None
) -> list[Decision]:
    """Every rule, not switched off, whose condition holds after the last of the rows.

    Args:
        rules: The sweep's rules; one that is missing is off.
        rows: The present attempt's rows so far, in the order of the epochs.
        parameters: The trial's; the number of epochs, the learning rate and the optimizer say how much evidence.
        class_shares: Share of each class in the validation data; without it `collapsed` cannot be judged.
    """
    if not rows:
        return []
    case = _Case(rows, parameters, class_shares)
    decisions = []
    for rule, holds in _CONDITIONS.items():
        setting = rules.get(rule)
        if setting is None or setting.action is Action.OFF:
            continue
        evidence = holds(case, setting)
        if evidence is not None:
            decisions.append(Decision(rule, setting.action, rows[-1].epoch, evidence))
    return decisions


def thresholds_of(rule: Rule, setting: RuleSetting) -> Thresholds:
    """The thresholds that a rule judges by: its own may be set."""
    if setting.threshold is None:
        return THRESHOLDS
    changed: dict[str, Any] = {THRESHOLD_NAMES[rule]: setting.threshold}
    return replace(THRESHOLDS, **changed)


def is_audited(sweep_seed: int, number: int, fraction: float = AUDIT_FRACTION) -> bool:
    """Whether a trial that a rule would prune runs on: a fixed draw from the sweep's seed and the trial's number."""
    digest = hashlib.sha256(f"audit:{sweep_seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < fraction


@dataclass(frozen=True, slots=True)
class _Case:
    rows: Sequence[EpochRow]
    parameters: Parameters
    class_shares: Sequence[float] | None

    @property
    def last(self) -> EpochRow:
        return self.rows[-1]

    def until(self, epochs_ago: int) -> Sequence[EpochRow]:
        return self.rows[: len(self.rows) - epochs_ago]


def _nonfinite(case: _Case, _setting: RuleSetting) -> Evidence | None:
    return first_nonfinite(case.rows)


def _blowup(case: _Case, setting: RuleSetting) -> Evidence | None:
    return blowup(case.rows, thresholds_of(Rule.BLOWUP, setting))


def _collapsed(case: _Case, setting: RuleSetting) -> Evidence | None:
    """Nearly all predictions in one class, and no better than predicting the shares.

    A bare threshold on the accuracy would end trials on data with a weak signal, and would never end one where the
    classes are imbalanced.
    """
    if case.class_shares is None:
        return None
    slow = case.parameters.learning_rate < 1e-4 or (case.parameters.optimizer == "sgd" and not case.parameters.momentum)
    n_epochs = setting.evidence_epochs or (5 if slow else 3)
    threshold = thresholds_of(Rule.COLLAPSED, setting).top_class_share
    least_loss = entropy(case.class_shares) - ENTROPY_MARGIN
    recent = [row for row in case.rows if row.epoch >= 1][-n_epochs:]
    has_collapsed = [
        row.val_top_class_share is not None
        and row.val_loss is not None
        and row.val_top_class_share >= threshold
        and row.val_loss >= least_loss
        for row in recent
    ]
    if len(recent) < n_epochs or not all(has_collapsed):
        return None
    return Evidence("val_top_class_share", case.last.val_top_class_share or 0.0, threshold, epoch=recent[0].epoch)


def _vanishing(case: _Case, setting: RuleSetting) -> Evidence | None:
    """The verdict without a gain, in successive epochs; the gradient's size alone is not enough, Adam rescales it.

    The last epoch's own numbers must say so too: nothing is ended for what is over.
    """
    if not signs_of_vanishing(case.last, thresholds_of(Rule.VANISHING, setting)):
        return None
    if case.last.epoch < max(3, math.ceil(0.3 * case.parameters.epochs)):
        return None
    n_epochs = setting.evidence_epochs or 2
    gains = [epoch_gain(case.rows, case.last.epoch - ago) for ago in range(n_epochs)]
    if not all(gain is not None and gain < STALLED_GAIN for gain in gains):
        return None
    return _repeated(case, Verdict.VANISHING, n_epochs, thresholds_of(Rule.VANISHING, setting))


def _dead(case: _Case, setting: RuleSetting) -> Evidence | None:
    return _repeated(case, Verdict.DEAD, setting.evidence_epochs or 2, thresholds_of(Rule.DEAD, setting))


def _overstep(case: _Case, setting: RuleSetting) -> Evidence | None:
    """Weights replaced rather than changed: steps as long as the weights themselves."""
    n_epochs = setting.evidence_epochs or 1
    recent = [row for row in case.rows if row.epoch >= 1][-n_epochs:]
    found = [worst_update_ratio([row], thresholds_of(Rule.OVERSTEP, setting)) for row in recent]
    if len(recent) < n_epochs or None in found:
        return None
    return found[-1]


def _repeated(case: _Case, verdict: Verdict, n_epochs: int, thresholds: Thresholds) -> Evidence | None:
    """The evidence for a verdict that held after each of the last epochs."""
    if case.last.epoch < n_epochs:
        return None
    findings = [judge(case.until(ago), case.class_shares, thresholds) for ago in range(n_epochs)]
    if not all(finding is not None and finding.verdict is verdict for finding in findings):
        return None
    return findings[0].evidence[0] if findings[0] is not None else None


_CONDITIONS: dict[Rule, Callable[[_Case, RuleSetting], Evidence | None]] = {
    Rule.NONFINITE: _nonfinite,
    Rule.BLOWUP: _blowup,
    Rule.COLLAPSED: _collapsed,
    Rule.VANISHING: _vanishing,
    Rule.DEAD: _dead,
    Rule.OVERSTEP: _overstep,
}
