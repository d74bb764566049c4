"""Bar traces: stacked, side by side, or from where they say, upright or flat."""

from typing import Any

import numpy as np
from matplotlib.patches import Patch

from gradsweep.printing.drawing import Drawing, Numbers, Place, Trace, numbers
from gradsweep.printing.inks import TEXT, color, hatch
from gradsweep.printing.lines import draw_error_bars

_MILLISECONDS_PER_DAY = 86_400_000


def draw_bars(drawing: Drawing, place: Place, trace: Trace) -> None:
    """Draw a trace of the type bar."""
    is_flat = trace.get("orientation") == "h"
    names, lengths = ("y", trace.get("x") or []) if is_flat else ("x", trace.get("y") or [])
    along, across = (place.y, place.x) if is_flat else (place.x, place.y)
    at = numbers(along.positions(trace.get(names) or range(len(lengths))))
    sizes = np.nan_to_num(numbers(lengths))
    if across.kind == "date":
        sizes /= _MILLISECONDS_PER_DAY  # Plotly counts milliseconds, matplotlib days
    bases = _bases(drawing, place, trace, at, sizes)
    at, width = _side_by_side(drawing, place, trace, at)
    inks, shapes = _look(drawing, trace)
    (place.axes.barh if is_flat else place.axes.bar)(
        at, sizes, width, bases, color=inks, hatch=shapes, edgecolor=TEXT, linewidth=0.4,
        alpha=trace.get("opacity"), zorder=2,
    )  # fmt: skip
    ends = bases + sizes
    draw_error_bars(place, trace, *((ends, at) if is_flat else (at, ends)), ink=color(TEXT))
    face, shape = (one[0] if isinstance(one, list) and one else one for one in (inks, shapes))
    drawing.remember(trace, Patch(facecolor=face, hatch=shape, edgecolor=TEXT, linewidth=0.4))


def _look(drawing: Drawing, trace: Trace) -> tuple[Any, Any]:
    """Colors and hatches: one for all bars, or one for each."""
    marker = trace.get("marker") or {}
    given, shape = marker.get("color"), (marker.get("pattern") or {}).get("shape", "")
    inks = [color(one) for one in given] if isinstance(given, list) else color(given) if given else drawing.next_ink()
    return inks, [hatch(one) for one in shape] if isinstance(shape, list) else hatch(shape)


def _bases(drawing: Drawing, place: Place, trace: Trace, at: Numbers, sizes: Numbers) -> Numbers:
    """Where each bar begins: where it says, else on top of those below it, if bars are stacked."""
    if (given := trace.get("base")) is not None:
        across = place.x if trace.get("orientation") == "h" else place.y
        return numbers(across.positions(given if isinstance(given, list) else [given] * len(at)))
    bases = np.zeros_like(sizes)
    if drawing.layout.get("barmode", "group") in ("stack", "relative"):
        for index, (where, size) in enumerate(zip(at, sizes, strict=True)):
            key = (id(place.axes), float(where), bool(size < 0))
            bases[index] = drawing.stacked.get(key, 0.0)
            drawing.stacked[key] = bases[index] + size
    return bases


def _side_by_side(drawing: Drawing, place: Place, trace: Trace, at: Numbers) -> tuple[Numbers, Any]:
    """Places and width of the bars: those of several traces stand beside each other, unless they are stacked."""
    width = trace.get("width") or 1 - float(drawing.layout.get("bargap", 0.2))
    if isinstance(width, list):
        return at, numbers(width)
    beside = [id(each) for each in drawing.bars_of[id(place.axes)]]
    if drawing.layout.get("barmode", "group") != "group" or len(beside) < 2:
        return at, width
    width /= len(beside)
    return at + width * (beside.index(id(trace)) - (len(beside) - 1) / 2), width
