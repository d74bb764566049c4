"""Sessions of browsers: a signed cookie instead of the token, which a script on the page could read.

The cookie says when it ends and is signed with the shared token, so nothing is stored: it outlives the service, works
with every service process, and dies with the token.
"""

import hmac
from hashlib import sha256

from starlette.requests import cookie_parser

COOKIE = "gradsweep_session"
LIFETIME_SECONDS = 7 * 24 * 3600


def sign(token: bytes, ends_at: int) -> str:
    """The value of a cookie that ends at a moment, in seconds since 1970."""
    return f"{ends_at}.{_signature(token, ends_at)}"


def is_signed(token: bytes, header: str, now: float) -> bool:
    """Whether a Cookie header holds a session that was signed with this token and has not ended.

    Args:
        token: The shared secret.
        header: As the browser sent it; empty if it sent none.
        now: Seconds since 1970.
    """
    # not the standard library's parser, which drops every cookie behind one that it dislikes: ports share cookies
    written, _, signature = cookie_parser(header).get(COOKIE, "").partition(".")
    if not (written.isascii() and written.isdecimal() and len(written) <= 12):
        return False
    is_ours = hmac.compare_digest(signature.encode(), _signature(token, int(written)).encode())
    return is_ours and now < int(written)


def _signature(token: bytes, ends_at: int) -> str:
    return hmac.new(token, f"gradsweep session until {ends_at}".encode(), sha256).hexdigest()
