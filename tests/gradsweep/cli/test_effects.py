"""What `effects` prints."""

import pytest

from gradsweep.cli.effects import print_effects
from service.wire.effects import EffectsView


def summary(median, low=None, high=None, coverage=None, spelled=None):
    return {
        "n": 5,
        "median": median,
        "low": low,
        "high": high,
        "coverage": coverage,
        "nonfinite": spelled or {},
    }


GROUP = {
    "n_trials": 5,
    "n_unpromising": 0,
    "metric": summary(0.917, 0.9, 0.93, 0.9375),
    "stability": summary(1.0, 0.98, 1.0, 0.9375),
    "depth_slope": None,
    "verdicts": {"stable": 4, "vanishing": 1},
}
PAIRED = {
    "value": "normalization",
    "against": "base",
    "n_pairs": 5,
    "n_same_seed": 5,
    "n_same_stream": 4,
    "metric": summary(0.8, 0.79, 0.82, 0.9375),
    "stability": summary(-0.01, None, None),
    "depth_slope": None,
}
REMEDY = {"remedy": "normalization", "changes": {"normalization": "batch"}, "paired": PAIRED}
LEVEL = {"value": "0.001 to 0.01", "low": 0.001, "high": 0.01}


@pytest.fixture
def printed(capsys):
    """What is printed of effects."""

    def show(**changes):
        empty = {"sweep_id": "swp_1", "n_trials": 5, "notes": ["Read it so."], "remedies": [], "factors": []}
        metric = {"name": "val_accuracy", "direction": "maximize", "at": "last", "target": None}
        print_effects("deep", EffectsView.model_validate(empty | {"metric": metric} | changes))
        return capsys.readouterr().out

    return show


def test_remedies_and_their_differences_with_the_interval_in_brackets(printed):
    text = printed(remedies=[GROUP | REMEDY])
    assert "normalization batch" in text
    assert "0.917 [0.9, 0.93]" in text
    assert "4 stable, 1 vanishing" in text
    assert "normalization - base" in text
    assert "+0.8 [+0.79, +0.82]" in text
    assert "Read it so." in text
    assert "a probability of 94 % or more" in text


def test_levels_of_a_search(printed):
    level = GROUP | LEVEL | {"metric": summary(None, 0.2, None, 0.99, {"median": "inf", "high": "inf"})}
    text = printed(factors=[{"name": "learning_rate", "levels": [level], "pairs": []}])
    assert "0.001 to 0.01" in text
    assert "inf [0.2, inf]" in text
    assert "a probability of 95 % or more" in text
    assert "difference" not in text


def test_nothing_but_the_note_before_a_trial_has_ended(printed):
    assert printed().strip() == "Read it so."
