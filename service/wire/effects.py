"""What parameters and remedies did in a sweep, as the REST API shows it (docs/gradients.md)."""

from typing import Annotated, Any

from pydantic import Field

from service.wire.base import Answer
from service.wire.sweeps import MetricView, VerdictCounts
from service.wire.trials import SpelledNumbers


class SummaryView(Answer):
    """A median of `n` values, and the interval that holds the true one with probability `coverage`.

    Two order statistics bound the interval (David, Nagaraja 2003): 0.95 or more from six values on, less below.
    Null of a single value.
    """

    n: int
    median: float | None
    low: float | None
    high: float | None
    coverage: float | None
    nonfinite: SpelledNumbers = {}


class GroupView(Answer):
    """Trials together. The metric is that of trials that were not pruned as unpromising."""

    n_trials: int
    n_unpromising: int
    metric: SummaryView | None
    stability: SummaryView | None
    depth_slope: SummaryView | None
    verdicts: VerdictCounts


class LevelView(GroupView):
    """All trials with one value of a parameter, or with one from `low` up to `high`."""

    value: str
    low: float | None
    high: float | None


class PairedView(Answer):
    """Differences of matched trials, `value` minus `against`: they differ in nothing else."""

    value: str
    against: str
    n_pairs: int
    n_same_seed: Annotated[int, Field(description="Pairs that began with the same seed.")]
    n_same_stream: Annotated[int, Field(description="Pairs that saw the same minibatches and dropout draws, too.")]
    metric: SummaryView | None
    stability: SummaryView | None
    depth_slope: SummaryView | None


class FactorView(Answer):
    """One parameter: its levels, and the pairs of each with a reference where there are any."""

    name: str
    levels: tuple[LevelView, ...]
    pairs: tuple[PairedView, ...]


class RemedyEffectView(GroupView):
    """One variant of an ablation: `base`, a remedy alone, or `all`."""

    remedy: str
    changes: dict[str, Any]
    paired: PairedView | None


class EffectsView(Answer):
    """What each value of a parameter and each remedy did; `notes` say how to read it."""

    sweep_id: str
    metric: MetricView
    n_trials: Annotated[int, Field(description="Trials that were completed or pruned so far.")]
    notes: tuple[str, ...]
    remedies: Annotated[tuple[RemedyEffectView, ...], Field(description="Of an ablation; empty in any other sweep.")]
    factors: tuple[FactorView, ...]
