"""The search space: which parameters are searched, over what, and how many distinct trials that makes.

A *point* gives each searched parameter a value; `Space.parameters` makes the canonical trial of it. Several points
may be one trial (momentum under adam has no effect), so what is counted and enumerated are distinct trials.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from service.domain.distributions import Constant, Distribution, distribution_from_definition
from service.domain.parameters import canonical, canonical_values, effective_names
from service.wire.parameters import Parameters

MAX_ENUMERATED = 100_000
"""Largest number of points that are listed one by one; a larger grid is refused."""

MAX_REPRESENTATIVES = 64
"""Longest list of values that is shown to workers one by one; kinds of value are fewer."""

_BLOCKS = (("optimizer", "momentum", "nesterov"), ("hidden_units", "depth", "width", "residual"))
"""Parameters that can rob one another of their effect. All others act by themselves."""

_BLOCK_FIELDS = (("optimizer", "momentum", "nesterov"), ("hidden_units", "residual"))


@dataclass(frozen=True)
class Space:
    """What a sweep searches.

    Args:
        constants: The fixed parameters, by their names in the sweep file; those left out are neutral.
        searched: The distributions of the searched ones, in the order of the sweep file.
    """

    constants: Mapping[str, Any]
    searched: Mapping[str, Distribution] = field(default_factory=dict)

    @classmethod
    def from_definition(cls, definition: Mapping[str, Mapping[str, Any]]) -> "Space":
        """The space that a sweep's `definition["space"]` describes."""
        distributions = {name: distribution_from_definition(each) for name, each in definition.items()}
        return cls.from_distributions(distributions)

    @classmethod
    def from_distributions(cls, distributions: Mapping[str, Distribution]) -> "Space":
        """Constants and searched parameters told apart; what can have no effect at all is not searched."""
        constants = {name: each.value for name, each in distributions.items() if isinstance(each, Constant)}
        searched = {name: each for name, each in distributions.items() if not isinstance(each, Constant)}
        for name in idle_names(distributions):
            del searched[name]
        return cls(constants, searched)

    @property
    def names(self) -> tuple[str, ...]:
        """The searched parameters, in order: the axes of a point."""
        return tuple(self.searched)

    def point_at(self, coordinates: Sequence[float]) -> dict[str, Any]:
        """The point at coordinates in [0, 1), one for each searched parameter."""
        pairs = zip(self.searched.items(), coordinates, strict=True)
        return {name: distribution.value_at(u) for (name, distribution), u in pairs}

    def parameters(self, point: Mapping[str, Any]) -> Parameters:
        """The canonical trial of a point."""
        return canonical({**self.constants, **point})

    def point_of(self, parameters: Parameters) -> dict[str, Any]:
        """The searched values that a canonical trial came from; those without effect are left out."""
        effective = effective_names(parameters)
        return {name: self._value_of(name, parameters) for name in self.searched if name in effective}

    def contains(self, parameters: Parameters) -> bool:
        """Whether a canonical trial is one that a search of this space could have proposed."""
        point = self.point_of(parameters)
        if not all(self.searched[name].contains(value) for name, value in point.items()):
            return False
        return self.parameters(point) == parameters

    def _value_of(self, name: str, parameters: Parameters) -> Any:
        if name == "depth":
            return len(parameters.hidden_units)
        if name == "width":
            return parameters.hidden_units[0]
        if name == "optimizer":
            return self._optimizer_of(parameters)
        return getattr(parameters, name)

    def _optimizer_of(self, parameters: Parameters) -> str:
        """The optimizer as the sweep file wrote it: sgd may have been written as momentum or nesterov."""
        choices = self.searched["optimizer"].values() or ()
        for written in choices:
            values = canonical_values({**self._constants_of(_BLOCKS[0]), "optimizer": written})
            found = {name: getattr(parameters, name) for name in _BLOCK_FIELDS[0]}
            if all(values[name] == found[name] for name in found):
                return str(written)
        return parameters.optimizer

    def _constants_of(self, block: Sequence[str]) -> dict[str, Any]:
        return {name: self.constants[name] for name in block if name in self.constants}

    def representatives(self) -> list[Parameters]:
        """A few trials that together take each listed value, and both ends of each range, at least once."""
        choices = [
            distribution.values() or (distribution.value_at(0.0), distribution.value_at(math.nextafter(1.0, 0.0)))
            for distribution in self.searched.values()
        ]
        n_trials = max((len(values) for values in choices), default=1)
        points = [
            dict(zip(self.names, (values[i % len(values)] for values in choices), strict=True))
            for i in range(min(n_trials, MAX_REPRESENTATIVES))
        ]
        return [self.parameters(point) for point in points]

    @cached_property
    def n_points(self) -> int | None:
        """How many points there are; None if uncountable."""
        sizes = [distribution.size() for distribution in self.searched.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @cached_property
    def n_distinct(self) -> int | None:
        """How many distinct trials there are; None if uncountable or beyond what is listed one by one."""
        if self.n_points is None or self.n_points > MAX_ENUMERATED:
            return None
        return math.prod(len(axis) for axis in self._axes)

    @cached_property
    def _axes(self) -> list[list[dict[str, Any]]]:
        """Lists of partial points; one of each, combined, gives every distinct trial exactly once."""
        axes = []
        blocked = {name for block in _BLOCKS for name in block}
        for block, fields in zip(_BLOCKS, _BLOCK_FIELDS, strict=True):
            names = [name for name in self.searched if name in block]
            distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
            for values in product(*(self.searched[name].values() or () for name in names)):
                part = dict(zip(names, values, strict=True))
                full = canonical_values({**self._constants_of(block), **part})
                distinct.setdefault(tuple(full[each] for each in fields), part)
            axes.append(list(distinct.values()))
        axes += [
            [{name: value} for value in self.searched[name].values() or ()]
            for name in self.searched
            if name not in blocked
        ]
        return axes

    def distinct_point(self, index: int) -> dict[str, Any]:
        """The distinct trial of this index, counted as the digits of a number are: the last axis runs fastest."""
        point: dict[str, Any] = {}
        for axis in reversed(self._axes):
            index, digit = divmod(index, len(axis))
            point |= axis[digit]
        return point


def listed(distribution: Distribution) -> tuple[Any, ...] | None:
    """The values of a distribution; None if they are uncountable or too many to be listed."""
    size = distribution.size()
    return None if size is None or size > MAX_ENUMERATED else distribution.values()


def idle_names(distributions: Mapping[str, Distribution]) -> list[str]:
    """The searched parameters that have no effect on any trial of the space."""

    def possible(name: str, default: Any) -> tuple[Any, ...] | None:
        return listed(distributions[name]) if name in distributions else (default,)

    idle = []
    optimizers = possible("optimizer", "adam") or ()
    momenta = possible("momentum", 0.0)
    if "sgd" not in optimizers:
        idle += ["momentum", "nesterov"]
    elif momenta is not None and not any(momenta):
        idle.append("nesterov")
    if "depth" in distributions:
        deep = any(depth > 1 for depth in possible("depth", 1) or ())
    else:
        deep = any(len(units) > 1 for units in possible("hidden_units", (1, 1)) or ())
    if not deep:
        idle.append("residual")
    return [name for name in idle if name in distributions and not isinstance(distributions[name], Constant)]
