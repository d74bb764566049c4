"""Which parameters decide whether a trial is among the best by a metric: PED-ANOVA on a study made for it.

In that study every trial that ended is COMPLETE, pruned ones too, so that what ended trials early counts. The best
are chosen here, by the metric's own direction: PED-ANOVA takes the lowest values of a target, and where many are
equal, as with a stability of 1, its quantile would choose nearly all or none. Trials that diverged are the worst.

References:
    Watanabe, Bansal, Hutter (2023), PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
    subspaces.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Lock

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from service.domain.metrics import loss_of
from service.domain.space import Space
from service.domain.states import TrialState
from service.domain.sweep import Sweep
from service.domain.trial import TrialFact
from service.suggestion.dimensions import Dimensions

EVALUATOR = "ped_anova"
MIN_TRIALS = 20
MAX_TRIALS = 1000
"""An even sample of so many is weighed: some tenths of a second."""

BEST_SHARE = 0.1
LEAST_GOOD = 5
_MAX_KEPT = 256

_WEIGHED = (TrialState.COMPLETED, TrialState.PRUNED, TrialState.CANCELLED)
_Weighed = tuple[dict[str, object], dict[str, BaseDistribution], bool]


@dataclass(frozen=True, slots=True)
class Importances:
    """Shares by parameter, the largest first, 1 in sum; empty with a reason where they cannot be told."""

    shares: dict[str, float]
    n_trials: int
    n_used: int
    n_good: int
    reason: str | None = None


class ImportanceMemory:
    """Importances that were weighed, until another trial ends; the least used are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[Hashable, Importances]] = OrderedDict()
        self._lock = Lock()

    def of(self, sweep: Sweep, target: str, version: Hashable, facts: Callable[[], Sequence[TrialFact]]) -> Importances:
        """The importances for a target, weighed once per version of the trials that ended; `facts` reads all trials."""
        key = (sweep.id, target)
        with self._lock:
            if key in self._known and self._known[key][0] == version:
                self._known.move_to_end(key)
                return self._known[key][1]
        weighed = weigh(Space.from_definition(sweep.definition["space"]), target, facts())
        with self._lock:
            self._known[key] = (version, weighed)
            self._known.move_to_end(key)
            while len(self._known) > _MAX_KEPT:
                self._known.popitem(last=False)
        return weighed


def weigh(space: Space, target: str, facts: Sequence[TrialFact]) -> Importances:
    """Weigh the searched parameters of trials that ended.

    Args:
        space: What is searched.
        target: A stored metric.
        facts: The trials. Left out are those that did not end, that failed, that have no such metric and did not
            diverge, and rescues with what the space does not hold.
    """
    dimensions = Dimensions(space)
    inside = [fact for fact in facts if not fact.is_rescue or dimensions.hold(fact.parameters)]
    losses = [(fact, loss) for fact in inside if fact.state in _WEIGHED and (loss := _loss(fact, target)) is not None]
    n_trials = len(losses)
    if not space.names:
        return _nothing(n_trials, "nothing is searched: every parameter is fixed")
    if n_trials < MIN_TRIALS:
        return _nothing(n_trials, f"{n_trials} trials ended with a {target}; {MIN_TRIALS} or more can be compared")
    used = [losses[at * n_trials // MAX_TRIALS] for at in range(MAX_TRIALS)] if n_trials > MAX_TRIALS else losses
    good = _good([loss for _, loss in used])
    if not any(good):
        return _nothing(n_trials, f"all trials are equal in {target}: no parameter makes a difference")
    rows: list[_Weighed] = []
    for (fact, _), is_good in zip(used, good, strict=True):
        params = dimensions.params(fact.parameters)
        rows.append((params, {name: dimensions.distributions[name] for name in params}, is_good))
    shares = _shares(_without_loners(rows, space.names))
    if not shares:
        return _nothing(n_trials, "no parameter differs between the trials")
    return Importances(shares, n_trials, len(used), sum(good))


def _nothing(n_trials: int, reason: str) -> Importances:
    return Importances({}, n_trials, 0, 0, reason)


def _loss(fact: TrialFact, target: str) -> float | None:
    value = fact.value(target)
    if value is not None and not (fact.diverged and target != "stability"):
        return loss_of(target, value)
    return math.inf if fact.diverged else None


def _good(losses: Sequence[float]) -> list[bool]:
    """Which are among the best tenth, five at least, equal ones with them; if that is all, which are not the worst."""
    n_good = max(math.ceil(BEST_SHARE * len(losses)), LEAST_GOOD)
    limit, worst = sorted(losses)[n_good - 1], max(losses)
    return [loss < worst if limit == worst else loss <= limit for loss in losses]


def _without_loners(rows: Sequence[_Weighed], names: Sequence[str]) -> list[_Weighed]:
    """Without parameters that hardly any trial has, and trials that alone lack one: neither shows a distribution."""
    kept = list(rows)
    while True:
        counts = Counter(name for params, _, _ in kept for name in params)
        rare = {name for name in names if 0 < counts[name] < LEAST_GOOD}
        nearly = {name for name in names if counts[name] == len(kept) - 1}
        lonely = [row for row in kept if nearly - row[0].keys()]
        if not rare and not lonely:
            return kept
        kept = [
            (
                {name: value for name, value in params.items() if name not in rare},
                {name: each for name, each in distributions.items() if name not in rare},
                is_good,
            )
            for params, distributions, is_good in kept
            if not nearly - params.keys()
        ]


def _shares(rows: Sequence[_Weighed]) -> dict[str, float]:
    n_good = sum(is_good for _, _, is_good in rows)
    if not 0 < n_good < len(rows):
        return {}
    study = optuna.create_study(direction="minimize")
    study.add_trials(
        [
            create_trial(value=0.0 if is_good else 1.0, params=params, distributions=distributions)
            for params, distributions, is_good in rows
        ]
    )
    names = sorted({name for params, _, _ in rows for name in params})
    quantile = (n_good - 0.5) / len(rows)  # Optuna rounds quantile × trials up, and must not go beyond
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
    shares = get_param_importances(study, evaluator=evaluator, params=names)
    return dict(sorted(((name, float(share)) for name, share in shares.items()), key=lambda item: (-item[1], item[0])))
