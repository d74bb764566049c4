"""What `diagnose` prints."""

import pytest

from gradsweep.cli.diagnosing import print_diagnosis
from service.wire.diagnosis import DiagnosisView

FOUND = {
    "trial_id": "trl_3",
    "attempt": 1,
    "verdict": "vanishing",
    "evidence": [
        {"metric": "depth_range", "value": 5.64, "threshold": 3.0, "layer": 1, "epoch": 1, "step": None},
        {
            "metric": "update_ratio",
            "value": None,
            "nonfinite": {"value": "inf"},
            "threshold": 1.0,
            "layer": None,
            "epoch": None,
            "step": None,
        },
    ],
    "early_warning": [{"metric": "grad_rms", "value": 1e-9, "threshold": 1e-7, "layer": 2, "epoch": 0, "step": None}],
    "stability": 0.0,
    "stability_limited_by": "depth",
    "stability_parts": {"depth": 0.0, "update": 0.5, "units": None},
    "score_version": 1,
    "cause": "The gradient shrinks.",
    "measured_slope": 0.627,
    "slope_at_initialization": 0.62,
    "expected_slope": 0.63,
    "remedies": [
        {"changes": {"normalization": "batch"}, "reason": "It helps."},
        {"changes": {"residual": True}, "reason": "It helps too."},
    ],
    "rescue": {"normalization": "batch", "residual": True},
}


@pytest.fixture
def printed(capsys, make_trial):
    """What is printed of the diagnosis above, with changes."""

    def show(**changes):
        print_diagnosis(make_trial(), DiagnosisView.model_validate(FOUND | changes))
        return capsys.readouterr().out

    return show


def test_prints_verdict_evidence_parts_and_remedies_in_order(printed):
    text = printed()
    for words in (
        "vanishing",
        "The gradient shrinks.",
        "0, limited by depth",
        "depth 0.00, update 0.50, units unknown",
        "+0.63 decades a layer (+0.63 expected at the start)",
        "depth_range 5.64 in layer 1 from epoch 1 on (threshold 3)",
        "update_ratio inf (threshold 1)",
        "before the first update: grad_rms 1e-09 in layer 2 from epoch 0 on (threshold 1e-07)",
    ):
        assert words in text
    assert text.index("normalization = batch") < text.index("residual = ")


def test_prints_a_trial_that_has_not_begun(printed):
    blank = dict.fromkeys(("verdict", "stability", "stability_limited_by", "measured_slope", "expected_slope"))
    text = printed(**blank, evidence=[], early_warning=[], remedies=[], stability_parts={})
    assert "none yet" in text
    assert "unknown decades a layer (no theory)" in text
    assert "what to try" not in text
