"""Effects as dots with intervals."""

from collections import Counter

from service.domain.effects import Effects, Group, RemedyEffect
from service.domain.states import Verdict
from service.domain.summaries import summarize
from service.figures.effect_figures import effects


def remedy(name, accuracies, stability, verdict):
    metric, stable = summarize(accuracies), summarize([stability] * len(accuracies))
    return RemedyEffect(name, {}, Group(len(accuracies), 0, metric, stable, None, Counter([verdict])), None)


def test_a_row_for_each_remedy_with_its_median_interval_and_verdict(point, sweep_facts):
    compared = Effects(
        9,
        (),
        (
            remedy("base", [0.1, 0.1, 0.1], 0.0, Verdict.VANISHING),
            remedy("normalization", [0.8, 0.9, 0.95], 1.0, Verdict.STABLE),
            remedy("all", [float("-inf"), float("-inf"), 0.5], 1.0, Verdict.STABLE),
        ),
        (),
    )
    drawn = effects(sweep_facts([point(0)], compared=lambda: compared))
    stable = next(trace for trace in drawn["data"] if trace["name"] == "mostly stable")
    assert drawn["layout"]["yaxis"]["categoryarray"] == ["all together", "normalization alone", "base"]
    assert stable["y"] == ["normalization alone", "all together"]
    assert stable["x"] == [0.9, None]
    assert [round(each, 6) for each in stable["error_x"]["array"]] == [0.05, 0.0]
    assert [round(each, 6) for each in stable["error_x"]["arrayminus"]] == [0.1, 0.0]
    assert "median -inf [-inf, 0.5] of 3 trials" in stable["text"][1]
    assert {trace["marker"]["symbol"] for trace in drawn["data"]} == {"circle", "triangle-down"}
