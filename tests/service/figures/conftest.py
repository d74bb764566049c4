"""Trials and epochs to draw, made by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from service.domain.effects import Effects, Outcome, effects_of
from service.domain.goals import Metric
from service.domain.parameters import canonical
from service.domain.points import Curve, TrialPoint
from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.states import Direction, Method, MetricAt, TrialState, Verdict
from service.domain.steps import OF_LAYER, StepTable
from service.figures.several import NamedTrial, SeveralFacts
from service.figures.sweep_figures import SweepFacts
from service.figures.trial_figures import TrialFacts


@pytest.fixture(scope="session")
def point() -> Callable[..., TrialPoint]:
    """Makes one trial; what is not told is completed, stable, and has the defaults."""

    def make(number: int, objective: float | None = 0.5, **changes: Any) -> TrialPoint:
        given = {"state": TrialState.COMPLETED, "verdict": Verdict.STABLE} | changes
        parameters = canonical({"epochs": 3} | given.pop("parameters", {}))
        return TrialPoint(f"trl_{number}", number, objective=objective, parameters=parameters, **given)

    return make


@pytest.fixture(scope="session")
def sweep_facts() -> Callable[..., SweepFacts]:
    """What the figures of a sweep are drawn from; every curve rises to its trial's objective."""

    def curves(points: Sequence[TrialPoint]) -> list[Curve]:
        return [Curve(each, [0, 1, 2], [None, 0.0, each.objective]) for each in points]

    def compared(points: Sequence[TrialPoint], metric: Metric) -> Effects:
        nothing: dict[str, Any] = dict.fromkeys(("remedy", "prune_reason", "depth_slope", "stream"))
        outcomes = [
            Outcome(
                number=each.number,
                seed=each.number,
                replicate=0,
                parameters=each.parameters,
                objective=each.objective,
                stability=1.0,
                verdict=each.verdict,
                **nothing,
            )
            for each in points
        ]
        return effects_of(outcomes, metric, Method.RANDOM)

    def make(points: Sequence[TrialPoint], direction: str = "maximize", **rest: Any) -> SweepFacts:
        metric = Metric("val_accuracy", Direction(direction), MetricAt.LAST)
        return SweepFacts(metric, points, curves, **{"compared": lambda: compared(points, metric)} | rest)

    return make


@pytest.fixture(scope="session")
def trial_facts() -> Callable[..., TrialFacts]:
    """What the figures of a trial are drawn from: per epoch the gradients of its layers, from the input up.

    Five steps are recorded, unless it is told otherwise.
    """

    def make(*epochs: Sequence[float | None], units: Sequence[int] = (16, 16, 16), **rest: Any) -> TrialFacts:
        rows = [
            EpochRow(
                epoch=epoch,
                train_loss=1.0,
                layers=tuple(
                    LayerRow(layer=at + 1, grad_rms_median=size, bias_grad_rms_median=size, update_ratio_median=size)
                    for at, size in enumerate(sizes)
                ),
            )
            for epoch, sizes in enumerate(epochs)
        ]
        recorded = {"steps": StepTable(range(1, 6), {name: [[1e-3] * 5] * 4 for name in OF_LAYER})} | rest
        return TrialFacts(rows, canonical({"epochs": 3, "hidden_units": tuple(units)}), **recorded)

    return make


@pytest.fixture(scope="session")
def several_facts() -> Callable[..., SeveralFacts]:
    """Trials 0, 1, 2 …, that end with a gradient and an accuracy of 0.1, 0.2, 0.3 …; all alike, or as told."""

    def make(n_trials: int, *parameters: dict[str, Any], by: str | None = None) -> SeveralFacts:
        trials = []
        for number in range(n_trials):
            size = (number + 1) / 10
            rows = [
                EpochRow(
                    epoch=epoch,
                    train_loss=1.0,
                    val_accuracy=None if epoch == 0 else size,
                    val_loss=None if epoch == 0 else 1 / size,
                    layers=tuple(
                        LayerRow(layer=at, grad_rms_median=size, bias_grad_rms_median=size, update_ratio_median=size)
                        for at in (1, 2, 3, 4)
                    ),
                )
                for epoch in (0, 1, 2)
            ]
            given = parameters[number] if parameters else {}
            facts = TrialFacts(rows, canonical({"epochs": 2, "hidden_units": (16,) * 3} | given))
            trials.append(NamedTrial(number, 100 + number, facts))
        return SeveralFacts(trials, by)

    return make
