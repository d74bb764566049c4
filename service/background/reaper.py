"""The reaper's rounds: every few seconds, take trials back from workers that have vanished."""

import logging
import threading
import time
from collections.abc import Callable

from service.operations.reaping import ReapResult

logger = logging.getLogger("gradsweep.reaper")


class ReaperThread:
    """Makes rounds in a thread of its own, whatever happens in one of them.

    Args:
        tick: One round; says what it did (`service.operations.reaping.Reaper.tick`).
        interval_seconds: Between the ends of one round and the beginning of the next.
        announce: Called after a round that changed something.
        clock: Tells seconds.
    """

    def __init__(
        self,
        tick: Callable[[], ReapResult],
        *,
        interval_seconds: float,
        announce: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tick = tick
        self._interval_seconds = interval_seconds
        self._announce = announce
        self._clock = clock
        self._last_good: float | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def silent_seconds(self) -> float | None:
        """Seconds since the last round that went well; None before the first."""
        return None if self._last_good is None else self._clock() - self._last_good

    def start(self) -> None:
        """Begin the rounds."""
        self._thread = threading.Thread(target=self._go_on, name="reaper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the rounds; a round that is under way is waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def round(self) -> None:
        """One round; whatever goes wrong is logged, and the next round comes."""
        try:
            result = self._tick()
        except Exception:  # a reaper that dies would let every later loss go unnoticed
            logger.exception("a round failed; the next one comes in %g s", self._interval_seconds)
            return
        self._last_good = self._clock()
        if result.n_expired:
            logger.warning("%d lease(s) expired, with %d trial(s)", result.n_expired, result.n_lost)
            self._announce()

    def _go_on(self) -> None:
        while not self._stopping.is_set():
            self.round()
            self._stopping.wait(self._interval_seconds)
