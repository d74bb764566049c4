"""What a sweep taught: the Pareto front of its metrics, and which parameters decide one."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.bodies import StrictRoute
from service.api.context import ContextDep, SweepRef
from service.api.documenting import errors
from service.domain.metrics import STORED_METRICS
from service.errors import NotFound
from service.operations.weighing import read_importances, read_pareto
from service.wire.search import ImportancesView, ParetoView

router = APIRouter(route_class=StrictRoute, tags=["sweeps"])

_KNOWN = ", ".join(STORED_METRICS)


@router.get(
    "/v1/sweeps/{sweep}/pareto",
    operation_id="pareto_front",
    summary="The Pareto front of a sweep's metrics",
    responses=errors(NotFound),
)
def pareto(
    context: ContextDep,
    sweep: SweepRef,
    metrics: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Metrics to trade, 2 to 4 names separated by commas; the sweep's own if left out, and "
            f"stability beside a single one. Known: {_KNOWN}.",
            examples=["val_accuracy,stability"],
        ),
    ] = None,
) -> ParetoView:
    """Completed trials that keep the sweep's bounds and that none of them beats in every metric."""
    return read_pareto(context.database, sweep, metrics)


@router.get(
    "/v1/sweeps/{sweep}/importances",
    operation_id="parameter_importances",
    summary="Which parameters decide a metric",
    responses=errors(NotFound),
)
def importances(
    context: ContextDep,
    sweep: SweepRef,
    target: Annotated[
        str | None,
        Query(
            max_length=64,
            description=f"A metric: {_KNOWN}. The sweep's own if left out.",
            examples=["stability"],
        ),
    ] = None,
) -> ImportancesView:
    """By PED-ANOVA over all trials that ended, pruned ones too; empty, with the reason, where it cannot be told."""
    return read_importances(context.database, context.importances, sweep, target)
