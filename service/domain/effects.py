"""What each value of a parameter did to the metric, the stability, the depth slope and the verdicts of its trials.

A *level* sums up all trials with a value, whatever else they were. A *pair* is two trials that differ in one parameter
(or, in an ablation, in one remedy) and in nothing else: what remains of their difference is the parameter's doing, and
the noise of two seeds unless they share those as well.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from service.domain.ablation import BASE, Ablation
from service.domain.catalogue import CATALOGUE
from service.domain.goals import Metric
from service.domain.levels import FACTORS, Factor, Level, levels_of, word
from service.domain.states import Direction, Method, PruneReason, Verdict
from service.domain.summaries import Summary, summarize
from service.wire.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that has ended, as completed or pruned. `stream`: the stream of batches, and where it began in it."""

    number: int
    seed: int
    replicate: int
    remedy: str | None
    parameters: Parameters
    prune_reason: PruneReason | None
    objective: float | None
    stability: float | None
    depth_slope: float | None
    verdict: Verdict | None
    stream: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Group:
    """Trials together: how many, how many of them without a final metric as they were pruned as unpromising, what
    came of the others, and all verdicts."""

    n_trials: int
    n_unpromising: int
    metric: Summary | None
    stability: Summary | None
    depth_slope: Summary | None
    verdicts: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences of matched trials, `value` minus `against`; how many pairs share the seed, and the stream too."""

    value: str
    against: str
    n_pairs: int
    n_same_seed: int
    n_same_stream: int
    metric: Summary | None
    stability: Summary | None
    depth_slope: Summary | None


@dataclass(frozen=True, slots=True)
class FactorEffect:
    """One parameter: its levels in order, and each level's pairs with a reference."""

    name: str
    levels: tuple[tuple[Level, Group], ...]
    pairs: tuple[Paired, ...]


@dataclass(frozen=True, slots=True)
class RemedyEffect:
    """One variant of an ablation; the base has no pairs."""

    remedy: str
    changes: Mapping[str, Any]
    group: Group
    paired: Paired | None


@dataclass(frozen=True, slots=True)
class Effects:
    """All effects in a sweep. `notes` say how to read them."""

    n_trials: int
    factors: tuple[FactorEffect, ...]
    remedies: tuple[RemedyEffect, ...]
    notes: tuple[str, ...]


def effects_of(
    outcomes: Sequence[Outcome], metric: Metric, method: Method, ablation: Ablation | None = None
) -> Effects:
    """What each value and, in an ablation, each remedy did.

    Args:
        outcomes: The trials that ended, by number.
        metric: What the sweep ranks by.
        method: How the values were chosen: it decides what may be read from levels.
        ablation: The remedies, if the sweep is an ablation.
    """
    measured = _Measured(metric)
    factors = [effect for factor in FACTORS if (effect := _factor(factor, outcomes, measured, ablation)) is not None]
    remedies = () if ablation is None else _remedies(ablation, outcomes, measured)
    return Effects(len(outcomes), tuple(factors), remedies, _notes(outcomes, method, [each.name for each in factors]))


class _Measured:
    """The three numbers of a trial; None where it has none to compare."""

    def __init__(self, metric: Metric) -> None:
        self._worst = -math.inf if metric.direction is Direction.MAXIMIZE else math.inf

    def metric(self, one: Outcome) -> float | None:
        """The final metric. A trial pruned as unpromising has none: it ended early. One whose gradients ended it has
        come to what it would come to; if that is no number, it is worse than any."""
        if one.prune_reason is PruneReason.UNPROMISING:
            return None
        return self._worst if one.objective is None else one.objective

    def group(self, members: Sequence[Outcome]) -> Group:
        """What came of some trials."""
        return Group(
            n_trials=len(members),
            n_unpromising=sum(one.prune_reason is PruneReason.UNPROMISING for one in members),
            metric=summarize(_present(map(self.metric, members))),
            stability=summarize(_present(one.stability for one in members)),
            depth_slope=summarize(_present(one.depth_slope for one in members)),
            verdicts=Counter(one.verdict for one in members if one.verdict is not None),
        )

    def paired(self, value: str, against: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> Paired:
        """Differences, the first of each pair minus the second."""
        return Paired(
            value=value,
            against=against,
            n_pairs=len(pairs),
            n_same_seed=sum(one.seed == other.seed for one, other in pairs),
            n_same_stream=sum(
                one.seed == other.seed and one.stream is not None and one.stream == other.stream for one, other in pairs
            ),
            metric=_differences(pairs, self.metric),
            stability=_differences(pairs, lambda one: one.stability),
            depth_slope=_differences(pairs, lambda one: one.depth_slope),
        )


def _present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _differences(
    pairs: Sequence[tuple[Outcome, Outcome]], measure: Callable[[Outcome], float | None]
) -> Summary | None:
    """Of the pairs of which both have the number; two that are worse than any number are no different."""
    found = []
    for one, other in pairs:
        a, b = measure(one), measure(other)
        if a is not None and b is not None:
            found.append(0.0 if a == b else a - b)
    return summarize(found)


def _factor(
    factor: Factor, outcomes: Sequence[Outcome], measured: _Measured, ablation: Ablation | None
) -> FactorEffect | None:
    """The effect of one parameter; None if it was the same in all trials."""
    values = [factor.value(one.parameters) for one in outcomes]
    levels = levels_of(values, is_log=factor.is_log)
    if len(set(values)) < 2:
        return None
    grouped = tuple((level, measured.group([outcomes[at] for at in members])) for level, members in levels)
    is_binned = any(level.low is not None for level, _ in levels)
    pairs = () if is_binned else _pairs(factor, outcomes, values, measured, _reference(factor, values, ablation))
    return FactorEffect(factor.name, grouped, pairs)


def _reference(factor: Factor, values: Sequence[Any], ablation: Ablation | None) -> Any:
    """What other values are compared with: the base's, the neutral value, or the commonest of those that there are."""
    if ablation is not None:
        return factor.value(ablation.variants()[0].parameters)
    neutral = CATALOGUE[factor.name].default
    return neutral if neutral in values else Counter(sorted(values)).most_common(1)[0][0]


def _pairs(
    factor: Factor, outcomes: Sequence[Outcome], values: Sequence[Any], measured: _Measured, reference: Any
) -> tuple[Paired, ...]:
    """The pairs of each value with the reference: trials of one replicate that differ in this parameter alone."""
    others = attrgetter(*(name for name in Parameters.model_fields if name not in factor.fields))
    rest = [
        (one.replicate, frozenset(one.parameters.hidden_units), others(one.parameters))
        for one in outcomes  # with the widths, for networks of another depth should be no wider
    ]
    base = {key: one for key, one, value in zip(rest, outcomes, values, strict=True) if value == reference}
    found = []
    for value in sorted(set(values) - {reference}):
        members = zip(rest, outcomes, values, strict=True)
        pairs = [(one, base[key]) for key, one, its in members if its == value and key in base]
        if pairs:
            found.append(measured.paired(word(value, digits=12), word(reference, digits=12), pairs))
    return tuple(found)


def _remedies(ablation: Ablation, outcomes: Sequence[Outcome], measured: _Measured) -> tuple[RemedyEffect, ...]:
    """Every variant that has ended trials, in order, with its pairs with the base."""
    by_remedy: dict[str | None, list[Outcome]] = {}
    for one in outcomes:
        by_remedy.setdefault(one.remedy, []).append(one)
    base = {one.replicate: one for one in by_remedy.get(BASE, ())}
    found = []
    for variant in ablation.variants():
        members = by_remedy.get(variant.remedy, [])
        pairs = [(one, base[one.replicate]) for one in members if one.replicate in base]
        is_paired = bool(pairs) and variant.remedy != BASE
        paired = measured.paired(variant.remedy, BASE, pairs) if is_paired else None
        if members:
            found.append(RemedyEffect(variant.remedy, variant.changes, measured.group(members), paired))
    return tuple(found)


_RETURNS = (
    "returns to values that did well, in the company of other values that did well. So a level mixes "
    "what a value did with what it was combined with, and levels that did badly are known from early trials alone. Do "
    "not read the levels as causes; pairs can be, and so can a sweep by method random or ablation."
)
_CHOSEN = {
    Method.TPE: f"TPE {_RETURNS}",
    Method.NSGA2: f"Evolution {_RETURNS}",
    Method.RANDOM: "Values were drawn independently of one another, so what else differs between two levels differs "
    "by chance alone, and the intervals say how far that goes.",
    Method.QMC: "Values fill the space evenly, so each level was combined with much the same values of the others.",
    Method.GRID: "In a grid that is done, each level was combined with the same values of all others.",
    Method.ABLATION: "Read the remedies. Levels of an ablation are not comparable: the variants with all remedies "
    "together are in one level of each parameter, and the base in the other.",
}


def _notes(outcomes: Sequence[Outcome], method: Method, names: Sequence[str]) -> tuple[str, ...]:
    """How to read the effects of this sweep."""
    if not outcomes:
        return ("No trial has ended yet.",)
    notes = [_CHOSEN.get(method, "")]
    n_unpromising = sum(one.prune_reason is PruneReason.UNPROMISING for one in outcomes)
    if n_unpromising:
        notes.append(
            f"{n_unpromising} trials were pruned as unpromising and have no final metric: medians of the metric are "
            "over the others, which flatters values that were often pruned."
        )
    fixed = [factor.name for factor in FACTORS[:5] if factor.name not in names]
    if fixed:
        notes.append(f"The same in all trials: {', '.join(fixed)}.")
    return tuple(note for note in notes if note)
