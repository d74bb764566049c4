"""Colors that are told apart in gray, and texts without tags."""

import numpy as np
import pytest

from gradsweep.printing.inks import color, color_map, lightness, words

DIVERGING = [[0.0, "#2f6fbf"], [0.5, "#ece8e1"], [0.75, "#e89c86"], [1.0, "#b93a2b"]]
RISING = [[0.0, "#000000"], [1.0, "#ffffff"]]


def lights(scale):
    return [lightness(each) for each in color_map(scale)(np.linspace(0, 1, 33))]


@pytest.mark.parametrize(
    "scale", [DIVERGING, [[0.0, "#d0a03c"], [0.5, "#a08a9c"], [1.0, "#5a76e2"]], RISING, "Viridis", None]
)
def test_every_color_scale_rises_or_falls_in_gray(scale):
    steps = np.diff(lights(scale))
    assert np.all(steps > 0) or np.all(steps < 0)
    assert abs(sum(steps)) > 0.6


def test_a_scale_that_is_read_in_gray_already_is_kept():
    assert color_map(RISING)(0.5)[:3] == pytest.approx((0.5, 0.5, 0.5), abs=0.01)


def test_below_the_middle_is_blue_and_above_is_red():
    below, above = color_map(DIVERGING)(0.25), color_map(DIVERGING)(0.75)
    assert below[2] > below[0]
    assert above[0] > above[2]


@pytest.mark.parametrize(
    ("text", "rgba"),
    [("rgba(255, 0, 51, 0.5)", (1, 0, 0.2, 0.5)), ("rgb(0,0,0)", (0, 0, 0, 1)), ("#ff0000", (1, 0, 0, 1))],
)
def test_colors_of_the_page_are_read(text, rgba):
    assert color(text) == pytest.approx(rgba)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("a<br>b", "a\nb"), ("<b>x</b> &lt; 1", "x < 1"), ("a < b > c", "a < b > c"), (None, "")],
)
def test_texts_lose_their_tags_and_nothing_else(text, plain):
    assert words(text) == plain
