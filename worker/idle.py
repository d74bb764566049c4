"""How long slots stood idle, and why: slot-seconds by cause since the process began."""

import threading
from collections.abc import Callable

from service.wire.leases import IdleCause


class IdleSlots:
    """Adds up idle slots over time. It may be read from another thread.

    Args:
        n_slots: Slots of the worker.
        clock: Monotonic seconds.
    """

    def __init__(self, n_slots: int, clock: Callable[[], float]) -> None:
        self._n_slots = n_slots
        self._clock = clock
        self._seconds: dict[IdleCause, float] = {}
        self._cause: IdleCause = "starting"
        self._n_idle = n_slots
        self._since = clock()
        self._lock = threading.Lock()

    def note(self, cause: IdleCause, n_busy: int) -> None:
        """From now on so many slots train, and the others are idle for this cause."""
        with self._lock:
            self._settle()
            self._cause, self._n_idle = cause, max(0, self._n_slots - n_busy)

    def seconds(self) -> dict[str, float]:
        """Idle slot-seconds until now, by cause; causes without any are left out."""
        with self._lock:
            self._settle()
            return {cause: round(seconds, 3) for cause, seconds in self._seconds.items()}

    def _settle(self) -> None:
        now = self._clock()
        if self._n_idle and now > self._since:
            idle = self._n_idle * (now - self._since)
            self._seconds[self._cause] = self._seconds.get(self._cause, 0.0) + idle
        self._since = now
