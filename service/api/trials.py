"""One trial: look, cancel, try again, rescue."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, IdempotencyKey, TrialId
from service.api.documenting import WITH_BODY, errors
from service.errors import Conflict, IdempotencyMismatch, NotFound
from service.operations import steering
from service.operations.diagnosing import read_diagnosis
from service.operations.reading import read_attempts, read_epochs, read_gradients, read_trial
from service.operations.rescuing import rescue_trial
from service.wire.diagnosis import DiagnosisView
from service.wire.trials import AttemptList, EpochList, GradientList, RescueRequest, TrialView

router = APIRouter(route_class=StrictRoute, tags=["trials"])


@router.get("/v1/trials/{trial}", operation_id="get_trial", summary="One trial", responses=errors(NotFound))
def get(context: ContextDep, trial: TrialId) -> TrialView:
    """Its parameters and what came of them; after a failure also the traceback."""
    return read_trial(context.database, trial)


@router.get(
    "/v1/trials/{trial}/attempts",
    operation_id="list_attempts",
    summary="A trial's attempts",
    responses=errors(NotFound),
)
def attempts(context: ContextDep, trial: TrialId) -> AttemptList:
    """Each go of a worker at it: how it ended, and what is needed to replay it alone."""
    return read_attempts(context.database, trial)


@router.get(
    "/v1/trials/{trial}/epochs", operation_id="list_epochs", summary="A trial's epochs", responses=errors(NotFound)
)
def epochs(context: ContextDep, trial: TrialId) -> EpochList:
    """Those of the present attempt, in order; epoch 0 is the probe before the first update."""
    return read_epochs(context.database, trial)


@router.get(
    "/v1/trials/{trial}/gradients",
    operation_id="list_gradients",
    summary="A trial's gradient statistics",
    responses=errors(NotFound),
)
def gradients(
    context: ContextDep,
    trial: TrialId,
    layer: Annotated[int | None, Query(ge=1, le=1024, description="Only this layer; 1 is nearest the input.")] = None,
    from_epoch: Annotated[int, Query(ge=0, le=100_000, description="Only this epoch and later ones.")] = 0,
) -> GradientList:
    """Those of the present attempt, by epoch, then layer."""
    return read_gradients(context.database, trial, layer=layer, from_epoch=from_epoch)


@router.get(
    "/v1/trials/{trial}/diagnosis",
    operation_id="get_diagnosis",
    summary="Why a trial's gradients failed, and what to try",
    responses=errors(NotFound),
)
def diagnosis(context: ContextDep, trial: TrialId) -> DiagnosisView:
    """Verdict and evidence, cause, remedies with reasons, and the slope that theory expects beside the measured one."""
    return read_diagnosis(context.database, trial)


@router.post(
    "/v1/trials/{trial}:cancel",
    operation_id="cancel_trial",
    summary="Cancel a trial",
    responses=errors(NotFound, Conflict),
)
def cancel(context: ContextDep, trial: TrialId) -> TrialView:
    """At once if it waits; at the end of its epoch if it is running."""
    steering.cancel_trial(context.database, trial)
    return read_trial(context.database, trial)


@router.post(
    "/v1/trials/{trial}:retry",
    operation_id="retry_trial",
    summary="Let a failed or cancelled trial run again",
    responses=errors(NotFound, Conflict),
)
def retry(context: ContextDep, trial: TrialId) -> TrialView:
    """It waits for a worker again, with all its lives."""
    steering.retry_trial(context.database, trial)
    return read_trial(context.database, trial)


@router.post(
    "/v1/trials/{trial}:rescue",
    operation_id="rescue_trial",
    summary="Try what a trial's diagnosis advises",
    status_code=201,
    responses=errors(*WITH_BODY, NotFound, Conflict, IdempotencyMismatch),
)
def rescue(
    context: ContextDep,
    trial: TrialId,
    response: Response,
    request: Annotated[RescueRequest | None, Body(description="Without it, all remedies are taken.")] = None,
    idempotency_key: IdempotencyKey = None,
) -> TrialView:
    """Enqueues the remedied configuration as a trial of the same sweep, with the same seed, and answers with it.

    It comes on top of `run_cap`; a sweep that has completed opens again for it alone.
    """
    remedies = None if request is None else request.remedies
    rescued = rescue_trial(context.database, trial, remedies=remedies, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/v1/trials/{rescued.trial_id}"
    if rescued.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return read_trial(context.database, rescued.trial_id)
