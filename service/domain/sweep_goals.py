"""The sections of a sweep file that say what it is for: `metrics` and `constraints`.

metrics: [{name: val_accuracy}, {name: stability}]
constraints: {stability: ">= 0.5", depth_slope: [">= -0.3", "<= 0.3"]}
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from service.domain.findings import Findings
from service.domain.goals import Constraint, Metric
from service.domain.metrics import IDEALS, METRICS, STORED_METRICS, TEST_METRICS, is_share
from service.domain.plain_data import did_you_mean, escaped, shown
from service.domain.states import MetricAt
from service.domain.sweep_sections import check_goal, known_keys

MAX_METRICS = 4
MAX_BOUNDS = 2
_BOUND = re.compile(r"\s*(>=|<=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
_ENDS: dict[str, Literal[">=", "<="]] = {">=": ">=", "<=": "<="}


def read_metrics(section: Any, findings: Findings) -> tuple[tuple[Metric, ...], list[str]]:
    """The metrics of a sweep with several, in order, and the pointers of what was left out.

    The first is a metric of an epoch, for trials are ended early by it.
    """
    fallback = (Metric("val_accuracy", METRICS["val_accuracy"], MetricAt.LAST),)
    if not isinstance(section, Sequence) or isinstance(section, str) or not 2 <= len(section) <= MAX_METRICS:
        findings.refuse(
            "/metrics",
            f"{shown(section)} is no list of 2 to {MAX_METRICS} metrics; write [{{name: val_accuracy}}, "
            "{name: stability}], or metric: {name: val_accuracy} for one",
        )
        return fallback, []
    names = [_read_traded(f"/metrics/{place}", each, findings) for place, each in enumerate(section)]
    for place, name in enumerate(names):
        if name in names[:place]:
            findings.refuse(f"/metrics/{place}/name", f"{name} is given twice; keep one")
    if names[0] not in METRICS:
        findings.refuse(
            "/metrics/0/name",
            f"{names[0]} is known when a trial has ended, but trials are ranked and ended early by the first metric; "
            f"begin with one of {', '.join(METRICS)}",
        )
        return fallback, []
    left_out = [f"/metrics/{place}/goal" for place, each in enumerate(section) if not _has(each, "goal")]
    return tuple(Metric(name, STORED_METRICS[name], MetricAt.LAST) for name in names), left_out


def plain_metrics(metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """Several metrics as they stand in a sweep file."""
    return [{"name": metric.name, "goal": metric.direction.value} for metric in metrics]


def read_constraints(section: Any, findings: Findings) -> tuple[Constraint, ...]:
    """The bounds of a sweep file, by the names of their metrics."""
    if section is None:
        return ()
    if not isinstance(section, Mapping):
        findings.refuse("/constraints", f'{shown(section)} is no mapping; write constraints: {{stability: ">= 0.5"}}')
        return ()
    found: list[Constraint] = []
    for name, bounds in section.items():
        if name not in STORED_METRICS:
            findings.refuse(f"/constraints/{escaped(name)}", _unknown(name))
            continue
        if bounds is None:
            continue
        given = bounds if isinstance(bounds, list) else [bounds]
        if not 1 <= len(given) <= MAX_BOUNDS:
            findings.refuse(f"/constraints/{name}", f"{len(given)} bounds on {name}; write one, or one of either kind")
            continue
        pointers = [f"/constraints/{name}" + (f"/{place}" if given is bounds else "") for place in range(len(given))]
        read = [_read_bound(name, bound, at, findings) for bound, at in zip(given, pointers, strict=True)]
        found += _agreeing(name, [each for each in read if each is not None], findings)
    return tuple(sorted(found, key=lambda each: (each.metric, each.operator)))


def _read_traded(pointer: str, entry: Any, findings: Findings) -> str:
    keys = known_keys(pointer[1:], entry, ("name", "goal"), "{name: stability}", findings)
    name = keys.get("name", "val_accuracy" if not keys else None)
    if not isinstance(name, str) or name not in STORED_METRICS:
        findings.refuse(f"{pointer}/name", _unknown(name))
        return "val_accuracy"
    if name in IDEALS:
        findings.refuse(
            f"{pointer}/name",
            f"neither more nor less {name} is better: search for stability, or bound it under constraints",
        )
        return "val_accuracy"
    check_goal(f"{pointer}/goal", name, keys.get("goal"), findings)
    return name


def _read_bound(name: str, bound: Any, pointer: str, findings: Findings) -> Constraint | None:
    match = _BOUND.fullmatch(bound) if isinstance(bound, str) else None
    if match is None:
        findings.refuse(pointer, f'{shown(bound)} is no bound; write ">= 0.5" or "<= 0.5", in quotes')
        return None
    operator, limit = _ENDS[match[1]], float(match[2])
    if is_share(name) and (limit > 1 if operator == ">=" else limit < 0):
        findings.refuse(pointer, f"{shown(bound)} is never kept: {name} is between 0 and 1")
        return None
    if not abs(limit) <= 1e300:
        findings.refuse(pointer, f"{shown(bound)} is no bound that a number could keep")
        return None
    return Constraint(name, operator, limit)


def _agreeing(name: str, bounds: Sequence[Constraint], findings: Findings) -> Sequence[Constraint]:
    """Two bounds must leave room between them."""
    if len(bounds) < 2:
        return bounds
    at = {each.operator: each.bound for each in bounds}
    if len(at) < 2 or at[">="] > at["<="]:
        findings.refuse(f"/constraints/{name}", f"no {name} keeps both bounds; write a lower and a higher one")
        return ()
    return bounds


def _has(entry: Any, key: str) -> bool:
    return isinstance(entry, Mapping) and entry.get(key) is not None


def _unknown(name: Any) -> str:
    if name in TEST_METRICS:
        instead = str(name).replace("test", "val")
        return f"{name} would select on the test set, which then says nothing about new data; use {instead}"
    hint = did_you_mean(name, STORED_METRICS) if isinstance(name, str) else ""
    return f"{shown(name)} is no metric{hint or '; known: ' + ', '.join(STORED_METRICS)}"
