"""Axes on paper: words, dates, logarithms and numbers as positions, and the ticks that fit beside each other."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    MultipleLocator,
    NullFormatter,
    NullLocator,
)

from gradsweep.printing.inks import words

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MANY_DECADES = 3
_SECONDS_PER_DAY, _MILLISECONDS_PER_DAY = 86_400, 86_400_000


class Scale:
    """One axis: how its values become positions.

    Args:
        layout: Of the axis, as Plotly has it.
        values: All values that are drawn on it, in order.
    """

    def __init__(self, layout: Mapping[str, Any], values: Iterable[Any]) -> None:
        self.layout = layout
        known = [value for value in values if value is not None]
        self.kind = layout.get("type") or _kind(known)
        first = layout.get("categoryarray", ())  # what it does not name stands behind, in the order of appearance
        self.words = list(dict.fromkeys(map(str, [*first, *known]))) if self.kind == "category" else []
        self._places = {word: float(at) for at, word in enumerate(self.words)}

    def positions(self, values: Sequence[Any]) -> list[float]:
        """Where values stand; nan where there is none."""
        return [math.nan if value is None else self._position(value) for value in values]

    def _position(self, value: Any) -> float:
        if self.kind == "category":
            return self._places.get(str(value), math.nan)
        if self.kind == "date":
            return _days(value)
        return float(value)

    def limits(self) -> tuple[float, float] | None:
        """The range that the figure asks for; a logarithmic one is told in exponents."""
        given = self.layout.get("range")
        if not given:
            return None
        if self.kind == "date":
            low, high = (_days(each) for each in given)
        else:
            low, high = map(float, given)
        return (10**low, 10**high) if self.kind == "log" else (low, high)


def _kind(values: Sequence[Any]) -> str:
    if not values or not any(isinstance(value, str) for value in values):
        return "linear"
    return "date" if all(isinstance(value, str) and _is_moment(value) for value in values) else "category"


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return len(text) >= len("2026-01-01")


def _days(value: Any) -> float:
    """Days since 1970, from a moment as Plotly tells it: ISO text, or milliseconds since then."""
    if not isinstance(value, str):
        return float(value) / _MILLISECONDS_PER_DAY
    since = datetime.fromisoformat(value).replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 - a plain axis
    return since.total_seconds() / _SECONDS_PER_DAY


def apply_scale(axes: Axes, which: str, scale: Scale) -> None:
    """Set the scale, range, title and ticks of an axis, `x` or `y`."""
    layout = scale.layout
    axis: Axis = axes.xaxis if which == "x" else axes.yaxis
    set_limits = axes.set_xlim if which == "x" else axes.set_ylim
    if scale.kind == "log":
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    if (limits := scale.limits()) is not None:
        set_limits(*limits)
    elif layout.get("autorange") == "reversed":
        axis.set_inverted(True)
    title = layout.get("title") or {}
    axis.set_label_text(words(title if isinstance(title, str) else title.get("text")))
    _set_ticks(axis, scale)
    axis.grid(layout.get("showgrid", True) and scale.kind != "category")
    if layout.get("visible") is False:
        axis.set_visible(False)
    elif layout.get("showticklabels") is False:
        axis.set_tick_params(labelbottom=False, labelleft=False)


def _set_ticks(axis: Axis, scale: Scale) -> None:
    layout = scale.layout
    if layout.get("tickvals") is not None:
        places = scale.positions(layout["tickvals"])
        axis.set_major_locator(FixedLocator(places))
        axis.set_ticklabels([words(str(text)) for text in layout.get("ticktext") or layout["tickvals"]])
        axis.set_minor_locator(NullLocator())
    elif scale.kind == "category":
        axis.set_major_locator(FixedLocator([float(at) for at in range(len(scale.words))]))
        axis.set_ticklabels(list(map(words, scale.words)))
    elif scale.kind == "log":
        _set_log_ticks(axis)
    elif scale.kind == "date":
        locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axis.set_major_locator(locator)
        axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        is_whole = layout.get("tickformat") == "d"
        step = layout.get("dtick") if layout.get("tickmode") == "linear" else None
        axis.set_major_locator(MultipleLocator(float(step)) if step else MaxNLocator(6, integer=is_whole))
        if str(layout.get("tickformat", "")).endswith("%"):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        else:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))


def _set_log_ticks(axis: Axis) -> None:
    """Powers of ten where there are many decades; else also twice and five times."""
    low, high = sorted(axis.get_view_interval())
    n_decades = math.log10(high) - math.log10(low) if low > 0 else _MANY_DECADES
    few = n_decades < _MANY_DECADES - 1
    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def power_of_ten(value: float) -> str:
    """0.0001 as 10⁻⁴, 0.0002 as 2·10⁻⁴; what is nearer to 1 as it is written."""
    if value <= 0:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10**exponent
    if -3 <= exponent <= 3:
        return f"{value:.3g}"
    power = f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return power if math.isclose(factor, 1, rel_tol=1e-6) else f"{factor:.3g}·{power}"
