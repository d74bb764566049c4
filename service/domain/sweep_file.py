"""Reading the text of a sweep file, JSON or YAML, into plain data: strictly, quickly, and never into objects.

YAML is read from its parser's events, by the 1.2 core schema: `1e-5` is a number; `yes`, `no`, `on` and `off` are
text. Tags, aliases and merge keys are refused, so there is nothing to construct and nothing to multiply. Neither
format may give a key twice. What cannot be read is an error with a pointer, never an exception of another kind.
"""

import json
import re
from typing import Any, Literal

import yaml

from service.domain.plain_data import MAX_DEPTH, MAX_VALUES, Unreadable, find_problems, shown
from service.errors import InvalidSweep, MalformedRequest, Problem, TooLarge

MAX_CHARACTERS = 262_144
_MAX_DIGITS = 400

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)  # the end is optional: linear time


def read_sweep_file(text: str, media_type: Literal["json", "yaml"]) -> dict[str, Any]:
    """The document that a sweep file holds: a mapping of plain data.

    Raises:
        TooLarge: It is longer than any sweep.
        MalformedRequest: It is not JSON or YAML, or nested too deep.
        InvalidSweep: It can be read, but holds what no sweep may: a key twice, a number that is not finite, a tag.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"the sweep file has {len(text)} characters; at most {MAX_CHARACTERS} are read"
        raise TooLarge(message, [Problem("", message)])
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _malformed(f"the text holds half a surrogate pair at character {error.start}; save it as UTF-8") from None
    document = _read_json(text) if media_type == "json" else _read_yaml(text)
    problems = find_problems(document)
    if problems:
        raise InvalidSweep(f"the sweep file holds {len(problems)} value(s) that cannot be read", problems)
    if not isinstance(document, dict):
        raise InvalidSweep(
            f"a sweep file is a mapping of keys, this is {shown(document)}; begin with `parameters:`",
            [Problem("", "write a mapping with at least `parameters`")],
        )
    return document


def _malformed(message: str, pointer: str = "") -> MalformedRequest:
    return MalformedRequest(message, [Problem(pointer, message)])


# JSON


def _read_json(text: str) -> Any:
    depth = 0
    for token in _JSON_TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        if depth > MAX_DEPTH + 1:
            raise _malformed(f"the JSON is nested deeper than {MAX_DEPTH} levels; no sweep needs that")
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=lambda word: Unreadable(f"{word} is not a finite number; write a finite one"),
        )
    except json.JSONDecodeError as error:
        raise _malformed(f"no JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        result[key] = Unreadable(_given_twice(key)) if key in result else value
    return result


def _given_twice(key: str) -> str:
    return f"{shown(key)} is given twice; keep one"


def _integer(digits: str) -> int | Unreadable:
    if len(digits) > _MAX_DIGITS:
        return Unreadable(f"an integer of {len(digits)} digits is too large; write a number up to 2^53")
    return int(digits)


def _real(digits: str) -> float | Unreadable:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        return Unreadable(f"{digits[:40]} is too large for a number; write a finite one")
    return value


# YAML


def _read_yaml(text: str) -> Any:
    builder = _TreeBuilder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _malformed(f"no YAML: {error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise _malformed(f"no YAML: {str(error).splitlines()[0][:200]}") from None
    return builder.root


class _TreeBuilder:
    """Builds plain data from YAML events, one container on the stack per open level."""

    def __init__(self) -> None:
        self.root: Any = None
        self._stack: list[_Open] = []
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take one event; depth, number of values and documents are limited as they come."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _malformed("the file holds several YAML documents; submit them one by one")
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open({} if isinstance(event, yaml.MappingStartEvent) else [], event.tag)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._add(Unreadable(f"the alias *{str(event.anchor)[:40]} is not read; write the value again"))
        elif isinstance(event, yaml.ScalarEvent):
            self._add(_scalar(event))

    def _open(self, container: Any, tag: str | None) -> None:
        if len(self._stack) > MAX_DEPTH:
            raise _malformed(f"the YAML is nested deeper than {MAX_DEPTH} levels; no sweep needs that")
        parent_takes_key = bool(self._stack) and self._stack[-1].awaits_key
        self._add(container if tag is None and not parent_takes_key else _refused(tag))
        self._stack.append(_Open(container))

    def _add(self, value: Any) -> None:
        self._values += 1
        if self._values > 2 * MAX_VALUES:
            raise _malformed(f"the YAML holds more than {MAX_VALUES} values; shorten its lists")
        if self._stack:
            self._stack[-1].add(value)
        else:
            self.root = value


class _Open:
    """A mapping or list whose end has not come yet."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._key: str | None = None
        self.awaits_key = isinstance(container, dict)

    def add(self, value: Any) -> None:
        if isinstance(self._container, list):
            self._container.append(value)
        elif self._key is None:
            self._key = _key_of(value)
            self.awaits_key = False
        else:
            if self._key in self._container:
                value = Unreadable(_given_twice(self._key))
            elif self._key == "<<":
                value = Unreadable("merge keys are not read; write the keys out")
            elif self._key.startswith(_BAD_KEY):
                value = Unreadable("this key is no word; write plain text as key")
            self._container[self._key] = value
            self._key, self.awaits_key = None, True


_BAD_KEY = "(not a word: "


def _key_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{_BAD_KEY}{'no plain value' if isinstance(value, Unreadable) else shown(value)})"


def _refused(tag: str | None) -> Unreadable:
    if tag is None:
        return Unreadable("a mapping or list cannot be a key; write plain text as key")
    return Unreadable(f"the tag {tag[:60]} is not read; remove it, plain values need none")


def _scalar(event: yaml.ScalarEvent) -> Any:  # noqa: PLR0911  # one line per kind of the core schema
    text: str = event.value
    if event.tag is not None:
        return _refused(event.tag)
    if not event.implicit[0]:  # quoted, or a block: text whatever it looks like
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _OTHER_INTEGER.fullmatch(text):
        return int(text, 0) if len(text) <= _MAX_DIGITS else Unreadable(f"{text[:40]}… is too large an integer")
    if _FLOAT.fullmatch(text):
        return _real(text)
    if _NOT_FINITE.fullmatch(text):
        return Unreadable(f"{text} is not a finite number; write a finite one")
    return text
