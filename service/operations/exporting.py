"""Taking a sweep's rows along: a table as CSV or lines of JSON, page by page.

Each page is a short read of its own, so that a slow reader holds neither memory nor a transaction. Rows that are
written meanwhile may be in it or not; no row is in it twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row

from service.database.engine import Database
from service.database.exporting import EPOCH_KEY, LAYER_KEY, epochs_page, layers_page
from service.domain.cells import csv_lines, json_lines
from service.operations.reading import ListQuery, list_trials, resolve_sweep
from service.operations.viewing import epoch_view, layer_view
from service.wire.base import Answer
from service.wire.parameters import Parameters
from service.wire.recordings import RecordingView
from service.wire.trials import EpochView, FailureView, GradientMetrics, LayerView, TrialView

ExportTable = Literal["trials", "epochs", "layers"]
ExportFormat = Literal["csv", "jsonl"]
EXPORT_TABLES: tuple[ExportTable, ...] = get_args(ExportTable)

PAGE_ROWS = 500
_NESTED: dict[str, tuple[str, type[Answer]]] = {
    "parameters": ("params", Parameters),
    "failure": ("failure", FailureView),
    "recording": ("recording", RecordingView),
    "gradients": ("gradients", GradientMetrics),
}

Plain = dict[str, Any]
Pages = Iterator[list[Plain]]


def export(
    database: Database, ref: str, table: ExportTable, form: ExportFormat, *, filter_text: str | None = None
) -> tuple[str, Iterator[str]]:
    """The sweep's name, and a table of it as text, some rows at a time.

    Args:
        database: Where the sweep is.
        ref: Its id or name.
        table: `trials`; `epochs` or `layers` of their present attempts.
        form: `jsonl`: what the API answers with, a line each; `csv`: the same, flat, for spreadsheets and pandas.
        filter_text: Only these trials, for the table of trials alone.

    Raises:
        NotFound: There is no such sweep.
        MalformedRequest: The filter cannot be read.
    """
    sweep = resolve_sweep(database, ref)
    pages: Pages
    match table:
        case "trials":
            list_trials(database, sweep.id, ListQuery(filter=filter_text, page_size=1))  # refused before it begins
            pages = _trials(database, sweep.id, filter_text)
        case "epochs":
            pages = _rows(database, sweep.id, epochs_page, EPOCH_KEY, epoch_view)
        case "layers":
            pages = _rows(database, sweep.id, layers_page, LAYER_KEY, layer_view)
    return sweep.name, _csv(columns_of(table), pages) if form == "csv" else map(json_lines, pages)


def columns_of(table: ExportTable) -> tuple[str, ...]:
    """The names of a table's columns in CSV, in order."""
    if table == "epochs":
        return ("trial_number", "trial_id", *_without_spelling(EpochView))
    if table == "layers":
        return ("trial_number", "trial_id", "attempt", *_without_spelling(LayerView))
    names: list[str] = []
    for name in _without_spelling(TrialView):
        if name in _NESTED:
            prefix, model = _NESTED[name]
            names += [f"{prefix}.{inner}" for inner in model.model_fields]
        else:
            names.append(name)
    return tuple(names)


def flat(row: Mapping[str, Any]) -> Plain:
    """A row of the API without nesting: `params.dropout`, `failure.kind`; numbers that were spelled out in place."""
    found: Plain = {}
    for name, value in row.items():
        if name in _NESTED:
            found |= {f"{_NESTED[name][0]}.{inner}": each for inner, each in (value or {}).items()}
        elif name != "nonfinite":
            found[name] = value
    return found | dict(row.get("nonfinite", {}))


def _without_spelling(model: type[Answer]) -> list[str]:
    return [name for name in model.model_fields if name != "nonfinite"]


def _csv(names: Sequence[str], pages: Pages) -> Iterator[str]:
    yield csv_lines(names, [dict(zip(names, names, strict=True))])
    for page in pages:
        yield csv_lines(names, [flat(row) for row in page])


def _trials(database: Database, sweep_id: str, filter_text: str | None) -> Pages:
    token: str | None = None
    while True:
        query = ListQuery(filter=filter_text, page_size=PAGE_ROWS, page_token=token)
        page = list_trials(database, sweep_id, query)
        yield [trial.model_dump(mode="json") for trial in page.trials]
        token = page.next_page_token
        if token is None:
            return


def _rows(
    database: Database,
    sweep_id: str,
    read: Callable[..., Sequence[Row[Any]]],
    key: tuple[str, ...],
    view: Callable[[Row[Any]], EpochView | LayerView],
) -> Pages:
    after: tuple[int, ...] | None = None
    while True:
        rows = _read(database, read, sweep_id, after)
        yield [
            {"trial_number": row.trial_number, "trial_id": row.trial_id, "attempt": row.attempt}
            | view(row).model_dump(mode="json")
            for row in rows
        ]
        if len(rows) < PAGE_ROWS:
            return
        after = tuple(getattr(rows[-1], name) for name in key)


def _read(
    database: Database, read: Callable[..., Sequence[Row[Any]]], sweep_id: str, after: tuple[int, ...] | None
) -> Sequence[Row[Any]]:
    connection: Connection
    with database.read() as connection:
        return read(connection, sweep_id, after=after, limit=PAGE_ROWS)
