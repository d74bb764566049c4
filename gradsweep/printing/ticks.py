"""Ticks that fit: labels that would run into each other are turned, or every second one is left out."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

_STEPS = (2, 3, 4, 6, 8, 12, 20)


def fit_ticks(page: Figure, panels: Sequence[Axes]) -> None:
    """Make room on every axis, each by itself; the layout is made anew where something has changed."""
    page.draw_without_rendering()
    changed = [_fit(page, axis) for axes in panels for axis in (axes.xaxis, axes.yaxis)]
    if any(changed):
        page.draw_without_rendering()


def _fit(page: Figure, axis: Axis) -> bool:
    if not axis.get_visible() or not _collides(page, axis):
        return False
    places = [float(place) for place in np.asarray(axis.get_majorticklocs())]
    labels = [label.get_text() for label in axis.get_majorticklabels()]
    is_wordy = isinstance(axis, XAxis) and any(any(letter.isalpha() for letter in label) for label in labels)
    if is_wordy:
        axis.set_tick_params(labelrotation=35)
        for label in axis.get_majorticklabels():
            label.set(ha="right", rotation_mode="anchor")
        if not _collides(page, axis, turned=True):
            return True
    for step in _STEPS:
        axis.set_major_locator(FixedLocator(places[::step]))
        axis.set_ticklabels(labels[::step])
        if not _collides(page, axis, turned=is_wordy):
            break
    return True


def _collides(page: Figure, axis: Axis, *, turned: bool = False) -> bool:
    """Whether two neighboring labels overlap, or nearly do."""
    renderer = page.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [
        label.get_window_extent(renderer)
        for label in axis.get_majorticklabels()
        if label.get_text() and label.get_visible()
    ]
    if not isinstance(axis, XAxis):
        ends = sorted((box.y0, box.y1) for box in boxes)
        room = 0.0
    elif turned:  # turned labels lie beside each other: their feet must be a line apart
        ends = sorted((box.x1 - 9, box.x1) for box in boxes)
        room = 0.0
    else:
        ends = sorted((box.x0, box.x1) for box in boxes)
        room = 4.0
    return any(low < high + room for (_, high), (low, _) in pairwise(ends))
