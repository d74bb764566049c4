"""Order of a list, and the token that says where its next page begins.

Absent values come last, whichever way the rest is ordered. Every order ends with a field that no two rows share, so
that a page begins exactly after the last row of the one before, however many rows were added meanwhile.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.fields import Field, FieldList
from service.domain.filters import field_of
from service.errors import MalformedRequest, Problem

MAX_KEYS = 4
Position = tuple[str | int | float | bool | None, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field of an order."""

    name: str
    is_descending: bool


def parse_order(text: str | None, known: FieldList) -> tuple[SortKey, ...]:
    """Read `-val_accuracy,number`: names separated by commas, a minus for the largest first.

    Raises:
        MalformedRequest: A name is unknown, refused or given twice.
    """
    keys = []
    for part in (text or known.default_order).split(","):
        name = part.strip().removeprefix("-")
        field_of(name, known, "query/order_by")
        keys.append(SortKey(name, part.strip().startswith("-")))
    if len(keys) > MAX_KEYS or len({key.name for key in keys}) < len(keys):
        message = f"at most {MAX_KEYS} names, each once"
        raise MalformedRequest(f"The order cannot be used: {message}.", [Problem("query/order_by", message)])
    if known.tie_break not in {key.name for key in keys}:
        keys.append(SortKey(known.tie_break, keys[-1].is_descending))
    return tuple(keys)


def write_token(keys: Sequence[SortKey], filter_text: str | None, position: Position) -> str:
    """The token of the page after the row at `position`."""
    content = json.dumps([_fingerprint(keys, filter_text), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read_token(token: str, keys: Sequence[SortKey], filter_text: str | None, known: FieldList) -> Position:
    """The position in a token.

    Raises:
        MalformedRequest: The token is not ours, or belongs to another filter or order.
    """
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        raise _foreign_token("it is not one of ours") from None
    if not isinstance(content, list) or len(content) != len(keys) + 1:
        raise _foreign_token("it is not one of ours")
    if content[0] != _fingerprint(keys, filter_text):
        raise _foreign_token("it belongs to another filter or order; begin again without it")
    if not all(_fits(value, known.fields[key.name]) for key, value in zip(keys, content[1:], strict=True)):
        raise _foreign_token("it is not one of ours")
    return tuple(content[1:])


def _fits(value: object, field: Field) -> bool:
    match field.kind:
        case "integer" | "moment":
            return value is None or (type(value) is int and abs(value) < 2**63)
        case "number":
            is_finite = isinstance(value, float) and abs(value) < float("inf")
            return value is None or is_finite or (type(value) is int and abs(value) < 2**63)
        case "flag":
            return value is None or isinstance(value, bool)
        case _:
            return value is None or (isinstance(value, str) and value.isprintable())


def _fingerprint(keys: Sequence[SortKey], filter_text: str | None) -> str:
    content = json.dumps([[key.name, key.is_descending] for key in keys] + [filter_text or ""])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _foreign_token(reason: str) -> MalformedRequest:
    return MalformedRequest(f"The page_token cannot be used: {reason}.", [Problem("query/page_token", reason)])
