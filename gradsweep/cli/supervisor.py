"""Keeps child processes alive: starts them in order, starts again what dies, ends them in reverse.

Children get a session of their own, so that Ctrl-C reaches the supervisor alone and it can end them in order.
Their standard input is a pipe that nothing is written to: it closes when the supervisor dies, however it dies,
and a child started with `--leave-with-stdin` then drains by itself. So no kill leaves an orphan behind.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gradsweep.cli.exits import CommandError, ExitCode

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often and how soon a dead child is started again.

    A child that lived for `forget_seconds` is forgiven its earlier deaths. The wait doubles with every death.
    """

    max_restarts: int = 5
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    forget_seconds: float = 60.0

    def wait_seconds(self, n_deaths: int) -> float | None:
        """Seconds before the next start after `n_deaths` in a row; None when it is not worth another try."""
        if n_deaths > self.max_restarts:
            return None
        return min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** (n_deaths - 1))


@dataclass(slots=True)
class Child:
    """One supervised process. `grace_seconds` is how long it may take to end after SIGTERM."""

    name: str
    command: Sequence[str]
    grace_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float | None = None
    n_deaths: int = 0

    def start(self, now: float) -> None:
        """Start the process; it inherits stdout and stderr."""
        self._close_pipe()
        self.process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            list(self.command),
            stdin=subprocess.PIPE,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        self.started_at, self.start_again_at = now, None

    def exit_code(self) -> int | None:
        """The exit code of a process that has ended, else None."""
        return None if self.process is None else self.process.poll()

    def end(self) -> None:
        """Ask the process to end, wait for its grace, then kill it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(self.grace_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.kill()

    def kill(self) -> None:
        """End the process now."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


class Supervisor:
    """Watches children until told to stop.

    Args:
        children: In the order of their start; they are ended in reverse.
        say: Takes a line for the user.
        policy: When to start a dead child again.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str], None],
        policy: RestartPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.children = list(children)
        self.say = say
        self.policy = policy or RestartPolicy()
        self.clock = clock

    def watch(self, stop: threading.Event) -> None:
        """Return when `stop` is set.

        Raises:
            CommandError: A child refused to start (exit code 2), or died too often.
        """
        while not stop.wait(POLL_SECONDS):
            for child in self.children:
                self.tend(child)

    def tend(self, child: Child) -> None:
        """Notice a child's death and start it again when its wait is over."""
        now = self.clock()
        if child.start_again_at is not None:
            if now >= child.start_again_at:
                child.start(now)
            return
        code = child.exit_code()
        if code is None:
            return
        if code == ExitCode.BAD_INPUT:
            raise CommandError(f"the {child.name} refused to start; its message is above", ExitCode.BAD_INPUT)
        child.n_deaths = 1 if now - child.started_at >= self.policy.forget_seconds else child.n_deaths + 1
        wait = self.policy.wait_seconds(child.n_deaths)
        if wait is None:
            message = f"the {child.name} died {child.n_deaths} times in a row ({_fate(code)}); see its messages above"
            raise CommandError(message, ExitCode.FAILED)
        self.say(f"the {child.name} ended ({_fate(code)}); starting it again in {wait:g} s")
        child.start_again_at = now + wait

    def end(self) -> None:
        """End all children, the last started first."""
        for child in reversed(self.children):
            child.end()

    def kill(self) -> None:
        """End all children now."""
        for child in reversed(self.children):
            child.kill()


def _fate(code: int) -> str:
    """An exit code in words: a negative one is the signal that ended the process."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
