"""Figures of one sweep: how the search went, what the parameters did, and why trials failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.domain.effects import Effects
from service.domain.goals import Metric
from service.domain.points import Curve, TrialPoint
from service.domain.states import TrialState, Verdict
from service.figures.axes import parameter_axis, searched
from service.figures.frame import Figure, Trace, better_first, bounded, empty, epoch_axis, evenly, figure, points_trace
from service.figures.palette import (
    ACCENT,
    BEST,
    MUTED,
    SEQUENTIAL,
    STATE_COLORS,
    STATE_SYMBOLS,
    VERDICT_COLORS,
    VERDICT_PATTERNS,
    VERDICT_SYMBOLS,
    verdict_word,
)

MAX_POINTS = 3000
MAX_SLICE_POINTS = 1000
MAX_SLICES = 12
MAX_CURVES = 100
BEST_CURVES = 10
VERDICT_BINS = 20
_ROW_HEIGHT = 230
_NOTHING_YET = "Nothing was measured yet: the first trial that reports an epoch appears here."
_PREFERRED = ("learning_rate", "depth", "normalization", "residual", "optimizer", "dropout", "activation", "batch_size")


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """What the figures of a sweep are drawn from.

    Attributes:
        metric: What the sweep ranks by.
        points: All its trials, by number.
        curves: Reads the curves of some trials.
        x: A parameter for the x axis, where the figure has a choice.
        y: The same for the y axis.
        metrics: All metrics that the sweep trades, the one it ranks by first.
        weighed: Tells for a metric the share of each parameter in it, and why not if it cannot be told.
        compared: Tells what each value and each remedy did.
    """

    metric: Metric
    points: Sequence[TrialPoint]
    curves: Callable[[Sequence[TrialPoint]], Sequence[Curve]]
    x: str | None = None
    y: str | None = None
    metrics: tuple[Metric, ...] = ()
    weighed: Callable[[str], tuple[Mapping[str, float], str | None]] = lambda _: ({}, "too few trials have ended")
    compared: Callable[[], Effects] = lambda: Effects(0, (), (), ())


def history(facts: SweepFacts) -> Figure:
    """The objective of each trial, and the best so far."""
    shown, note = bounded(facts.points, MAX_POINTS, facts.metric)
    if not shown:
        return empty("History", _NOTHING_YET)
    traces = []
    for state in (TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED, TrialState.RUNNING, TrialState.COMPLETED):
        members = [point for point in shown if point.state is state]
        if members:
            marker = {"color": STATE_COLORS[state], "symbol": STATE_SYMBOLS[state], "size": 8, "opacity": 0.85}
            numbers, values = [point.number for point in members], [point.objective for point in members]
            hover = f"trial %{{customdata[1]}} · {state.value}<br>{facts.metric.name} %{{y:.4g}}<extra></extra>"
            traces.append(points_trace(members, numbers, values, name=state.value, marker=marker, hovertemplate=hover))
    traces += _best_so_far(facts)
    return figure(
        f"History: {facts.metric.name} of each trial{note}",
        traces,
        xaxis={"title": {"text": "trial"}},
        yaxis={"title": {"text": facts.metric.name}},
        showlegend=True,
    )


def _best_so_far(facts: SweepFacts) -> list[Trace]:
    """A step line through the trials that beat all before them."""
    ended = [
        point
        for point in facts.points
        if point.state is TrialState.COMPLETED and point.objective is not None and point.is_feasible
    ]
    if not ended:
        return []
    rank = better_first(facts.metric)
    steps = [(ended[0].number, ended[0])]
    for point in ended:
        if rank(point) < rank(steps[-1][1]):
            steps.append((point.number, point))
    steps.append((ended[-1].number, steps[-1][1]))
    return [
        points_trace(
            [top for _, top in steps],
            [number for number, _ in steps],
            [top.objective for _, top in steps],
            name="best so far",
            mode="lines",
            line={"shape": "hv", "color": BEST, "width": 2},
            hovertemplate="best so far %{y:.4g}, by trial %{customdata[1]}<extra></extra>",
        )
    ]


def slices(facts: SweepFacts) -> Figure:
    """The objective over each searched parameter; the color tells early trials from late ones."""
    shown, note = bounded(facts.points, MAX_SLICE_POINTS, facts.metric)
    names = searched(shown)[:MAX_SLICES]
    if not names:
        return empty("Slices", _NOTHING_YET if not shown else "No parameter differs between the trials so far.")
    n_columns = min(2, len(names))
    n_rows = -(-len(names) // n_columns)
    traces: list[Trace] = []
    layout: dict[str, object] = {}
    for at, name in enumerate(names):
        axis, suffix = parameter_axis(shown, name), "" if at == 0 else str(at + 1)
        row, column = divmod(at, n_columns)
        left, top = column / n_columns, 1 - row / n_rows
        layout[f"xaxis{suffix}"] = axis.layout() | {
            "domain": [left + (0.04 if column else 0.0), left + 1 / n_columns - (0.04 if n_columns > 1 else 0)],
            "anchor": f"y{suffix}",
        }
        layout[f"yaxis{suffix}"] = {
            "domain": [top - 1 / n_rows + 0.32 / n_rows, top],
            "anchor": f"x{suffix}",
            "title": {"text": facts.metric.name if column == 0 else ""},
        } | ({"matches": "y"} if at else {})
        marker = {
            "color": [point.number for point in shown],
            "coloraxis": "coloraxis",
            "symbol": [STATE_SYMBOLS[point.state] for point in shown],
            "size": 7,
            "opacity": 0.85,
        }
        hover = f"trial %{{customdata[1]}}<br>{name} %{{text}}<br>{facts.metric.name} %{{y:.4g}}<extra></extra>"
        traces.append(
            points_trace(shown, axis.positions, [point.objective for point in shown], text=list(axis.labels),
                         marker=marker, hovertemplate=hover, xaxis=f"x{suffix}", yaxis=f"y{suffix}", showlegend=False)
        )  # fmt: skip
    bar = {"title": {"text": "trial"}, "thickness": 10, "outlinewidth": 0, "lenmode": "pixels", "len": 180}
    bar |= {"y": 1, "yanchor": "top"}
    return figure(
        f"{facts.metric.name} over each parameter (● completed, ✕ pruned){note}",
        traces,
        **layout,
        coloraxis={"colorscale": SEQUENTIAL, "colorbar": bar},
        height=_ROW_HEIGHT * n_rows + 80,
        showlegend=False,
    )


def learning_curves(facts: SweepFacts) -> Figure:
    """The metric over the epochs: the best trials by name, a sample of the others behind them."""
    measured = sorted((point for point in facts.points if point.objective is not None), key=better_first(facts.metric))
    completed = [point for point in measured if point.state is TrialState.COMPLETED][:BEST_CURVES]
    names = {point.id for point in completed}
    others = evenly([point for point in measured if point.id not in names], MAX_CURVES - len(completed))
    if not measured:
        return empty("Learning curves", _NOTHING_YET)
    curves = facts.curves([*completed, *others])
    traces = []
    for is_pruned in (True, False):
        behind = [
            curve for curve in curves
            if curve.point.id not in names and (curve.point.state is TrialState.PRUNED) is is_pruned
        ]  # fmt: skip
        if behind:
            line = {"color": MUTED, "width": 1, "dash": "dot" if is_pruned else "solid"}
            traces.append(_joined(behind, "pruned" if is_pruned else "others", line))
    for rank, curve in enumerate(curve for curve in curves if curve.point.id in names):
        line = {"color": BEST if rank == 0 else ACCENT, "width": 3 if rank == 0 else 1.5}
        name = f"best: trial {curve.point.number}" if rank == 0 else "next best"
        traces.append(_joined([curve], name, line) | {"showlegend": rank < 2})
    left_out = len(measured) - len(completed) - len(others)
    note = f" · {MAX_CURVES} of {len(measured):,} trials: the best, and a sample of the others" if left_out else ""
    return figure(
        f"Learning curves{note}",
        traces,
        xaxis=epoch_axis(max((curve.epochs[-1] for curve in curves), default=1)),
        yaxis={"title": {"text": facts.metric.name}},
        showlegend=True,
    )


def _joined(curves: Sequence[Curve], name: str, line: Mapping[str, object]) -> Trace:
    """Several curves as one trace with gaps between them: a hundred traces would be slow."""
    trace: Trace = {"type": "scatter", "mode": "lines", "name": name, "line": dict(line), "x": [], "y": []}
    trace |= {"customdata": [], "hovertemplate": "trial %{customdata[1]}<br>epoch %{x}: %{y:.4g}<extra></extra>"}
    for curve in curves:
        trace["x"] += [*curve.epochs, None]
        trace["y"] += [*curve.values, None]
        trace["customdata"] += [[curve.point.id, curve.point.number]] * (len(curve.epochs) + 1)
    return trace


def verdicts(facts: SweepFacts) -> Figure:
    """The share of each verdict over the course of the sweep."""
    judged = [point for point in facts.points if point.verdict is not None]
    if not judged:
        return empty("Verdicts", "No trial was judged yet: verdicts are given when a trial ends.")
    n_bins = min(VERDICT_BINS, len(judged))
    bins = [judged[at * len(judged) // n_bins : (at + 1) * len(judged) // n_bins] for at in range(n_bins)]
    labels = [str(part[0].number) if len(part) == 1 else f"{part[0].number}–{part[-1].number}" for part in bins]
    traces = []
    for verdict in Verdict:
        counts = [sum(point.verdict is verdict for point in part) for part in bins]
        if any(counts):
            traces.append(
                {
                    "type": "bar",
                    "name": verdict_word(verdict),
                    "x": labels,
                    "y": [count / len(part) for count, part in zip(counts, bins, strict=True)],
                    "customdata": counts,
                    "marker": {
                        "color": VERDICT_COLORS[verdict],
                        "pattern": {
                            "shape": VERDICT_PATTERNS[verdict],
                            "fillmode": "overlay",
                            "size": 7,
                            "solidity": 0.15,
                        },
                    },
                    "hovertemplate": f"trials %{{x}}<br>{verdict_word(verdict)}: %{{customdata}} (%{{y:.0%}})"
                    "<extra></extra>",
                }
            )
    return figure(
        "Verdicts over the course of the sweep",
        traces,
        barmode="stack",
        bargap=0.12,
        xaxis={"title": {"text": "trials"}, "type": "category"},
        yaxis={"title": {"text": "share"}, "tickformat": ".0%", "range": [0, 1]},
        showlegend=True,
    )


def stability_map(facts: SweepFacts) -> Figure:
    """Where in the space the gradients stay stable: two parameters, each trial by its verdict."""
    judged = [point for point in facts.points if point.verdict is not None]
    shown = evenly(judged, MAX_POINTS)
    if not shown:
        return empty("Stability map", "No trial was judged yet: verdicts are given when a trial ends.")
    differing = searched(shown)
    names = [name for name in _PREFERRED if name in differing] + [name for name in differing if name not in _PREFERRED]
    x_name = facts.x or next((name for name in names if name != facts.y), "learning_rate")
    y_name = facts.y or next((name for name in names if name != x_name), "optimizer")
    x, y = parameter_axis(shown, x_name), parameter_axis(shown, y_name)
    traces = []
    for verdict in Verdict:
        at = [index for index, point in enumerate(shown) if point.verdict is verdict]
        if at:
            members = [shown[index] for index in at]
            marker = {"color": VERDICT_COLORS[verdict], "symbol": VERDICT_SYMBOLS[verdict], "size": 10, "opacity": 0.85}
            traces.append(
                points_trace(
                    members,
                    [x.positions[index] for index in at],
                    [y.positions[index] for index in at],
                    name=verdict_word(verdict),
                    text=[f"{x_name} {x.labels[index]}<br>{y_name} {y.labels[index]}" for index in at],
                    marker=marker,
                    hovertemplate=f"trial %{{customdata[1]}} · {verdict_word(verdict)}<br>%{{text}}<extra></extra>",
                )
            )
    note = f" · {len(shown):,} of {len(judged):,} trials: a sample" if len(shown) < len(judged) else ""
    return figure(
        f"Stability over {x_name} and {y_name}{note}",
        traces,
        xaxis=x.layout(),
        yaxis=y.layout(),
        showlegend=True,
    )
