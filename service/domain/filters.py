"""The filter language: parsed here into a tree, never pasted into SQL.

    filter     = any ;
    any        = all { "OR" all } ;
    all        = one { "AND" one } ;
    one        = "NOT" one | "(" any ")" | name test ;
    test       = ("=" | "!=" | "<" | "<=" | ">" | ">=") value | "IN" "(" value { "," value } ")"
               | "IS" [ "NOT" ] "NULL" ;
    value      = number | word | quoted text ;

Example: `state = completed AND params.learning_rate < 0.01 AND NOT params.optimizer IN (sgd, adagrad)`.

A value can be absent: a trial that waits has no val_loss, Adam has no momentum. A test of an absent value is neither
true nor false, `!=` included, and NOT leaves it so; such rows are left out. `IS NULL` asks for them.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from service.domain.fields import Field, FieldList
from service.errors import MalformedRequest, Problem

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | int | float | bool

MAX_CHARACTERS = 2_000
MAX_TESTS = 100
MAX_DEPTH = 20
_LARGEST = 2**63 - 1
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "IS", "NULL"})
_TOKEN = re.compile(
    r"\s*(?:(?P<symbol><=|>=|!=|[=<>(),])"
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))"
    r"|(?P<word>[A-Za-z_][\w.\-]*)"
    r'|"(?P<double>[^"]*)"'
    r"|'(?P<single>[^']*)')"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value."""

    name: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """A field that has one of some values."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """A field that has no value."""

    name: str


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition; of an unknown it is unknown."""

    of: "Condition"


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, or at least one, must hold."""

    kind: Literal["all", "any"]
    parts: tuple["Condition", ...]


Condition = Comparison | Membership | Absence | Negation | Group


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["symbol", "number", "word", "text", "end"]
    text: str
    position: int


def parse_filter(text: str, known: FieldList) -> Condition:
    """Read a filter.

    Raises:
        MalformedRequest: Says at which character, and which names or values there are.
    """
    if len(text) > MAX_CHARACTERS:
        raise _error(f"a filter has at most {MAX_CHARACTERS} characters, this one has {len(text)}")
    return _Parser(_tokens(text), known).parse()


def _error(message: str) -> MalformedRequest:
    return MalformedRequest(f"The filter cannot be read: {message}.", [Problem("query/filter", message)])


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _error(
                f"at character {position + 1}: {text[position : position + 20]!r} is no name, value or operator"
            )
        kind = str(match.lastgroup)
        tokens.append(
            _Token("text" if kind in ("double", "single") else kind, match[kind], match.start(kind))  # type: ignore[arg-type]
        )
        position = match.end()
    return [*tokens, _Token("end", "the end", len(text))]


class _Parser:
    """Recursive descent over the tokens; depth and number of tests are bounded."""

    def __init__(self, tokens: Sequence[_Token], known: FieldList) -> None:
        self.tokens = tokens
        self.known = known
        self.next = 0
        self.n_tests = 0

    def parse(self) -> Condition:
        condition = self._any(0)
        if self._peek().kind != "end":
            raise self._expected("AND, OR or the end")
        return condition

    def _any(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        while self._take_keyword("OR"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Group("any", tuple(parts))

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._take_keyword("AND"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Group("all", tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth >= MAX_DEPTH:
            raise _error(f"at character {self._peek().position + 1}: more than {MAX_DEPTH} levels deep")
        if self._take_keyword("NOT"):
            return Negation(self._one(depth + 1))
        if self._take_symbol("("):
            condition = self._any(depth + 1)
            if not self._take_symbol(")"):
                raise self._expected("a closing parenthesis")
            return condition
        return self._test()

    def _test(self) -> Condition:
        self.n_tests += 1
        if self.n_tests > MAX_TESTS:
            raise _error(f"more than {MAX_TESTS} tests")
        token = self._take()
        if token.kind != "word" or token.text.upper() in _KEYWORDS:
            raise self._expected("a name", token)
        field = field_of(token.text, self.known, "query/filter")
        if self._take_keyword("IS"):
            is_negated = self._take_keyword("NOT")
            if not self._take_keyword("NULL"):
                raise self._expected("NULL")
            return Negation(Absence(token.text)) if is_negated else Absence(token.text)
        if self._take_keyword("IN"):
            return Membership(token.text, self._values(token.text, field))
        return self._comparison(token.text, field)

    def _comparison(self, name: str, field: Field) -> Condition:
        token = self._take()
        if token.kind != "symbol" or token.text in "(),":
            raise self._expected("an operator (= != < <= > >= IN IS)", token)
        if token.text not in ("=", "!=") and field.kind in ("choice", "flag", "units"):
            raise _error(f"at character {token.position + 1}: {name} has no order; use =, != or IN")
        return Comparison(name, token.text, self._value(name, field))  # type: ignore[arg-type]

    def _values(self, name: str, field: Field) -> tuple[Value, ...]:
        if not self._take_symbol("("):
            raise self._expected("an opening parenthesis")
        values = [self._value(name, field)]
        while self._take_symbol(","):
            values.append(self._value(name, field))
        if not self._take_symbol(")"):
            raise self._expected("a comma or a closing parenthesis")
        if len(values) > MAX_TESTS:
            raise _error(f"more than {MAX_TESTS} values for {name}")
        return tuple(values)

    def _value(self, name: str, field: Field) -> Value:
        token = self._take()
        if token.kind in ("symbol", "end") or (token.kind == "word" and token.text.upper() in _KEYWORDS):
            raise self._expected("a value (ask for absent ones with IS NULL)", token)
        try:
            return read_value(token.text, field)
        except ValueError as error:
            raise _error(f"at character {token.position + 1}: {name} {error}") from error

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token

    def _take_keyword(self, keyword: str) -> bool:
        token = self._peek()
        return token.kind == "word" and token.text.upper() == keyword and bool(self._take())

    def _take_symbol(self, symbol: str) -> bool:
        token = self._peek()
        return token.kind == "symbol" and token.text == symbol and bool(self._take())

    def _expected(self, what: str, found: _Token | None = None) -> MalformedRequest:
        token = found or self._peek()
        return _error(f"at character {token.position + 1}: expected {what}, found {token.text[:40]!r}")


def field_of(name: str, known: FieldList, pointer: str) -> Field:
    """The field of that name.

    Raises:
        MalformedRequest: There is no such field, or it may not be used; says why, or lists all.
    """
    if name in known.refused:
        message = f"'{name}' cannot be used here: {known.refused[name]}"
        raise MalformedRequest(f"{message}.", [Problem(pointer, message)])
    if name not in known.fields:
        message = f"there is no '{name[:64]}'; there are {known.names()}"
        raise MalformedRequest(f"Unknown name: {message}.", [Problem(pointer, message)])
    return known.fields[name]


def read_value(text: str, field: Field) -> Value:
    """A value of the field's kind.

    Raises:
        ValueError: Says what the field wants instead, to follow the field's name.
    """
    match field.kind:
        case "integer":
            return _integer(text)
        case "number":
            return _number(text)
        case "moment":
            return _moment(text)
        case "flag" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "flag":
            raise ValueError(f"is true or false, not {text[:40]!r}")
        case "choice" if text not in field.choices:
            raise ValueError(f"is one of {', '.join(field.choices)}; not {text[:40]!r}")
        case "units":
            return text.strip("[]").replace(" ", "")
        case _:
            return text


def _integer(text: str) -> int:
    if not re.fullmatch(r"[-+]?[0-9]{1,19}", text) or abs(int(text)) > _LARGEST:
        raise ValueError(f"is a whole number below 2^63, not {text[:40]!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"is a number, not {text[:40]!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"is a finite number, not {text[:40]!r}")
    return number


def _moment(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 moment; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f'is a moment such as "2026-01-31T12:00:00Z" in quotes, not {text[:40]!r}') from None
