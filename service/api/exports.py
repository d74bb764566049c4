"""What can be taken along: a sweep's rows, a trial as a script."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import StreamingResponse

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, SweepRef, TrialId
from service.api.documenting import errors
from service.api.sweeps import Filter
from service.errors import InvalidRequest, NotFound, Problem
from service.operations.exporting import ExportFormat, ExportTable, export
from service.operations.scripting import read_script

router = APIRouter(route_class=StrictRoute)

_MEDIA_TYPES = {"csv": "text/csv; charset=utf-8; header=present", "jsonl": "application/jsonl; charset=utf-8"}


def _attachment(name: str) -> dict[str, str]:
    """Letters, digits and `-_.` alone: what else a name holds is no part of a file's name."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
    return {"Content-Disposition": f'attachment; filename="{safe.strip(".-") or "sweep"}"'}


@router.get(
    "/v1/sweeps/{sweep}/export",
    operation_id="export_sweep",
    summary="A table of a sweep as a file",
    tags=["sweeps"],
    response_class=StreamingResponse,
    responses=errors(NotFound)
    | {200: {"description": "The table.", "content": {"text/csv": {}, "application/jsonl": {}}}},
)
def rows(
    context: ContextDep,
    sweep: SweepRef,
    table: Annotated[ExportTable, Query(description="Trials, or epochs or layers of their present attempts.")],
    format: Annotated[ExportFormat, Query(description="`jsonl`: as the API answers; `csv`: the same, flat.")] = "csv",
    filter: Filter = None,
) -> StreamingResponse:
    """All rows, sent as they are read: neither side need hold them. In csv no cell can be taken for a formula."""
    if filter is not None and table != "trials":
        problem = Problem("query/filter", "leave it out, or export the table of trials")
        raise InvalidRequest("A filter chooses trials; it is not for other tables.", [problem])
    name, text = export(context.database, sweep, table, format, filter_text=filter)
    headers = _attachment(f"{name}-{table}.{format}")
    return StreamingResponse((part.encode() for part in text), media_type=_MEDIA_TYPES[format], headers=headers)


@router.get(
    "/v1/trials/{trial}/script",
    operation_id="get_script",
    summary="A trial as a Keras script",
    tags=["trials"],
    response_class=Response,
    responses=errors(NotFound) | {200: {"description": "A Python script.", "content": {"text/x-python": {}}}},
)
def script(context: ContextDep, trial: TrialId) -> Response:
    """A self-contained script of plain Keras that trains this configuration on the same split of the data."""
    number, text = read_script(context.database, trial)
    return Response(text, media_type="text/x-python; charset=utf-8", headers=_attachment(f"trial-{number}.py"))
