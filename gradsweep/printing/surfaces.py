"""Heat maps and contours: a color for each place of a lattice."""

from typing import Any

import numpy as np

from gradsweep.printing.drawing import Drawing, Numbers, Place, Trace, numbers
from gradsweep.printing.inks import Unprintable

_RASTER_CELLS = 20_000
"""A heat map of more cells is stored as an image inside of the pdf."""
_LEVELS = 12


def draw_heat_map(drawing: Drawing, place: Place, trace: Trace) -> None:
    """Draw a trace of the type heatmap; hatched where nothing was measured."""
    x, y, z = _lattice(place, trace)
    mappable = drawing.color_scale(place, trace, z, "z")
    place.axes.patch.set(hatch="//////", edgecolor="#c8c8c8", linewidth=0)
    low, high = mappable.get_clim()
    has_gaps = trace.get("xgap", 0) > 0
    across, upward = _edges(x), _edges(y)
    place.axes.pcolormesh(
        across, upward, np.ma.masked_invalid(z), cmap=mappable.get_cmap(), vmin=low, vmax=high,
        edgecolors="white" if has_gaps else "none", linewidth=0.3 if has_gaps else 0,
        rasterized=z.size > _RASTER_CELLS, zorder=2,
    )  # fmt: skip
    place.axes.set_xlim(across[0], across[-1])
    place.axes.set_ylim(upward[0], upward[-1])


def draw_contours(drawing: Drawing, place: Place, trace: Trace) -> None:
    """Draw a trace of the type contour."""
    x, y, z = _lattice(place, trace)
    mappable = drawing.color_scale(place, trace, z, "z")
    low, high = (float(each or 0.0) for each in mappable.get_clim())
    if not low < high or min(z.shape) < 2:
        raise Unprintable("contours of a single value")
    known: Any = np.ma.masked_invalid(z)
    levels = np.linspace(low, high, _LEVELS)
    place.axes.contourf(x, y, known, levels, cmap=mappable.get_cmap(), vmin=low, vmax=high, extend="both", zorder=1)
    place.axes.contour(x, y, known, levels, colors="#555555", linewidths=0.3, zorder=1.5)


def _lattice(place: Place, trace: Trace) -> tuple[Numbers, Numbers, Numbers]:
    z = np.array([numbers(line) for line in trace["z"]])
    x = numbers(place.x.positions(trace.get("x") or range(z.shape[1])))
    y = numbers(place.y.positions(trace.get("y") or range(z.shape[0])))
    return x, y, z


def _edges(centers: Numbers) -> Numbers:
    """The borders of cells around their centers."""
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    between = (centers[1:] + centers[:-1]) / 2
    first, last = 2 * centers[0] - between[0], 2 * centers[-1] - between[-1]
    return np.concatenate([[first], between, [last]])
