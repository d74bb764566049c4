"""Rows as text: cells of a table that a spreadsheet opens, and lines of JSON.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, wherever it came from. Text that could
be one gets an apostrophe in front, which spreadsheets take for "this is text". Numbers are never text.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

_BEGINS_A_FORMULA = frozenset("=+-@＝＋－＠")
"""Half and full width: some spreadsheets read both."""

SPELLED = frozenset({"inf", "-inf", "nan"})
"""Numbers that are spelled out because JSON has none of them; a table can carry them as they are."""


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    White space and control characters in front of a formula do not make it harmless. An apostrophe that was there
    gets another one before it, so that taking one away gives the text back.
    """
    first = text.lstrip("".join(map(chr, range(33))) + "\u00a0\ufeff")[:1]
    if first in _BEGINS_A_FORMULA or text[:1] in ("'", "\t", "\r", "\n"):
        return f"'{text}"
    return text


def cell(value: Any) -> Any:
    """One value as the csv module shall write it: absent ones are empty, lists and mappings are JSON."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case str() if value in SPELLED:
            return value
        case str():
            return safe_text(value)
        case _:
            return safe_text(json.dumps(value, ensure_ascii=False, allow_nan=False)) if value else ""


def csv_lines(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as lines of CSV (RFC 4180), without a head."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as lines of JSON."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
