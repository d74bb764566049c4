"""What a sweep taught about its metrics and parameters, as the REST API shows it (docs/search.md)."""

from typing import Annotated, Literal

from pydantic import Field

from service.wire.base import Answer
from service.wire.sweeps import MetricView
from service.wire.trials import TrialView


class FrontTrial(Answer):
    """A trial that no other beats in every metric; `values` are what it has of each."""

    trial: TrialView
    values: dict[str, float]


class ParetoView(Answer):
    """The Pareto front of a sweep's completed trials, the best in the first metric first.

    In a sweep with bounds only trials that keep them are compared. `reason` says why the front is empty, if it is.
    """

    metrics: tuple[MetricView, ...]
    constraints: tuple[str, ...]
    front: tuple[FrontTrial, ...]
    n_front: Annotated[int, Field(description="Trials on the front; at most 200 are listed, evenly.")]
    n_compared: Annotated[int, Field(description="Completed trials that keep the bounds and have all metrics.")]
    n_completed: int
    reason: str | None


class ParameterImportance(Answer):
    """How much of the difference is a parameter's: between 0 and 1, 1 in sum over all parameters."""

    parameter: str
    importance: float


class ImportancesView(Answer):
    """Which searched parameters decide whether a trial is among the best by a metric, the most important first.

    `importances` is empty where they cannot be told, and `reason` says why.
    """

    target: str
    direction: Literal["maximize", "minimize"]
    evaluator: Annotated[str, Field(description="PED-ANOVA, as Optuna has it.")]
    importances: tuple[ParameterImportance, ...]
    n_trials: Annotated[int, Field(description="Trials that ended and can be compared by the target.")]
    n_used: Annotated[int, Field(description="An even sample of them, at most 1,000, which was weighed.")]
    n_good: Annotated[int, Field(description="The best of them, whose parameters were set against all.")]
    reason: str | None
