"""Scatter traces: lines, points, bands between lines, error bars, and texts at points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from gradsweep.printing.drawing import POINTS_PER_PIXEL, Drawing, Ink, Numbers, Place, Trace, numbers
from gradsweep.printing.inks import TEXT, Unprintable, color, dash, on_white, symbol, words

THINNEST_POINTS = 0.7
_STEPS = {"hv": "steps-post", "vh": "steps-pre", "hvh": "steps-mid"}
_STROKES = "x+_|"
"""Markers that are lines, and have no face to fill."""


def draw_scatter(drawing: Drawing, place: Place, trace: Trace) -> None:
    """Draw a trace of the type scatter."""
    y = numbers(place.y.positions(trace.get("y") or []))
    x = numbers(place.x.positions(trace.get("x") or range(len(y))))
    mode = trace.get("mode", "lines")
    line, marker = trace.get("line") or {}, trace.get("marker") or {}
    own = next((one for one in (line.get("color"), marker.get("color")) if isinstance(one, str)), None)
    ink = color(own) if own else drawing.next_ink()
    opacity = float(trace.get("opacity", 1.0))
    _draw_band(drawing, place, trace, x, y, ink=ink)
    handle: dict[str, Any] = {"color": ink, "linestyle": "none"}
    has_line = "lines" in mode and line.get("width", 2) > 0
    if has_line:
        handle |= _draw_line(place, x, y, line, ink=ink, opacity=opacity)
    if "markers" in mode and len(x):
        handle |= _draw_points(drawing, place, x, y, marker, ink=ink, opacity=opacity)
    if "text" in mode:
        for at, text in zip(zip(x, y, strict=True), trace.get("text") or [], strict=False):
            place.axes.annotate(words(str(text)), at, xytext=(0, 3), textcoords="offset points", ha="center")
    draw_error_bars(place, trace, x, y, ink=ink)
    if has_line or "markers" in mode:
        drawing.remember(trace, Line2D([], [], **handle))
    drawing.last_line[id(place.axes)] = (x, y)


def _draw_line(
    place: Place, x: Numbers, y: Numbers, line: Mapping[str, Any], *, ink: Ink, opacity: float
) -> dict[str, Any]:
    """Draw the line; returns how the legend shows it."""
    style: dict[str, Any] = {
        "color": on_white(ink),
        "alpha": opacity,
        "linestyle": dash(line.get("dash", "solid")),
        "linewidth": max(POINTS_PER_PIXEL * float(line.get("width", 2)), THINNEST_POINTS),
    }
    place.axes.plot(x, y, drawstyle=_STEPS.get(line.get("shape", ""), "default"), **style, zorder=2.5)
    return style


def _draw_points(
    drawing: Drawing,
    place: Place,
    x: Numbers,
    y: Numbers,
    marker: Mapping[str, Any],
    *,
    ink: Ink,
    opacity: float,
) -> dict[str, Any]:
    """Draw the markers; returns how the legend shows them."""
    sizes, names = marker.get("size", 6), marker.get("symbol", "circle")
    diameters = POINTS_PER_PIXEL * numbers(sizes if isinstance(sizes, list) else [sizes] * len(x))
    symbols = np.array(names if isinstance(names, list) else [names] * len(x))
    inks, is_scaled = _inks(drawing, place, marker, ink=ink, n=len(x))
    outline = POINTS_PER_PIXEL * float((marker.get("line") or {}).get("width", 0))
    opacity *= float(marker.get("opacity", 1.0))
    for name in dict.fromkeys(symbols.tolist()):
        at = symbols == name
        shape, is_filled = symbol(name)
        edge, faces = _edge(shape, is_filled=is_filled), inks[at]
        if shape in _STROKES:
            colors: dict[str, Any] = {"color": faces}
        else:
            colors = {"facecolors": faces if is_filled else "none", "edgecolors": TEXT if is_filled else faces}
        place.axes.scatter(
            x[at], y[at], s=diameters[at] ** 2, marker=shape, linewidths=outline or edge, alpha=opacity, zorder=3,
            **colors,
        )  # fmt: skip
    shape, is_filled = symbol(str(symbols[0]))
    face: Any = "#888888" if is_scaled else tuple(inks[0])
    return {
        "marker": shape,
        "markersize": float(np.nanmax(diameters)),
        "markerfacecolor": face if is_filled else "none",
        "markeredgecolor": TEXT if is_filled and shape not in _STROKES else face,
        "markeredgewidth": _edge(shape, is_filled=is_filled),
    }


def _edge(shape: str, *, is_filled: bool) -> float:
    """The width of a marker's outline, which is all there is of an open one."""
    return 0.3 if is_filled and shape not in _STROKES else 0.9


def _inks(
    drawing: Drawing, place: Place, marker: Mapping[str, Any], *, ink: Ink, n: int
) -> tuple[np.ndarray[Any, Any], bool]:
    """The color of each point, and whether they are read from a color scale."""
    given = marker.get("color")
    if not isinstance(given, list):
        return np.tile(np.asarray(color(given) if given else ink), (n, 1)), False
    if given and all(isinstance(one, str) for one in given):
        return np.array([color(one) for one in given]), False
    values = numbers(given)
    return np.asarray(drawing.color_scale(place, marker, values, "c").to_rgba(values)), True


def _draw_band(drawing: Drawing, place: Place, trace: Trace, x: Numbers, y: Numbers, *, ink: Ink) -> None:
    """Fill what the trace says: down to zero, to the line before, or its own inside."""
    kind = trace.get("fill", "none")
    face = color(trace["fillcolor"]) if trace.get("fillcolor") else (*ink[:3], 0.22)
    match kind:
        case "none":
            return
        case "tozeroy":
            place.axes.fill_between(x, y, 0.0, color=face, linewidth=0, zorder=2)
        case "tonexty":
            below_x, below = drawing.last_line.get(id(place.axes), (x, np.zeros_like(y)))
            if not np.array_equal(below_x, x):
                raise Unprintable("a band between lines over different places")
            place.axes.fill_between(x, y, below, color=face, linewidth=0, zorder=2)
        case "toself":
            place.axes.fill(x, y, color=face, linewidth=0, zorder=2)
        case _:
            raise Unprintable(f"the fill {kind!r}")


def draw_error_bars(place: Place, trace: Trace, x: Numbers, y: Numbers, *, ink: Ink) -> None:
    """Draw the error bars of a trace, if it has any."""
    lengths: dict[str, Any] = {"xerr": None, "yerr": None}
    for letter in "xy":
        told = trace.get(f"error_{letter}") or {}
        if told.get("visible", True) and told.get("array") is not None:
            up = numbers(told["array"])
            lengths[f"{letter}err"] = np.vstack([numbers(told.get("arrayminus") or told["array"]), up])
    if any(each is not None for each in lengths.values()):
        place.axes.errorbar(x, y, **lengths, fmt="none", ecolor=on_white(ink), elinewidth=1.0, capsize=2, zorder=2.8)
