"""Ablations: a fixed base, each remedy switched alone and all together, every variant under the same seeds.

    number   0     1          2        …   7      8     9
    remedy   base  remedy 1   …        all │ base  …               one block of variants for each replicate
    seed     s     s          s        s   │ s+1   s+1

Trials of one replicate are matched: they share the seed, and with it the initial weights wherever shapes agree and,
trained in one bank from the same epoch on, the minibatches and dropout draws. So differences between them are what
the remedy did, without the noise that two seeds would add.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.distributions import distribution_from_definition
from service.domain.parameters import canonical
from service.domain.space import Space
from service.wire.parameters import Parameters

BASE = "base"
ALL = "all"
MAX_SEEDS = 100
MAX_REMEDIES = 32
MAX_ABLATION_TRIALS = 1024
DEFAULT_SEEDS = 5

CUSTOMARY_RATES = {"sgd": 0.1, "momentum": 0.01, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "adagrad": 1e-2}
"""Learning rates that one tries first. With momentum 0.9 steps add up to ten times the rate, so it is a tenth."""

REMEDIES = ("learning_rate", "optimizer", "normalization", "dropout", "residual")
"""The five remedies of the literature on training deep networks, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The base with some changes; `remedy` is "base", a remedy's name, or "all"."""

    remedy: str
    changes: Mapping[str, Any]
    parameters: Parameters


@dataclass(frozen=True)
class Ablation:
    """What an ablation trains.

    Args:
        base: The fixed parameters, by their names in the sweep file.
        remedies: By name, in order: the parameters that each changes.
        n_seeds: How many replicates of everything.
    """

    base: Mapping[str, Any]
    remedies: Mapping[str, Mapping[str, Any]]
    n_seeds: int

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "Ablation | None":
        """The ablation in a sweep's definition; None if the sweep is none."""
        stored = definition.get("ablation")
        if stored is None:
            return None
        base = {name: distribution_from_definition(each).value_at(0.0) for name, each in definition["space"].items()}
        return cls(base, stored["remedies"], stored["seeds"])

    def to_definition(self) -> dict[str, Any]:
        """What a sweep's row keeps beside its space."""
        return {"remedies": self.plain_remedies(), "seeds": self.n_seeds}

    def plain_remedies(self) -> dict[str, dict[str, Any]]:
        """The remedies as they stand in a sweep file."""
        return {name: {key: _plain(value) for key, value in each.items()} for name, each in self.remedies.items()}

    def variants(self) -> list[Variant]:
        """The base, each remedy alone, and all together unless that is one of them already."""
        found = [Variant(BASE, {}, canonical(self.base))]
        together: dict[str, Any] = {}
        values = dict(self.base)
        for name, changes in self.remedies.items():
            found.append(Variant(name, changes, canonical(changed(self.base, changes))))
            values = changed(values, changes)
            together |= changes
        last = Variant(ALL, together, canonical(values))
        return found if any(each.parameters == last.parameters for each in found) else [*found, last]

    @property
    def n_trials(self) -> int:
        """Trials of all replicates."""
        return len(self.variants()) * self.n_seeds

    def trials(self) -> Iterator[tuple[int, int, Variant]]:
        """Number, replicate and variant of each trial; the trials of one replicate follow one another."""
        variants = self.variants()
        for number in range(len(variants) * self.n_seeds):
            replicate, place = divmod(number, len(variants))
            yield number, replicate, variants[place]


def changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """An assignment with some parameters changed. What the changed ones replaced or implied goes with them: another
    optimizer has a momentum of its own, and a shape is said either by hidden_units or by depth and width."""
    gone: set[str] = set()
    if "optimizer" in changes:
        gone |= {"momentum", "nesterov"}
    if "hidden_units" in changes:
        gone |= {"depth", "width"}
    if {"depth", "width"} & changes.keys():
        gone.add("hidden_units")
    return {name: value for name, value in values.items() if name not in gone} | dict(changes)


def customary_remedies(base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The five remedies, for a base.

    An optimizer comes with its customary learning rate: step sizes of two optimizers are not the same thing. So, all
    together, it is the optimizer's rate that counts.
    """
    parameters = canonical(base)
    has_momentum = parameters.optimizer == "sgd" and bool(parameters.momentum)
    rate = CUSTOMARY_RATES["momentum" if has_momentum else parameters.optimizer]
    return {
        "learning_rate": {"learning_rate": rate},
        "optimizer": {"optimizer": "adam", "learning_rate": CUSTOMARY_RATES["adam"]},
        "normalization": {"normalization": "batch"},
        "dropout": {"dropout": 0.2},
        "residual": {"residual": True},
    }


def representatives(definition: Mapping[str, Any]) -> list[Parameters]:
    """A few trials of a sweep that together are of every kind that may occur in it."""
    ablation = Ablation.from_definition(definition)
    if ablation is not None:
        return [variant.parameters for variant in ablation.variants()]
    return Space.from_definition(definition["space"]).representatives()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
