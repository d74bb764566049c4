"""Figures drawn on paper in memory."""

from collections.abc import Callable
from typing import Any

import pytest
from matplotlib.figure import Figure

from gradsweep.printing.paper import draw

Draw = Callable[..., Figure]


@pytest.fixture(scope="session")
def on_paper() -> Draw:
    """Draws traces, with a layout, in a column of a journal."""

    def make(*traces: dict[str, Any], width: float = 3.5, with_title: bool = False, **layout: Any) -> Figure:
        return draw({"data": list(traces), "layout": layout}, width=width, height=None, with_title=with_title)

    return make
