"""A trial's diagnosis as the REST API shows it (docs/gradients.md)."""

from typing import Annotated, Any

from pydantic import Field

from service.wire.base import Answer
from service.wire.trials import SpelledNumbers, StabilityLimitName, VerdictName


class EvidenceView(Answer):
    """One number that crossed its threshold."""

    metric: str
    value: float | None
    nonfinite: SpelledNumbers = {}
    threshold: float
    layer: Annotated[int | None, Field(description="From 1; null if it belongs to the whole network.")]
    epoch: Annotated[int | None, Field(description="The first epoch whose own value crossed the threshold.")]
    step: Annotated[int | None, Field(description="The first step in that epoch, where it is known.")]


class RemedyView(Answer):
    """Parameters to change together, and why that helps."""

    changes: dict[str, Any]
    reason: str


class DiagnosisView(Answer):
    """What a trial's gradients did, why, and what to try: from the rows of its present attempt so far.

    Slopes are in decades per layer, positive where the gradient vanishes on its way to the input. `expected_slope` is
    what mean-field theory expects at initialization; null where it says nothing (fewer than three hidden layers, or
    layers of different widths).
    """

    trial_id: str
    attempt: int
    verdict: Annotated[VerdictName | None, Field(description="Null before the first epoch.")]
    evidence: tuple[EvidenceView, ...]
    early_warning: Annotated[tuple[EvidenceView, ...], Field(description="Signs of vanishing before the first update.")]
    stability: Annotated[float | None, Field(description="Between 0 and 1.")]
    stability_limited_by: StabilityLimitName | None
    stability_parts: Annotated[dict[str, float | None], Field(description="Null: not measured, counts as 1.")]
    score_version: int | None
    cause: str
    measured_slope: float | None
    slope_at_initialization: float | None
    expected_slope: float | None
    remedies: tuple[RemedyView, ...]
    rescue: Annotated[dict[str, Any], Field(description="The parameters to change, all remedies together.")]
