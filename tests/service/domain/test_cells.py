"""Cells that no spreadsheet calculates, and lines that every reader reads."""

import csv
import io
import json

import pytest

from service.domain.cells import csv_lines, json_lines, safe_text

HOSTILE = [
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\x00=1",
    "\u00a0=1",
    "＝1",
    "'=1",
    "=",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_begins_like_a_formula(text):
    assert safe_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "plain", "a=b", "1-2", "é", '"', ",", "a\nb", " ", "<img src=x>"])
def test_other_text_stays(text):
    assert safe_text(text) == text


@pytest.mark.parametrize("text", [*HOSTILE, 'a",\r\n"b', "a;b", "🎲", "-inf "])
def test_text_comes_back_from_csv(text):
    (row,) = csv.reader(io.StringIO(csv_lines(["a", "b"], [{"a": text, "b": 1}]), newline=""))
    assert row == [safe_text(text), "1"]


def test_values_in_csv():
    row = {"none": None, "yes": True, "loss": 1e-7, "bad": "-inf", "units": [1, 2], "empty": {}, "more": {"é": "=1"}}
    assert csv_lines(tuple(row), [row]) == ',true,1e-07,-inf,"[1, 2]",,"{""é"": ""=1""}"\r\n'
    assert csv_lines(["absent"], [{"more": 1}, {"absent": -2}]) == '""\r\n-2\r\n'


def test_lines_of_json():
    rows = [{"name": "a\nb\u2028", "n": 1}, {"name": None, "n": 0.5}]
    lines = json_lines(rows).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == rows
