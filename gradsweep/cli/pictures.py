"""Pictures of sweeps for a terminal: bars, sparkline, shares of verdicts; a line each where there are many."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gradsweep.cli.following import Picture, outcome
from gradsweep.cli.progress import best_line, rate_line, state_words, verdicts_line, worker_line
from gradsweep.cli.wording import number, sweep_state
from service.wire.sweeps import SweepView

BAR_WIDTH = 40
LINES_PER_SWEEP = 10
"""At most so many lines show a sweep in full, the empty one below it counted."""
BLOCKS = " ▁▂▃▄▅▆▇█"
VERDICT_MARKS = {
    "stable": ("█", "green"),
    "unsteady": ("▓", "yellow"),
    "stalled": ("=", "bright_magenta"),
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


def draw_all(pictures: Sequence[Picture], width: int, height: int) -> RenderableType:
    """Every sweep, one below the other, and the workers, which they share; a line each where space is short."""
    if not pictures:
        return Group()
    workers = pictures[-1].workers
    free = height - len(workers) - 1
    parts: list[RenderableType]
    if len(pictures) == 1 or len(pictures) * LINES_PER_SWEEP <= free:
        parts = [part for picture in pictures for part in (draw(picture, width), Text(""))]
    else:
        parts = [draw_briefly(pictures, width, max(2, free - 1)), Text("")]
    return Group(*parts, *(_line(worker_line(worker), style="dim") for worker in workers))


def draw_briefly(pictures: Sequence[Picture], width: int, n_lines: int) -> RenderableType:
    """A line per sweep: name, state, trials, best value; as many as fit, those that go on first."""
    by_end = sorted(pictures, key=lambda picture: outcome(picture.sweep) is not None)
    fits = len(by_end) <= n_lines
    shown = by_end if fits else by_end[: n_lines - 1]
    bar_width = max(8, min(BAR_WIDTH, width - 70))
    table = Table.grid(padding=(0, 1))
    for _ in range(4):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for picture in shown:
        sweep, progress = picture.sweep, picture.sweep.progress
        best = number(picture.best.objective) if picture.best and picture.best.objective is not None else ""
        bar, counts = _bar(progress.trials_done, progress.trials_total, bar_width)
        table.add_row(Text(sweep.name, style="bold"), bar, counts, Text(best, style="bold green"), sweep_state(sweep))
    rest = [] if fits else [_line(f"and {len(by_end) - len(shown)} more; a higher terminal shows them", style="dim")]
    return Group(table, *rest)


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
