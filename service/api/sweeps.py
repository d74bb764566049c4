"""Sweeps: submit, look, steer, delete."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.api.bodies import StrictRoute, media_type_of
from service.api.context import ContextDep, IdempotencyKey, SweepRef
from service.api.documenting import WITH_BODY, errors
from service.domain.sweep_file import read_sweep_file
from service.errors import (
    Conflict,
    IdempotencyMismatch,
    InvalidSweep,
    MalformedRequest,
    NotFound,
    NotSupportedYet,
    UnsupportedMediaType,
)
from service.operations import steering
from service.operations.comparing import read_effects
from service.operations.reading import ListQuery, list_sweeps, list_trials, read_best, read_sweep, resolve_sweep
from service.operations.reading import read_sweep_file as read_file
from service.operations.submitting import plan_sweep, submit_sweep
from service.wire.effects import EffectsView
from service.wire.sweeps import PlanView, SweepList, SweepView
from service.wire.trials import BestTrials, TrialList

router = APIRouter(route_class=StrictRoute, tags=["sweeps"])

_MEDIA_TYPES: dict[str, Literal["json", "yaml"]] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
    "text/x-yaml": "yaml",
}
_EXAMPLE = {
    "name": "first-look",
    "dataset": "digits",
    "method": "tpe",
    "metric": {"name": "val_accuracy"},
    "run_cap": 20,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "optimizer": {"values": ["sgd", "adam"]},
        "normalization": {"values": ["none", "batch", "layer"]},
        "epochs": 5,
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The sweep file, as JSON or YAML (docs/sweep-file.md).",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
            "application/yaml": {"schema": {"type": "object"}, "example": _EXAMPLE},
        },
    }
}

Filter = Annotated[
    str | None,
    Query(
        max_length=2000,
        description="Such as `state = completed AND params.learning_rate < 0.01` (docs/api.md).",
        examples=["state = completed"],
    ),
]


def _list_query(
    filter: Filter = None,
    order_by: Annotated[
        str | None,
        Query(
            max_length=500, description="Names separated by commas, `-` for the largest first.", examples=["-number"]
        ),
    ] = None,
    page_size: Annotated[int, Query(ge=1, le=500, description="Rows on a page.")] = 50,
    page_token: Annotated[
        str | None, Query(max_length=4000, description="`next_page_token` of the page before.")
    ] = None,
) -> ListQuery:
    return ListQuery(filter, order_by, page_size, page_token)


ListQueryDep = Annotated[ListQuery, Depends(_list_query)]


@dataclass(frozen=True, slots=True)
class SweepFile:
    """A sweep file: as it came, and as it was read."""

    text: str
    document: dict[str, Any]


async def _sweep_file(request: Request) -> SweepFile:
    """The body as a sweep file, by its Content-Type."""
    kind = _MEDIA_TYPES.get(media_type_of(request))
    if kind is None:
        raise UnsupportedMediaType(
            "A sweep file is JSON or YAML; send it with Content-Type: application/json or application/yaml."
        )
    try:
        text = (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The sweep file is not UTF-8: byte {error.start} cannot be read.") from error
    document = await run_in_threadpool(read_sweep_file, text, kind)
    return SweepFile(text, document)


@router.post(
    "/v1/sweeps",
    operation_id="submit_sweep",
    summary="Submit a sweep, or see what would become of it",
    status_code=201,
    responses=errors(*WITH_BODY, InvalidSweep, NotSupportedYet, IdempotencyMismatch)
    | {200: {"model": PlanView, "description": "With validate_only: the plan; nothing was written."}},
    openapi_extra=_BODY,
)
def submit(
    context: ContextDep,
    file: Annotated[SweepFile, Depends(_sweep_file)],
    response: Response,
    validate_only: Annotated[bool, Query(description="Answer with the plan and write nothing.")] = False,
    idempotency_key: IdempotencyKey = None,
) -> SweepView | PlanView:
    """The answer lists `resolved` values, and which of them were defaulted."""
    if validate_only:
        response.status_code = 200
        plan = plan_sweep(file.document)
        return PlanView(resolved=plan.resolved, defaulted=plan.defaulted, warnings=plan.warnings, plan=plan.numbers())
    submission = submit_sweep(context.database, file.document, submitted=file.text, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/v1/sweeps/{submission.sweep.id}"
    if submission.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return get(context, submission.sweep.id)


@router.get("/v1/sweeps", operation_id="list_sweeps", summary="List sweeps", responses=errors())
def list_all(context: ContextDep, query: ListQueryDep) -> SweepList:
    """The newest first, unless ordered otherwise."""
    return list_sweeps(context.database, query, alive_seconds=context.settings.lease_seconds)


@router.get("/v1/sweeps/{sweep}", operation_id="get_sweep", summary="One sweep", responses=errors(NotFound))
def get(context: ContextDep, sweep: SweepRef) -> SweepView:
    """State and reason in words, what it waits for, counts, progress, and the best trial so far."""
    return read_sweep(context.database, sweep, alive_seconds=context.settings.lease_seconds)


@router.get(
    "/v1/sweeps/{sweep}/file",
    operation_id="get_sweep_file",
    summary="The sweep file",
    response_class=Response,
    responses=errors(NotFound)
    | {
        200: {
            "description": "The sweep file: as it was submitted, or as JSON with every default filled in.",
            "content": {"application/json": {}, "application/yaml": {}},
        }
    },
)
def get_file(
    context: ContextDep,
    sweep: SweepRef,
    resolved: Annotated[bool, Query(description="With every default filled in, as JSON.")] = False,
) -> Response:
    """What `gradsweep submit` would take again."""
    found, text = read_file(context.database, sweep)
    if resolved:
        return Response(json.dumps(found.definition["resolved"], indent=2), media_type="application/json")
    kind = "application/json" if text.lstrip().startswith("{") else "application/yaml"
    return Response(text, media_type=kind)


@router.get(
    "/v1/sweeps/{sweep}/trials", operation_id="list_trials", summary="A sweep's trials", responses=errors(NotFound)
)
def trials(context: ContextDep, sweep: SweepRef, query: ListQueryDep) -> TrialList:
    """By number, unless ordered otherwise."""
    return list_trials(context.database, sweep, query)


@router.get(
    "/v1/sweeps/{sweep}/best", operation_id="best_trials", summary="The best trials", responses=errors(NotFound)
)
def best(
    context: ContextDep,
    sweep: SweepRef,
    k: Annotated[int, Query(ge=1, le=500, description="How many.")] = 5,
    filter: Filter = None,
) -> BestTrials:
    """Completed trials alone, best first."""
    return read_best(context.database, sweep, k=k, filter_text=filter)


@router.get(
    "/v1/sweeps/{sweep}/effects",
    operation_id="read_effects",
    summary="What each value of a parameter, and each remedy, did to accuracy and gradients",
    responses=errors(NotFound),
)
def effects(context: ContextDep, sweep: SweepRef) -> EffectsView:
    """Of trials that were completed or pruned: medians with intervals by value, and differences of matched trials."""
    return read_effects(context.database, sweep)


@router.post(
    "/v1/sweeps/{sweep}:pause",
    operation_id="pause_sweep",
    summary="Claim no more trials; those that are running finish",
    responses=errors(NotFound, Conflict),
)
def pause(context: ContextDep, sweep: SweepRef) -> SweepView:
    """Resume it to go on."""
    steering.pause_sweep(context.database, resolve_sweep(context.database, sweep).id)
    return get(context, sweep)


@router.post(
    "/v1/sweeps/{sweep}:resume",
    operation_id="resume_sweep",
    summary="Go on after a pause",
    responses=errors(NotFound, Conflict),
)
def resume(context: ContextDep, sweep: SweepRef) -> SweepView:
    """Only a paused sweep can go on."""
    steering.resume_sweep(context.database, resolve_sweep(context.database, sweep).id)
    return get(context, sweep)


@router.post(
    "/v1/sweeps/{sweep}:stop",
    operation_id="stop_sweep",
    summary="Drain: waiting trials are cancelled, running ones finish",
    responses=errors(NotFound, Conflict),
)
def stop(context: ContextDep, sweep: SweepRef) -> SweepView:
    """The sweep is `stopping` until the last of them has finished."""
    steering.stop_sweep(context.database, resolve_sweep(context.database, sweep).id)
    return get(context, sweep)


@router.post(
    "/v1/sweeps/{sweep}:cancel",
    operation_id="cancel_sweep",
    summary="Kill: running trials stop at the end of their epoch",
    responses=errors(NotFound, Conflict),
)
def cancel(context: ContextDep, sweep: SweepRef) -> SweepView:
    """Waiting trials are cancelled at once."""
    steering.cancel_sweep(context.database, resolve_sweep(context.database, sweep).id)
    return get(context, sweep)


@router.post(
    "/v1/sweeps/{sweep}:retry_failed",
    operation_id="retry_failed",
    summary="Let all its failed trials run again",
    responses=errors(NotFound, Conflict),
)
def retry_failed(context: ContextDep, sweep: SweepRef) -> SweepView:
    """Where none failed, nothing happens; a sweep that has completed opens again for them and then completes."""
    steering.retry_failed(context.database, resolve_sweep(context.database, sweep).id)
    return get(context, sweep)


@router.delete(
    "/v1/sweeps/{sweep}",
    operation_id="delete_sweep",
    summary="Delete a sweep that is over, with all its trials",
    status_code=204,
    responses=errors(NotFound, Conflict),
)
def delete(context: ContextDep, sweep: SweepRef) -> None:
    """There is no way back."""
    deleted = steering.delete_sweep(context.database, resolve_sweep(context.database, sweep).id)
    context.searches.forget(deleted.id)
