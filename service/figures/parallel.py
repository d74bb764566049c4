"""Parallel coordinates as plain lines: the WebGL trace would need `eval`, which the page forbids."""

import math
from collections.abc import Sequence
from typing import Any

from service.domain.points import TrialPoint
from service.figures.axes import ParameterAxis, parameter_axis, searched
from service.figures.frame import Figure, Trace, better_first, bounded, empty, figure
from service.figures.palette import ACCENT, BEST
from service.figures.sweep_figures import SweepFacts

MAX_LINES = 1000
_SHADES = 6
"""Lines of about the same rank share a trace: one per trial would take seconds to draw."""


def parallel_coordinate(facts: SweepFacts) -> Figure:
    """One line per trial through its parameters to its objective; the better, the darker, the best in red."""
    shown, note = bounded(facts.points, MAX_LINES, facts.metric)
    names = searched(shown)
    if not names:
        return empty("Parallel coordinates", "No parameter differs between the trials so far.")
    axes = [parameter_axis(shown, name) for name in names]
    columns = [_scaled(axis) for axis in axes]
    objectives = [point.objective or 0.0 for point in shown]
    low, high = min(objectives), max(objectives)
    columns.append([(value - low) / ((high - low) or 1.0) for value in objectives])
    order = sorted(range(len(shown)), key=lambda index: better_first(facts.metric)(shown[index]), reverse=True)
    traces = [
        _lines(shown, columns, part, ACCENT, 1.2) | {"opacity": (at + 1) / _SHADES}
        for at in range(_SHADES)
        if (part := order[at * len(order) // _SHADES : (at + 1) * len(order) // _SHADES])
    ]
    traces.append(_lines(shown, columns, order[-1:], BEST, 3.0) | {"name": f"best: trial {shown[order[-1]].number}"})
    n_axes = len(columns)
    marks = [mark for at, axis in enumerate(axes) for mark in _marks(axis, at)]
    marks += [_mark(n_axes - 1, 0.0, f"{low:.4g}"), _mark(n_axes - 1, 1.0, f"{high:.4g}")]
    return figure(
        f"Parallel coordinates: the stronger, the better; red is the best{note}",
        traces,
        xaxis={
            "tickmode": "array",
            "tickvals": list(range(n_axes)),
            "ticktext": [*names, facts.metric.name],
            "range": [-0.35, n_axes - 0.65],
            "showgrid": True,
            "zeroline": False,
        },
        yaxis={"visible": False, "range": [-0.08, 1.08]},
        annotations=marks,
        showlegend=False,
    )


def _scaled(axis: ParameterAxis) -> list[float | None]:
    """Positions between 0 and 1."""
    known = [math.log10(at) if axis.is_log else at for at in axis.positions if at is not None]
    low, high = _ends(len(axis.words)) if axis.words is not None else (min(known), max(known))
    return [
        None if at is None else ((math.log10(at) if axis.is_log else at) - low) / ((high - low) or 1.0)
        for at in axis.positions
    ]


def _lines(
    points: Sequence[TrialPoint], columns: Sequence[Sequence[float | None]], at: Sequence[int], color: str, width: float
) -> Trace:
    trace: Trace = {"type": "scatter", "mode": "lines", "x": [], "y": [], "customdata": [], "text": []}
    for index in at:
        trace["x"] += [*range(len(columns)), None]
        trace["y"] += [*(column[index] for column in columns), None]
        trace["customdata"] += [[points[index].id, points[index].number]] * (len(columns) + 1)
        trace["text"] += [f"{points[index].objective:.4g}"] * (len(columns) + 1)
    line = {"color": color, "width": width}
    hover = "trial %{customdata[1]}: %{text}<extra></extra>"
    return trace | {"line": line, "hovertemplate": hover, "showlegend": False}


def _ends(n_words: int) -> tuple[float, float]:
    """Room for words, and for the points that are spread around them."""
    return -0.3, n_words - 0.7


def _marks(axis: ParameterAxis, at: int) -> list[dict[str, Any]]:
    if axis.words is not None:
        low, high = _ends(len(axis.words))
        return [_mark(at, (place - low) / (high - low), word) for place, word in enumerate(axis.words)]
    known = [value for value in axis.positions if value is not None]
    return [_mark(at, 0.0, f"{min(known):.3g}"), _mark(at, 1.0, f"{max(known):.3g}")]


def _mark(x: float, y: float, text: str) -> dict[str, Any]:
    return {"x": x, "y": y, "text": text, "showarrow": False, "xanchor": "left", "xshift": 4, "font": {"size": 11}}
