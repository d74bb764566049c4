"""Between the words of a sweep file and Optuna's: distributions, and values there and back."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from service.domain.distributions import Categorical, Distribution, IntUniform, Quantized, Uniform
from service.domain.parameters import effective_names
from service.domain.space import Space
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
        return {name: _word(value) for name, value in self._space.point_of(parameters).items()}

    def matters(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether a parameter has an effect, given what has been chosen so far."""
        return name in self.joint or name in effective_names(self.parameters(params))

    def parameters(self, params: Mapping[str, Any]) -> Parameters:
        """The canonical trial of values in Optuna's words."""
        return self._space.parameters({name: self._value(name, word) for name, word in params.items()})

    def _value(self, name: str, word: Any) -> Any:
        distribution = self._space.searched[name]
        if isinstance(distribution, Quantized):
            return distribution.nearest(word)
        if isinstance(distribution, Categorical) and name == "hidden_units":
            return tuple(int(width) for width in word.split("-"))
        return word


def _to_optuna(distribution: Distribution) -> BaseDistribution:
    if isinstance(distribution, IntUniform):
        return IntDistribution(distribution.low, distribution.high)
    if isinstance(distribution, Uniform):
        return FloatDistribution(distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, Quantized):
        low, high = distribution.nearest(distribution.low), distribution.nearest(distribution.high)
        # Optuna steps on linear scales only; on a logarithmic one the value is rounded afterwards
        return FloatDistribution(low, high, log=distribution.log, step=None if distribution.log else distribution.q)
    return CategoricalDistribution([_word(value) for value in distribution.values()])


def _word(value: Any) -> Any:
    """Optuna's choices are scalars: a list of widths becomes text."""
    return "-".join(str(width) for width in value) if isinstance(value, tuple) else value


def _is_conditional(name: str, space: Space) -> bool:
    """Whether a searched parameter has an effect on some trials only, by what other parameters are."""
    if name == "momentum":
        return "optimizer" in space.searched
    if name == "nesterov":
        momentum = space.searched.get("momentum")
        return "optimizer" in space.searched or (momentum is not None and 0 in (momentum.values() or ()))
    return name == "residual" and bool({"hidden_units", "depth"} & space.searched.keys())
