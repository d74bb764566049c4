"""Lease renewal from a thread of its own, so that a long epoch loses no lease, and a hung one does.

The loop says in a `Pulse` what it is doing; the thread sends it, keeps what the service answers as `News` for the
loop to read at the epoch's end, and ends the process if training makes no progress or a drain takes too long.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from service.wire.leases import HeartbeatAnswer, HeartbeatRequest, Phase
from worker.errors import LeaseEnded, RequestRefused, ServiceAway
from worker.idle import IdleSlots

EXIT_DRAINED = 0
EXIT_STALLED = 70

Fence = tuple[str, int]
"""(trial_id, attempt): what every word about a trial carries."""


class Pulse:
    """What the loop is doing. Values are replaced whole, never changed in place: the thread reads them any time.

    `steps` may be called from the thread. `compiling_from` is its value when a program was last put to work: it is
    compiling until it has made a step. `is_yielding`: empty slots are kept empty for another signature.

    Args:
        idle: Told of every change of phase and trials held.
    """

    def __init__(
        self,
        *,
        phase: Phase = "starting",
        lease_id: str | None = None,
        held: frozenset[Fence] = frozenset(),
        idle: IdleSlots | None = None,
    ) -> None:
        self.lease_id = lease_id
        self.interval_seconds = 15.0
        self.steps: Callable[[], int] = int
        self.compiling_from: int | None = None
        self.drain_until: float | None = None
        self.idle = idle
        self._phase: Phase = phase
        self._held = held
        self._is_yielding = False

    @property
    def phase(self) -> Phase:
        """What goes on."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._phase = phase
        self._note_idle()

    @property
    def held(self) -> frozenset[Fence]:
        """The trials in the bank."""
        return self._held

    @held.setter
    def held(self, held: frozenset[Fence]) -> None:
        self._held = held
        self._note_idle()

    @property
    def is_yielding(self) -> bool:
        """Whether the bank is refilled no more, because another signature waits."""
        return self._is_yielding

    @is_yielding.setter
    def is_yielding(self, is_yielding: bool) -> None:
        self._is_yielding = is_yielding
        self._note_idle()

    def _note_idle(self) -> None:
        if self.idle is None:
            return
        if self._phase == "training":
            self.idle.note("yielding" if self._is_yielding else "no_work", len(self._held))
        elif self._phase == "idle":
            self.idle.note("service_away" if self._held else "no_work", 0)
        else:
            self.idle.note(self._phase, 0)


@dataclass(frozen=True, slots=True)
class News:
    """What the service said about the trials held."""

    gone: frozenset[Fence] = frozenset()
    stop: frozenset[str] = frozenset()
    lost_lease: str | None = None


@dataclass(slots=True)
class _Progress:
    """When the worker was last seen to get on."""

    seen: tuple[Phase, int] = ("starting", 0)
    at: float = field(default=0.0)


class Heartbeat:
    """Renews the lease that the pulse names.

    Args:
        send: Sends one heartbeat for a lease.
        pulse: Written by the loop.
        clock: Monotonic seconds.
        exit_process: Ends the process at once with a code; a trainer that hangs cannot be joined.
        give_back: Hands the lease back when a drain takes too long.
        stall_timeout_seconds: Without a step for so long, training has hung.
    """

    def __init__(
        self,
        *,
        send: Callable[[str, HeartbeatRequest], HeartbeatAnswer],
        pulse: Pulse,
        clock: Callable[[], float],
        exit_process: Callable[[int], None],
        give_back: Callable[[], None],
        stall_timeout_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._send = send
        self._pulse = pulse
        self._clock = clock
        self._exit_process = exit_process
        self._give_back = give_back
        self._stall_timeout = stall_timeout_seconds
        self._log = log
        self._progress = _Progress(at=clock())
        self._lock = threading.Lock()  # guards _news
        self._renewing = threading.Lock()  # held while a heartbeat is under way
        self._news = News()
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; returns when it has ended."""
        self._closed.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Let the thread look at the pulse now."""
        self._wake.set()

    def take_news(self) -> News:
        """What the service has said since the last call."""
        with self._lock:
            news, self._news = self._news, News()
        return news

    def renew(self) -> None:
        """Send one heartbeat, if there is a lease to renew.

        Raises:
            ServiceAway: No answer; the lease stays until the service says otherwise.
            RequestRefused: The service refuses this worker. (A lease it does not know is news, not an error.)
        """
        with self._renewing:
            lease_id, sent = self._pulse.lease_id, self._pulse.held
            if lease_id is None:
                return
            request = HeartbeatRequest(
                steps_done=self._pulse.steps(),
                phase=self._phase(),
                slots_filled=len(sent),
                idle_slot_seconds={} if self._pulse.idle is None else self._pulse.idle.seconds(),
            )
            try:
                answer = self._send(lease_id, request)
            except LeaseEnded:
                self._add(News(gone=sent, lost_lease=lease_id))
                return
            # Only a trial that was held when the heartbeat left can be missing: later ones are in no answer yet.
            gone = frozenset(fence for fence in sent if fence[0] not in answer.held)
            self._add(News(gone=gone, stop=frozenset(answer.stop)))

    def cease(self) -> None:
        """Renew the lease no more; returns when a heartbeat that is under way has had its answer.

        So no heartbeat comes after the release, for a lease that has ended.
        """
        with self._renewing:
            self._pulse.lease_id = None

    def beat(self) -> None:
        """One round of the thread: end a hung process or a long drain, else renew the lease."""
        if self._has_stalled():
            self._log.critical(
                "no training step for %.0f seconds (stall_timeout_seconds): giving up; the lease will expire and "
                "the trials run elsewhere",
                self._stall_timeout,
            )
            self._exit_process(EXIT_STALLED)
            return
        if self._pulse.drain_until is not None and self._clock() >= self._pulse.drain_until:
            self._log.warning("the epoch has not ended within drain_timeout_seconds: handing the trials back now")
            self._hand_back()
            self._exit_process(EXIT_DRAINED)
            return
        try:
            self.renew()
        except (ServiceAway, RequestRefused) as error:
            self._log.debug("heartbeat: %s", error)  # the loop meets the same and says so once

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(self._seconds_to_next_beat())
            self._wake.clear()
            if self._closed.is_set():
                return
            try:
                self.beat()
            except Exception:  # noqa: BLE001 - a slip here must not cost the lease
                self._log.exception("heartbeat failed")

    def _hand_back(self) -> None:
        try:
            self._give_back()
        except (ServiceAway, RequestRefused) as error:
            self._log.warning("not handed back, the lease will expire: %s", error)

    def _seconds_to_next_beat(self) -> float:
        until = self._pulse.drain_until
        interval = self._pulse.interval_seconds
        return interval if until is None else max(0.0, min(interval, until - self._clock()))

    def _phase(self) -> Phase:
        """The pulse's phase; training has begun once the program has made a step."""
        return "training" if self._pulse.phase == "compiling" and self._has_begun() else self._pulse.phase

    def _has_begun(self) -> bool:
        """Whether the program that was last put to work has made a step."""
        pulse = self._pulse
        return pulse.compiling_from is not None and pulse.steps() > pulse.compiling_from

    def _has_stalled(self) -> bool:
        now = self._clock()
        seen = (self._phase(), self._pulse.steps())
        makes_steps = seen[0] == "training" or (seen[0] == "recording" and self._has_begun())
        if seen != self._progress.seen or not makes_steps:
            self._progress = _Progress(seen, now)
        return now - self._progress.at >= self._stall_timeout

    def _add(self, news: News) -> None:
        with self._lock:
            self._news = News(
                gone=self._news.gone | news.gone,
                stop=self._news.stop | news.stop,
                lost_lease=news.lost_lease or self._news.lost_lease,
            )
