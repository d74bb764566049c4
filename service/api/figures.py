"""Figures as Plotly JSON: `plotly.io.from_json(response.text)` opens them in a notebook."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, SweepRef, TrialId
from service.api.documenting import errors
from service.errors import Conflict, NotFound, ServiceError
from service.figures.kinds import SEVERAL_FIGURES, SWEEP_FIGURES, TRIAL_FIGURES
from service.operations.drawing import draw_sweep, draw_trial, draw_trials
from service.wire.sweeps import FigureKinds

router = APIRouter(route_class=StrictRoute, tags=["figures"])

Axis = Annotated[
    str | None,
    Query(
        max_length=64,
        description="`stability_map`, `contour`, `rank`: a parameter, or `depth`.",
        examples=["learning_rate"],
    ),
]


Epoch = Annotated[int | None, Query(ge=0, le=100_000, description="`depth_profile`: which epoch; else the last.")]


def _kind(kinds: list[str]) -> Any:
    return Path(max_length=64, description=f"One of {', '.join(kinds)}.", examples=kinds[:1])


def _answers(example: str, *kinds: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object", "description": "A Plotly figure: `data` and `layout`."}
    content = {"application/json": {"schema": schema}}
    return errors(NotFound, *kinds) | {200: {"description": f"The figure, such as {example}.", "content": content}}


@router.get("/v1/figures", operation_id="list_figures", summary="The kinds of figures", responses=errors())
def kinds() -> FigureKinds:
    """In the order in which the page shows them."""
    return FigureKinds(
        of_sweeps=tuple(SWEEP_FIGURES), of_trials=tuple(TRIAL_FIGURES), of_several=tuple(SEVERAL_FIGURES)
    )


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
    return _json(draw_sweep(context.database, context.importances, sweep, kind, x=x, y=y))


@router.get(
    "/v1/trials/{trial}/figures/{kind}",
    operation_id="draw_trial",
    summary="A figure of a trial",
    response_class=Response,
    responses=_answers("the gradient flow", Conflict),
)
def of_trial(
    context: ContextDep,
    trial: TrialId,
    kind: Annotated[str, _kind(list(TRIAL_FIGURES))],
    epoch: Epoch = None,
) -> Response:
    """As Plotly JSON, from the epochs of its present attempt; `steps` from what was recorded: 404 if nothing was, 409
    while it is being made.
    """
    return _json(draw_trial(context.database, trial, kind, epoch=epoch))


@router.get(
    "/v1/figures/{kind}",
    operation_id="draw_trials",
    summary="A figure of several trials",
    response_class=Response,
    responses=_answers("the gradient flow with and without a remedy"),
)
def of_trials(
    context: ContextDep,
    kind: Annotated[str, _kind(list(SEVERAL_FIGURES))],
    trial: Annotated[
        list[Annotated[str, Field(max_length=64)]],
        Query(min_length=1, description="The id of a trial; repeat it for each.", examples=[["trl_1", "trl_2"]]),
    ],
    by: Annotated[
        str | None,
        Query(
            max_length=64,
            description="`depth_profile`, `learning_curve`: trials with the same value of this parameter share a band; "
            "else those with equal parameters do.",
            examples=["normalization"],
        ),
    ] = None,
    epoch: Epoch = None,
) -> Response:
    """Maps side by side on one color scale; curves and profiles as the median and the range of each group."""
    return _json(draw_trials(context.database, trial, kind, by=by, epoch=epoch))


def _json(figure: dict[str, Any]) -> Response:
    return Response(json.dumps(figure, allow_nan=False, separators=(",", ":")), media_type="application/json")
