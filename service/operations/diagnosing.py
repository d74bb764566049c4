"""Diagnosing a trial: one short read of its rows, then the pure functions of `domain.stability`."""

import math
from collections.abc import Iterable

from service.database.cases import read_cases
from service.database.engine import Database
from service.database.trials import get_trial
from service.domain.stability.diagnosis import diagnose, rescue
from service.domain.stability.enforcement import Case
from service.domain.stability.verdict import Evidence
from service.errors import NotFound
from service.wire.diagnosis import DiagnosisView, EvidenceView, RemedyView


def read_diagnosis(database: Database, trial_id: str) -> DiagnosisView:
    """What a trial's gradients did, why, and what to try, as far as its present attempt has come.

    Raises:
        NotFound: There is no such trial.
    """
    with database.read() as connection:
        trial = get_trial(connection, trial_id)
        if trial is None:
            raise NotFound(f"there is no trial {trial_id!r}; a sweep's trials are listed at /v1/sweeps/ID/trials")
        fence = (trial.id, trial.attempt)
        case = read_cases(connection, [fence]).get(fence, Case((), trial.parameters))
    found = diagnose(case.rows, trial.parameters, case.class_shares)
    score = found.score
    return DiagnosisView(
        trial_id=trial.id,
        attempt=trial.attempt,
        verdict=None if found.finding is None else found.finding.verdict.value,
        evidence=evidence_views(() if found.finding is None else found.finding.evidence),
        early_warning=evidence_views(found.early_warning),
        stability=None if score is None else score.stability,
        stability_limited_by=None if score is None else score.limiting,
        stability_parts={} if score is None else dict(score.measured),
        score_version=None if score is None else score.version,
        cause=found.cause,
        measured_slope=found.measured_slope,
        slope_at_initialization=found.slope_at_initialization,
        expected_slope=found.expected_slope,
        remedies=tuple(RemedyView(changes=remedy.changes, reason=remedy.reason) for remedy in found.remedies),
        rescue=rescue(trial.parameters, found),
    )


def evidence_views(evidence: Iterable[Evidence]) -> tuple[EvidenceView, ...]:
    """Evidence as it is shown; a value that is not finite is spelled."""
    return tuple(
        EvidenceView(
            metric=one.metric,
            value=one.value if math.isfinite(one.value) else None,
            nonfinite={} if math.isfinite(one.value) else {"value": str(one.value)},
            threshold=one.threshold,
            layer=one.layer,
            epoch=one.epoch,
            step=one.step,
        )
        for one in evidence
    )
