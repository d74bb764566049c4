"""Three screens for a sweep that is followed: live bars, plain lines, JSON lines."""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gradsweep.cli.following import Picture, Screen
from gradsweep.cli.output import print_json
from gradsweep.cli.pictures import draw_all
from gradsweep.cli.progress import best_line, progress_line, state_words
from gradsweep.cli.wording import duration
from service.wire.sweeps import SweepView

LINE_SECONDS = 5.0
"""Shortest time between two plain lines of progress, unless the sweep's state has changed."""
LINE_WIDTH = 100


class OpenScreen(Screen, Protocol):
    """A screen that is opened before the first picture and closed after the last."""

    def __enter__(self) -> Self:
        """Open it."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it; what was shown last stays."""


def make_screen(console: Console, *, as_json: bool) -> OpenScreen:
    """The screen that suits the output: JSON on request, bars on a terminal, else lines."""
    if as_json:
        return JsonScreen()
    return LiveScreen(console) if console.is_terminal else LineScreen(partial(print, flush=True))


class _Lines:
    """A screen that only writes on: nothing is opened, closed or taken back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def forget(self, sweep_id: str) -> None:
        """Nothing is left on a screen of lines."""


class ScreenPerSweep(_Lines):
    """Keeps a screen of lines for each of several sweeps."""

    def __init__(self, make: Callable[[], OpenScreen]) -> None:
        self.make = make
        self.screens: dict[str, OpenScreen] = {}

    def show(self, picture: Picture) -> None:
        """Show a sweep on its own screen."""
        self.screens.setdefault(picture.sweep.id, self.make()).show(picture)

    def lost(self, seconds: float) -> None:
        """Say once, for all sweeps, that the service is away."""
        for screen in list(self.screens.values())[:1]:
            screen.lost(seconds)

    def forget(self, sweep_id: str) -> None:
        """Let go of the sweep's screen."""
        self.screens.pop(sweep_id, None)


class LiveScreen:
    """Bars, the best so far, verdicts and rate of each sweep, and the workers, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pictures: dict[str, Picture] = {}
        self.live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.live.stop()

    def show(self, picture: Picture) -> None:
        """Redraw, with what was shown last of the other sweeps."""
        self.pictures[picture.sweep.id] = picture
        self.live.update(self._drawn(), refresh=True)

    def lost(self, seconds: float) -> None:
        """Say that the service is away, in place of the picture."""
        self.live.update(Group(self._drawn(), Text(_away(seconds), style="yellow")), refresh=True)

    def forget(self, sweep_id: str) -> None:
        """Take the sweep off the screen."""
        self.pictures.pop(sweep_id, None)

    def _drawn(self) -> RenderableType:
        return draw_all(list(self.pictures.values()), self.console.width, self.console.height)


class LineScreen(_Lines):
    """Short lines when something has changed, for logs and pipes: state, progress, a new best."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self.clock = clock
        self.state: str | None = None
        self.trials_done = 0
        self.best: str = ""
        self.next_at = 0.0
        self.is_lost = False

    def say(self, line: str) -> None:
        """Say a line, cut to a width that fits everywhere."""
        self._say(line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 1] + "…")

    def show(self, picture: Picture) -> None:
        """Say what has changed; progress not more often than every few seconds."""
        sweep = picture.sweep
        now, self.is_lost = self.clock(), False
        state = f"{sweep.name}: {state_words(sweep, picture.workers)}"
        best, trials_done = best_line(picture), sweep.progress.trials_done
        if state != self.state:
            self.say(state)
        if best and best != self.best:
            self.say(f"{sweep.name}: {best}")
        if trials_done != self.trials_done and (now >= self.next_at or state != self.state):
            self.say(f"{sweep.name}: {progress_line(sweep)}")
            self.trials_done, self.next_at = trials_done, now + LINE_SECONDS
        self.state, self.best = state, best

    def lost(self, seconds: float) -> None:
        """Say once that the service is away."""
        if not self.is_lost:
            self.say(_away(seconds))
        self.is_lost = True


class JsonScreen(_Lines):
    """The sweep as one line of JSON whenever it has changed."""

    def __init__(self) -> None:
        self.last: SweepView | None = None

    def show(self, picture: Picture) -> None:
        """Print the sweep, unless it is as it was."""
        if picture.sweep != self.last:
            print_json(picture.sweep, lines=True)
        self.last = picture.sweep

    def lost(self, seconds: float) -> None:
        """Keep stdout for JSON: the word goes to stderr."""
        typer.echo(_away(seconds), err=True)


def _away(seconds: float) -> str:
    return f"The service does not answer ({duration(seconds)}); trying again. The sweep is safe."
