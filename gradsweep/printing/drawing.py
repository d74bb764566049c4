"""What the traces of a figure are drawn into, and what they leave for its margins: legend and color scales."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from gradsweep.printing.inks import DEFAULT_COLORS, color, color_map, words
from gradsweep.printing.scales import Scale

Trace = Mapping[str, Any]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Ink = tuple[float, float, float, float]

POINTS_PER_PIXEL = 0.55
"""A line of two pixels on the screen is 1.1 points on paper."""


@dataclass(slots=True)
class Bar:
    """A color scale to explain beside the panels that use it."""

    mappable: ScalarMappable
    layout: Mapping[str, Any]
    axes: list[Axes]


@dataclass(frozen=True, slots=True)
class Place:
    """One panel: its axes and scales."""

    axes: Axes
    x: Scale
    y: Scale


@dataclass(slots=True)
class Drawing:
    """A figure while it is drawn.

    Attributes:
        layout: Of the whole figure.
        bars_of: The traces of bars in each panel, which stand side by side or on top of each other.
        handles: What the legend explains, by name.
        scales: Color scales by name; those of single traces have names of their own.
        stacked: How high the bars are already, by panel, place, and whether they hang down.
        last_line: The line before in each panel, to which a band reaches.
        n_drawn: How many traces were drawn.
    """

    layout: Mapping[str, Any]
    bars_of: dict[int, list[Trace]] = field(default_factory=dict)
    handles: dict[str, Any] = field(default_factory=dict)
    scales: dict[str, Bar] = field(default_factory=dict)
    stacked: dict[tuple[int, float, bool], float] = field(default_factory=dict)
    last_line: dict[int, tuple[Numbers, Numbers]] = field(default_factory=dict)
    n_drawn: int = 0

    def next_ink(self) -> Ink:
        """The color of a trace that names none."""
        return color(DEFAULT_COLORS[self.n_drawn % len(DEFAULT_COLORS)])

    def remember(self, trace: Trace, handle: Any) -> None:
        """Explain a trace in the legend, unless it says not to; traces of one name once."""
        name = words(trace.get("name"))
        if name and trace.get("showlegend", True):
            self.handles.setdefault(name, handle)

    def color_scale(self, place: Place, holder: Mapping[str, Any], values: Numbers, letter: str) -> ScalarMappable:
        """The color scale of a trace (`letter` z) or of its markers (c): a shared one by its name, or its own."""
        name = holder.get("coloraxis")
        if name is not None and name in self.scales:
            self.scales[name].axes.append(place.axes)
            return self.scales[name].mappable
        told = holder if name is None else self.layout.get(name) or {}
        letter = letter if name is None else "c"
        known = values[np.isfinite(values)]
        low = told.get(f"{letter}min", known.min() if known.size else 0.0)
        high = told.get(f"{letter}max", known.max() if known.size else 1.0)
        ink = color_map(told.get("colorscale"))
        mappable = ScalarMappable(Normalize(low, high), ink.reversed() if told.get("reversescale") else ink)
        if told.get("showscale", letter == "z" or name is not None or "colorbar" in told):
            bar = Bar(mappable, told.get("colorbar") or {}, [place.axes])
            self.scales[name or f"trace {self.n_drawn}"] = bar
        return mappable


def numbers(values: Any) -> Numbers:
    """Numbers as an array; nan where there is none."""
    return np.asarray([np.nan if one is None else one for one in values], dtype=np.float64)
