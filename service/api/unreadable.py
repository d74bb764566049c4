"""Bytes that are no HTTP request: uvicorn's parser refuses them before the application hears of them.

Its answer would be a bare line of text; here it is a problem like all others.
"""

import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.api.problems import SAFE_HEADERS, problem_response
from service.errors import MalformedRequest

_MAX_WORDS = 200


class ProblemProtocol(H11Protocol):
    """uvicorn's protocol with our words for what cannot be read: two Host headers, a head that is too long, noise."""

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, and hang up; where an answer is under way already, only hang up.

        Args:
            msg: uvicorn's words, if the parser had none.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            refused = str(sys.exc_info()[1] or msg)[:_MAX_WORDS].rstrip(".")
            answer = problem_response(MalformedRequest(f"This is no HTTP request that can be read: {refused}."))
            headers = [*answer.raw_headers, (b"connection", b"close")]
            headers += [(name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items()]
            events = (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(answer.body)),
            )
            for event in (*events, h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
