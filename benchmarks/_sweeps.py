"""A sweep as the search sees it, without a database."""

from collections.abc import Mapping
from typing import Any

from service.domain.states import SweepState
from service.domain.sweep import Sweep
from service.domain.sweep_document import read_sweep_document


def make_sweep(keys: Mapping[str, Any]) -> Sweep:
    """A running sweep of a sweep file's keys, `seed` among them."""
    document = read_sweep_document(keys)
    return Sweep(
        id=f"swp_{document.seed}",
        name=document.name,
        state=SweepState.RUNNING,
        state_reason=None,
        dataset=document.dataset,
        dataset_sha256=None,
        method=document.method,
        metric=document.metric,
        run_cap=document.run_cap,
        max_parallel=document.max_parallel,
        seed=document.seed or 0,
        failure_limit=document.failure_limit,
        time_budget_ms=None,
        active_ms=0,
        early_termination=document.early_termination,
        definition=document.definition(),
        n_trials=0,
        n_events=0,
        revision=0,
        created_at_ms=0,
        started_at_ms=0,
        ended_at_ms=None,
    )
