"""Workers, as they last told of themselves."""

from fastapi import APIRouter

from service.api.bodies import StrictRoute
from service.api.context import ContextDep
from service.api.documenting import errors
from service.operations.reading import list_workers
from service.wire.health import WorkerList

router = APIRouter(route_class=StrictRoute, tags=["workers"])


@router.get("/v1/workers", operation_id="list_workers", summary="All workers", responses=errors())
def list_all(context: ContextDep) -> WorkerList:
    """The one heard of latest first; at most 1,000."""
    return list_workers(context.database, alive_seconds=context.settings.lease_seconds)
