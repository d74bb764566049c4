"""Between the words of a sweep file and Optuna's: distributions, and values there and back."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from service.domain.distributions import Categorical, Distribution, IntUniform, Quantized, Uniform
from service.domain.parameters import effective_names
from service.domain.space import Space, listed
from service.wire.parameters import Parameters

_LAST = ("optimizer", "hidden_units", "depth", "width", "momentum", "nesterov", "residual")
"""Asked after all others, in this order: what comes later may have no effect, depending on what came before."""


class Dimensions:
    """The searched parameters of a space as Optuna sees them.

    `distributions` holds all of them in the order of asking; `joint` those that have an effect on every trial, which
    a sampler can model together.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        names = sorted(space.names, key=lambda name: _LAST.index(name) if name in _LAST else -1)
        self.distributions = {name: _to_optuna(space.searched[name]) for name in names}
        self.joint = {name: each for name, each in self.distributions.items() if not _is_conditional(name, space)}

    def params(self, parameters: Parameters) -> dict[str, Any]:
        """A trial's searched values in Optuna's words; those without effect are left out."""
        point = self._space.point_of(parameters)
        return {name: _to_word(self._space.searched[name], value) for name, value in point.items()}

    def hold(self, parameters: Parameters) -> bool:
        """Whether a trial lies in the space that is searched."""
        return self._space.contains(parameters)

    def matters(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether a parameter has an effect, given what has been chosen so far."""
        return name in self.joint or name in effective_names(self.parameters(params))

    def parameters(self, params: Mapping[str, Any]) -> Parameters:
        """The canonical trial of values in Optuna's words."""
        searched = self._space.searched
        return self._space.parameters({name: _to_value(searched[name], word) for name, word in params.items()})


def _to_optuna(distribution: Distribution) -> BaseDistribution:
    if isinstance(distribution, IntUniform):
        return IntDistribution(distribution.low, distribution.high)
    if isinstance(distribution, Uniform):
        return FloatDistribution(distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, Quantized):
        # multipliers are whole numbers; Optuna's own steps know no logarithm and round in other places
        return IntDistribution(distribution.first, distribution.last, log=distribution.log)
    return CategoricalDistribution([_to_word(distribution, value) for value in distribution.values()])


def _to_word(distribution: Distribution, value: Any) -> Any:
    """A value as Optuna knows it: a multiple by its multiplier, a list of widths as text."""
    if isinstance(distribution, Quantized):
        return distribution.multiplier(value)
    return "-".join(str(width) for width in value) if isinstance(value, tuple) else value


def _to_value(distribution: Distribution, word: Any) -> Any:
    if isinstance(distribution, Quantized):
        return distribution.multiple(word)
    if isinstance(distribution, Categorical) and isinstance(distribution.choices[0], tuple):
        return tuple(int(width) for width in word.split("-"))
    return word


def _is_conditional(name: str, space: Space) -> bool:
    """Whether a searched parameter has an effect on some trials only, by what other parameters are."""
    if name == "momentum":
        return "optimizer" in space.searched
    if name == "nesterov":
        momentum = space.searched.get("momentum")
        return "optimizer" in space.searched or (momentum is not None and 0 in (listed(momentum) or ()))
    return name == "residual" and bool({"hidden_units", "depth"} & space.searched.keys())
