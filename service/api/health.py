"""Whether the service lives, whether it can work, and its counters."""

from importlib.metadata import version

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from service.api.bodies import StrictRoute
from service.api.context import Context, ContextDep
from service.api.documenting import errors
from service.database.migrate import check_schema
from service.errors import Problem, SchemaMismatch, Unavailable
from service.operations.reading import count_everything
from service.wire.health import CheckView, LiveView

router = APIRouter(route_class=StrictRoute, tags=["service"])

SILENT_ROUNDS = 6
"""After so many intervals without a good round the reaper counts as stuck."""


@router.get("/livez", operation_id="livez", summary="Is the process alive?", responses=errors())
def livez() -> LiveView:
    """Asks no database, needs no token."""
    return LiveView(version=version("gradsweep"))


@router.get("/readyz", operation_id="readyz", summary="Can the service work?", responses=errors(SchemaMismatch))
def readyz(context: ContextDep) -> CheckView:
    """Looks at the database, its schema and the reaper; needs no token. 503 says what is wrong."""
    problems = _database_problems(context) + _reaper_problems(context)
    if problems:
        raise Unavailable("The service cannot work now; see errors.", problems)
    return CheckView(status="ok", database="ok", migrations="ok", reaper="ok")


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses=errors() | {200: {"description": "Text exposition format.", "content": {"text/plain": {}}}},
)
def metrics(context: ContextDep) -> Response:
    """Requests, grants and reports since the start; sweeps, trials and leases by state as they are now."""
    return Response(context.meters.exposition(count_everything(context.database)), media_type=CONTENT_TYPE_LATEST)


def _database_problems(context: Context) -> list[Problem]:
    try:
        check_schema(context.database)
    except SchemaMismatch as error:
        return [Problem("migrations", error.detail)]
    except SQLAlchemyError as error:
        return [Problem("database", f"no answer ({type(error).__name__})")]
    return []


def _reaper_problems(context: Context) -> list[Problem]:
    silent = context.reaper.silent_seconds()
    if silent is None:
        return [Problem("reaper", "its first round has not gone well yet")]
    if silent > SILENT_ROUNDS * context.settings.reap_seconds:
        return [Problem("reaper", f"its last good round was {silent:.0f} s ago; the log says why")]
    return []
