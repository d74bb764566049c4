"""Comparing a sweep's trials: one short read, then the pure functions of `domain.effects`."""

import math
from collections.abc import Mapping
from typing import Any

from service.database.engine import Database
from service.database.outcomes import outcomes_of
from service.domain.ablation import Ablation
from service.domain.effects import Effects, Group, Paired, effects_of
from service.domain.states import Verdict
from service.domain.summaries import Summary
from service.domain.sweep import Sweep
from service.operations.reading import resolve_sweep
from service.operations.viewing import metric_view
from service.wire.effects import EffectsView, FactorView, LevelView, PairedView, RemedyEffectView, SummaryView
from service.wire.sweeps import VerdictCounts


def read_effects(database: Database, ref: str) -> EffectsView:
    """What each value of a parameter and each remedy did in a sweep so far.

    Raises:
        NotFound: There is no such sweep.
    """
    sweep = resolve_sweep(database, ref)
    return effects_view(sweep, compare(database, sweep))


def compare(database: Database, sweep: Sweep) -> Effects:
    """The effects in a sweep, as domain objects."""
    with database.read() as connection:
        outcomes = outcomes_of(connection, sweep.id)
    return effects_of(outcomes, sweep.metric, sweep.method, Ablation.from_definition(sweep.definition))


def effects_view(sweep: Sweep, effects: Effects) -> EffectsView:
    """Effects as they are shown."""
    return EffectsView(
        sweep_id=sweep.id,
        metric=metric_view(sweep.metric),
        n_trials=effects.n_trials,
        notes=effects.notes,
        remedies=tuple(
            RemedyEffectView(
                remedy=each.remedy,
                changes=dict(each.changes),
                paired=None if each.paired is None else _paired_view(each.paired),
                **_group(each.group),
            )
            for each in effects.remedies
        ),
        factors=tuple(
            FactorView(
                name=factor.name,
                levels=tuple(
                    LevelView(value=level.label, low=level.low, high=level.high, **_group(group))
                    for level, group in factor.levels
                ),
                pairs=tuple(map(_paired_view, factor.pairs)),
            )
            for factor in effects.factors
        ),
    )


def _group(group: Group) -> dict[str, Any]:
    return {
        "n_trials": group.n_trials,
        "n_unpromising": group.n_unpromising,
        "verdicts": _verdicts(group.verdicts),
        **_summaries(group),
    }


def _paired_view(paired: Paired) -> PairedView:
    names = ("value", "against", "n_pairs", "n_same_seed", "n_same_stream")
    return PairedView(**{name: getattr(paired, name) for name in names}, **_summaries(paired))


def _verdicts(counts: Mapping[Verdict, int]) -> VerdictCounts:
    return VerdictCounts(**{verdict.value: count for verdict, count in counts.items()})


def _summaries(one: Group | Paired) -> dict[str, SummaryView | None]:
    return {name: _summary_view(getattr(one, name)) for name in ("metric", "stability", "depth_slope")}


def _summary_view(summary: Summary | None) -> SummaryView | None:
    """Numbers that are not finite are spelled out."""
    if summary is None:
        return None
    numbers = {"median": summary.median, "low": summary.low, "high": summary.high}
    spelled = {name: str(value) for name, value in numbers.items() if value is not None and not math.isfinite(value)}
    finite = {name: None if name in spelled else value for name, value in numbers.items()}
    return SummaryView.model_validate({"n": summary.n, "coverage": summary.coverage, "nonfinite": spelled, **finite})
