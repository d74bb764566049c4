"""The distributions of a sweep file: constant, categorical, and ranges on linear and logarithmic scales.

Each maps the unit interval onto its values (`value_at`), so that random and quasi-random search are the same
function of different points, and lists its values if they are finitely many, which is what grid search needs.

    constant ─ categorical ─ int_uniform ─ q_uniform ─ q_log_uniform_values      finite
    uniform ─ log_uniform_values (and log_uniform, which is resolved to it)       continuous
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

DISTRIBUTIONS: dict[str, str] = {
    "constant": "one value",
    "categorical": "one of `values`; `probabilities` weigh them under method random",
    "int_uniform": "whole numbers from min to max, both included",
    "uniform": "real numbers between min and max",
    "q_uniform": "the multiples of q between min and max",
    "log_uniform_values": "real numbers between min and max, uniform in their logarithm",
    "q_log_uniform_values": "the multiples of q between min and max, uniform in their logarithm",
    "log_uniform": "the same as log_uniform_values, but min and max are natural-log exponents, as in W&B",
}
"""Every distribution that a sweep file may name, in words."""

PLANNED_DISTRIBUTIONS = (
    "beta",
    "inv_log_uniform",
    "inv_log_uniform_values",
    "log_normal",
    "normal",
    "q_beta",
    "q_log_normal",
    "q_log_uniform",
    "q_normal",
)
"""W&B's other distributions: refused as not supported yet."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One value."""

    value: Any

    def value_at(self, _u: float) -> Any:
        """The value, wherever in [0, 1) the point lies."""
        return self.value

    def values(self) -> tuple[Any, ...]:
        """The one value."""
        return (self.value,)

    def size(self) -> int:
        """One."""
        return 1

    def contains(self, value: Any) -> bool:
        """Whether it is the value."""
        return bool(value == self.value)

    def to_definition(self) -> dict[str, Any]:
        """As it stands in a sweep file."""
        return {"value": _plain(self.value)}


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values. `probabilities`, if given, weigh them under random search."""

    choices: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    def value_at(self, u: float) -> Any:
        """The choice whose share of [0, 1) holds the point."""
        if self.probabilities is None:
            index = int(u * len(self.choices))
        else:
            index = bisect_right(list(accumulate(self.probabilities)), u)
        return self.choices[min(index, len(self.choices) - 1)]

    def values(self) -> tuple[Any, ...]:
        """All choices."""
        return self.choices

    def size(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def contains(self, value: Any) -> bool:
        """Whether it is one of the choices."""
        return value in self.choices

    def to_definition(self) -> dict[str, Any]:
        """As it stands in a sweep file."""
        definition: dict[str, Any] = {"values": [_plain(choice) for choice in self.choices]}
        if self.probabilities is not None:
            definition["probabilities"] = list(self.probabilities)
        return definition


@dataclass(frozen=True, slots=True)
class IntUniform:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    def value_at(self, u: float) -> int:
        """The number whose share of [0, 1) holds the point."""
        return min(self.low + int(u * self.size()), self.high)

    def values(self) -> tuple[int, ...]:
        """All numbers, upward."""
        return tuple(range(self.low, self.high + 1))

    def size(self) -> int:
        """How many numbers there are."""
        return self.high - self.low + 1

    def contains(self, value: Any) -> bool:
        """Whether it is one of the numbers."""
        return isinstance(value, int) and self.low <= value <= self.high

    def to_definition(self) -> dict[str, Any]:
        """As it stands in a sweep file."""
        return {"distribution": "int_uniform", "min": self.low, "max": self.high}


@dataclass(frozen=True, slots=True)
class Uniform:
    """Real numbers between `low` and `high`; `log` makes them uniform in their logarithm."""

    low: float
    high: float
    log: bool = False

    def value_at(self, u: float) -> float:
        """The quantile of the point."""
        return _quantile(u, self.low, self.high, self.log)

    def values(self) -> None:
        """Nothing: the values are uncountable."""
        return

    def size(self) -> None:
        """Nothing: the values are uncountable."""
        return

    def contains(self, value: Any) -> bool:
        """Whether it lies within the bounds."""
        return value is not None and bool(self.low <= value <= self.high)

    def to_definition(self) -> dict[str, Any]:
        """As it stands in a sweep file."""
        name = "log_uniform_values" if self.log else "uniform"
        return {"distribution": name, "min": self.low, "max": self.high}


@dataclass(frozen=True, slots=True)
class Quantized:
    """The multiples of `q` within [low, high]; `log` makes their logarithm uniform before rounding."""

    low: float
    high: float
    q: float
    log: bool = False

    @property
    def first(self) -> int:
        """The smallest multiplier: first·q is at least low, and above 0 on a logarithmic scale."""
        first = math.ceil(self.low / self.q - 1e-9)
        return max(1, first) if self.log else first

    @property
    def last(self) -> int:
        """The largest multiplier: last·q is at most high."""
        return math.floor(self.high / self.q + 1e-9)

    def value_at(self, u: float) -> float:
        """The multiple nearest to the quantile of the point."""
        if self.log:
            return self.multiple(self.multiplier(_quantile(u, self.low, self.high, log=True)))
        return self.multiple(min(self.first + int(u * self.size()), self.last))

    def multiplier(self, value: float) -> int:
        """The multiplier of the multiple within the bounds that is nearest to a number."""
        return min(max(round(value / self.q), self.first), self.last)

    def multiple(self, k: int) -> float:
        """k·q, as the decimal number that was meant: 3 * 0.1 is 0.30000000000000004."""
        return k * self.q if isinstance(self.q, int) else float(f"{k * self.q:.12g}")

    def values(self) -> tuple[float, ...]:
        """All multiples, upward."""
        return tuple(self.multiple(k) for k in range(self.first, self.last + 1))

    def size(self) -> int:
        """How many multiples there are."""
        return self.last - self.first + 1

    def contains(self, value: Any) -> bool:
        """Whether it is one of the multiples."""
        return value is not None and self.multiple(self.multiplier(value)) == value

    def to_definition(self) -> dict[str, Any]:
        """As it stands in a sweep file."""
        name = "q_log_uniform_values" if self.log else "q_uniform"
        return {"distribution": name, "min": self.low, "max": self.high, "q": self.q}


Distribution = Constant | Categorical | IntUniform | Uniform | Quantized


def distribution_from_definition(definition: Mapping[str, Any]) -> Distribution:
    """The distribution that `to_definition` wrote down."""
    if "value" in definition:
        return Constant(_frozen(definition["value"]))
    if "values" in definition:
        weights = definition.get("probabilities")
        choices = tuple(_frozen(value) for value in definition["values"])
        return Categorical(choices, None if weights is None else tuple(weights))
    low, high = definition["min"], definition["max"]
    name = definition["distribution"]
    if name == "int_uniform":
        return IntUniform(low, high)
    if name in ("uniform", "log_uniform_values"):
        return Uniform(low, high, log=name != "uniform")
    return Quantized(low, high, definition["q"], log=name != "q_uniform")


def _quantile(u: float, low: float, high: float, log: bool) -> float:
    if not log:
        return min(low + u * (high - low), high)
    value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return min(max(value, low), high)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
