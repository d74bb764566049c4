"""Wakes event streams when something was written; any thread may announce, coroutines wait."""

import asyncio
import contextlib
import threading


class EventSignal:
    """A counter that can be waited for.

    It carries nothing: who wakes looks into the database. So an announcement too many costs a look, and one that is
    missed (another process wrote) costs the wait until the poll.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may announce while this thread holds it
        self._count = 0
        self._is_closing = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def count(self) -> int:
        """How often something new was announced."""
        return self._count

    @property
    def is_closing(self) -> bool:
        """Whether the service is shutting down: streams should end."""
        return self._is_closing

    def announce(self) -> None:
        """Say that something was written."""
        with self._lock:
            self._count += 1
            waiting = list(self._waiting)
        for loop, event in waiting:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Wake everyone for the last time."""
        self._is_closing = True
        self.announce()

    async def wait(self, seen: int, timeout_seconds: float) -> None:
        """Return when `count` is beyond `seen`, the service is closing, or the time is over."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._count > seen or self._is_closing:
                return
            self._waiting.add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiter[1].wait(), timeout_seconds)
        finally:
            with self._lock:
                self._waiting.discard(waiter)
