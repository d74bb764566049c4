"""The two sections of a sweep file that have keys of their own: `metric` and `early_terminate`."""

from collections.abc import Mapping
from typing import Any, Literal

from service.domain.findings import Findings
from service.domain.goals import Metric
from service.domain.metrics import METRICS, STORED_METRICS, TEST_METRICS, is_share
from service.domain.plain_data import did_you_mean, escaped, shown
from service.domain.states import Direction, MetricAt
from service.domain.sweep import EarlyTermination
from service.domain.sweep_keys import MAX_RUN_CAP

_KINDS: dict[str, Literal["none", "hyperband", "median"]] = {
    "hyperband": "hyperband",
    "median": "median",
    "none": "none",
}
_RULES: dict[str, tuple[str, ...]] = {
    "hyperband": ("min_iter", "eta"),
    "median": ("min_iter", "min_trials"),
    "none": (),
}
_PLANNED_RULES = ("max_iter", "s", "strict")


def read_metric(section: Any, findings: Findings) -> tuple[Metric, list[str]]:
    """The metric that a sweep ranks by, and the pointers of what was left out."""
    keys = known_keys("metric", section, ("name", "goal", "target", "at"), "{name: val_accuracy}", findings)
    name = keys.get("name", "val_accuracy")
    if not isinstance(name, str) or name not in METRICS:
        findings.refuse("/metric/name", _metric_message(name))
        name = "val_accuracy"
    check_goal("/metric/goal", name, keys.get("goal"), findings)
    at = keys.get("at", "last")
    if at not in ("last", "best"):
        findings.refuse("/metric/at", f"{shown(at)} is neither last (epoch) nor best (epoch so far); write one of them")
        at = "last"
    left_out = [] if section is None else [f"/metric/{key}" for key in ("name", "goal", "at") if key not in keys]
    return Metric(name, METRICS[name], MetricAt(at), _read_target(keys.get("target"), name, findings)), left_out


def check_goal(pointer: str, name: str, goal: Any, findings: Findings) -> None:
    """Refuse a goal that is not the metric's own direction."""
    natural = STORED_METRICS[name]
    if goal is None or goal == natural.value:
        return
    if isinstance(goal, str) and goal in [each.value for each in Direction]:
        better = "higher" if natural is Direction.MAXIMIZE else "lower"
        message = f"{name} is better when {better}: {goal} would search for the worst; write {natural.value}"
    else:
        message = f"{shown(goal)} is no goal; write {natural.value} or leave it out"
    findings.refuse(pointer, message)


def _read_target(target: Any, name: str, findings: Findings) -> float | None:
    if target is None:
        return None
    if isinstance(target, bool) or not isinstance(target, int | float):
        findings.refuse("/metric/target", f"{shown(target)} is no number; write the {name} to stop at")
    elif target < 0 or (is_share(name) and target > 1):
        bounds = "between 0 and 1" if is_share(name) else "at least 0"
        findings.refuse("/metric/target", f"{shown(target)} is never reached: {name} is {bounds}")
    else:
        return float(target)
    return None


def _metric_message(name: Any) -> str:
    if name in TEST_METRICS:
        instead = name.replace("test", "val")
        return f"{name} would select on the test set, which then says nothing about new data; rank by {instead}"
    hint = did_you_mean(name, METRICS) if isinstance(name, str) else ""
    return f"{shown(name)} is no metric{hint or '; known: ' + ', '.join(METRICS)}"


def plain_metric(metric: Metric) -> dict[str, Any]:
    """The metric as it stands in a sweep file."""
    plain: dict[str, Any] = {"name": metric.name, "goal": metric.direction.value, "at": metric.at.value}
    return plain if metric.target is None else {**plain, "target": metric.target}


def read_early_termination(section: Any, findings: Findings) -> tuple[EarlyTermination, list[str]]:
    """How unpromising trials end, and the pointers of what was left out."""
    known = ("type", "min_iter", "eta", "min_trials")
    keys = dict(known_keys("early_terminate", section, (*known, *_PLANNED_RULES), "{type: hyperband}", findings))
    for key in _PLANNED_RULES:
        if keys.pop(key, None) is not None:
            findings.refuse_planned(f"/early_terminate/{key}", f"early_terminate.{key}")
    if not isinstance(section, Mapping):
        return EarlyTermination(), []
    kind = keys.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        message = f"{shown(kind)} is no way to end trials; write hyperband, median or none"
        findings.refuse("/early_terminate/type", message)
        return EarlyTermination(), []
    for key in known[1:]:
        if key in keys and key not in _RULES[kind]:
            findings.refuse(f"/early_terminate/{key}", f"{key} has no meaning for {kind}; remove it")
    early = EarlyTermination(
        kind=_KINDS[kind],
        min_iter=int(_read_rule(keys, "min_iter", (1, 100_000), 1, findings, whole=True)),
        eta=_read_rule(keys, "eta", (1.5, 100), 3, findings, whole=False),
        min_trials=int(_read_rule(keys, "min_trials", (1, MAX_RUN_CAP), 5, findings, whole=True)),
    )
    return early, [f"/early_terminate/{key}" for key in _RULES[kind] if keys.get(key) is None]


def _read_rule(
    keys: Mapping[str, Any], key: str, bounds: tuple[float, float], default: float, findings: Findings, *, whole: bool
) -> float:
    value = keys.get(key)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and bounds[0] <= value <= bounds[1] and not (whole and value != int(value)):
        return float(value)
    kind = "whole number" if whole else "number"
    range_in_words = f"from {bounds[0]:g} to {bounds[1]:g}"
    findings.refuse(f"/early_terminate/{key}", f"{shown(value)} is no {kind} {range_in_words}, which {key} takes")
    return default


def plain_early_termination(early: EarlyTermination) -> dict[str, Any]:
    """The rule as it stands in a sweep file."""
    values = {"min_iter": early.min_iter, "eta": early.eta, "min_trials": early.min_trials}
    return {"type": early.kind, **{key: values[key] for key in _RULES[early.kind]}}


def known_keys(
    section_name: str, section: Any, known: tuple[str, ...], example: str, findings: Findings
) -> Mapping[str, Any]:
    """A section's keys, those refused that it does not take; empty if it was left out."""
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        findings.refuse(f"/{section_name}", f"{shown(section)} is no mapping; write {section_name}: {example}")
        return {}
    for key in section:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            findings.refuse(f"/{section_name}/{escaped(key)}", f"{shown(key)} is no key of {section_name}{hint}")
    return section
