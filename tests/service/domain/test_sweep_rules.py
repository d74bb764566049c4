"""The section gradient_rules of a sweep file."""

import pytest

from service.domain.findings import Findings
from service.domain.stability.rules import DEFAULT_RULES, Action, Rule, RuleSetting
from service.domain.sweep_rules import plain_gradient_rules, read_gradient_rules, stored_gradient_rules


def read(section):
    findings = Findings()
    rules, _left_out = read_gradient_rules(section, findings)
    return rules, [(problem.pointer, problem.message) for problem in findings.wrong]


def test_nothing_given_is_the_default():
    rules, wrong = read(None)
    assert (dict(rules.rules), rules.audit_fraction, wrong) == (dict(DEFAULT_RULES), 0.05, [])


def test_a_rule_is_an_action_or_a_mapping():
    rules, wrong = read(
        {
            "vanishing": "prune",
            "dead": "off",
            "collapsed": {"action": "prune", "threshold": 0.9, "evidence_epochs": 5},
            "overstep": {"threshold": 0.5},
            "nonfinite": "prune",
            "audit_fraction": 0,
        }
    )
    assert wrong == []
    assert rules.audit_fraction == 0
    assert dict(rules.rules) == {
        Rule.NONFINITE: RuleSetting(Action.PRUNE),
        Rule.BLOWUP: RuleSetting(Action.PRUNE),
        Rule.COLLAPSED: RuleSetting(Action.PRUNE, 0.9, 5),
        Rule.VANISHING: RuleSetting(Action.PRUNE),
        Rule.DEAD: RuleSetting(Action.OFF),
        Rule.OVERSTEP: RuleSetting(Action.WARN, 0.5),
    }


@pytest.mark.parametrize(
    ("section", "pointer", "words"),
    [
        ("prune", "/gradient_rules", "no mapping"),
        ({"vanish": "prune"}, "/gradient_rules/vanish", "did you mean vanishing?"),
        ({"unpromising": "prune"}, "/gradient_rules/unpromising", "is no rule"),
        ({"dead": "kill"}, "/gradient_rules/dead", "write off, warn, prune"),
        ({"dead": False}, "/gradient_rules/dead", "write off, warn, prune"),
        ({"dead": {"action": 1}}, "/gradient_rules/dead/action", "write off, warn, prune"),
        ({"nonfinite": "warn"}, "/gradient_rules/nonfinite", "always prune"),
        ({"nonfinite": {"threshold": 1}}, "/gradient_rules/nonfinite/threshold", "no setting of nonfinite"),
        ({"blowup": {"evidence_epochs": 2}}, "/gradient_rules/blowup/evidence_epochs", "no setting of blowup"),
        ({"dead": {"treshold": 1}}, "/gradient_rules/dead/treshold", "did you mean threshold?"),
        ({"dead": {"threshold": 1.1}}, "/gradient_rules/dead/threshold", "up to 1"),
        ({"overstep": {"threshold": 0}}, "/gradient_rules/overstep/threshold", "above 0"),
        ({"overstep": {"threshold": True}}, "/gradient_rules/overstep/threshold", "true is no number"),
        ({"dead": {"evidence_epochs": 1.5}}, "/gradient_rules/dead/evidence_epochs", "whole number"),
        ({"dead": {"evidence_epochs": 0}}, "/gradient_rules/dead/evidence_epochs", "from 1"),
        ({"audit_fraction": 1.5}, "/gradient_rules/audit_fraction", "no share"),
        ({"audit_fraction": "all"}, "/gradient_rules/audit_fraction", "no share"),
    ],
)
def test_what_cannot_stand_is_refused_where_it_stands(section, pointer, words):
    _rules, [(found, message)] = read(section)
    assert found == pointer
    assert words in message


@pytest.mark.parametrize(
    "section", [None, {}, {"dead": "off", "collapsed": {"threshold": 0.8}}, {"audit_fraction": 1.0, "blowup": "warn"}]
)
def test_what_is_stored_is_read_back(section):
    rules, _wrong = read(section)
    plain = plain_gradient_rules(rules)
    assert stored_gradient_rules({"gradient_rules": plain}) == rules
    assert read(plain) == (rules, [])


def test_a_sweep_from_before_there_were_rules_has_the_default():
    assert dict(stored_gradient_rules({}).rules) == dict(DEFAULT_RULES)
