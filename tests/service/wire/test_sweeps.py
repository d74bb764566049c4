"""The words on the wire are those of the domain."""

from dataclasses import fields
from typing import get_args

import pytest

from service.domain import states
from service.domain.trial import Trial
from service.wire import sweeps, trials
from service.wire.sweeps import TrialCounts
from service.wire.trials import TrialView


@pytest.mark.parametrize(
    ("literal", "enum"),
    [
        (sweeps.SweepStateName, states.SweepState),
        (sweeps.SweepReasonName, states.SweepReason),
        (sweeps.WaitingForName, states.WaitingFor),
        (trials.TrialStateName, states.TrialState),
        (trials.PruneReasonName, states.PruneReason),
        (trials.FailureKindName, states.FailureKind),
        (trials.VerdictName, states.Verdict),
        (trials.StabilityLimitName, states.StabilityLimit),
    ],
)
def test_literals_are_the_enums_of_the_domain(literal, enum):
    assert set(get_args(literal)) == set(enum)


def test_every_state_is_counted():
    assert set(TrialCounts.model_fields) == set(states.TrialState)


def test_what_is_measured_is_shown():
    hidden = {"lease_id", "batch_limit", "not_before_ms", "signature", "config_hash", "revision", "score_version"}
    told_as_parts = {"metrics"}  # gradients, metrics_at_best, stability_parts
    told_as_failure = {"failure_kind", "failure_type", "failure_message", "failure_traceback"}
    shown = {field.name.replace("_at_ms", "_at") for field in fields(Trial)} - hidden - told_as_failure - told_as_parts
    assert shown <= set(TrialView.model_fields)
