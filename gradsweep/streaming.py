"""Server-sent events, read so that none is lost: after a lost connection the reader comes back with Last-Event-ID."""

import json
import time
from collections.abc import Callable, Iterable, Iterator

import httpx

from service.wire.sweeps import EventView

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
_TRY_AGAIN = (502, 503, 504)
_TIMEOUT = httpx.Timeout(10.0, read=60.0)  # a silent stream sends a comment every 15 s


def read_events(
    http: httpx.Client,
    path: str,
    *,
    after: int,
    reconnect: bool,
    translate: Callable[[httpx.Response | httpx.TransportError], Exception],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[EventView]:
    """Yield the events after a number until the service says that there will be no more (204).

    Args:
        http: Whose connection, headers and token are used.
        path: Of the stream.
        after: Number of the last event that is known.
        reconnect: Come back after a lost connection, as long as it takes.
        translate: Makes the exception to raise from an answer that is an error, or from none.
        sleep: Waits so many seconds between two tries.
    """
    last, delay = after, FIRST_DELAY_SECONDS
    while True:
        failure: Exception | None = None
        try:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
            with http.stream("GET", path, headers=headers, timeout=_TIMEOUT) as response:
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                if response.is_error:
                    response.read()
                    failure = translate(response)
                    if response.status_code not in _TRY_AGAIN:
                        raise failure
                else:
                    for event in parse_events(response.iter_lines()):
                        yield event
                        last, delay = event.number, FIRST_DELAY_SECONDS
        except httpx.TransportError as error:
            failure = translate(error)
        if failure is not None:
            if not reconnect:
                raise failure
            sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)


def parse_events(lines: Iterable[str]) -> Iterator[EventView]:
    """Events of a stream's lines; comments are passed over, an event cut off in the middle is not an event.

    References:
        WHATWG HTML, section 9.2 Server-sent events.
    """
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield EventView.model_validate(json.loads("\n".join(data)))
            data = []
