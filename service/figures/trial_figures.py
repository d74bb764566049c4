"""Figures of one trial: how it learned, and how the gradient flowed through its layers."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.domain.stability.rows import EpochRow, LayerRow
from service.domain.stability.theory import WEIGHT_VARIANCE, gradient_profile
from service.domain.steps import StepTable
from service.figures.frame import Figure, Trace, empty, epoch_axis, figure
from service.figures.palette import ACCENT, BEST, DIVERGING, MUTED
from service.wire.parameters import Parameters

MAX_EPOCHS = 400
GOOD_UPDATE = -3.0
"""log10 of the update ratio that trains well, by rule of thumb (Karpathy, CS231n)."""

NOTHING_YET = "No epoch was reported yet."
_SPAN, _MAX_SPAN = 2.0, 4.0
_UPDATE_SPAN = 3.0
_TICKS = 8
_LAYER_TICKS = 24


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What the figures of a trial are drawn from: its present attempt's rows, inf and nan included.

    Attributes:
        rows: By epoch; epoch 0 is the probe.
        parameters: The trial's.
        epoch: The epoch that a profile shows; None for the last.
        steps: Its first steps, if they were recorded and are to be drawn.
    """

    rows: Sequence[EpochRow]
    parameters: Parameters
    epoch: int | None = None
    steps: StepTable | None = None


def learning_curve(facts: TrialFacts) -> Figure:
    """Accuracy above, loss below; training dashed, validation solid."""
    rows = facts.rows
    if not rows:
        return empty("Learning curve", NOTHING_YET)
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [row.epoch for row in rows],
            "y": [finite(getattr(row, column)) for row in rows],
            "xaxis": "x",
            "yaxis": axis,
            "line": {"color": color, "dash": dash, "width": 2},
            "marker": {"size": 5},
            "hovertemplate": f"epoch %{{x}}<br>{column} %{{y:.4g}}<extra></extra>",
            "showlegend": axis == "y",
        }
        for column, name, axis, color, dash in (
            ("val_accuracy", "validation", "y", ACCENT, "solid"),
            ("train_accuracy", "training", "y", MUTED, "dash"),
            ("val_loss", "validation", "y2", ACCENT, "solid"),
            ("train_loss", "training", "y2", MUTED, "dash"),
        )
    ]
    return figure(
        "Learning curve: accuracy above, loss below",
        traces,
        xaxis=epoch_axis(rows[-1].epoch) | {"anchor": "y2"},
        yaxis={"title": {"text": "accuracy"}, "domain": [0.56, 1.0]},
        yaxis2={"title": {"text": "loss"}, "domain": [0.0, 0.44], "anchor": "x"},
        showlegend=True,
    )


@dataclass(frozen=True, slots=True)
class LayerQuantity:
    """Something that is measured in each layer and drawn as a map of layers over epochs.

    Attributes:
        title: Of its map.
        unit: Of the color scale.
        value: Reads it from a layer's row; the map shows log10.
        middle: The middle of the scale for a trial, from its rows.
        span: The least that the scale reaches up and down from there, in decades.
        first_epoch: From where on it is measured.
    """

    title: str
    unit: str
    value: Callable[[LayerRow], float | None]
    middle: Callable[[Sequence[EpochRow]], float]
    span: float
    first_epoch: int

    def rows(self, facts: TrialFacts) -> list[EpochRow]:
        """The rows of a trial that are drawn."""
        return _thinned([row for row in facts.rows if row.epoch >= self.first_epoch])

    def reach(self, rows: Sequence[EpochRow], middle: float) -> float:
        """How far from the middle the scale has to reach for these rows, within bounds."""
        logs = (_log(self.value(layer)) for row in rows for layer in row.layers)
        widest = max((abs(one - middle) for one in logs if one is not None), default=self.span)
        return max(self.span, min(widest, _MAX_SPAN))


def _flow_middle(rows: Sequence[EpochRow]) -> float:
    """The median of epoch 1. If that is far from where the gradients began, the middle stays near the beginning: a
    network that blew up in epoch 1 did not begin with large gradients.
    """
    start, first = (_median_log(rows, at) for at in (0, 1))
    if first is None:
        return GOOD_UPDATE if start is None else start
    return first if start is None else min(max(first, start - _SPAN), start + _SPAN)


FLOW = LayerQuantity(
    "Gradient flow", "log₁₀ gradient RMS", lambda layer: layer.grad_rms_median, _flow_middle, _SPAN, first_epoch=0
)
UPDATES = LayerQuantity(
    "Size of the updates",
    "log₁₀ ‖ΔW‖/‖W‖",
    lambda layer: layer.update_ratio_median,
    lambda _: GOOD_UPDATE,
    _UPDATE_SPAN,
    first_epoch=1,
)


def gradient_flow(facts: TrialFacts) -> Figure:
    """Layer over epoch, the input at the bottom; color: log10 of the typical gradient, around epoch 1's median."""
    rows = FLOW.rows(facts)
    middle = FLOW.middle(rows)
    return layer_map(FLOW, rows, facts.parameters, middle=middle, span=FLOW.reach(rows, middle))


def update_ratio(facts: TrialFacts) -> Figure:
    """Layer over epoch; color: log10 of ‖ΔW‖/‖W‖ per step, around −3."""
    rows = UPDATES.rows(facts)
    middle = UPDATES.middle(rows)
    return layer_map(UPDATES, rows, facts.parameters, middle=middle, span=UPDATES.reach(rows, middle))


def layer_map(
    quantity: LayerQuantity, rows: Sequence[EpochRow], parameters: Parameters, *, middle: float, span: float
) -> Figure:
    """The map of one trial, its colors from `middle - span` to `middle + span`."""
    numbers = sorted({layer.layer for row in rows for layer in row.layers})
    if not numbers:
        return empty(quantity.title, NOTHING_YET)
    value = quantity.value
    cells = [[value(found) if (found := row.layer(number)) else None for row in rows] for number in numbers]
    logs = [[_log(cell) for cell in line] for line in cells]
    epochs = [row.epoch for row in rows]
    heat: Trace = {
        "type": "heatmap",
        "x": epochs,
        "y": numbers,
        "z": [[_clamped(one, cell, middle, span) for one, cell in zip(*pair, strict=True)]
              for pair in zip(logs, cells, strict=True)],
        "text": [[_words(cell) for cell in line] for line in cells],
        "zmin": middle - span,
        "zmid": middle,
        "zmax": middle + span,
        "colorscale": DIVERGING,
        "colorbar": {"title": {"text": quantity.unit, "side": "right"}, "thickness": 10, "outlinewidth": 0},
        "xgap": 2,
        "ygap": 2,
        "meta": "diverging",
        "hovertemplate": "layer %{y}, epoch %{x}<br>%{text}<extra></extra>",
        "showlegend": False,
    }  # fmt: skip
    broken = _not_finite(epochs, numbers, cells)
    epoch_ticks = epochs[:: -(-len(epochs) // _TICKS)]
    layer_ticks = numbers[:: -(-len(numbers) // _LAYER_TICKS)]
    return figure(
        f"{quantity.title}: each layer over the epochs",
        [heat, *broken],
        xaxis={
            "title": {"text": "epoch"},
            "tickmode": "array",
            "tickvals": epoch_ticks,
            "ticktext": ["start" if epoch == 0 else str(epoch) for epoch in epoch_ticks],
            "showgrid": False,
            "zeroline": False,
        },
        yaxis={
            "title": {"text": "layer, from the input up"},
            "tickmode": "array",
            "tickvals": layer_ticks,
            "ticktext": [_layer_name(number, numbers[-1], parameters) for number in layer_ticks],
            "showgrid": False,
            "zeroline": False,
        },
        showlegend=bool(broken),
    )


def crosses(name: str, places: Sequence[tuple[float, float]], size: int, hover: str) -> Trace:
    """Crosses where values were not finite, (x, y)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "marker": {"symbol": "x-thin", "size": size, "color": BEST, "line": {"width": 2, "color": BEST}},
        "hovertemplate": f"{hover}<extra></extra>",
    }


def _not_finite(epochs: Sequence[int], numbers: Sequence[int], cells: Sequence[Sequence[float | None]]) -> list[Trace]:
    """A cross over each cell whose value was not finite."""
    broken = [
        (epoch, number)
        for number, line in zip(numbers, cells, strict=True)
        for epoch, cell in zip(epochs, line, strict=True)
        if cell is not None and not math.isfinite(cell)
    ]
    if not broken:
        return []
    return [crosses("not finite", broken, 14, "layer %{y}, epoch %{x}: not finite")]


def depth_profile(facts: TrialFacts) -> Figure:
    """The gradient over depth before the first update and at an epoch, and what mean-field theory expects at first."""
    rows = [row for row in facts.rows if len(row.layers) > 1]
    if not rows:
        return empty("Depth profile", NOTHING_YET)
    chosen = next((row for row in rows if row.epoch == facts.epoch), rows[-1])
    probe = next((row for row in rows if row.epoch == 0), None)
    traces = []
    if probe is not None:
        traces.append(_profile(probe, "before training", MUTED, "circle-open"))
        traces += _theory(probe, facts.parameters)
    if chosen is not probe:
        traces.append(_profile(chosen, f"epoch {chosen.epoch}", ACCENT, "circle"))
    n_hidden = len(chosen.layers) - 1
    return figure(
        f"Gradient over depth, epoch {chosen.epoch}",
        traces,
        xaxis={"title": {"text": "hidden layer, from the input to the output"}, "tickformat": "d",
               "range": [0.6, n_hidden + 0.4], "dtick": max(1, n_hidden // 12)},
        yaxis={"title": {"text": "RMS of the biases' gradient"}, "type": "log", "exponentformat": "power"},
        showlegend=True,
    )  # fmt: skip


def _profile(row: EpochRow, name: str, color: str, symbol: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [layer.layer for layer in row.hidden],
        "y": [positive(layer.bias_grad_rms_median) for layer in row.hidden],
        "line": {"color": color, "width": 2},
        "marker": {"symbol": symbol, "size": 8, "color": color},
        "hovertemplate": f"{name}<br>layer %{{x}}: %{{y:.2e}}<extra></extra>",
    }


def _theory(probe: EpochRow, parameters: Parameters) -> list[Trace]:
    """The slope that theory expects, moved up or down to where the measurement is; its height says nothing.

    None with fewer than three hidden layers, or layers of different widths: the theory says nothing there.
    """
    measured = [positive(layer.bias_grad_rms_median) for layer in probe.hidden]
    known = [math.log10(value) for value in measured if value is not None]
    units = parameters.hidden_units
    if len(units) < 3 or len(set(units)) != 1 or len(known) != len(units):
        return []
    profile = gradient_profile(
        parameters.activation,
        WEIGHT_VARIANCE[parameters.initializer],
        len(units),
        normalized=parameters.normalization != "none",
        residual=parameters.residual,
    )
    offset = statistics.fmean(known) - statistics.fmean(profile)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "theory, before training",
            "x": list(range(1, len(units) + 1)),
            "y": [10 ** (value + offset) for value in profile],
            "line": {"color": BEST, "dash": "dash", "width": 2},
            "hovertemplate": "theory<br>layer %{x}: %{y:.2e}<extra></extra>",
        }
    ]


def _median_log(rows: Sequence[EpochRow], epoch: int) -> float | None:
    """log10 of the median layer's typical gradient in an epoch."""
    logs = [_log(layer.grad_rms_median) for row in rows if row.epoch == epoch for layer in row.layers]
    known = [value for value in logs if value is not None]
    return statistics.median(known) if known else None


def _thinned(rows: Sequence[EpochRow]) -> list[EpochRow]:
    """At most MAX_EPOCHS rows, at even distances, the last among them."""
    step = -(-len(rows) // MAX_EPOCHS) or 1
    return list(rows[::-1][::step][::-1])


def _layer_name(number: int, last: int, parameters: Parameters) -> str:
    if number == last:
        return f"{number} · output"
    units = parameters.hidden_units
    return f"{number} · {units[number - 1]} units" if number <= len(units) else str(number)


def _clamped(log: float | None, cell: float | None, middle: float, span: float) -> float | None:
    """The color of a cell; a gradient of exactly zero is as far down as the scale goes."""
    if log is None:
        return middle - span if cell == 0 else None
    return min(max(log, middle - span), middle + span)


def _words(value: float | None) -> str:
    if value is None:
        return "not measured"
    return "exactly zero" if value == 0 else f"{value:.2e}"


def _log(value: float | None) -> float | None:
    return math.log10(value) if value is not None and math.isfinite(value) and value > 0 else None


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def positive(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value > 0 else None
