"""A trial's first steps, recorded: asked for by users, made by workers (docs/leases.md); and the files of a trial."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, LeaseId, TrialId
from service.api.documenting import WITH_BODY, errors
from service.api.lease_routes import LeaseRoute
from service.errors import Conflict, NotFound
from service.operations.reading import read_trial
from service.operations.recording import list_artifacts, read_artifact, record_trial
from service.operations.recording_leases import claim_recording, report_recording
from service.wire.recording_claims import (
    RecordingClaim,
    RecordingClaimAnswer,
    RecordingReport,
    RecordingReportAnswer,
)
from service.wire.recordings import ArtifactList, RecordRequest
from service.wire.trials import TrialView

router = APIRouter(route_class=StrictRoute)
of_workers = APIRouter(route_class=LeaseRoute)


@router.post(
    "/v1/trials/{trial}:record",
    operation_id="record_trial",
    summary="Record a trial's first steps",
    tags=["trials"],
    status_code=202,
    responses=errors(*WITH_BODY, NotFound, Conflict),
)
def record(
    context: ContextDep,
    trial: TrialId,
    request: Annotated[RecordRequest | None, Body(description="Without it, each of the first 500 steps.")] = None,
) -> TrialView:
    """A worker trains the beginning of a trial that has ended again and keeps every step, layer by layer.

    The trial's `recording` says how far it is. The same request again changes nothing while it waits or is made;
    after that it is made anew.
    """
    wanted = request or RecordRequest()
    record_trial(context.database, trial, steps=wanted.steps, every=wanted.every)
    return read_trial(context.database, trial)


@router.get(
    "/v1/trials/{trial}/artifacts",
    operation_id="list_artifacts",
    summary="Files that were made of a trial",
    tags=["trials"],
    responses=errors(NotFound),
)
def artifacts(context: ContextDep, trial: TrialId) -> ArtifactList:
    """The newest first: what they hold, their size, and what they were made of."""
    return list_artifacts(context.database, trial)


@router.get(
    "/v1/trials/{trial}/artifacts/{artifact}",
    operation_id="get_artifact",
    summary="A file that was made of a trial",
    tags=["trials"],
    response_class=Response,
    responses=errors(NotFound) | {200: {"description": "The file.", "content": {"text/csv": {}}}},
)
def artifact(
    context: ContextDep,
    trial: TrialId,
    artifact: Annotated[
        str,
        Path(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z0-9_\-][A-Za-z0-9_.\-]*$",
            description="Its name in the list.",
            examples=["steps-1.csv"],
        ),
    ],
) -> Response:
    """As csv: values that are not finite are spelled inf, -inf and nan."""
    media_type, text = read_artifact(context.database, trial, artifact)
    headers = {"Content-Disposition": f'attachment; filename="{artifact}"'}
    return Response(text, media_type=media_type, headers=headers)


@of_workers.post(
    "/v1/claims/recordings",
    operation_id="claim_recording",
    summary="Ask for a recording to make",
    tags=["leases"],
    responses=errors(*WITH_BODY, Conflict),
)
def claim(context: ContextDep, request: RecordingClaim) -> RecordingClaimAnswer:
    """One recording under a lease, or none and when to ask again. The same claim_key, the same recording."""
    return claim_recording(context.database, request, context.lease_settings)


@of_workers.post(
    "/v1/leases/{lease}/recordings",
    operation_id="report_recording",
    summary="Report what came of a recording",
    tags=["leases"],
    responses=errors(*WITH_BODY),
)
def report(context: ContextDep, lease: LeaseId, request: RecordingReport) -> RecordingReportAnswer:
    """The table of steps, a failure, or that it is handed back. Gzip is welcome; the same again, the same answer."""
    return report_recording(context.database, lease, request, context.lease_settings)


router.include_router(of_workers)
