"""The section `gradient_rules` of a sweep file: what each stability rule does, and when.

gradient_rules: {vanishing: prune, collapsed: {action: prune, evidence_epochs: 5}, audit_fraction: 0.1}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.findings import Findings
from service.domain.plain_data import did_you_mean, escaped, shown
from service.domain.stability.rules import (
    AUDIT_FRACTION,
    DEFAULT_RULES,
    THRESHOLD_NAMES,
    Action,
    Rule,
    RuleSet,
    RuleSetting,
)

_WITH_EVIDENCE = (Rule.COLLAPSED, Rule.VANISHING, Rule.DEAD, Rule.OVERSTEP)
_MAX_EVIDENCE = 1000
_BOUNDS: Mapping[Rule, tuple[float, float]] = {
    Rule.BLOWUP: (0.0, 1e30),
    Rule.COLLAPSED: (0.5, 1.0),
    Rule.VANISHING: (0.0, 100.0),
    Rule.DEAD: (0.0, 1.0),
    Rule.OVERSTEP: (0.0, 1e6),
}
"""Thresholds lie above the first number, and up to the second."""


@dataclass(frozen=True, slots=True)
class GradientRules:
    """A sweep's rules, and the share of trials that run on although a rule would prune them."""

    rules: RuleSet
    audit_fraction: float = AUDIT_FRACTION


def read_gradient_rules(section: Any, findings: Findings) -> tuple[GradientRules, list[str]]:
    """The rules of a sweep file, and the pointers of what was left out."""
    if section is None:
        return GradientRules(DEFAULT_RULES), []
    if not isinstance(section, Mapping):
        findings.refuse("/gradient_rules", f"{shown(section)} is no mapping; write {{vanishing: prune}}")
        return GradientRules(DEFAULT_RULES), []
    known = [*Rule, "audit_fraction"]
    for key in section:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            findings.refuse(f"/gradient_rules/{escaped(key)}", f"{shown(key)} is no rule{hint}")
    rules = {rule: _read_setting(rule, section.get(rule), findings) for rule in Rule}
    left_out = [f"/gradient_rules/{key}" for key in known if section.get(key) is None]
    return GradientRules(rules, _read_fraction(section.get("audit_fraction"), findings)), left_out


def plain_gradient_rules(read: GradientRules) -> dict[str, Any]:
    """The rules as they stand in a sweep file."""
    plain: dict[str, Any] = {rule.value: _plain(setting) for rule, setting in read.rules.items()}
    return {**plain, "audit_fraction": read.audit_fraction}


def stored_gradient_rules(definition: Mapping[str, Any]) -> GradientRules:
    """The rules in a sweep's definition; the defaults for one that was stored before there were any."""
    stored = definition.get("gradient_rules")
    if stored is None:
        return GradientRules(DEFAULT_RULES)
    return read_gradient_rules(stored, Findings())[0]


def _plain(setting: RuleSetting) -> str | dict[str, Any]:
    if setting.threshold is None and setting.evidence_epochs is None:
        return setting.action.value
    given = {"threshold": setting.threshold, "evidence_epochs": setting.evidence_epochs}
    return {"action": setting.action.value, **{name: value for name, value in given.items() if value is not None}}


def _read_setting(rule: Rule, value: Any, findings: Findings) -> RuleSetting:
    """An action, or a mapping with an action, a threshold and evidence."""
    default = DEFAULT_RULES[rule]
    if value is None:
        return default
    pointer = f"/gradient_rules/{rule}"
    if not isinstance(value, Mapping):
        return RuleSetting(_read_action(rule, value, pointer, findings))
    keys = {
        "action",
        *(["threshold"] if rule in _BOUNDS else []),
        *(["evidence_epochs"] if rule in _WITH_EVIDENCE else []),
    }
    for key in value:
        if key not in keys:
            hint = did_you_mean(key, sorted(keys)) or f"; {rule} takes {', '.join(sorted(keys))}"
            findings.refuse(f"{pointer}/{escaped(key)}", f"{shown(key)} is no setting of {rule}{hint}")
    action = (
        default.action
        if value.get("action") is None
        else _read_action(rule, value["action"], f"{pointer}/action", findings)
    )
    return RuleSetting(
        action,
        _read_threshold(rule, value.get("threshold"), findings) if rule in THRESHOLD_NAMES else None,
        _read_evidence(rule, value.get("evidence_epochs"), findings) if rule in _WITH_EVIDENCE else None,
    )


def _read_action(rule: Rule, value: Any, pointer: str, findings: Findings) -> Action:
    actions = [Action.PRUNE] if rule is Rule.NONFINITE else list(Action)
    if isinstance(value, str) and value in actions:
        return Action(value)
    if rule is Rule.NONFINITE and isinstance(value, str) and value in list(Action):
        message = "values that are not finite always prune: nothing can be learned after them; leave it out"
    else:
        message = f"{shown(value)} is no action; write {', '.join(actions)}"
    findings.refuse(pointer, message)
    return DEFAULT_RULES[rule].action


def _read_threshold(rule: Rule, value: Any, findings: Findings) -> float | None:
    if value is None:
        return None
    low, high = _BOUNDS[rule]
    if isinstance(value, int | float) and not isinstance(value, bool) and low < value <= high:
        return float(value)
    findings.refuse(
        f"/gradient_rules/{rule}/threshold",
        f"{shown(value)} is no number above {low:g} and up to {high:g}, which the threshold of {rule} is",
    )
    return None


def _read_evidence(rule: Rule, value: Any, findings: Findings) -> int | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value == int(value) and 1 <= value <= _MAX_EVIDENCE:
        return int(value)
    findings.refuse(
        f"/gradient_rules/{rule}/evidence_epochs", f"{shown(value)} is no whole number from 1 to {_MAX_EVIDENCE}"
    )
    return None


def _read_fraction(value: Any, findings: Findings) -> float:
    if value is None:
        return AUDIT_FRACTION
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    findings.refuse("/gradient_rules/audit_fraction", f"{shown(value)} is no share from 0 to 1")
    return AUDIT_FRACTION
