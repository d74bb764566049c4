"""Figures of several trials: maps side by side on one color scale, bands over trials that differ by chance."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.stability.rows import EpochRow
from service.errors import InvalidRequest, Problem
from service.figures.axes import word
from service.figures.frame import Figure, Trace, empty, epoch_axis, figure
from service.figures.palette import DIVERGING, GROUP_COLORS, GROUP_DASHES, GROUP_SYMBOLS
from service.figures.trial_figures import (
    FLOW,
    NOTHING_YET,
    UPDATES,
    LayerQuantity,
    TrialFacts,
    finite,
    layer_map,
    positive,
)
from service.wire.parameters import Parameters

MAX_TRIALS = 60
MAX_PANELS = 6
MAX_GROUPS = len(GROUP_COLORS)
_COLUMNS = 3
_ROW_HEIGHT = 320
_LOSS_SPAN = 300


@dataclass(frozen=True, slots=True)
class NamedTrial:
    """One of several trials: its number, its seed, and what its figures are drawn from."""

    number: int
    seed: int
    facts: TrialFacts


@dataclass(frozen=True, slots=True)
class SeveralFacts:
    """What a figure of several trials is drawn from.

    Attributes:
        trials: In the order in which they were named.
        by: The parameter whose values make the groups; None where equal parameters do.
    """

    trials: Sequence[NamedTrial]
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that one line with its band stands for."""

    name: str
    members: Sequence[TrialFacts]


def gradient_flows(several: SeveralFacts) -> Figure:
    """The gradient flow of each trial, side by side on one color scale."""
    return _side_by_side(FLOW, several)


def update_ratios(several: SeveralFacts) -> Figure:
    """The updates of each trial, side by side on one color scale."""
    return _side_by_side(UPDATES, several)


def _side_by_side(quantity: LayerQuantity, several: SeveralFacts) -> Figure:
    trials = several.trials
    if len(trials) > MAX_PANELS:
        raise _too_many(f"{len(trials)} trials side by side are too many: name at most {MAX_PANELS}.", "trial")
    rows = [quantity.rows(trial.facts) for trial in trials]
    middle = statistics.median(quantity.middle(each) for each in rows)
    span = max(quantity.reach(each, middle) for each in rows)
    n_columns = min(len(trials), _COLUMNS)
    n_rows = -(-len(trials) // n_columns)
    traces: list[Trace] = []
    layout: dict[str, Any] = {"annotations": [], "height": _ROW_HEIGHT * n_rows + 110}
    layout["margin"] = {"l": 64, "r": 24, "t": 110, "b": 52}
    for at, (trial, name) in enumerate(zip(trials, labels(trials), strict=True)):
        drawn = layer_map(quantity, rows[at], trial.facts.parameters, middle=middle, span=span)
        suffix = "" if at == 0 else str(at + 1)
        row, column = divmod(at, n_columns)
        left, top = column / n_columns, 1 - row / n_rows
        across = [left, left + (1 - 0.12 * (n_columns > 1)) / n_columns]
        title = {"text": "<br>".join(name), "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
        layout["annotations"].append(title | {"x": sum(across) / 2, "y": top, "showarrow": False})
        layout[f"xaxis{suffix}"] = drawn["layout"]["xaxis"] | {"domain": across, "anchor": f"y{suffix}"}
        upward = {"domain": [top - (1 - 0.25 * (n_rows > 1)) / n_rows, top], "anchor": f"x{suffix}"}
        layout[f"yaxis{suffix}"] = drawn["layout"]["yaxis"] | upward
        if column:
            first = layout[f"yaxis{'' if at == column else at - column + 1}"]
            is_told = first.get("ticktext") == drawn["layout"]["yaxis"].get("ticktext")
            layout[f"yaxis{suffix}"] |= {"title": {"text": ""}, "showticklabels": not is_told}
        traces += [_in_panel(trace, suffix, is_first=at == 0) for trace in drawn["data"]]
    bar = {"title": {"text": quantity.unit, "side": "right"}, "thickness": 10, "outlinewidth": 0}
    scale = {"colorscale": DIVERGING, "cmin": middle - span, "cmid": middle, "cmax": middle + span, "colorbar": bar}
    return figure(f"{quantity.title} of {len(trials)} trials on one scale", traces, coloraxis=scale, **layout)


def _in_panel(trace: Trace, suffix: str, *, is_first: bool) -> Trace:
    """A trace of a map in its panel; the color scale is shared, and the legend names each mark once."""
    own = ("zmin", "zmid", "zmax", "colorscale", "colorbar")
    kept = {key: value for key, value in trace.items() if key not in own}
    kept |= {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    if trace["type"] == "heatmap":
        return kept | {"coloraxis": "coloraxis"}
    return kept | {"showlegend": is_first, "legendgroup": trace["name"]}


def depth_profiles(several: SeveralFacts) -> Figure:
    """The gradient over depth at an epoch: for each group the median of its trials, and their range."""
    traces: list[Trace] = []
    n_hidden = 1
    for at, group in enumerate(groups_of(several)):
        rows = [row for row in (_row_at(member) for member in group.members) if row is not None]
        measured: dict[int, list[float]] = {}
        for layer in (layer for row in rows for layer in row.hidden):
            if (value := positive(layer.bias_grad_rms_median)) is not None:
                measured.setdefault(layer.layer, []).append(value)
        traces += _band(at, group, measured, hover="layer %{x}: %{y:.2e}", axis="y", is_named=True)
        n_hidden = max([n_hidden, *measured])
    if not traces:
        return empty("Depth profile", NOTHING_YET)
    epoch = several.trials[0].facts.epoch
    return figure(
        f"Gradient over depth, {'last epoch' if epoch is None else f'epoch {epoch}'}: median and range",
        traces,
        xaxis={"title": {"text": "hidden layer, from the input to the output"}, "tickformat": "d",
               "range": [0.6, n_hidden + 0.4], "dtick": max(1, n_hidden // 12)},
        yaxis={"title": {"text": "RMS of the biases' gradient"}, "type": "log", "exponentformat": "power"},
        showlegend=True,
    )  # fmt: skip


def learning_curves_of(several: SeveralFacts) -> Figure:
    """Validation accuracy above, loss below: for each group the median of its trials, and their range."""
    traces: list[Trace] = []
    for column, axis in (("val_accuracy", "y"), ("val_loss", "y2")):
        for at, group in enumerate(groups_of(several)):
            measured: dict[int, list[float]] = {}
            for row in (row for member in group.members for row in member.rows):
                if (value := finite(getattr(row, column))) is not None:
                    measured.setdefault(row.epoch, []).append(value)
            traces += _band(at, group, measured, hover="epoch %{x}: %{y:.4g}", axis=axis, is_named=axis == "y")
    if not traces:
        return empty("Learning curves", NOTHING_YET)
    return figure(
        "Learning curves of validation: median and range; accuracy above, loss below",
        traces,
        xaxis=epoch_axis(max(row.epoch for trial in several.trials for row in trial.facts.rows)) | {"anchor": "y2"},
        yaxis={"title": {"text": "accuracy"}, "domain": [0.56, 1.0]},
        yaxis2={"title": {"text": "loss"}, "domain": [0.0, 0.44], "anchor": "x", "type": _loss_scale(traces)},
        showlegend=True,
    )


def _loss_scale(traces: Sequence[Trace]) -> str:
    """Logarithmic where one trial's loss exploded: else nothing would be seen of the others."""
    losses = [value for trace in traces if trace["yaxis"] == "y2" for value in trace["y"]]
    return "log" if losses and min(losses) > 0 and max(losses) > _LOSS_SPAN * min(losses) else "linear"


def _band(
    at: int, group: Group, measured: Mapping[int, Sequence[float]], *, hover: str, axis: str, is_named: bool
) -> list[Trace]:
    """The median of a group as a line, over its range as a band where there is more than one trial."""
    if not measured:
        return []
    x = sorted(measured)
    color = GROUP_COLORS[at]
    edge: Trace = {"type": "scatter", "mode": "lines", "x": x, "yaxis": axis, "line": {"width": 0, "color": color}}
    edge |= {"showlegend": False, "hoverinfo": "skip", "legendgroup": group.name}
    low, high = ([pick(measured[place]) for place in x] for pick in (min, max))
    red, green, blue = (int(color[index : index + 2], 16) for index in (1, 3, 5))
    band = [edge | {"y": low}, edge | {"y": high, "fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},0.2)"}]
    line: Trace = edge | {
        "mode": "lines+markers",
        "name": group.name,
        "y": [statistics.median(measured[place]) for place in x],
        "line": {"width": 2, "color": color, "dash": GROUP_DASHES[at]},
        "marker": {"size": 6, "symbol": GROUP_SYMBOLS[at], "color": color},
        "showlegend": is_named,
        "hoverinfo": "all",
        "hovertemplate": f"{hover}<extra></extra>",
    }
    return [*(band if len(group.members) > 1 else []), line]


def groups_of(several: SeveralFacts) -> list[Group]:
    """Trials with equal parameters, or with the same value of `by`, in the order of their first.

    Raises:
        InvalidRequest: There are more groups than one tells apart.
    """
    found: dict[str, list[NamedTrial]] = {}
    for trial in several.trials:
        parameters = trial.facts.parameters
        key = parameters.model_dump_json() if several.by is None else word(_value(parameters, several.by))
        found.setdefault(key, []).append(trial)
    if len(found) > MAX_GROUPS:
        detail = (
            f"The trials make {len(found)} groups, of which {MAX_GROUPS} can be told apart: name a parameter as by."
        )
        raise _too_many(detail, "by")
    firsts = [members[0] for members in found.values()]
    names = [f"{several.by} {key}" for key in found]
    if several.by is None:
        names = [" · ".join(parts) for parts in labels(firsts)]
    return [
        Group(name if len(members) == 1 else f"{name} ({len(members)} trials)", [each.facts for each in members])
        for name, members in zip(names, found.values(), strict=True)
    ]


def labels(trials: Sequence[NamedTrial]) -> list[tuple[str, ...]]:
    """What each trial is called: its number, and what sets it apart from the others, in parts."""
    differing = [
        name
        for name in Parameters.model_fields
        if len({word(getattr(trial.facts.parameters, name)) for trial in trials}) > 1
    ]
    telling = differing[:2]
    made = []
    for trial in trials:
        values = [f"{name} {word(getattr(trial.facts.parameters, name))}" for name in telling]
        made.append((f"trial {trial.number}", *(values or [f"seed {trial.seed}"])))
    return made


def _value(parameters: Parameters, name: str) -> Any:
    return len(parameters.hidden_units) if name == "depth" else getattr(parameters, name)


def _row_at(facts: TrialFacts) -> EpochRow | None:
    """The row of the epoch that was asked for, else the last; None where no layer was measured."""
    rows = [row for row in facts.rows if len(row.layers) > 1]
    return next((row for row in rows if row.epoch == facts.epoch), rows[-1] if rows else None)


def _too_many(detail: str, name: str) -> InvalidRequest:
    return InvalidRequest(detail, [Problem(f"query/{name}", detail)])
