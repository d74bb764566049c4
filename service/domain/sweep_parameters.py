"""The `parameters` section of a sweep file: every entry becomes a distribution, or a problem with its pointer."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from service.domain.catalogue import AUTO, CATALOGUE, MAX_DEPTH, MAX_WIDTH, OPTIMIZER_ALIASES, ParameterSpec
from service.domain.distributions import (
    DISTRIBUTIONS,
    PLANNED_DISTRIBUTIONS,
    Categorical,
    Constant,
    Distribution,
    IntUniform,
    Quantized,
    Uniform,
)
from service.domain.findings import Findings
from service.domain.plain_data import did_you_mean, escaped, shown

MAX_MULTIPLES = 10**9
"""Largest number of multiples in a range; finer steps are finer than a float's digits in messages and hashes."""

_ENTRY_KEYS = ("distribution", "value", "values", "probabilities", "min", "max", "q")
_UNUSED_BY = ("mu", "sigma", "a", "b")
_NEEDS = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max", "q"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform_values": ("min", "max", "q"),
    "log_uniform": ("min", "max"),
}


class _Refused(Exception):
    """An entry cannot stand: where below the entry, and why."""

    def __init__(self, below: str, message: str) -> None:
        super().__init__(message)
        self.below = below
        self.message = message


class _Planned(Exception):
    """An entry names a distribution that is not built."""


def read_parameters(
    section: Any, findings: Findings, *, weights_allowed: bool, at: str = "/parameters", is_whole: bool = True
) -> dict[str, Distribution]:
    """The distributions of a sweep file's parameters, in its order.

    Args:
        section: What stands under `parameters`.
        findings: Takes problems and warnings.
        weights_allowed: Whether the method is random, the only one that knows probabilities.
        at: Pointer to the section.
        is_whole: Whether these are all parameters, so that they can be checked together.
    """
    if not isinstance(section, Mapping):
        findings.refuse(at, f"{shown(section)} is no mapping of parameters; write `learning_rate: 0.001`")
        return {}
    if not section:
        findings.refuse(at, "the space is empty; give at least one parameter, such as learning_rate")
    distributions: dict[str, Distribution] = {}
    for pointer, name, entry in _entries(section, at):
        if name not in CATALOGUE:
            known = ", ".join(CATALOGUE)
            hint = did_you_mean(name, CATALOGUE) or f"; known: {known}"
            findings.refuse(pointer, f"{shown(name)} is no parameter{hint}")
        elif name in distributions:
            findings.refuse(pointer, f"{name} is given twice; keep one")
        else:
            try:
                distributions[name] = _read_entry(CATALOGUE[name], entry, pointer, findings, weights_allowed)
            except _Refused as error:
                findings.refuse(pointer + error.below, error.message)
            except _Planned as error:
                findings.refuse_planned(f"{pointer}/distribution", str(error))
    if is_whole:
        check_together(distributions, findings, at=at)
    return distributions


def _entries(section: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str, Any]]:
    """Every entry with its pointer and name; groups (`nested` in W&B) are opened."""
    for name, entry in section.items():
        here = f"{pointer}/{escaped(name)}"
        if (
            isinstance(entry, Mapping)
            and isinstance(entry.get("parameters"), Mapping)
            and entry.keys() <= {"parameters", "distribution"}
        ):
            yield from _entries(entry["parameters"], f"{here}/parameters")
        else:
            yield here, name, entry


def _read_entry(
    spec: ParameterSpec, entry: Any, pointer: str, findings: Findings, weights_allowed: bool
) -> Distribution:
    if not isinstance(entry, Mapping):
        return Constant(_read_bare(spec, entry))
    for key in entry:
        if key not in _ENTRY_KEYS:
            hint = did_you_mean(key, _ENTRY_KEYS) or f"; known: {', '.join(_ENTRY_KEYS)}"
            if not (key in _UNUSED_BY and entry.get("distribution") in PLANNED_DISTRIBUTIONS):
                raise _Refused(f"/{escaped(key)}", f"{shown(key)} is no key of a parameter{hint}")
    name = _distribution_name(spec, entry, pointer, findings)
    for key in _NEEDS[name]:
        if key not in entry and not (key == "q"):
            raise _Refused("", f"{name} needs {' and '.join(_NEEDS[name])}; {key} is missing")
    allowed = {"distribution", *_NEEDS[name]} | ({"probabilities"} if name == "categorical" else set())
    for key in entry:
        if key not in allowed:
            raise _Refused(
                f"/{escaped(key)}", f"{key} has no meaning for {name}; remove it or name another distribution"
            )
    if name == "constant":
        return Constant(_read_value(spec, entry["value"], "/value"))
    if name == "categorical":
        return _read_categorical(spec, entry, weights_allowed)
    return _read_range(spec, name, entry, pointer, findings)


def _distribution_name(spec: ParameterSpec, entry: Mapping[str, Any], pointer: str, findings: Findings) -> str:
    """The distribution that an entry names, or the one that its keys imply."""
    name = entry.get("distribution")
    if name is None:
        if "value" in entry:
            return "constant"
        if "values" in entry:
            return "categorical"
        if "min" not in entry and "max" not in entry:
            raise _Refused("", "says nothing to search; write value, values, or min and max")
        if "q" in entry:
            return "q_uniform"
        if spec.kind == "int":
            return "int_uniform"
        if all(isinstance(entry.get(bound), int) for bound in ("min", "max")):
            findings.warn(
                f"{pointer}: whole bounds of a real parameter are searched as uniform; "
                "W&B would take int_uniform: name the distribution if you mean that"
            )
        return "uniform"
    if name in PLANNED_DISTRIBUTIONS:
        raise _Planned(f"the distribution {name}")
    if not isinstance(name, str) or name not in DISTRIBUTIONS:
        hint = did_you_mean(str(name), DISTRIBUTIONS) or f"; known: {', '.join(DISTRIBUTIONS)}"
        raise _Refused("/distribution", f"{shown(name)} is no distribution{hint}")
    return name


def _read_bare(spec: ParameterSpec, value: Any) -> Any:
    if isinstance(value, list | tuple) and (spec.kind != "units" or any(isinstance(each, list) for each in value)):
        raise _Refused("", f"a list is no value of {spec.name}; to search over it write {{values: […]}}")
    return _read_value(spec, value, "")


def _read_value(spec: ParameterSpec, value: Any, below: str) -> Any:
    """One value of a parameter, checked against the catalogue."""
    if value is None and spec.nullable:
        return None
    if spec.kind == "bool":
        if not isinstance(value, bool):
            raise _Refused(
                below, f"{shown(value)} is not true or false, which {spec.name} takes; write it without quotes"
            )
        return value
    if spec.kind == "choice":
        if not isinstance(value, str) or value not in spec.choices:
            hint = did_you_mean(value, spec.choices) if isinstance(value, str) else ""
            known = hint or f"; known: {', '.join(spec.choices)}"
            raise _Refused(below, f"{shown(value)} is no {spec.name}{known}")
        return value
    if spec.kind == "units":
        return _read_units(value, below)
    if spec.name == "weight_decay" and value == AUTO:
        return AUTO
    return _read_number(spec, value, below)


def _read_number(spec: ParameterSpec, value: Any, below: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(below, f"{shown(value)} is no number, which {spec.name} takes{_number_hint(value)}")
    if not spec.is_in_range(value):
        raise _Refused(below, f"{shown(value)} is outside the range of {spec.name}, {spec.range_in_words}")
    if spec.kind == "float":
        return float(value)
    if value != int(value):
        raise _Refused(below, f"{shown(value)} is no whole number, which {spec.name} takes; write {round(value)}")
    return int(value)


def _number_hint(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    return "; write it without quotes"


def _read_units(value: Any, below: str) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise _Refused(below, f"{shown(value)} is no list of layer widths; write [128, 64, 32]")
    if not 1 <= len(value) <= MAX_DEPTH:
        raise _Refused(below, f"{len(value)} hidden layers; give 1 to {MAX_DEPTH} widths, such as [128, 64, 32]")
    for index, width in enumerate(value):
        if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MAX_WIDTH:
            raise _Refused(
                f"{below}/{index}", f"{shown(width)} is no layer width; write a whole number, 1 to {MAX_WIDTH}"
            )
    return tuple(value)


def _read_categorical(spec: ParameterSpec, entry: Mapping[str, Any], weights_allowed: bool) -> Categorical:
    values = entry["values"]
    if not isinstance(values, list | tuple):
        raise _Refused("/values", f"{shown(values)} is no list; write values: [a, b]")
    if not values:
        raise _Refused("/values", "values is empty; give at least one value")
    choices: list[Any] = []
    for index, value in enumerate(values):
        choice = _read_value(spec, value, f"/values/{index}")
        if choice == AUTO:
            raise _Refused(f"/values/{index}", "auto is a constant only; write the decays out, such as [0, 0.004]")
        if choice in choices:
            raise _Refused(f"/values/{index}", f"{shown(value)} is given twice; keep one")
        choices.append(choice)
    if "probabilities" not in entry:
        return Categorical(tuple(choices))
    if not weights_allowed:
        raise _Refused("/probabilities", "only method random weighs values; remove probabilities or use random")
    return Categorical(tuple(choices), _read_weights(entry["probabilities"], len(choices)))


def _read_weights(weights: Any, n_values: int) -> tuple[float, ...]:
    if not isinstance(weights, list | tuple) or len(weights) != n_values:
        raise _Refused("/probabilities", f"give one probability for each of the {n_values} values")
    for index, weight in enumerate(weights):
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1:
            raise _Refused(f"/probabilities/{index}", f"{shown(weight)} is no probability above 0; leave the value out")
    if abs(math.fsum(weights) - 1) > 1e-6:
        raise _Refused("/probabilities", f"the probabilities sum to {math.fsum(weights):.6g}; make them sum to 1")
    return tuple(float(weight) for weight in weights)


def _read_range(
    spec: ParameterSpec, name: str, entry: Mapping[str, Any], pointer: str, findings: Findings
) -> Distribution:
    if not spec.is_numeric:
        raise _Refused("", f"{spec.name} has no ranges; write values: […]")
    if spec.kind == "int" and name in ("uniform", "log_uniform_values", "log_uniform"):
        better = "int_uniform" if name == "uniform" else "q_log_uniform_values with q: 1"
        raise _Refused("/distribution", f"{spec.name} takes whole numbers, {name} gives real ones; write {better}")
    low, high = (_read_bound(entry, bound) for bound in ("min", "max"))
    if low >= high:
        what = "the bounds cross" if low > high else "the bounds are equal"
        raise _Refused("/min", f"{what}: min {shown(entry['min'])}, max {shown(entry['max'])}; {_repair(low, high)}")
    if name == "log_uniform":
        low, high = _exponentials(spec, low, high)
    _check_bounds(spec, low, high, pointer, findings)
    if name in ("log_uniform_values", "q_log_uniform_values") and low <= 0:
        raise _Refused("/min", f"{shown(entry['min'])} has no logarithm; write a min above 0")
    if name == "int_uniform":
        return IntUniform(_read_whole(entry, "min"), _read_whole(entry, "max"))
    if name in ("uniform", "log_uniform_values", "log_uniform"):
        return Uniform(float(low), float(high), log=name != "uniform")
    return _read_quantized(spec, name, entry, low, high)


def _read_quantized(spec: ParameterSpec, name: str, entry: Mapping[str, Any], low: float, high: float) -> Quantized:
    q = entry.get("q", 1)
    if isinstance(q, bool) or not isinstance(q, int | float) or not 0 < q <= high - low:
        raise _Refused("/q", f"{shown(q)} is no step within the bounds; write a number above 0, at most max - min")
    if spec.kind == "int":
        q = _read_whole({"q": q}, "q")
    quantized = Quantized(low, high, q, log=name == "q_log_uniform_values")
    if quantized.size() < 2:
        raise _Refused("/q", f"fewer than two multiples of q = {shown(q)} lie between min and max; make q smaller")
    if quantized.size() > MAX_MULTIPLES:
        without = name.removeprefix("q_")
        raise _Refused(
            "/q", f"{quantized.size()} multiples of q = {shown(q)} are as good as all numbers; use {without}"
        )
    if not spec.is_in_range(quantized.first * q) or not spec.is_in_range(quantized.last * q):
        raise _Refused(
            "/q", f"a multiple of q leaves the range of {spec.name}, {spec.range_in_words}; narrow the bounds"
        )
    return quantized


def _read_bound(entry: Mapping[str, Any], bound: str) -> float:
    value = entry[bound]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(f"/{bound}", f"{shown(value)} is no number{_number_hint(value) or '; write one'}")
    return value


def _read_whole(entry: Mapping[str, Any], key: str) -> int:
    value = entry[key]
    if value != int(value):
        raise _Refused(f"/{key}", f"{shown(value)} is no whole number; write {round(value)}")
    return int(value)


def _repair(low: float, high: float) -> str:
    return "swap them" if low > high else "write a single value instead"


def _check_bounds(spec: ParameterSpec, low: float, high: float, pointer: str, findings: Findings) -> None:
    """Refuse illegal bounds, warn of implausible ones. An excluded limit may be the bound of an open end: the
    limit itself is never drawn."""
    for bound, value, excluded in (
        ("min", low, spec.low_open and low == spec.low),
        ("max", high, spec.high_open and high == spec.high),
    ):
        if not spec.is_in_range(value):
            hint = "; it is excluded, choose a bound inside" if excluded else ""
            raise _Refused(
                f"/{bound}", f"{shown(value)} is outside the range of {spec.name}, {spec.range_in_words}{hint}"
            )
    if spec.plausible and not spec.plausible[0] <= high <= spec.plausible[1]:
        findings.warn(
            f"{pointer}/max: {shown(high)} is unusual for {spec.name}; "
            f"it usually lies between {spec.plausible[0]:g} and {spec.plausible[1]:g}"
        )


def _exponentials(spec: ParameterSpec, low: float, high: float) -> tuple[float, float]:
    """W&B's log_uniform: the bounds are exponents of e."""
    inside = spec.plausible or (spec.low, spec.high)
    results = [math.exp(bound) if -700 < bound < 700 else math.inf for bound in (low, high)]
    for bound, given, result in zip(("min", "max"), (low, high), results, strict=True):
        if not inside[0] <= result <= inside[1]:
            raise _Refused(
                f"/{bound}",
                f"log_uniform takes exponents: {bound} {shown(given)} means e^{given:g} = {result:.4g}, outside "
                f"{inside[0]:g} to {inside[1]:g} for {spec.name}; if you meant the value itself, write "
                f"distribution: log_uniform_values",
            )
    return results[0], results[1]


def check_together(distributions: Mapping[str, Distribution], findings: Findings, *, at: str = "/parameters") -> None:
    """What parameters demand of one another."""
    shapes = [name for name in ("depth", "width") if name in distributions]
    if shapes and "hidden_units" in distributions:
        findings.refuse(f"{at}/{shapes[0]}", "hidden_units already says it; keep hidden_units or depth and width")
    elif len(shapes) == 1:
        missing = "width" if shapes == ["depth"] else "depth"
        findings.refuse(f"{at}/{shapes[0]}", f"{shapes[0]} needs {missing} beside it; add it, or use hidden_units")
    optimizers = distributions["optimizer"].values() if "optimizer" in distributions else ()
    aliases = [name for name in OPTIMIZER_ALIASES if name in (optimizers or ())]
    for name in ("momentum", "nesterov"):
        if aliases and name in distributions:
            findings.refuse(
                f"{at}/{name}",
                f"optimizer: {aliases[0]} already sets it (sgd, momentum 0.9); write sgd there, or leave {name} out",
            )
