"""What commands print: JSON and tables on stdout. Names and messages are shown as text, never read as markup."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradsweep.cli.checks import Finding
from gradsweep.cli.wording import idleness, number, parameter, searched_names, sweep_state, total, trial_fate
from service.wire.health import WorkerView
from service.wire.sweeps import SweepSummary, SweepView
from service.wire.trials import TrialView

STATUS_STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red"}
WIDTH_WITHOUT_TERMINAL = 160


def console() -> Console:
    """A console on stdout; wide when nobody's window limits it, so that tables in a pipe keep their columns."""
    plain = Console(highlight=False, markup=False, emoji=False)
    if plain.is_terminal:
        return plain
    return Console(highlight=False, markup=False, emoji=False, width=WIDTH_WITHOUT_TERMINAL)


def print_json(value: BaseModel | Sequence[BaseModel] | Any, *, lines: bool = False) -> None:
    """Print one JSON document; with `lines` on one line, for a reader that takes them one by one."""
    plain = _plain(value)
    print(json.dumps(plain, indent=None if lines else 2, ensure_ascii=False, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def table(title: str | None, columns: Iterable[str], rows: Iterable[Sequence[str | Text]], numeric: int = 0) -> Table:
    """A table; the first `numeric` columns are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        made.add_column(column, justify="right" if position < numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def print_findings(findings: Iterable[Finding]) -> None:
    """Print what `doctor` found, one line a check."""
    rows = [
        (Text(finding.status, style=STATUS_STYLES[finding.status]), finding.name, finding.detail, finding.next_step)
        for finding in findings
    ]
    console().print(table(None, ("", "check", "found", "what to do"), rows))


def print_sweeps(sweeps: Sequence[SweepSummary]) -> None:
    """Print sweeps, one line each."""
    rows = [
        (
            sweep.name,
            sweep_state(sweep),
            f"{sweep.progress.trials_done}/{total(sweep.progress.trials_total)}",
            "" if sweep.best is None else f"{sweep.metric.name} {number(sweep.best.objective)}",
            sweep.dataset,
            f"{sweep.created_at:%Y-%m-%d %H:%M}",
            sweep.id,
        )
        for sweep in sweeps
    ]
    console().print(table(None, ("name", "state", "trials", "best", "data set", "submitted (UTC)", "id"), rows))


def print_trials(trials: Sequence[TrialView], sweep: SweepView, title: str | None = None) -> None:
    """Print trials of a sweep, one line each, with the parameters that it searches."""
    names = searched_names(sweep)
    columns = ("#", sweep.metric.name, "test acc.", "stability", "epochs", "state", "verdict", *names)
    rows = [
        (
            str(trial.number),
            number(trial.objective),
            number(trial.test_accuracy),
            number(trial.stability),
            "" if trial.epoch is None else str(trial.epoch),
            trial_fate(trial),
            trial.verdict or "",
            *(parameter(getattr(trial.parameters, name)) for name in names),
        )
        for trial in trials
    ]
    console().print(table(title, columns, rows, numeric=5))


def print_workers(workers: Sequence[WorkerView]) -> None:
    """Print workers, one line each, the latest first."""
    rows = [
        (
            worker.host,
            "quarantined" if worker.is_quarantined else worker.phase if worker.is_alive else "gone",
            f"{worker.slots_filled}/{worker.n_slots}",
            idleness(worker.idle_slot_seconds),
            worker.device,
            worker.trainer,
            worker.version,
            f"{worker.last_seen:%Y-%m-%d %H:%M:%S}",
            worker.id,
        )
        for worker in workers
    ]
    columns = ("host", "phase", "slots", "idle slot-time", "device", "trainer", "version", "last seen (UTC)", "id")
    console().print(table(None, columns, rows))
