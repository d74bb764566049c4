"""A whole figure on paper: panels, legend, color scales, notes; saved as pdf, svg or png."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gradsweep.printing.drawing import Bar, Drawing, Place
from gradsweep.printing.grid import Grid, Panel, axis_layout, lay_out
from gradsweep.printing.inks import GRID, TEXT, DoesNotFit, words
from gradsweep.printing.notes import draw_note, draw_shape
from gradsweep.printing.scales import Scale, apply_scale
from gradsweep.printing.ticks import fit_ticks
from gradsweep.printing.traces import draw_trace

PANEL_ASPECT, STACKED_ASPECT = 0.7, 0.45
LONGEST_INCHES = 9.5
PIXELS_WIDE = 760
"""The width of a figure on the page, to which a height in pixels belongs."""
_LEGEND_SHARE = 0.94
"""Of the page's width; the letters may turn out a little wider than they were measured."""


def save(figure: Mapping[str, Any], path: Path, *, width: float, height: float | None, font_size: float,
         dpi: float, with_title: bool) -> tuple[float, float]:  # fmt: skip
    """Print a figure to a file; its ending names the format.

    Args:
        figure: Plotly JSON: `data` and `layout`.
        path: Of the file.
        width: In inches.
        height: In inches; None for one that suits the number of panels.
        font_size: Of the labels, in points.
        dpi: Dots per inch of a png.
        with_title: Whether the figure's title is printed; in a paper the caption tells it.

    Returns:
        Width and height in inches.

    Raises:
        Unprintable: The figure holds something that has no form here, or (DoesNotFit) more than the page takes.
        OSError: The file cannot be written.
    """
    with mpl.rc_context(_style(font_size)):
        page = draw(figure, width=width, height=height, with_title=with_title)
        kind = path.suffix.lower().removeprefix(".")
        nothing: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
        page.savefig(path, format=kind, dpi=dpi, metadata=nothing.get(kind))  # the same data gives the same bytes
        wide, high = page.get_size_inches()
    return float(wide), float(high)


def draw(figure: Mapping[str, Any], *, width: float, height: float | None, with_title: bool) -> Figure:
    """The figure, laid out; fonts and lines are those of the surrounding style."""
    traces: Sequence[Mapping[str, Any]] = figure.get("data") or []
    layout: Mapping[str, Any] = figure.get("layout") or {}
    grid = lay_out(traces, layout)
    page = Figure(figsize=(width, height or _height(layout, grid, width)), layout=_engine())
    FigureCanvasAgg(page)
    drawing = Drawing(layout)
    places = _panels(page, grid, traces, layout)
    for (x, y), place in places.items():
        ours = [trace for trace in traces if (trace.get("xaxis", "x"), trace.get("yaxis", "y")) == (x, y)]
        drawing.bars_of[id(place.axes)] = [trace for trace in ours if trace.get("type") == "bar"]
        for trace in ours:
            draw_trace(drawing, place, trace)
        apply_scale(place.axes, "x", place.x)
        apply_scale(place.axes, "y", place.y)
    _share(grid, places, layout)
    for shape in layout.get("shapes") or []:
        draw_shape(places, shape)
    for note in layout.get("annotations") or []:
        draw_note(page, places, note)
    for bar in drawing.scales.values():
        _color_bar(page, bar)
    if with_title and (title := words((layout.get("title") or {}).get("text"))):
        page.suptitle(title, fontsize=mpl.rcParams["font.size"] + 1, wrap=True)
    if layout.get("showlegend", len(traces) > 1) and drawing.handles:
        _legend(page, drawing.handles)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            fit_ticks(page, [place.axes for place in places.values()])
        except UserWarning as warning:
            wide, high = page.get_size_inches()
            raise DoesNotFit(f"more than fits into {wide:.3g} × {high:.3g} inches") from warning
    return page


def _style(font_size: float) -> Any:
    return {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
        "font.size": font_size,
        "axes.labelsize": font_size,
        "axes.titlesize": font_size,
        "xtick.labelsize": font_size - 1,
        "ytick.labelsize": font_size - 1,
        "legend.fontsize": font_size - 0.5,
        "text.parse_math": False,  # names are text: a dollar in one is no formula
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.edgecolor": "#666666",
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": GRID,
        "grid.linewidth": 0.5,
        "xtick.color": "#444444",
        "ytick.color": "#444444",
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "ytick.minor.size": 1.5,
        "hatch.linewidth": 0.4,
        "legend.frameon": False,
        "pdf.fonttype": 42,  # whole fonts: what journals ask for
        "svg.hashsalt": "gradsweep",
        "savefig.facecolor": "white",
    }


def _engine() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)


def _height(layout: Mapping[str, Any], grid: Grid, width: float) -> float:
    if layout.get("height"):
        return float(min(width * layout["height"] / PIXELS_WIDE, LONGEST_INCHES))
    n_rows, n_columns = len(grid.heights), len(grid.widths)
    aspect = PANEL_ASPECT if n_rows == 1 else STACKED_ASPECT
    return float(min(n_rows * max(width / n_columns * aspect, 1.1) + 0.35, LONGEST_INCHES))


def _panels(
    page: Figure, grid: Grid, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]
) -> dict[tuple[str, str], Place]:
    cells = page.add_gridspec(len(grid.heights), len(grid.widths), height_ratios=grid.heights, width_ratios=grid.widths)
    scales: dict[str, Scale] = {}
    for name in dict.fromkeys(name for panel in grid.panels for name in (panel.x, panel.y)):
        scales[name] = Scale(axis_layout(layout, name), _values(traces, name))
    return {
        (panel.x, panel.y): Place(page.add_subplot(cells[panel.rows, panel.columns]), scales[panel.x], scales[panel.y])
        for panel in grid.panels
    }


def _values(traces: Sequence[Mapping[str, Any]], name: str) -> Iterable[Any]:
    """Everything that is drawn on one axis, bases of bars among it."""
    letter = name[0]
    for trace in traces:
        if trace.get(f"{letter}axis", letter) != name:
            continue
        is_along = (trace.get("orientation") == "h") == (letter == "x") and trace.get("type") == "bar"
        given = trace.get("base") if is_along and trace.get("base") is not None else trace.get(letter)
        yield from given if isinstance(given, list) else ()


def _share(grid: Grid, places: Mapping[tuple[str, str], Place], layout: Mapping[str, Any]) -> None:
    """Join axes that are one in Plotly, or are told to match; only the outer ones keep their labels."""
    groups: dict[str, list[tuple[Panel, Axes]]] = {}
    for panel in grid.panels:
        for name in (panel.x, panel.y):
            root = str(axis_layout(layout, name).get("matches") or name)
            groups.setdefault(root, []).append((panel, places[panel.x, panel.y].axes))
    for root, members in groups.items():
        first = members[0][1]
        limits = [(axes.get_xlim() if root[0] == "x" else axes.get_ylim()) for _, axes in members]
        low, high = min(map(min, limits)), max(map(max, limits))
        is_inverted = first.xaxis_inverted() if root[0] == "x" else first.yaxis_inverted()
        is_given = axis_layout(layout, root).get("range") or is_inverted
        for panel, axes in members:
            if len(members) > 1 and not is_given:
                (axes.set_xlim if root[0] == "x" else axes.set_ylim)(low, high)
            if root[0] == "x" and panel.rows.stop < max(one.rows.stop for one, _ in members if one.x == panel.x):
                axes.set_xlabel("")
                axes.tick_params(labelbottom=False)
            if root[0] == "y" and panel.columns.start > min(one.columns.start for one, _ in members):
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)


def _color_bar(page: Figure, bar: Bar) -> None:
    title = bar.layout.get("title") or {}
    made = page.colorbar(bar.mappable, ax=list(dict.fromkeys(bar.axes)), fraction=0.06, pad=0.02, aspect=28)
    made.set_label(words(title if isinstance(title, str) else title.get("text")))
    made.outline.set_visible(False)
    if bar.layout.get("tickvals") is not None:
        made.set_ticks(bar.layout["tickvals"])
        made.set_ticklabels([words(str(text)) for text in bar.layout.get("ticktext") or bar.layout["tickvals"]])


def _legend(page: Figure, handles: Mapping[str, Any]) -> None:
    """Above the panels, in as few rows as fit the width."""
    for n_columns in range(len(handles), 0, -1):
        legend = page.legend(
            list(handles.values()), list(handles), loc="outside upper center", ncols=n_columns,
            handlelength=1.8, columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2, borderpad=0.2,
        )  # fmt: skip
        wide = legend.get_window_extent(page.canvas.get_renderer()).width  # type: ignore[attr-defined]
        if wide <= _LEGEND_SHARE * page.bbox.width or n_columns == 1:
            return
        legend.remove()
