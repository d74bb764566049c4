"""Each kind of Plotly trace, by its name."""

from collections.abc import Callable, Mapping

from gradsweep.printing.bars import draw_bars
from gradsweep.printing.drawing import Drawing, Place, Trace
from gradsweep.printing.inks import Unprintable
from gradsweep.printing.lines import draw_scatter
from gradsweep.printing.surfaces import draw_contours, draw_heat_map

_KINDS: Mapping[str, Callable[[Drawing, Place, Trace], None]] = {
    "scatter": draw_scatter,
    "bar": draw_bars,
    "heatmap": draw_heat_map,
    "contour": draw_contours,
}


def draw_trace(drawing: Drawing, place: Place, trace: Trace) -> None:
    """Draw one trace.

    Raises:
        Unprintable: Its kind, or something in it, has no form on paper here.
    """
    if trace.get("visible", True) is not True:
        return
    kind = trace.get("type", "scatter")
    if kind not in _KINDS:
        raise Unprintable(f"a trace of the type {kind!r}")
    _KINDS[kind](drawing, place, trace)
    drawing.n_drawn += 1
