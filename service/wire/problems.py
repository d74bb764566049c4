"""Errors as the REST API shows them (docs/api.md)."""

from typing import Annotated

from pydantic import Field

from service.wire.base import Answer


class ErrorEntry(Answer):
    """One thing that is wrong: a JSON pointer into the request (`/body/…`, `/query/…`) and what to do about it."""

    pointer: str
    message: str


class ErrorView(Answer):
    """Every error, as RFC 9457 problem details (`application/problem+json`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[ErrorEntry, ...] = ()
    error_id: Annotated[str | None, Field(description="Of an internal error: find it in the service's log.")] = None
