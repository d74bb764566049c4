"""Colors, symbols, dashes and hatches on paper: each as Plotly names it, as matplotlib knows it."""

import re
from collections.abc import Sequence
from html import unescape
from itertools import pairwise
from typing import Any

from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba


class Unprintable(Exception):
    """A figure holds something that has no form on paper here; the message names it."""


class DoesNotFit(Unprintable):
    """The page is too small for all its panels and labels."""


TEXT = "#1a1a1a"
GRID = "#e3e3e3"
DEFAULT_COLORS = ("#35589a", "#c8553d", "#4f8f6d", "#8b5bb5", "#a8741a", "#5d6470")

_SYMBOLS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-left": "<",
    "triangle-right": ">",
    "x": "X",
    "cross": "P",
    "star": "*",
    "x-thin": "x",
    "cross-thin": "+",
    "line-ew": "_",
    "line-ns": "|",
}
_DASHES: dict[str, Any] = {
    "solid": "solid",
    "dash": (0, (4, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
    "longdash": (0, (7, 2)),
}
_HATCHES = {"": "", ".": "...", "\\": "\\\\\\", "/": "///", "-": "---", "x": "xxx", "+": "+++", "|": "|||"}

_PALEST = 0.5
_BELOW_AND_ABOVE = ("#10294f", "#2f6fbf", "#9b9aa6", "#ee9f84", "#fde8d6")
"""From far below, dark blue, through gray to far above, pale red: the lightness alone tells which is which."""
_LOW_TO_HIGH = ("#f3dc9d", "#c59a7b", "#8a76a4", "#4b5fb0", "#1f2f63")


def symbol(name: str) -> tuple[str, bool]:
    """The marker of a Plotly symbol, and whether it is filled."""
    is_open = name.endswith("-open")
    plain = name.removesuffix("-open")
    if plain not in _SYMBOLS:
        raise Unprintable(f"the symbol {name!r}")
    return _SYMBOLS[plain], not is_open


def dash(name: str) -> Any:
    """The line style of a Plotly dash."""
    if name not in _DASHES:
        raise Unprintable(f"the dash {name!r}")
    return _DASHES[name]


def hatch(shape: str) -> str:
    """The hatch of a Plotly pattern."""
    if shape not in _HATCHES:
        raise Unprintable(f"the pattern {shape!r}")
    return _HATCHES[shape]


def color(text: str) -> tuple[float, float, float, float]:
    """A CSS color: a name, hexadecimal digits, rgb() or rgba()."""
    numbers = re.fullmatch(r"rgba?\(([^)]*)\)", text.strip())
    try:
        if numbers is None:
            return to_rgba(text.strip())
        red, green, blue, *alpha = (float(part) for part in numbers[1].split(","))
        return red / 255, green / 255, blue / 255, alpha[0] if alpha else 1.0
    except ValueError as error:
        raise Unprintable(f"the color {text!r}") from error


def color_map(scale: Sequence[tuple[float, str]] | str | None) -> Colormap:
    """A color scale whose lightness only falls or only rises, so that it is read in gray too.

    A scale that already does is kept. Else one that is lightest or darkest in the middle becomes dark below and light
    above, and any other light to dark.
    """
    if scale is None or isinstance(scale, str):
        return LinearSegmentedColormap.from_list("low to high", _LOW_TO_HIGH)
    stops = [(float(at), color(one)) for at, one in scale]
    light = [lightness(one) for _, one in stops]
    steps = [after - before for before, after in pairwise(light)]
    if len({step > 0 for step in steps}) == 1 and abs(light[-1] - light[0]) > 0.3:
        return LinearSegmentedColormap.from_list("as drawn", stops)
    middle = light[len(light) // 2]
    is_diverging = len(light) > 3 and (middle > max(light[0], light[-1]) or middle < min(light[0], light[-1]))
    return LinearSegmentedColormap.from_list("on paper", _BELOW_AND_ABOVE if is_diverging else _LOW_TO_HIGH)


def on_white(rgba: Sequence[float]) -> tuple[float, float, float, float]:
    """A color for thin lines: made darker if it would be pale on white paper."""
    factor = min(1.0, _PALEST / max(lightness(rgba), 1e-9))
    red, green, blue = (part * factor for part in rgba[:3])
    return red, green, blue, rgba[3] if len(rgba) > 3 else 1.0


def lightness(rgba: Sequence[float]) -> float:
    """How light a color is in gray, from 0 to 1 (Rec. 709 weights)."""
    red, green, blue = rgba[:3]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def words(text: str | None) -> str:
    """Plotly's text without its tags: line breaks stay, the rest is plain."""
    with_breaks = re.sub(r"<br\s*/?>", "\n", text or "")
    return unescape(re.sub(r"</?(?:b|i|em|strong|sub|sup|span|extra)\b[^>]*>", "", with_breaks))
