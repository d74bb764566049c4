"""Figures of what a search taught: which parameters decide, what is traded for what, where the good trials are."""

import bisect
import math
from collections.abc import Mapping, Sequence

from service.domain.fronts import fronts
from service.domain.goals import Metric
from service.domain.metrics import STORED_METRICS, loss_of
from service.domain.points import TrialPoint
from service.domain.states import MetricAt, TrialState
from service.figures.axes import ParameterAxis, parameter_axis, searched
from service.figures.frame import Figure, Trace, bounded, empty, evenly, figure, points_trace
from service.figures.palette import ACCENT, BEST, MUTED, SEQUENTIAL
from service.figures.sweep_figures import SweepFacts

MAX_BARS = 20
MAX_TRADED = 1500
MAX_STEPS = 1000
MAX_RANKED = 1500
MAX_SMOOTHED = 300
CELLS = 24
"""Of a contour, along each axis that holds numbers."""

REACH = 0.12
"""How far a trial colors the plane around it, as a share of the axis."""

_FAR = 3 * REACH
_NO_PAIR = "Two parameters must differ between the trials; so far fewer do."
_NOTHING_ENDED = "No trial has completed yet."


def importances(facts: SweepFacts) -> Figure:
    """How much of the difference between good trials and others is each parameter's, by metric and by stability."""
    targets = [facts.metric.name, *(["stability"] if facts.metric.name != "stability" else [])]
    weighed = {target: facts.weighed(target) for target in targets}
    if not any(shares for shares, _ in weighed.values()):
        return empty("Importances", f"They cannot be told yet: {weighed[targets[0]][1]}.")
    largest = {name: max(shares.get(name, 0.0) for shares, _ in weighed.values()) for name in _names(weighed)}
    names = sorted(largest, key=lambda name: (largest[name], name))[-MAX_BARS:]
    traces: list[Trace] = []
    for (target, (shares, _)), color, pattern in zip(weighed.items(), (ACCENT, BEST), ("", "/"), strict=False):
        if shares:
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": target,
                    "y": names,
                    "x": [shares.get(name, 0.0) for name in names],
                    "marker": {"color": color, "pattern": {"shape": pattern, "size": 7, "solidity": 0.2}},
                    "hovertemplate": f"%{{y}} decides %{{x:.0%}} of {target}<extra></extra>",
                }
            )
    untold = "".join(f" · {target}: {reason}" for target, (shares, reason) in weighed.items() if not shares)
    return figure(
        f"What decides whether a trial is among the best{untold}",
        traces,
        barmode="group",
        xaxis={"title": {"text": "share"}, "tickformat": ".0%", "rangemode": "tozero"},
        yaxis={"title": {"text": ""}, "automargin": True},
        showlegend=True,
    )


def _names(weighed: Mapping[str, tuple[Mapping[str, float], str | None]]) -> list[str]:
    return list(dict.fromkeys(name for shares, _ in weighed.values() for name in shares))


def pareto(facts: SweepFacts) -> Figure:
    """Completed trials by two metrics; those that no other beats are joined, those that break a bound are crossed."""
    metrics = facts.metrics if len(facts.metrics) > 1 else (facts.metric, _STABILITY)
    compared = [
        (point, values)
        for point in facts.points
        if point.state is TrialState.COMPLETED and None not in (values := _values(point, metrics, facts.metric))
    ]
    if not compared:
        return empty("Pareto front", f"No trial has completed with {' and '.join(m.name for m in metrics)} yet.")
    kept = [(point, values) for point, values in compared if point.is_feasible]
    losses = [[loss_of(m.name, value or 0.0) for m, value in zip(metrics, values, strict=True)] for _, values in kept]
    (front, *_) = fronts(losses, enough=1) or [[]]
    members = evenly(front, MAX_TRADED // 3)
    chosen = set(front)
    others = evenly([pair for at, pair in enumerate(kept) if at not in chosen], MAX_TRADED // 3)
    broken = evenly([pair for pair in compared if not pair[0].is_feasible], MAX_TRADED // 3)
    groups = (
        (others, "beaten", "markers", {"color": MUTED, "size": 7, "opacity": 0.8}),
        (broken, "breaks a bound", "markers", {"color": BEST, "symbol": "x", "size": 8, "opacity": 0.8}),
        (
            [kept[at] for at in members],
            "no other beats it",
            "lines+markers" if len(metrics) == 2 else "markers",
            {"color": ACCENT, "symbol": "diamond", "size": 10},
        ),
    )
    x_name, y_name = metrics[0].name, metrics[1].name
    axes = f"{x_name} %{{x:.4g}}<br>{y_name} %{{y:.4g}}"
    traces = [
        points_trace(
            [point for point, _ in pairs],
            [values[0] for _, values in pairs],
            [values[1] for _, values in pairs],
            name=name,
            mode=mode,
            marker=marker,
            line={"color": ACCENT, "width": 1.5, "dash": "dot"},
            hovertemplate=f"trial %{{customdata[1]}} · {name}<br>{axes}<extra></extra>",
        )
        for pairs, name, mode, marker in groups
        if pairs
    ]
    n_shown = len(members) + len(others) + len(broken)
    note = f" · {n_shown:,} of {len(compared):,} trials: a sample" if n_shown < len(compared) else ""
    return figure(
        f"Pareto front: {' against '.join(metric.name for metric in metrics)}{note}",
        traces,
        xaxis={"title": {"text": x_name}},
        yaxis={"title": {"text": y_name}},
        showlegend=True,
    )


_STABILITY = Metric("stability", STORED_METRICS["stability"], MetricAt.LAST)


def _values(point: TrialPoint, metrics: Sequence[Metric], first: Metric) -> list[float | None]:
    return [point.objective if metric.name == first.name else point.value(metric.name) for metric in metrics]


def edf(facts: SweepFacts) -> Figure:
    """Which share of the completed trials has at most this objective."""
    ended = [point for point in facts.points if point.state is TrialState.COMPLETED and point.objective is not None]
    if not ended:
        return empty("Distribution", _NOTHING_ENDED)
    groups = [("completed trials", ended, ACCENT, "solid")]
    kept = [point for point in ended if point.is_feasible]
    if kept and len(kept) < len(ended):
        groups.append(("those that keep the bounds", kept, BEST, "dash"))
    traces = []
    for name, members, color, dash in groups:
        values = sorted(point.objective or 0.0 for point in members)
        steps = evenly([(value, (at + 1) / len(values)) for at, value in enumerate(values)], MAX_STEPS)
        steps = [*steps, (values[-1], 1.0)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [value for value, _ in steps],
                "y": [share for _, share in steps],
                "line": {"shape": "hv", "color": color, "width": 2, "dash": dash},
                "hovertemplate": f"%{{y:.0%}} of the {name} have at most %{{x:.4g}}<extra></extra>",
            }
        )
    return figure(
        f"Distribution of {facts.metric.name}",
        traces,
        xaxis={"title": {"text": facts.metric.name}},
        yaxis={"title": {"text": "share of trials"}, "tickformat": ".0%", "range": [0, 1.02]},
    )


def rank(facts: SweepFacts) -> Figure:
    """Trials over two parameters, colored by their rank among all: 0 is the best."""
    shown, note = bounded(facts.points, MAX_RANKED, facts.metric)
    names = _pair(facts, shown)
    if names is None:
        return empty("Ranks", _NO_PAIR)
    x, y = (parameter_axis(shown, name) for name in names)
    measured = [point.objective for point in facts.points if point.objective is not None]
    losses = sorted(loss_of(facts.metric.name, objective) for objective in measured)
    ranks = [bisect.bisect_left(losses, loss_of(facts.metric.name, point.objective or 0.0)) for point in shown]
    top = max(len(losses) - 1, 1)
    marker = {
        "color": [round(each / top, 4) for each in ranks],
        "cmin": 0,
        "cmax": 1,
        "colorscale": SEQUENTIAL,
        "reversescale": True,
        "size": 9,
        "symbol": ["circle" if point.state is TrialState.COMPLETED else "x" for point in shown],
        "colorbar": {"title": {"text": "rank, 0 is the best", "side": "right"}, "thickness": 10, "outlinewidth": 0},
    }
    trace = points_trace(
        shown,
        x.positions,
        y.positions,
        marker=marker,
        text=[
            f"{point.objective:.4g}, rank {each + 1} of {len(losses)}<br>{names[0]} {a}<br>{names[1]} {b}"
            for point, each, a, b in zip(shown, ranks, x.labels, y.labels, strict=True)
        ],
        hovertemplate=f"trial %{{customdata[1]}}: {facts.metric.name} %{{text}}<extra></extra>",
    )
    return figure(
        f"Ranks over {names[0]} and {names[1]} (● completed, ✕ not){note}", [trace], xaxis=x.layout(), yaxis=y.layout()
    )


def contour(facts: SweepFacts) -> Figure:
    """The objective over two parameters, smoothed over the trials nearby; white where there are none."""
    shown, note = bounded(facts.points, MAX_SMOOTHED, facts.metric)
    names = _pair(facts, shown)
    if names is None:
        return empty("Contour", _NO_PAIR)
    x, y = (parameter_axis(shown, name) for name in names)
    known = [at for at in range(len(shown)) if x.positions[at] is not None and y.positions[at] is not None]
    if not known:
        return empty("Contour", f"No trial has both {names[0]} and {names[1]}.")
    across, up = _Scale(x, known), _Scale(y, known)
    values = [shown[at].objective or 0.0 for at in known]
    columns = [across.distances(cell) for cell in range(len(across.cells))]
    rows = [up.distances(cell) for cell in range(len(up.cells))]
    heights = [[_smoothed(column, row, values) for column in columns] for row in rows]
    is_smooth = x.words is None and y.words is None
    area: Trace = {
        "type": "contour" if is_smooth else "heatmap",
        "x": across.cells,
        "y": up.cells,
        "z": heights,
        "colorscale": SEQUENTIAL,
        "reversescale": facts.metric.direction == "minimize",
        "colorbar": {"title": {"text": facts.metric.name, "side": "right"}, "thickness": 10, "outlinewidth": 0},
        "hovertemplate": f"about %{{z:.4g}}<extra>{facts.metric.name}</extra>",
        "showlegend": False,
    } | ({"ncontours": 12, "line": {"width": 0.5}, "connectgaps": False} if is_smooth else {"xgap": 1, "ygap": 1})
    members = [shown[at] for at in known]
    dots = points_trace(
        members,
        [x.positions[at] for at in known],
        [y.positions[at] for at in known],
        marker={"color": "#20242c", "size": 4, "line": {"color": "#ffffff", "width": 1}},
        text=[f"{shown[at].objective:.4g}<br>{names[0]} {x.labels[at]}<br>{names[1]} {y.labels[at]}" for at in known],
        hovertemplate="trial %{customdata[1]}: %{text}<extra></extra>",
        showlegend=False,
    )
    return figure(
        f"{facts.metric.name} over {names[0]} and {names[1]}, smoothed{note}",
        [area, dots],
        xaxis=x.layout(),
        yaxis=y.layout(),
        showlegend=False,
    )


def _pair(facts: SweepFacts, points: Sequence[TrialPoint]) -> tuple[str, str] | None:
    """The two parameters that are asked for; else those that decide most, else the first that differ."""
    if facts.x and facts.y:
        return (facts.x, facts.y) if points and facts.x != facts.y else None
    differing = searched(points)
    if "hidden_units" in differing and "depth" in differing:
        differing.remove("hidden_units")
    shares, _ = facts.weighed(facts.metric.name)
    told = ["depth" if name in ("depth", "hidden_units") and "depth" in differing else name for name in shares]
    ranked = [name for name in dict.fromkeys(told) if name in differing]
    ranked += [name for name in differing if name not in ranked]
    x = facts.x or next((name for name in ranked if name != facts.y), None)
    y = facts.y or next((name for name in ranked if name != x), None)
    if not points or x is None or y is None or x == y:
        return None
    return x, y


class _Scale:
    """An axis cut into cells: of numbers evenly on its own scale, of words one each."""

    def __init__(self, axis: ParameterAxis, known: Sequence[int]) -> None:
        self._words = axis.words
        positions = [axis.positions[at] or 0.0 for at in known]
        if axis.words is not None:
            self.cells: list[float] = [float(at) for at in range(len(axis.words))]
            self._places = [float(axis.words.index(axis.labels[at])) for at in known]
            return
        scaled = [math.log10(each) if axis.is_log else each for each in positions]
        low, high = min(scaled), max(scaled)
        span = (high - low) or 1.0
        steps = [at / (CELLS - 1) for at in range(CELLS)]
        self.cells = [10 ** (low + step * span) if axis.is_log else low + step * span for step in steps]
        self._steps = steps
        self._places = [(each - low) / span for each in scaled]

    def distances(self, cell: int) -> list[float]:
        """From a cell to every trial, as shares of the axis; other words are out of reach."""
        if self._words is not None:
            return [0.0 if place == cell else math.inf for place in self._places]
        return [abs(self._steps[cell] - place) for place in self._places]


def _smoothed(across: Sequence[float], up: Sequence[float], values: Sequence[float]) -> float | None:
    """The mean of the values, weighed by nearness (Nadaraya 1964, Watson 1964); None where none is near."""
    total = weights = 0.0
    nearest = math.inf
    for a, b, value in zip(across, up, values, strict=True):
        distance = math.hypot(a, b)
        if distance < _FAR:
            nearest = min(nearest, distance)
            weight = math.exp(-0.5 * (distance / REACH) ** 2)
            weights += weight
            total += weight * value
    return total / weights if nearest < 2 * REACH else None
