"""Three screens for a sweep that is followed: live bars, plain lines, JSON lines."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradsweep.cli.following import Picture, Screen
from gradsweep.cli.output import print_json
from gradsweep.cli.wording import SECONDS_PER_HOUR, duration, number, parameter, searched_names, sweep_state
from service.wire.health import WorkerView
from service.wire.sweeps import SweepView

BAR_WIDTH = 40
LINE_SECONDS = 5.0
"""Shortest time between two plain lines of progress, unless the sweep's state has changed."""
LINE_WIDTH = 100
WAITING = {
    "no_worker": "waiting for a worker: that of gradsweep up takes seconds to load; else gradsweep worker starts one",
    "dataset": "no worker has datasets/{dataset}.npz in its data folder",
    "compiling": "compiling",
}
STARTING = ("starting", "loading")
BLOCKS = " ▁▂▃▄▅▆▇█"
VERDICT_MARKS = {
    "stable": ("█", "green"),
    "unsteady": ("▓", "yellow"),
    "vanishing": ("v", "blue"),
    "exploding": ("^", "red"),
    "dead": ("-", "bright_black"),
    "nonfinite": ("x", "magenta"),
}
STATE_STYLES = {
    "running": "cyan",
    "waiting": "dim",
    "completed": "green",
    "pruned": "yellow",
    "failed": "red",
    "cancelled": "magenta",
}


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


class ScreenPerSweep:
    """Keeps a screen of lines for each of several sweeps."""

    def __init__(self, make: Callable[[], OpenScreen]) -> None:
        self.make = make
        self.screens: dict[str, OpenScreen] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show(self, picture: Picture) -> None:
        """Show a sweep on its own screen."""
        self.screens.setdefault(picture.sweep.id, self.make()).show(picture)

    def lost(self, seconds: float) -> None:
        """Say once, for all sweeps, that the service is away."""
        for screen in list(self.screens.values())[:1]:
            screen.lost(seconds)


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
        self.live.update(draw_all(list(self.pictures.values()), self.console.width), refresh=True)

    def lost(self, seconds: float) -> None:
        """Say that the service is away, in place of the picture."""
        shown = draw_all(list(self.pictures.values()), self.console.width)
        self.live.update(Group(shown, Text(_away(seconds), style="yellow")), refresh=True)


class LineScreen:
    """Short lines when something has changed, for logs and pipes: state, progress, a new best."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self.clock = clock
        self.state: str | None = None
        self.trials_done = 0
        self.best: str = ""
        self.next_at = 0.0
        self.is_lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

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


class JsonScreen:
    """The sweep as one line of JSON whenever it has changed."""

    def __init__(self) -> None:
        self.last: SweepView | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show(self, picture: Picture) -> None:
        """Print the sweep, unless it is as it was."""
        if picture.sweep != self.last:
            print_json(picture.sweep, lines=True)
        self.last = picture.sweep

    def lost(self, seconds: float) -> None:
        """Keep stdout for JSON: the word goes to stderr."""
        typer.echo(_away(seconds), err=True)


def draw_all(pictures: Sequence[Picture], width: int) -> RenderableType:
    """Every sweep, one below the other, and the workers, which they share."""
    parts: list[RenderableType] = []
    for picture in pictures:
        parts += [draw(picture, width), Text("")]
    if pictures:
        parts += [_line(worker_line(worker), style="dim") for worker in pictures[-1].workers]
    return Group(*parts)


def draw(picture: Picture, width: int) -> RenderableType:
    """The picture of one sweep, for a terminal of so many columns."""
    sweep = picture.sweep
    progress = sweep.progress
    bar_width = max(8, min(BAR_WIDTH, width - 24))
    bars = Table.grid(padding=(0, 1))
    bars.add_row("trials", *_bar(progress.trials_done, progress.trials_total, bar_width))
    bars.add_row("epochs", *_bar(progress.epochs_done, progress.epochs_total, bar_width))
    newest = picture.history[-1][0] + 1 if picture.history else 0
    if steps := sparkline(picture.history, max(progress.trials_done, newest), bar_width):
        bars.add_row("best", Text(steps, style="green"), number(picture.history[-1][1]))
    if any(shares := sweep.verdicts.model_dump().values()):
        bars.add_row("gradients", shares_bar(sweep, bar_width), f"{sum(shares)} judged")
    counts = Text()
    for state, count in sweep.counts.model_dump().items():
        if count:
            counts.append(f"{state} {count}   ", style=STATE_STYLES[state])
    lines: list[RenderableType] = [Text.assemble((sweep.name, "bold"), f"  {state_words(sweep, picture.workers)}")]
    lines += [bars, counts]
    if words := verdicts_line(sweep):
        lines.append(Text(words, style="dim"))
    if words := rate_line(sweep):
        lines.append(Text(words))
    if picture.best is not None:
        lines.append(Text(best_line(picture), style="bold green"))
    return Group(*lines)


def _line(text: str, style: str) -> Text:
    """Text that is cut where the terminal ends: what wraps would make the picture jump."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def sparkline(history: Sequence[tuple[int, float]], n_trials: int, width: int) -> str:
    """How the best value rose or fell over the trials, a block of eight heights per column."""
    if not history:
        return ""
    low, high = min(value for _, value in history), max(value for _, value in history)
    blocks = []
    for column in range(width):
        end = (column + 1) * n_trials / width
        known = [value for number, value in history if number < end]
        height = (
            0 if not known else round(1 + (len(BLOCKS) - 2) * ((known[-1] - low) / (high - low) if high > low else 1))
        )
        blocks.append(BLOCKS[height])
    return "".join(blocks)


def shares_bar(sweep: SweepView, width: int) -> Text:
    """The share of each verdict as a stretch of its own letters and color."""
    counts = sweep.verdicts.model_dump()
    total, done, bar = sum(counts.values()), 0, Text()
    for verdict, (letter, style) in VERDICT_MARKS.items():
        before, done = done, done + counts[verdict]
        bar.append(letter * (round(width * done / total) - round(width * before / total)), style=style)
    return bar


def _bar(done: int, total: int | None, width: int) -> tuple[RenderableType, str]:
    bar = ProgressBar(total=total, completed=min(done, total) if total else done, width=width, pulse=total is None)
    return bar, f"{done}/{total if total is not None else '?'}"


def state_words(sweep: SweepView, workers: Sequence[WorkerView] = ()) -> str:
    """The state, with its reason, and what it waits for if somebody could do something about that."""
    words = sweep_state(sweep)
    if sweep.waiting_for == "no_worker" and any(worker.phase in STARTING for worker in workers):
        return f"{words}, its worker is starting"
    if sweep.waiting_for not in WAITING:
        return words
    return f"{words}, {WAITING[sweep.waiting_for].format(dataset=sweep.dataset)}"


def progress_line(sweep: SweepView) -> str:
    """Trials done, counts of those that are over, rate and time left."""
    total = "?" if sweep.progress.trials_total is None else str(sweep.progress.trials_total)
    counts = sweep.counts.model_dump(exclude={"waiting", "running"})
    over = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    parts = (f"{sweep.progress.trials_done}/{total} trials", over, rate_line(sweep))
    return " · ".join(part for part in parts if part)


def rate_line(sweep: SweepView) -> str:
    """Trials per hour and the time that is left, as far as they are known."""
    progress = sweep.progress
    if not progress.epochs_per_second:
        return ""
    parts = []
    if progress.trials_done and progress.epochs_done:
        epochs_per_trial = progress.epochs_done / progress.trials_done
        parts.append(f"{progress.epochs_per_second * SECONDS_PER_HOUR / epochs_per_trial:.0f} trials/h")
    parts.append(f"{progress.epochs_per_second:.2g} epochs/s")
    if progress.eta_seconds is not None:
        parts.append(f"about {duration(progress.eta_seconds)} left")
    return ", ".join(parts)


def counts_line(sweep: SweepView) -> str:
    """How many trials are in each state, zeros left out."""
    return ", ".join(f"{state} {count}" for state, count in sweep.counts.model_dump().items() if count)


def verdicts_line(sweep: SweepView) -> str:
    """How many trials got each verdict, zeros left out."""
    counts = ", ".join(f"{verdict} {count}" for verdict, count in sweep.verdicts.model_dump().items() if count)
    return f"gradients: {counts}" if counts else ""


def best_line(picture: Picture) -> str:
    """The best value so far and the parameters that were searched for it."""
    best, sweep = picture.best, picture.sweep
    if best is None or best.objective is None:
        return ""
    searched = [name for name in searched_names(sweep) if getattr(best.parameters, name, None) is not None]
    values = ", ".join(f"{name} {parameter(getattr(best.parameters, name))}" for name in searched)
    return f"best {sweep.metric.name} {number(best.objective)} (trial {best.number}: {values})"


def worker_line(worker: WorkerView) -> str:
    """One worker: where, on what, what it does."""
    return f"worker {worker.host} · {worker.device} · {worker.phase} · {worker.slots_filled}/{worker.n_slots} slots"


def _away(seconds: float) -> str:
    return f"The service does not answer ({duration(seconds)}); trying again. The sweep is safe."
