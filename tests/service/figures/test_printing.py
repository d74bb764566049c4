"""Every kind of figure comes out on paper: what the page learns to draw, `gradsweep figure` prints."""

import math

import pytest

from gradsweep.printing.paper import draw
from service.domain.states import TrialState, Verdict
from service.figures.kinds import SEVERAL_FIGURES, SWEEP_FIGURES, TRIAL_FIGURES

STATES = [TrialState.COMPLETED, TrialState.PRUNED]


@pytest.fixture(scope="module")
def points(point):
    """Trials of every verdict, with numbers and words to search."""
    return [
        point(
            number,
            0.5 + 0.4 * math.sin(number),
            state=STATES[number % 4 == 0],
            verdict=list(Verdict)[number % len(Verdict)],
            parameters={
                "learning_rate": 10 ** -(1 + number % 4),
                "dropout": number % 5 / 10,
                "optimizer": ["sgd", "adam"][number % 2],
                "normalization": ["none", "batch"][number % 2],
            },
            measured={"stability": number / 40},
            started_at_ms=1_000_000 + number * 100,
            ended_at_ms=1_000_900 + number * 100,
        )
        for number in range(40)
    ]


def on_paper(figure):
    return draw(figure, width=3.5, height=None, with_title=True)


@pytest.mark.parametrize("kind", SWEEP_FIGURES)
def test_a_sweep_is_printed(kind, points, sweep_facts):
    shares = {"learning_rate": 0.7, "dropout": 0.3}
    page = on_paper(SWEEP_FIGURES[kind](sweep_facts(points, weighed=lambda _: (shares, None))))
    assert any(axes.lines or axes.collections or axes.patches for axes in page.axes)


@pytest.mark.parametrize("kind", SWEEP_FIGURES)
def test_an_empty_sweep_is_printed_with_the_reason(kind, sweep_facts):
    assert on_paper(SWEEP_FIGURES[kind](sweep_facts([]))).axes[0].texts


@pytest.mark.parametrize("kind", TRIAL_FIGURES)
def test_a_trial_is_printed(kind, trial_facts):
    page = on_paper(TRIAL_FIGURES[kind](trial_facts([0.1] * 4, [0.2] * 4, [math.inf, math.nan, 0.0, None])))
    assert any(axes.lines or axes.collections for axes in page.axes)


@pytest.mark.parametrize("kind", SEVERAL_FIGURES)
def test_several_trials_are_printed(kind, several_facts):
    page = on_paper(SEVERAL_FIGURES[kind](several_facts(3)))
    assert any(axes.lines or axes.collections for axes in page.axes)
