"""What values and remedies did, as dots with intervals: the metric on the left, the stability on the right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.ablation import ALL, BASE
from service.domain.effects import Effects, Group
from service.domain.states import Verdict
from service.domain.summaries import Summary
from service.figures.frame import Figure, Trace, empty, figure
from service.figures.palette import VERDICT_COLORS, VERDICT_SYMBOLS, verdict_word
from service.figures.sweep_figures import SweepFacts

_ROW_HEIGHT = 26
_SPLIT = 0.56  # of the width, where the panel of the metric ends


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    group: Group

    @property
    def verdict(self) -> Verdict | None:
        """The commonest verdict."""
        return max(self.group.verdicts, key=lambda each: self.group.verdicts[each], default=None)


def effects(facts: SweepFacts) -> Figure:
    """A row for each remedy of an ablation, or for each value of each parameter; its symbol is its
    commonest verdict."""
    compared = facts.compared()
    rows = _rows(compared)
    if not rows:
        return empty("Effects", "Nothing to compare yet: no trial has ended, or no parameter differs.")
    traces: list[Trace] = []
    for verdict in (*Verdict, None):
        members = [row for row in rows if row.verdict is verdict]
        if members:
            traces.append(_dots(members, verdict, [row.group.metric for row in members], "x"))
            traces.append(_dots(members, verdict, [row.group.stability for row in members], "x2"))
    what = "each remedy" if compared.remedies else "each value"
    return figure(
        f"What {what} did: median and interval of {facts.metric.name} and stability",
        traces,
        xaxis={"title": {"text": facts.metric.name}, "domain": [0, _SPLIT - 0.02]},
        xaxis2={"title": {"text": "stability"}, "domain": [_SPLIT + 0.02, 1], "range": [-0.05, 1.05]},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [row.label for row in reversed(rows)],
            "automargin": True,
        },
        height=160 + _ROW_HEIGHT * len(rows),
        showlegend=True,
    )


def _rows(effects: Effects) -> list[_Row]:
    if effects.remedies:
        words = {BASE: "base", ALL: "all together"}
        return [_Row(words.get(each.remedy, f"{each.remedy} alone"), each.group) for each in effects.remedies]
    return [
        _Row(f"{factor.name}: {level.label}", group) for factor in effects.factors for level, group in factor.levels
    ]


def _dots(rows: Sequence[_Row], verdict: Verdict | None, summaries: Sequence[Summary | None], axis: str) -> Trace:
    """Medians with intervals; what is not finite is not drawn, and the hover text says it."""
    medians = [None if one is None else _finite(one.median) for one in summaries]
    above = [_reach(one, one.high) if one is not None else 0.0 for one in summaries]
    below = [_reach(one, one.low) if one is not None else 0.0 for one in summaries]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"mostly {verdict_word(verdict)}",
        "legendgroup": verdict_word(verdict),
        "showlegend": axis == "x",
        "x": medians,
        "y": [row.label for row in rows],
        "xaxis": axis,
        "error_x": {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.5},
        "marker": {"color": VERDICT_COLORS[verdict], "symbol": VERDICT_SYMBOLS[verdict], "size": 10},
        "text": [_words(row, one) for row, one in zip(rows, summaries, strict=True)],
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reach(summary: Summary, end: float | None) -> float:
    """How far the interval goes to one side; 0 where it has no finite end."""
    if end is None or not math.isfinite(end) or not math.isfinite(summary.median):
        return 0.0
    return abs(end - summary.median)


def _words(row: _Row, summary: Summary | None) -> str:
    counts = ", ".join(f"{count} {verdict_word(verdict)}" for verdict, count in row.group.verdicts.items())
    if summary is None:
        return f"{row.group.n_trials} trials<br>{counts}"
    interval = "" if summary.low is None else f" [{summary.low:.3g}, {summary.high:.3g}]"
    return f"median {summary.median:.3g}{interval} of {summary.n} trials<br>{counts}"
