"""Bodies: read up to a limit, unpacked up to the same limit, and parsed as strict JSON."""

import zlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import anyio
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import MalformedRequest, Problem, TooLarge, UnsupportedMediaType

_MAX_DISCARDED_BYTES = 64 * 2**20
_DISCARD_SECONDS = 10.0
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LEASE_PREFIXES = ("/v1/leases/", "/v1/claims")
"""Routes that workers use: larger bodies, and gzip."""


class BodyReader:
    """Reads the body before the application does, so that no limit depends on a route that remembers it.

    Args:
        app: Gets the whole body as one message.
        max_bytes: Largest body.
        max_lease_bytes: Largest body on the lease routes, packed and unpacked.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_lease_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_lease_bytes = max_lease_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS_WITH_BODY:
            await self.app(scope, receive, send)
            return
        is_lease_route = scope["path"].startswith(LEASE_PREFIXES)
        limit = self.max_lease_bytes if is_lease_route else self.max_bytes
        headers = Headers(scope=scope)
        body = await _read(receive, headers, limit)
        match headers.get("content-encoding", "identity").strip().lower():
            case "identity":
                pass
            case "gzip" if is_lease_route:
                body = unpack(body, limit)
            case encoding:
                raise UnsupportedMediaType(
                    f"Content-Encoding '{encoding[:40]}' is not read here; send the body "
                    + ("plain or as gzip." if is_lease_route else "plain.")
                )
        is_passed_on = False

        async def receive_whole() -> Message:
            nonlocal is_passed_on
            if is_passed_on:
                return await receive()  # tells of the disconnect
            is_passed_on = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_whole, send)


async def _read(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The body as sent; refused as soon as it is known to be too large."""
    promised = headers.get("content-length", "")
    if promised.isdigit() and (len(promised) > 18 or int(promised) > limit):
        if "expect" not in headers:  # who asks before sending is told now
            await _discard(receive)
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequest("The connection ended before the body did.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            chunks.clear()
            if message.get("more_body", False):
                await _discard(receive)
            raise _too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _discard(receive: Receive) -> None:
    """Let the rest of a refused body come, within reason, and keep none of it.

    The connection is closed after the answer, and whoever still sends then sees it broken and never reads the answer.
    """
    with anyio.move_on_after(_DISCARD_SECONDS):
        size = 0
        while size <= _MAX_DISCARDED_BYTES:
            message = await receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                return


def unpack(packed: bytes, limit: int) -> bytes:
    """Unpack gzip, never to more than `limit` bytes."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise MalformedRequest(f"The body is not gzip, as Content-Encoding says: {error}.") from error
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedRequest("The gzip body is cut off, or something follows it.")
    return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes, the limit of this route; send less, or in parts.")


def read_json(body: bytes) -> Any:
    """JSON as RFC 8259 has it: no NaN, no lone surrogates, nesting and digits within bounds; and no NUL.

    Raises:
        MalformedRequest: Says where the text stops being JSON.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedRequest(f"The body is not JSON that can be read: {error}.") from error
    if b"\\u0000" in body and _has_nul(value):
        raise MalformedRequest("The body holds a NUL character (\\u0000); leave it out.")
    return value


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def media_type_of(request: Request) -> str:
    """The body's media type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class _StrictRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """A route that ignores nothing: no unknown name in the query, and a typed body must be JSON by every letter."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = sorted(_query_names(self.dependant))

        async def handle_strictly(request: Request) -> Response:
            _refuse_unknown_names(request, known)
            strict = _StrictRequest(request.scope, request.receive)
            has_body = self.body_field is not None and (self.body_field.field_info.is_required() or await strict.body())
            if has_body and media_type_of(request) != "application/json":
                raise UnsupportedMediaType("The body must be JSON; send it with Content-Type: application/json.")
            return await self.answer_at_once(strict) or await handle(strict)

        return handle_strictly

    async def answer_at_once(self, _request: Request) -> Response | None:
        """The answer, if the route knows a way past FastAPI; None if the request must go the long way."""
        return None


def _query_names(dependant: Dependant) -> set[str]:
    """Names that a handler and its dependencies take from the query."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_query_names, dependant.dependencies))


def _refuse_unknown_names(request: Request, known: Sequence[str]) -> None:
    """A misspelled filter that is ignored would answer another question than the one asked."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        listed = f"there are {', '.join(known)}" if known else "this route takes none"
        raise MalformedRequest(
            f"The query holds an unknown name: {unknown[0][:64]!r}; {listed}.",
            [Problem(f"query/{name[:64]}", f"unknown; {listed}") for name in unknown[:10]],
        )
