"""The first steps of a trial, one by one: how large each layer's gradient was, and how far each step went."""

import math
from collections.abc import Iterator, Sequence

from service.domain.steps import StepTable
from service.figures.frame import Figure, Trace, empty, figure
from service.figures.palette import GROUP_DASHES, MUTED, sequential
from service.figures.trial_figures import GOOD_UPDATE, TrialFacts, crosses, positive

MAX_LINES = 8
MAX_POINTS = 500
"""Of each line; a longer one shows the largest value of each stretch, so that no spike is lost."""

NOT_RECORDED = "No steps are recorded yet: record them on the trial's page, or with gradsweep record."
_PANELS = (("grad_norm", "gradient norm", "y"), ("update_ratio", "‖ΔW‖/‖W‖", "y2"))


def steps(facts: TrialFacts) -> Figure:
    """The norm of each kernel's gradient above, the update ratio below; from the input (first) to the output."""
    table = facts.steps
    if table is None or not table.steps:
        return empty("First steps", NOT_RECORDED)
    shown = _shown(table.n_layers)
    traces = [trace for at, layer in enumerate(shown) for trace in _lines(table, layer, at, len(shown))]
    some = f" · {len(shown)} of {table.n_layers} layers" if len(shown) < table.n_layers else ""
    return figure(
        f"The first {table.steps[-1]:,} steps: gradient above, update below{some}",
        [*traces, _good_update(table), *_not_finite(table, shown)],
        xaxis={"title": {"text": "step"}, "anchor": "y2"},
        yaxis={"title": {"text": _PANELS[0][1]}, "domain": [0.54, 1.0], **_log_axis(table, shown, "grad_norm")},
        yaxis2={"title": {"text": _PANELS[1][1]}, "domain": [0.0, 0.46], "anchor": "x",
                **_log_axis(table, shown, "update_ratio")},
        showlegend=True,
    )  # fmt: skip


def _shown(n_layers: int) -> list[int]:
    """Which layers are drawn, from 0: the first and the last, and an even choice of those between."""
    if n_layers <= MAX_LINES:
        return list(range(n_layers))
    return [round(at * (n_layers - 1) / (MAX_LINES - 1)) for at in range(MAX_LINES)]


def _lines(table: StepTable, layer: int, at: int, n_lines: int) -> Iterator[Trace]:
    """A layer's line in each panel; the legend names it once."""
    color = sequential(at / max(1, n_lines - 1))
    for column, words, axis in _PANELS:
        x, y = _thinned(table.steps, table.layers[column][layer])
        yield {
            "type": "scatter",
            "mode": "lines",
            "name": _name(layer, table.n_layers),
            "legendgroup": str(layer),
            "showlegend": axis == "y",
            "x": x,
            "y": y,
            "yaxis": axis,
            "line": {"color": color, "dash": GROUP_DASHES[at % len(GROUP_DASHES)], "width": 1.5},
            "hovertemplate": f"layer {layer + 1}, step %{{x}}<br>{words} %{{y:.2e}}<extra></extra>",
        }


def _name(layer: int, n_layers: int) -> str:
    return f"layer {layer + 1}" + (" · output" if layer == n_layers - 1 else "")


def _thinned(steps: Sequence[int], values: Sequence[float]) -> tuple[list[int], list[float | None]]:
    """The line, or the largest value of each of MAX_POINTS stretches at the step where it was."""
    length = -(-len(steps) // MAX_POINTS)
    if length <= 1:
        return list(steps), [positive(value) for value in values]
    points = [(positive(value) or 0.0, step) for value, step in zip(values, steps, strict=True)]
    highest = [max(points[start : start + length]) for start in range(0, len(points), length)]
    return [step for _, step in highest], [value or None for value, _ in highest]


def _log_axis(table: StepTable, shown: Sequence[int], column: str) -> dict[str, object]:
    """A logarithmic axis; where no value can be drawn on one, a plain one, which Plotly needs to show anything."""
    drawable = any(positive(value) for layer in shown for value in table.layers[column][layer])
    return {"type": "log", "exponentformat": "power"} if drawable else {"type": "linear"}


def _good_update(table: StepTable) -> Trace:
    """The update ratio that trains well, by rule of thumb."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "rule of thumb",
        "x": [table.steps[0], table.steps[-1]],
        "y": [10**GOOD_UPDATE] * 2,
        "yaxis": "y2",
        "line": {"color": MUTED, "dash": "dot", "width": 1},
        "hovertemplate": "‖ΔW‖/‖W‖ that trains well: %{y:.0e}<extra></extra>",
    }


def _not_finite(table: StepTable, shown: Sequence[int]) -> list[Trace]:
    """A cross where a layer's gradient stopped being finite, at the height of the last value before."""
    places = []
    for layer in shown:
        values = table.layers["grad_norm"][layer]
        first = next((at for at, value in enumerate(values) if not math.isfinite(value)), None)
        if first is not None:
            before = [value for value in values[:first] if positive(value)]
            places.append((table.steps[first], before[-1] if before else 1.0))
    if not places:
        return []
    return [crosses("not finite from here on", places, 12, "step %{x}: not finite")]
