"""When trials ran, and how each ended: one bar per trial."""

from collections.abc import Sequence
from datetime import UTC, datetime

from service.domain.points import TrialPoint
from service.domain.states import TrialState
from service.figures.frame import Figure, empty, evenly, figure
from service.figures.palette import STATE_COLORS, STATE_PATTERNS
from service.figures.sweep_figures import SweepFacts

MAX_BARS = 400


def timeline(facts: SweepFacts) -> Figure:
    """Trials over time by their state, from the start of their newest attempt to their end.

    Those that run end with the newest news; one that waits again has no bar.
    """
    started = [point for point in facts.points if point.started_at_ms is not None]
    begun = [point for point in started if point.state is not TrialState.WAITING]
    if not begun:
        return empty("Timeline", "No trial has begun yet.")
    shown = evenly(begun, MAX_BARS)
    latest = max(max(point.started_at_ms or 0, point.ended_at_ms or 0) for point in begun)
    traces = []
    for state in TrialState:
        members = [point for point in shown if point.state is state]
        if members:
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": state.value,
                    "base": [_moment(point.started_at_ms or 0) for point in members],
                    "x": _durations(members, latest),
                    "y": [point.number for point in members],
                    "customdata": [[point.id, point.number] for point in members],
                    "marker": {
                        "color": STATE_COLORS[state],
                        "pattern": {"shape": STATE_PATTERNS[state], "size": 6, "solidity": 0.25},
                    },
                    "text": [f"{duration / 1000:.1f} s" for duration in _durations(members, latest)],
                    "textposition": "none",
                    "hovertemplate": f"trial %{{customdata[1]}} · {state.value}, %{{text}}<extra></extra>",
                }
            )
    note = f" · {len(shown):,} of {len(begun):,} trials: a sample" if len(shown) < len(begun) else ""
    return figure(
        f"Timeline: when trials ran{note}",
        traces,
        barmode="overlay",
        xaxis={"type": "date", "title": {"text": "UTC"}},
        yaxis={"title": {"text": "trial"}},
        showlegend=True,
    )


def _durations(points: Sequence[TrialPoint], latest: int) -> list[int]:
    """Milliseconds; at least one, so that there is something to see."""
    ends = [latest if point.ended_at_ms is None else point.ended_at_ms for point in points]
    return [max(end - (point.started_at_ms or 0), 1) for point, end in zip(points, ends, strict=True)]


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
