"""Every error becomes RFC 9457 problem details here, and only here."""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Problem,
    ServiceError,
    Unavailable,
)
from service.wire.problems import ErrorEntry, ErrorView

logger = logging.getLogger("gradsweep.api")

MEDIA_TYPE = "application/problem+json"
MAX_PROBLEMS = 50
_SHOWN_CHARACTERS = 80
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 413: {"Connection": "close"}, 503: {"Retry-After": "2"}}
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_FULL = ("disk is full", "No space left on device")  # as SQLite and PostgreSQL say it


class ProblemShield:
    """Outermost but one: whatever goes wrong inside is answered as a problem; every answer gets safe headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_started = False

        async def send_safely(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_safely)
        except Exception as error:  # the last resort: logged with an id, told without a traceback
            if is_started:
                logger.exception("%s %s broke off in the middle of its answer", scope["method"], scope["path"])
                return
            await answer_problem(Request(scope), error)(scope, receive, send_safely)


async def handle_problem(request: Request, error: Exception) -> Response:
    """The one exception handler of the application."""
    return answer_problem(request, error)


def answer_problem(request: Request, error: Exception) -> Response:
    """The answer to an exception: a known one with its status and code, any other as an internal error."""
    known = translate(request, error)
    if known is None:
        error_id = secrets.token_hex(8)
        logger.error("internal error %s in %s %s", error_id, request.method, request.url.path, exc_info=error)
        detail = f"Something went wrong in the service; its log tells more under {error_id}."
        return problem_response(ServiceError(detail), error_id=error_id)
    if known.status >= 500:
        logger.warning("%s %s: %s", request.method, request.url.path, known.detail)
    headers = dict(getattr(error, "headers", None) or {})
    return problem_response(known, _HEADERS.get(known.status, {}) | headers)


def translate(request: Request, error: BaseException) -> ServiceError | None:
    """The service's own word for an exception, or None if nobody foresaw it."""
    match error:
        case ServiceError():
            return error
        case RequestValidationError():
            return _wrong_values(error)
        case HTTPException():
            return _from_starlette(request, error)
        case OperationalError() | InterfaceError() | PoolTimeout():
            return _unavailable(error)
        case DBAPIError() if error.connection_invalidated:
            return _unavailable(error)
        case _:
            return None


def _unavailable(error: Exception) -> Unavailable:
    """The database's complaint: in full in the log, in the answer without what it tells of the database."""
    complaint = str(getattr(error, "orig", error))
    logger.warning("the database: %s", complaint)
    if any(words in complaint for words in _FULL):
        return Unavailable("The database's disk is full, and nothing was written; make room, then try again.")
    return Unavailable("The database does not answer now; try again in a moment.")


def _from_starlette(request: Request, error: HTTPException) -> ServiceError:
    if error.__cause__ is not None:  # FastAPI wraps what reading the body raised
        known = translate(request, error.__cause__)
        if known is not None:
            return known
    if error.status_code == 404:
        return NotFound(f"There is no {shown(request.url.path)} here; /openapi.json lists every route.")
    if error.status_code == 405:
        return MethodNotAllowed(f"{request.method} is not possible on {shown(request.url.path)}.")
    return MalformedRequest(f"The request cannot be read: {error.detail}.")


def _wrong_values(error: RequestValidationError) -> ServiceError:
    found = error.errors()
    places = [entry["loc"] for entry in found]
    # pydantic calls a list too short when its entries are wrong: that is said already
    told = [entry for entry in found if entry["type"] != "too_short" or not _is_within(places, entry["loc"])]
    problems = [Problem(pointer_of(entry["loc"], error.body), _message(entry)) for entry in told[:MAX_PROBLEMS]]
    count = len(told)
    return InvalidRequest(f"{count} value{'s are' if count > 1 else ' is'} wrong; see errors.", problems)


def _is_within(places: Sequence[Sequence[str | int]], around: Sequence[str | int]) -> bool:
    return any(len(place) > len(around) and tuple(place[: len(around)]) == tuple(around) for place in places)


def _message(entry: Mapping[str, Any]) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ")
    return message if entry["type"] == "missing" else f"{message} (got {shown(entry.get('input'))})"


def pointer_of(location: Sequence[str | int], body: Any) -> str:
    """Where a wrong value is: `/entries/0/attempt` in the body, `query/page_size` and the like outside.

    Pydantic puts the names of a union's members into the location; those are no keys of the body, so they are
    left out.
    """
    part, *keys = location
    if part != "body":
        return "/".join(str(key) for key in location)
    pointer, value = "", body
    for position, key in enumerate(keys):
        inside = (isinstance(value, dict) and key in value) or (
            isinstance(value, list | tuple) and isinstance(key, int) and key < len(value)
        )
        if not inside and position < len(keys) - 1:
            continue
        pointer += "/" + str(key).replace("~", "~0").replace("/", "~1")
        value = value[key] if inside else None
    return pointer


def shown(value: Any) -> str:
    """A value as an error message may show it: short, and printable whatever it is."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, dict | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, str):
        value = value[: _SHOWN_CHARACTERS + 1]
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def problem_response(
    error: ServiceError, headers: Mapping[str, str] | None = None, *, error_id: str | None = None
) -> Response:
    """An error as RFC 9457 has it."""
    view = ErrorView(
        type=f"urn:gradsweep:error:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        errors=tuple(ErrorEntry(pointer=problem.pointer, message=problem.message) for problem in error.problems),
        error_id=error_id,
    )
    content = json.dumps(view.model_dump(exclude_none=True)).encode()
    return Response(content, status_code=error.status, headers=dict(headers or {}), media_type=MEDIA_TYPE)
