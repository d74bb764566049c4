"""The parts that figures are put together from: traces, axes, titles, and what is left out of a large sweep."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from service.domain.goals import Metric
from service.domain.points import TrialPoint

Figure = dict[str, Any]
Trace = dict[str, Any]

_T = TypeVar("_T")


def figure(title: str, traces: Sequence[Trace], **layout: Any) -> Figure:
    """A whole figure; `layout` holds axes and what else differs from the plain look."""
    plain = {
        "title": {"text": title},
        "margin": {"l": 64, "r": 24, "t": 48, "b": 52},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": len(traces) > 1,
    }
    return {"data": list(traces), "layout": plain | layout}


def empty(title: str, reason: str) -> Figure:
    """A figure with nothing in it but the reason why."""
    words = {"text": reason, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return figure(title, [], annotations=[words], xaxis={"visible": False}, yaxis={"visible": False})


def epoch_axis(last: int) -> dict[str, Any]:
    """An axis of epochs from 0, with ticks at whole ones."""
    return {"title": {"text": "epoch"}, "tickmode": "linear", "tick0": 0, "dtick": -(-last // 10) or 1}


def points_trace(points: Sequence[TrialPoint], x: Sequence[Any], y: Sequence[Any], **rest: Any) -> Trace:
    """Trials as points. `customdata` holds each trial's id and number: the page leads there on a click."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "customdata": [[point.id, point.number] for point in points],
    } | rest


def better_first(metric: Metric) -> Callable[[TrialPoint], tuple[bool, float, int]]:
    """The order of trials by their objective, which each must have: the best first, equal ones by number.

    Those that break a bound of the sweep come after all that keep them.
    """
    sign = -1.0 if metric.direction == "maximize" else 1.0
    return lambda point: (not point.is_feasible, sign * (point.objective or 0.0), point.number)


def bounded(points: Sequence[TrialPoint], limit: int, metric: Metric) -> tuple[list[TrialPoint], str]:
    """At most `limit` trials with an objective, by number: the best half of the limit, and an even sample of the rest.

    Returns:
        The trials, and words for the title: empty if all are there.
    """
    measured = [point for point in points if point.objective is not None]
    if len(measured) <= limit:
        return measured, ""
    ranked = sorted(measured, key=better_first(metric))
    best, rest = ranked[: limit // 2], sorted(ranked[limit // 2 :], key=lambda point: point.number)
    chosen = best + evenly(rest, limit - len(best))
    chosen.sort(key=lambda point: point.number)
    return chosen, f" · {limit:,} of {len(measured):,} trials: the best, and a sample of the others"


def evenly(items: Sequence[_T], limit: int) -> list[_T]:
    """At most `limit` of the items, at even distances, in their order."""
    if len(items) <= limit:
        return list(items)
    return [items[at * len(items) // limit] for at in range(limit)]
