"""Follows a sweep to its end: one picture after each piece of news, through restarts of the service.

A long poll for events tells that there is news; the picture itself is always read afresh, so that nothing has to be
added up here. It asks for what came after the picture's own last event: nothing can slip in between.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gradsweep.cli.exits import ExitCode
from gradsweep.client import ApiError, Client, Unreachable
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView

QUIET_SECONDS = 2.0
"""Longest wait for news before the picture is refreshed anyway: rate and workers change without an event."""
SETTLE_SECONDS = 0.5
"""Shortest time between two pictures: a busy sweep has hundreds of events a second."""
RECONNECT_SECONDS = 1.0
SERVER_ERROR = 500
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is shown of a sweep at one moment."""

    sweep: SweepView
    best: TrialView | None
    workers: tuple[WorkerView, ...]
    history: tuple[tuple[int, float], ...] = ()
    """How the best value rose or fell, by the number of the trial; the last step repeats it at the newest trial."""


class Screen(Protocol):
    """Where pictures go."""

    def show(self, picture: Picture) -> None:
        """Show the sweep as it is now."""

    def lost(self, seconds: float) -> None:
        """Say that the service has not answered for so long."""

    def forget(self, sweep_id: str) -> None:
        """Show the sweep no longer: it was deleted."""


class Follower:
    """Follows one sweep.

    Args:
        client: Of the service.
        sweep_id: Which sweep.
        screen: Where pictures go.
        give_up_seconds: How long the service may be away.
        clock: Seconds, monotonic.
        rest: Waits so many seconds.
    """

    def __init__(
        self,
        client: Client,
        sweep_id: str,
        screen: Screen,
        *,
        give_up_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self.client = client
        self.sweep_id = sweep_id
        self.screen = screen
        self.give_up_seconds = give_up_seconds
        self.clock = clock
        self.rest = rest
        self.best: TrialView | None = None
        self.history: tuple[tuple[int, float], ...] = ()

    def follow(self) -> SweepView:
        """Show pictures until the sweep has ended, or has paused itself because too much failed.

        Raises:
            Unreachable: The service was away for longer than `give_up_seconds`.
        """
        last_answer = self.clock()
        while True:
            try:
                picture = self.take_picture()
                last_answer = self.clock()
                self.screen.show(picture)
                if outcome(picture.sweep) is not None:
                    return picture.sweep
                self.rest(SETTLE_SECONDS)
                after = picture.sweep.last_event
                self.client.events_after(self.sweep_id, after, wait_seconds=QUIET_SECONDS)
            except (Unreachable, ApiError) as error:
                away = self.clock() - last_answer
                if away >= self.give_up_seconds or not _may_pass(error):
                    raise
                self.screen.lost(away)
                self.rest(RECONNECT_SECONDS)

    def take_picture(self, workers: tuple[WorkerView, ...] | None = None) -> Picture:
        """Read the sweep, its best trial, and the workers unless they are given."""
        sweep = self.client.sweep(self.sweep_id)
        if sweep.best is None:
            self.best, self.history = None, ()
        elif self.best is None or self.best.id != sweep.best.trial_id:
            best = self.client.trial(sweep.best.trial_id)
            self.history = best_history(self.client.sweep_figure(self.sweep_id, "history"))
            self.best = best  # last: if the figure was not to be had, both are asked for again
        return Picture(sweep, self.best, living(self.client) if workers is None else workers, self.history)


def living(client: Client) -> tuple[WorkerView, ...]:
    """The workers that are heard of."""
    return tuple(worker for worker in client.workers() if worker.is_alive)


def follow_all(followers: Sequence[Follower]) -> list[SweepView | None]:
    """Show pictures of several sweeps, which share a screen, until the last of them has ended.

    Returns:
        The last view of each; None for one that was deleted meanwhile.

    Raises:
        Unreachable: The service was away for longer than the followers' `give_up_seconds`.
    """
    first = followers[0]
    ended: dict[str, SweepView | None] = {}
    last_answer = first.clock()
    while True:
        try:
            workers = living(first.client)
            for follower in followers:
                if follower.sweep_id not in ended:
                    _show_once(follower, workers, ended)
            last_answer = first.clock()
            if len(ended) == len(followers):
                return [ended[follower.sweep_id] for follower in followers]
            first.rest(QUIET_SECONDS / 2)
        except (Unreachable, ApiError) as error:
            away = first.clock() - last_answer
            if away >= first.give_up_seconds or not _may_pass(error):
                raise
            first.screen.lost(away)
            first.rest(RECONNECT_SECONDS)


def _show_once(follower: Follower, workers: tuple[WorkerView, ...], ended: dict[str, SweepView | None]) -> None:
    """Show a sweep as it is now, and note it if it has ended or is gone."""
    try:
        picture = follower.take_picture(workers)
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        ended[follower.sweep_id] = None
        follower.screen.forget(follower.sweep_id)
        return
    follower.screen.show(picture)
    if outcome(picture.sweep) is not None:
        ended[follower.sweep_id] = picture.sweep


def best_history(figure: Mapping[str, Any]) -> tuple[tuple[int, float], ...]:
    """The steps of the best value, read from the figure of the history."""
    for trace in figure["data"]:
        if trace.get("name") == "best so far":
            return tuple(zip(trace["x"], trace["y"], strict=True))
    return ()


def outcome(sweep: SweepView) -> ExitCode | None:
    """The exit code that a sweep's state means to whoever waits for it; None while it can go on by itself."""
    if sweep.state == "completed":
        return ExitCode.OK
    if sweep.state == "cancelled":
        return ExitCode.CANCELLED
    if sweep.state == "paused" and sweep.state_reason == "failure_limit":
        return ExitCode.PAUSED_BY_FAILURE
    return None


def _may_pass(error: Unreachable | ApiError) -> bool:
    """Whether waiting can help: the service is away or not well, rather than refusing."""
    return isinstance(error, Unreachable) or error.status >= SERVER_ERROR
