"""What stands in a figure beside its traces: lines, rectangles, texts, and the titles of panels."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsweep.printing.drawing import POINTS_PER_PIXEL, Place
from gradsweep.printing.inks import TEXT, Unprintable, color, dash, words
from gradsweep.printing.scales import Scale

Places = Mapping[tuple[str, str], Place]
_LONG_TEXT = 40
_SMALL_PIXELS = 12


def draw_shape(places: Places, shape: Mapping[str, Any]) -> None:
    """A line or a rectangle, where it says; in shares of the panel where it refers to the page."""
    place = _place_of(places, shape)
    line = shape.get("line") or {}
    transform = _transform(place.axes, shape)
    x = _ends(place.x, shape.get("xref", "x"), shape["x0"], shape["x1"])
    y = _ends(place.y, shape.get("yref", "y"), shape["y0"], shape["y1"])
    match shape.get("type"):
        case "line":
            place.axes.plot(
                x, y, transform=transform, color=color(line.get("color", TEXT)), zorder=1.8,
                linewidth=POINTS_PER_PIXEL * float(line.get("width", 2)), linestyle=dash(line.get("dash", "solid")),
            )  # fmt: skip
        case "rect":
            face: Any = color(shape["fillcolor"]) if shape.get("fillcolor") else "none"
            place.axes.fill(
                [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]], transform=transform, facecolor=face,
                alpha=shape.get("opacity"), linewidth=0, zorder=0.5,
            )  # fmt: skip
        case other:
            raise Unprintable(f"a shape of the type {other!r}")


def draw_note(page: Figure, places: Places, note: Mapping[str, Any]) -> None:
    """A text: the title of the panel below it, or a mark at a point."""
    text = words(note.get("text"))
    x_ref, y_ref = note.get("xref", "x"), note.get("yref", "y")
    titled = _panel_below(places, note) if (x_ref, y_ref) == ("paper", "paper") else None
    place = titled or _place_of(places, note)
    if titled is not None or (y_ref.endswith(" domain") and float(note["y"]) >= 1):
        _set_title(page, place, text)
        return
    if len(text) > _LONG_TEXT:
        text = "\n".join(_wrapped(text, page))
    pixels = (note.get("font") or {}).get("size", _SMALL_PIXELS)
    place.axes.annotate(
        text,
        (_spot(place.x, x_ref, note["x"]), _spot(place.y, y_ref, note["y"])),
        xycoords=_transform(place.axes, note),
        xytext=(POINTS_PER_PIXEL * note.get("xshift", 0), POINTS_PER_PIXEL * note.get("yshift", 0)),
        textcoords="offset points",
        ha={"left": "left", "right": "right"}.get(note.get("xanchor", ""), "center"),
        va={"top": "top", "bottom": "bottom"}.get(note.get("yanchor", ""), "center"),
        fontsize=float(mpl.rcParams["font.size"]) - (1.5 if pixels < _SMALL_PIXELS else 0),
        annotation_clip=False,
    )


def _set_title(page: Figure, place: Place, text: str) -> None:
    """A title over its panel, smaller where it would reach into the next one."""
    left, right = place.x.layout.get("domain") or (0.0, 1.0)
    room = float((right - left) * page.get_size_inches()[0] * 72 * 0.75)  # the rest is for labels and the scale
    size = float(mpl.rcParams["font.size"])
    longest = max(map(len, text.split("\n")))
    place.axes.set_title(text, fontsize=min(size, max(room / (0.55 * longest), 0.6 * size)) if longest else size)


def _spot(scale: Scale, ref: str, value: Any) -> float:
    """Where a note stands on an axis; Plotly tells its place on a logarithmic one as an exponent."""
    (place,) = _ends(scale, ref, value)
    return float(10**place) if scale.kind == "log" and not _is_share(ref) else place


def _place_of(places: Places, holder: Mapping[str, Any]) -> Place:
    """The panel that a shape or note refers to; the first, where it refers to the page."""
    x, y = (str(holder.get(f"{letter}ref", letter)).removesuffix(" domain") for letter in "xy")
    fitting = (place for (own_x, own_y), place in places.items() if x in (own_x, "paper") and y in (own_y, "paper"))
    return next(fitting, next(iter(places.values())))


def _is_share(ref: str) -> bool:
    return ref == "paper" or ref.endswith(" domain")


def _ends(scale: Scale, ref: str, *values: Any) -> list[float]:
    return [float(value) for value in values] if _is_share(ref) else scale.positions(values)


def _transform(axes: Axes, holder: Mapping[str, Any]) -> Any:
    is_share_of_x, is_share_of_y = (_is_share(str(holder.get(f"{letter}ref", letter))) for letter in "xy")
    if is_share_of_x:
        return axes.transAxes if is_share_of_y else axes.get_yaxis_transform()
    return axes.get_xaxis_transform() if is_share_of_y else axes.transData


def _wrapped(text: str, page: Figure) -> list[str]:
    """Lines that fit the page's width, at about half the font size a letter."""
    n_letters = max(12, int(page.get_size_inches()[0] * 72 * 0.7 / (0.6 * float(mpl.rcParams["font.size"]))))
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > n_letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _panel_below(places: Places, note: Mapping[str, Any]) -> Place | None:
    """The panel whose top a place on the page is at; none where there is one panel alone."""
    for place in places.values():
        left, right = place.x.layout.get("domain") or (0.0, 1.0)
        top = (place.y.layout.get("domain") or (0.0, 1.0))[1]
        if len(places) > 1 and left - 0.02 <= note["x"] <= right + 0.02 and -0.02 <= note["y"] - top <= 0.12:
            return place
    return None
