"""The keys of a sweep file that only an ablation has: `seeds` and `remedies`, read against its fixed parameters."""

from collections.abc import Mapping
from typing import Any

from service.domain.ablation import (
    ALL,
    BASE,
    DEFAULT_SEEDS,
    MAX_ABLATION_TRIALS,
    MAX_REMEDIES,
    MAX_SEEDS,
    REMEDIES,
    Ablation,
    changed,
    customary_remedies,
)
from service.domain.distributions import Constant, Distribution
from service.domain.findings import Findings
from service.domain.parameters import canonical
from service.domain.plain_data import did_you_mean, escaped, shown
from service.domain.sweep_parameters import check_together, read_parameters

ABLATION_KEYS = ("seeds", "remedies")
_MAX_NAME = 64
_REFUSED = {
    "run_cap": "remedies and seeds say how many trials there are",
    "early_terminate": "it compares what trials come to at their end",
}


def refuse_ablation_keys(document: Mapping[str, Any], findings: Findings) -> None:
    """Complain of an ablation's keys in a sweep file of another method."""
    for key in ABLATION_KEYS:
        if document.get(key) is not None:
            findings.refuse(f"/{key}", f"{key} has a meaning under method: ablation only; remove it")


def read_ablation(
    document: Mapping[str, Any], distributions: Mapping[str, Distribution], findings: Findings
) -> Ablation | None:
    """The ablation of a sweep file's document.

    Args:
        document: The sweep file.
        distributions: Its parameters with every default filled in; all must be fixed.
        findings: Takes problems, and warnings of remedies that change nothing.

    Returns:
        No ablation if something was refused.
    """
    for name, each in distributions.items():
        if not isinstance(each, Constant):
            message = "an ablation starts from fixed parameters: give one value here, and the other under remedies"
            findings.refuse(f"/parameters/{name}", message)
    for key, reason in _REFUSED.items():
        if document.get(key) is not None and document[key] != {"type": "none"}:
            findings.refuse(f"/{key}", f"an ablation has no {key}: {reason}; remove it")
    target = document["metric"].get("target") if isinstance(document.get("metric"), Mapping) else None
    if target is not None:
        findings.refuse("/metric/target", "an ablation trains all its trials; remove target")
    n_seeds = _read_seeds(document.get("seeds"), findings)
    if findings.wrong or findings.planned:
        return None
    base = {name: each.value_at(0.0) for name, each in distributions.items()}
    remedies = _read_remedies(document.get("remedies"), base, findings)
    are_own = isinstance(document.get("remedies"), Mapping)
    kept = _without_idle(Ablation(base, remedies, n_seeds), findings, are_own=are_own)
    ablation = Ablation(base, kept, n_seeds)
    if not ablation.remedies and not findings.wrong:
        findings.refuse("/remedies", "no remedy changes anything, so there is nothing to compare; add one")
    if ablation.n_trials > MAX_ABLATION_TRIALS:
        findings.refuse(
            "/seeds", f"{ablation.n_trials} trials are too many for an ablation, at most {MAX_ABLATION_TRIALS}"
        )
    return None if findings.wrong else ablation


def _read_seeds(value: Any, findings: Findings) -> int:
    if value is None:
        return DEFAULT_SEEDS
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value == int(value) and 1 <= value <= MAX_SEEDS:
        return int(value)
    findings.refuse("/seeds", f"{shown(value)} is no whole number from 1 to {MAX_SEEDS}, which seeds takes")
    return DEFAULT_SEEDS


def _read_remedies(section: Any, base: Mapping[str, Any], findings: Findings) -> dict[str, dict[str, Any]]:
    """Remedies by name: a list chooses among the five, a mapping says what each changes."""
    customary = customary_remedies(base)
    if section is None:
        return customary
    if isinstance(section, list | tuple):
        for index, name in enumerate(section):
            if name not in REMEDIES or not isinstance(name, str):
                hint = did_you_mean(name, REMEDIES) if isinstance(name, str) else ""
                known = hint or f"; known: {', '.join(REMEDIES)}; or write a mapping of your own"
                findings.refuse(f"/remedies/{index}", f"{shown(name)} is none of the five remedies{known}")
        return {name: customary[name] for name in REMEDIES if name in section}
    if not isinstance(section, Mapping):
        message = f"{shown(section)} is neither a list nor a mapping; write {{normalization: {{normalization: batch}}}}"
        findings.refuse("/remedies", message)
        return {}
    if len(section) > MAX_REMEDIES:
        findings.refuse("/remedies", f"{len(section)} remedies are too many, at most {MAX_REMEDIES}")
        return {}
    read = {name: _read_changes(name, changes, base, findings) for name, changes in section.items()}
    if not findings.wrong:
        together = dict(base)
        for changes in read.values():
            together = changed(together, changes)
        check_together({key: Constant(value) for key, value in together.items()}, findings, at="/remedies")
    return read


def _read_changes(name: str, changes: Any, base: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    pointer = f"/remedies/{escaped(name)}"
    if name in (BASE, ALL) or not name.strip() or not name.isprintable() or len(name) > _MAX_NAME:
        message = f"{shown(name)} is no name of a remedy; write up to {_MAX_NAME} letters, and neither base nor all"
        findings.refuse(pointer, message)
    n_before = len(findings.wrong)
    read = read_parameters(changes, findings, weights_allowed=False, at=pointer, is_whole=False)
    for key, each in read.items():
        if not isinstance(each, Constant):
            findings.refuse(f"{pointer}/{key}", "a remedy sets a parameter to one value; write several remedies")
    if len(findings.wrong) > n_before:
        return {}
    values = {key: each.value_at(0.0) for key, each in read.items()}
    kept = {key: Constant(value) for key, value in changed(base, values).items()}
    check_together(kept, findings, at=pointer)
    return values


def _without_idle(ablation: Ablation, findings: Findings, *, are_own: bool) -> dict[str, Mapping[str, Any]]:
    """The remedies that change something; two of the user's own that come to the same are an error.

    Of the customary ones two may: Adam, and the learning rate of a base that has Adam.
    """
    if findings.wrong:
        return {}
    kept: dict[str, Mapping[str, Any]] = {}
    seen = {canonical(ablation.base).model_dump_json(): BASE}
    for name, changes in ablation.remedies.items():
        same = seen.setdefault(canonical(changed(ablation.base, changes)).model_dump_json(), name)
        if same == BASE:
            findings.warn(f"/remedies/{escaped(name)} changes nothing: the base is so already; it is left out")
        elif same != name and not are_own:
            findings.warn(f"/remedies/{name} comes to the same as {same} from this base; it is left out")
        elif same != name:
            findings.refuse(f"/remedies/{escaped(name)}", f"comes to the same as {shown(same)}; keep one of them")
        else:
            kept[name] = changes
    return kept
