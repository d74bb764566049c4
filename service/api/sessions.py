"""Logging in and out with the shared token; for browsers, which cannot send it with everything they load."""

import hmac
import time
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import Field
from starlette.requests import Request as HttpRequest

from service.api.bodies import StrictRoute
from service.api.context import ContextDep
from service.api.cookies import COOKIE, LIFETIME_SECONDS, is_signed, sign
from service.api.documenting import WITH_BODY, errors
from service.errors import Unauthorized
from service.wire.base import Request
from service.wire.health import SessionView

router = APIRouter(route_class=StrictRoute, tags=["service"])

SESSION_PATH = "/v1/session"


class LogIn(Request):
    """The shared token."""

    token: Annotated[str, Field(min_length=1, max_length=1000, examples=["a-secret-of-16-letters"])]


@router.get(SESSION_PATH, operation_id="get_session", summary="Whether one must log in, and has", responses=errors())
def look(context: ContextDep, request: HttpRequest) -> SessionView:
    """Needs no token, and tells nothing of the sweeps."""
    token = context.token
    is_open = token is None or is_signed(token.encode(), request.headers.get("cookie", ""), time.time())
    return SessionView(is_token_needed=token is not None, is_logged_in=is_open)


@router.post(
    SESSION_PATH,
    operation_id="log_in",
    summary="Log in with the token",
    status_code=204,
    responses=errors(*WITH_BODY),
)
def log_in(
    context: ContextDep,
    request: HttpRequest,
    given: LogIn,
    response: Response,
    origin: Annotated[str | None, Header(description="Browsers send it; it tells whether they speak TLS.")] = None,
) -> None:
    """The answer sets a cookie that no script can read, and that is sent with requests of this service's page alone."""
    if context.token is None:
        return  # there is nothing to log in to
    if not hmac.compare_digest(given.token.strip().encode(errors="replace"), context.token.encode()):
        raise Unauthorized("That is not the token: it is in the file that GRADSWEEP_TOKEN_FILE names.")
    response.set_cookie(
        COOKIE,
        sign(context.token.encode(), int(time.time()) + LIFETIME_SECONDS),
        max_age=LIFETIME_SECONDS,
        httponly=True,
        samesite="strict",
        secure=_speaks_tls(request, origin),
    )


@router.delete(SESSION_PATH, operation_id="log_out", summary="Log out", status_code=204, responses=errors())
def log_out(response: Response) -> None:
    """The browser forgets the cookie."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _speaks_tls(request: HttpRequest, origin: str | None) -> bool:
    """Behind a proxy the service sees plain HTTP, but the browser's Origin tells what the browser speaks."""
    return request.url.scheme == "https" or (origin or "").startswith("https://")
