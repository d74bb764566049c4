"""Every kind of figure is Plotly JSON that Plotly itself accepts, with much, little and no data."""

import json
import math
import re

import pytest
from plotly.io import from_json

from service.domain.states import TrialState, Verdict
from service.figures.kinds import SWEEP_FIGURES, TRIAL_FIGURES

MANY = 10_000
MAX_BYTES = 2_500_000


def weighed(_target):
    """Importances of every metric."""
    return {"learning_rate": 0.7, "dropout": 0.3}, None


@pytest.fixture(scope="module")
def many(point):
    """Ten thousand trials of every state and verdict."""
    verdicts, states = list(Verdict), [TrialState.COMPLETED, TrialState.PRUNED]
    return [
        point(
            number,
            0.5 + 0.4 * math.sin(number),
            state=states[number % 2],
            verdict=verdicts[number % len(verdicts)],
            measured={"stability": number % 7 / 7},
            started_at_ms=1_000_000 + number * 100,
            ended_at_ms=1_000_900 + number * 100,
            parameters={
                "learning_rate": 10 ** -(1 + number % 4),
                "dropout": number % 5 / 10,
                "optimizer": ["sgd", "adam"][number % 2],
                "residual": number % 3 == 0,
                "hidden_units": (32,) * (1 + number % 3),
            },
        )
        for number in range(MANY)
    ]


def checked(figure):
    """The figure as Plotly reads it; it refuses what it does not know, and JSON refuses nan."""
    text = json.dumps(figure, allow_nan=False)
    return from_json(text), len(text)


@pytest.mark.parametrize("kind", SWEEP_FIGURES)
def test_a_large_sweep_is_bounded(kind, many, sweep_facts):
    figure, size = checked(SWEEP_FIGURES[kind](sweep_facts(many, weighed=weighed)))
    assert len(figure.data) > 0
    assert size < MAX_BYTES


@pytest.mark.parametrize(
    "kind",
    [
        "history",
        "slice",
        "parallel_coordinate",
        "learning_curves",
        "stability_map",
        "pareto",
        "contour",
        "rank",
        "timeline",
    ],
)
def test_what_is_left_out_is_said(kind, many, sweep_facts):
    figure, _ = checked(SWEEP_FIGURES[kind](sweep_facts(many)))
    assert re.search(r"of (10|5),000 trials", figure.layout.title.text)


@pytest.mark.parametrize("kind", SWEEP_FIGURES)
@pytest.mark.parametrize("n_trials", [0, 1, 2])
def test_a_small_sweep_can_be_drawn(kind, n_trials, point, sweep_facts):
    points = [point(number, parameters={"dropout": number / 10}) for number in range(n_trials)]
    figure, _ = checked(SWEEP_FIGURES[kind](sweep_facts(points)))
    assert figure.data or figure.layout.annotations


@pytest.mark.parametrize("kind", SWEEP_FIGURES)
def test_trials_without_a_value_can_be_drawn(kind, point, sweep_facts):
    figure, _ = checked(SWEEP_FIGURES[kind](sweep_facts([point(0, None, state=TrialState.WAITING, verdict=None)])))
    assert figure.layout.annotations[0].text


@pytest.mark.parametrize("kind", TRIAL_FIGURES)
@pytest.mark.parametrize(
    "epochs",
    [
        [],
        [[0.1, 0.1, 0.1, 0.1]],
        [[0.1, 0.1, 0.1, 0.1], [math.inf, math.nan, 0.0, None]],
        [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]],
        [[0.1] * 4] * 2000,
    ],
    ids=["none", "probe", "broken", "zero", "long"],
)
def test_every_trial_can_be_drawn(kind, epochs, trial_facts):
    figure, size = checked(TRIAL_FIGURES[kind](trial_facts(*epochs)))
    assert figure.data or figure.layout.annotations
    assert size < MAX_BYTES
