"""Plain data from outside: how a value is shown in a message, what no request may hold, what a name was meant to be.

A request is a tree of mappings, lists, text, finite numbers, booleans and null. Everything that JSON or YAML could
smuggle in besides is found here, once, each with a JSON pointer (RFC 6901) to where it stands.
"""

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.errors import Problem
from service.wire.base import MAX_INTEGER

MAX_PROBLEMS = 50
"""After so many problems reading stops: nobody repairs more at once, and a heap of nonsense should cost little."""

MAX_DEPTH = 20
MAX_VALUES = 20_000
MAX_TEXT = 4096
_SHOWN = 60


class Unreadable:
    """Stands in a tree for a value that could not be read; `message` says why and what to do."""

    def __init__(self, message: str) -> None:
        self.message = message


def shown(value: Any) -> str:
    """A value as it may stand in a message: like JSON, short, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple) and len(value) > 8:
        return f"a list of {len(value)} values"
    if isinstance(value, Mapping):
        return f"a mapping of {len(value)} keys"
    if isinstance(value, str):
        value = value[: _SHOWN + 1]
    try:
        text = json.dumps(value, default=lambda other: type(other).__name__)
    except (ValueError, RecursionError):
        return type(value).__name__
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def escaped(key: Any) -> str:
    """A key as one step of a JSON pointer: RFC 6901's escapes, shortened, and no lone surrogates."""
    text = str(key)[:_SHOWN].encode("utf-8", "replace").decode()
    return text.replace("~", "~0").replace("/", "~1")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` if a known word is near, else nothing."""
    near = difflib.get_close_matches(word[:_SHOWN].lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def find_problems(tree: Any) -> list[Problem]:
    """What in a tree no request may hold, each with its pointer; empty if it is plain data of sane size."""
    problems = []
    for count, (pointer, value, depth) in enumerate(_walk(tree)):
        if count >= MAX_VALUES:
            return [Problem("", f"the document holds more than {MAX_VALUES} values; split it or shorten its lists")]
        message = _problem_of(value, depth)
        if message:
            problems.append(Problem(pointer, message))
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems


def _walk(tree: Any) -> Iterator[tuple[str, Any, int]]:
    """Every value, keys included, with pointer and depth; without recursion, and no deeper than the limit."""
    pending: list[tuple[str, Any, int]] = [("", tree, 0)]
    while pending:
        pointer, value, depth = pending.pop()
        yield pointer, value, depth
        if depth > MAX_DEPTH:
            continue
        if isinstance(value, Mapping):
            for key, child in value.items():
                if not isinstance(key, str) or not _is_clean(key):
                    yield f"{pointer}/{escaped(key)}", _BadKey(key), depth
                pending.append((f"{pointer}/{escaped(key)}", child, depth + 1))
        elif isinstance(value, list | tuple):
            pending.extend((f"{pointer}/{index}", child, depth + 1) for index, child in enumerate(value))


class _BadKey:
    def __init__(self, key: Any) -> None:
        self.key = key


def _problem_of(value: Any, depth: int) -> str | None:  # noqa: PLR0911  # one line per kind reads best
    if isinstance(value, Unreadable):
        return value.message
    if isinstance(value, _BadKey):
        return f"{shown(value.key)} cannot be a key; keys are words without control characters"
    if isinstance(value, Mapping | list | tuple):
        return f"nested deeper than {MAX_DEPTH} levels; no sweep needs that" if depth > MAX_DEPTH else None
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return f"text of {len(value)} characters; at most {MAX_TEXT} are read"
        return None if _is_clean(value) else f"{shown(value)} holds NUL or half a surrogate pair; remove it"
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return f"{shown(value)} is too large; write a number up to 2^53" if abs(value) > MAX_INTEGER else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{shown(value)} is not a finite number; write a finite one"
    return f"a value of type {type(value).__name__} is not plain data; write text, a number, a list or a mapping"


def _is_clean(text: str) -> bool:
    """Whether both databases can store the text: no NUL, and nothing that UTF-8 cannot say."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
