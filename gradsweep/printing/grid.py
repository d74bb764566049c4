"""Where the panels of a figure stand: Plotly tells stretches of the page, matplotlib wants rows and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradsweep.printing.inks import Unprintable

_CLOSE = 0.02
"""Axes that begin within so much of the page of each other stand in one column."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes: their Plotly names, and the rows and columns that they take (from the top left)."""

    x: str
    y: str
    rows: slice
    columns: slice


@dataclass(frozen=True, slots=True)
class Grid:
    """All panels of a figure, with the share of the page that each row and column has."""

    panels: tuple[Panel, ...]
    heights: tuple[float, ...]
    widths: tuple[float, ...]


def axis_layout(layout: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The layout of an axis by its short name: `x2` is told in `xaxis2`."""
    found: Mapping[str, Any] = layout.get(f"{name[0]}axis{name[1:]}") or {}
    return found


def lay_out(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Grid:
    """The panels that the traces are drawn in; one where there is no trace."""
    pairs = list(dict.fromkeys((trace.get("xaxis", "x"), trace.get("yaxis", "y")) for trace in traces)) or [("x", "y")]
    for _, y in pairs:
        if axis_layout(layout, y).get("overlaying"):
            raise Unprintable("two scales in one panel")
    across = {x: _stretch(layout, x) for x, _ in pairs}
    upward = {y: _stretch(layout, y) for _, y in pairs}
    lefts = _starts(across.values())
    tops = _starts((1 - high, 1 - low) for low, high in upward.values())
    panels = []
    for x, y in pairs:
        low, high = upward[y]
        panels.append(Panel(x, y, _span(tops, 1 - high, 1 - low), _span(lefts, *across[x])))
    return Grid(
        tuple(panels),
        heights=_sizes(tops, [(1 - high, 1 - low) for low, high in upward.values()]),
        widths=_sizes(lefts, list(across.values())),
    )


def _stretch(layout: Mapping[str, Any], name: str) -> tuple[float, float]:
    low, high = axis_layout(layout, name).get("domain") or (0.0, 1.0)
    return float(low), float(high)


def _starts(stretches: Any) -> list[float]:
    starts: list[float] = []
    for start in sorted(low for low, _ in stretches):
        if not starts or start - starts[-1] > _CLOSE:
            starts.append(start)
    return starts


def _span(starts: Sequence[float], low: float, high: float) -> slice:
    """The rows (or columns) from the one where a stretch begins to the last that begins before it ends."""
    first = max(at for at, start in enumerate(starts) if start <= low + _CLOSE)
    last = max(at for at, start in enumerate(starts) if start < high - _CLOSE or at == first)
    return slice(first, last + 1)


def _sizes(starts: Sequence[float], stretches: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """The length of each row (or column): that of the longest stretch that is in it alone."""
    sizes = []
    for at, start in enumerate(starts):
        end = starts[at + 1] if at + 1 < len(starts) else 1.0
        ends = [min(high, end) for low, high in stretches if abs(low - start) <= _CLOSE]
        sizes.append(max(max(ends) - start, _CLOSE))
    return tuple(sizes)
