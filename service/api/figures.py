"""Figures as Plotly JSON: `plotly.io.from_json(response.text)` opens them in a notebook."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, SweepRef, TrialId
from service.api.documenting import errors
from service.errors import NotFound
from service.figures.kinds import SWEEP_FIGURES, TRIAL_FIGURES
from service.operations.drawing import draw_sweep, draw_trial

router = APIRouter(route_class=StrictRoute, tags=["figures"])

Axis = Annotated[
    str | None,
    Query(max_length=64, description="`stability_map`: a parameter, or `depth`.", examples=["learning_rate"]),
]


def _kind(kinds: list[str]) -> Any:
    return Path(max_length=64, description=f"One of {', '.join(kinds)}.", examples=kinds[:1])


def _answers(example: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object", "description": "A Plotly figure: `data` and `layout`."}
    content = {"application/json": {"schema": schema}}
    return errors(NotFound) | {200: {"description": f"The figure, such as {example}.", "content": content}}


@router.get(
    "/v1/sweeps/{sweep}/figures/{kind}",
    operation_id="draw_sweep",
    summary="A figure of a sweep",
    response_class=Response,
    responses=_answers("the history"),
)
def of_sweep(
    context: ContextDep,
    sweep: SweepRef,
    kind: Annotated[str, _kind(list(SWEEP_FIGURES))],
    x: Axis = None,
    y: Axis = None,
) -> Response:
    """As Plotly JSON, bounded in size: the title says so where trials were left out."""
    return _json(draw_sweep(context.database, sweep, kind, x=x, y=y))


@router.get(
    "/v1/trials/{trial}/figures/{kind}",
    operation_id="draw_trial",
    summary="A figure of a trial",
    response_class=Response,
    responses=_answers("the gradient flow"),
)
def of_trial(
    context: ContextDep,
    trial: TrialId,
    kind: Annotated[str, _kind(list(TRIAL_FIGURES))],
    epoch: Annotated[
        int | None, Query(ge=0, le=100_000, description="`depth_profile`: which epoch; else the last.")
    ] = None,
) -> Response:
    """As Plotly JSON, from the epochs of its present attempt."""
    return _json(draw_trial(context.database, trial, kind, epoch=epoch))


def _json(figure: dict[str, Any]) -> Response:
    return Response(json.dumps(figure, allow_nan=False, separators=(",", ":")), media_type="application/json")
