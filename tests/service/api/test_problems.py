"""Exceptions as problem details."""

import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service import errors
from service.api.problems import pointer_of, shown, translate


def every_error(kind=errors.ServiceError):
    return [kind, *(below for child in kind.__subclasses__() for below in every_error(child))]


def request():
    return Request({"type": "http", "method": "GET", "path": "/v1/nothing", "headers": [], "query_string": b""})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Conflict("busy"), "conflict"),
        (OperationalError("SELECT 1", {}, Exception("server closed the connection")), "unavailable"),
        (InterfaceError("SELECT 1", {}, Exception("connection is closed")), "unavailable"),
        (DBAPIError("SELECT 1", {}, Exception("gone"), connection_invalidated=True), "unavailable"),
        (PoolTimeout("QueuePool limit"), "unavailable"),
        (HTTPException(404), "not_found"),
        (HTTPException(405), "method_not_allowed"),
        (HTTPException(400), "malformed_request"),
        (RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}]), "invalid_request"),
    ],
)
def test_known_errors_have_a_code(error, code):
    assert translate(request(), error).code == code


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        KeyError("a bug"),
        IntegrityError("INSERT", {}, Exception("UNIQUE")),
        DBAPIError("SELECT", {}, Exception("a bug")),
    ],
)
def test_bugs_have_none(error):
    assert translate(request(), error) is None


def test_codes_are_unique():
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("kind", every_error())
def test_every_error_is_drawn_in_the_tree(kind):
    assert f"{kind.__name__} " in errors.__doc__
    assert f"{kind.status}  {kind.code}" in errors.__doc__


@pytest.mark.parametrize(
    ("location", "body", "pointer"),
    [
        (("query", "page_size"), None, "query/page_size"),
        (("path", "sweep"), None, "path/sweep"),
        (("body",), None, ""),
        (("body", "entries", 0, "attempt"), {"entries": [{"attempt": -1}]}, "/entries/0/attempt"),
        (("body", "entries", 0, "missing"), {"entries": [{}]}, "/entries/0/missing"),
        (("body", "final", "completed", "best_epoch"), {"final": {"best_epoch": 0}}, "/final/best_epoch"),
        (("body", "a/b", "c~d"), {"a/b": {"c~d": 1}}, "/a~1b/c~0d"),
    ],
)
def test_pointers_lead_into_the_request(location, body, pointer):
    assert pointer_of(location, body) == pointer


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (None, "null"),
        ("ä\n", '"\\u00e4\\n"'),
        ({"a": 1}, "dict of 1"),
        ([1, 2], "list of 2"),
        (b"xyz", "\"b'xyz'\""),
        pytest.param(10**5000, "an integer of 16610 bits", id="huge"),
    ],
)
def test_shows_any_value(value, text):
    assert shown(value) == text


def test_shows_no_more_than_a_line():
    assert len(shown("x" * 10_000)) <= 81
