"""What workers say: claim, renew, report, release (docs/leases.md)."""

from fastapi import APIRouter, Depends
from starlette.requests import Request

from service.api.context import ContextDep, LeaseId
from service.api.documenting import WITH_BODY, errors
from service.api.lease_routes import LeaseRoute
from service.errors import Conflict, NotFound, ProtocolTooOld
from service.operations import claiming, leasing, reporting
from service.wire.base import PROTOCOL_VERSION
from service.wire.leases import (
    ClaimAnswer,
    ClaimRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    ReleaseAnswer,
    ReleaseRequest,
    ReportAnswer,
    ReportRequest,
)

router = APIRouter(route_class=LeaseRoute, tags=["leases"])

SERVED_PROTOCOLS = tuple(version for version in (PROTOCOL_VERSION - 1, PROTOCOL_VERSION) if version >= 1)


async def _refuse_other_protocols(request: Request) -> None:
    """Judge the version before the rest of the body: another version may have other keys."""
    body = await request.json() if await request.body() else None
    given = body.get("protocol", PROTOCOL_VERSION) if isinstance(body, dict) else PROTOCOL_VERSION
    if isinstance(given, int) and not isinstance(given, bool):
        _refuse_protocol(given)


def _refuse_protocol(given: int) -> None:
    if given not in SERVED_PROTOCOLS:
        served = " and ".join(map(str, SERVED_PROTOCOLS))
        raise ProtocolTooOld(
            f"The worker speaks another protocol than this service, which serves {served}; "
            "install the same gradsweep on both."
        )


@router.post(
    "/v1/claims",
    operation_id="claim",
    summary="Ask for trials to train",
    dependencies=[Depends(_refuse_other_protocols)],
    responses=errors(*WITH_BODY, Conflict, ProtocolTooOld),
)
def claim(context: ContextDep, request: ClaimRequest) -> ClaimAnswer:
    """Trials of one signature under a lease, or none and when to ask again. The same claim_key, the same answer."""
    _refuse_protocol(request.protocol)
    answer = claiming.claim(context.database, context.searches, request, context.lease_settings)
    context.meters.granted.inc(len(answer.grants))
    return answer


@router.post(
    "/v1/leases/{lease}:heartbeat",
    operation_id="heartbeat",
    summary="Renew a lease",
    responses=errors(*WITH_BODY, NotFound, Conflict),
)
def heartbeat(context: ContextDep, lease: LeaseId, request: HeartbeatRequest) -> HeartbeatAnswer:
    """The answer names the trials that the lease still holds, and those of them that must stop."""
    return leasing.heartbeat(context.database, lease, request, context.lease_settings)


@router.post(
    "/v1/leases/{lease}/reports",
    operation_id="report",
    summary="Report epochs and ends of trials",
    responses=errors(*WITH_BODY, NotFound, Conflict),
)
def report(context: ContextDep, lease: LeaseId, request: ReportRequest) -> ReportAnswer:
    """One directive per entry; good entries are stored whatever the others are. Gzip is welcome."""
    answer = reporting.report(context.database, lease, request, context.lease_settings)
    context.meters.count_directives(entry.directive for entry in answer.entries)
    return answer


@router.post(
    "/v1/leases/{lease}:release",
    operation_id="release",
    summary="Hand trials back",
    responses=errors(*WITH_BODY, NotFound, Conflict),
)
def release(context: ContextDep, lease: LeaseId, request: ReleaseRequest) -> ReleaseAnswer:
    """They wait again at once and have lost no life; without `trials`, all are handed back and the lease ends."""
    return leasing.release(context.database, lease, request, context.lease_settings)
