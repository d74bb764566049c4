"""Who may ask: the right host, no foreign page, the shared token."""

import hmac
import re
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.cookies import is_signed
from service.api.page import PAGE_PREFIX
from service.api.problems import shown
from service.errors import Forbidden, MalformedRequest, Unauthorized

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/livez", "/readyz", "/", "/v1/session"})
"""What may be asked without the token: health, the page, and logging in. They tell nothing of the sweeps."""


_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuses requests that come by a foreign name (DNS rebinding), from a foreign page, or without the token.

    Args:
        app: What is guarded.
        hosts: Names by which the service may be called, beside those of loopback.
        token: The shared secret, or None if none is needed.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str | None) -> None:
        self.app = app
        self.hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self.token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            self._refuse_unreadable(scope)
            self._refuse_foreign_host(headers)
            self._refuse_foreign_page(headers)
            is_open = scope["path"] in OPEN_PATHS or scope["path"].startswith(PAGE_PREFIX)
            if self.token is not None and not is_open:
                self._refuse_strangers(scope["method"], headers, self.token)
        await self.app(scope, receive, send)

    @staticmethod
    def _refuse_unreadable(scope: Scope) -> None:
        """NUL is in no name and no filter, and PostgreSQL stores no text that holds one."""
        if "\x00" in scope["path"] or b"%00" in scope["query_string"] or b"\x00" in scope["query_string"]:
            raise MalformedRequest("The address holds a NUL character; leave it out.")

    def _refuse_foreign_host(self, headers: Headers) -> None:
        given = headers.getlist("host")
        if len(given) != 1 or host_name(given[0]) not in self.hosts:
            raise Forbidden(
                f"The service is not called {shown(', '.join(given))}; if it should be, add the name to "
                "GRADSWEEP_ALLOWED_HOSTS."
            )

    @staticmethod
    def _refuse_foreign_page(headers: Headers) -> None:
        """Browsers send Origin with every unsafe request and with every request across origins."""
        for origin in headers.getlist("origin"):
            if not _is_same_origin(origin, headers["host"]):
                raise Forbidden(f"Pages of {shown(origin)} may not call this service.")

    @staticmethod
    def _refuse_strangers(method: str, headers: Headers, token: bytes) -> None:
        """The token, or a session that a browser began with it."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token):
            return
        if not is_signed(token, headers.get("cookie", ""), time.time()):
            raise Unauthorized("Send the shared token as 'Authorization: Bearer TOKEN', or log in at POST /v1/session.")
        if method not in _SAFE_METHODS and "origin" not in headers:
            raise Forbidden("A change by cookie needs an Origin header, which browsers send; programs send the token.")


_AUTHORITY = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]{1,5})?", re.IGNORECASE)


def host_name(authority: str) -> str | None:
    """The name in a Host header, without port and brackets, in lower case; None if it is none."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else (match["address"] or match["name"]).lower()


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
