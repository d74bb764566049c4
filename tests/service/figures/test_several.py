"""Several trials in one figure: one color scale, and bands over those that differ by chance alone."""

import json
import math

import pytest
from plotly.io import from_json

from service.errors import InvalidRequest
from service.figures.kinds import SEVERAL_FIGURES
from service.figures.several import MAX_GROUPS, MAX_PANELS, SeveralFacts
from service.figures.several import groups_of as groups

RATES = [{"learning_rate": 10 ** -(1 + at)} for at in range(8)]


def drawn(kind, facts):
    return from_json(json.dumps(SEVERAL_FIGURES[kind](facts), allow_nan=False))


@pytest.mark.parametrize("kind", SEVERAL_FIGURES)
@pytest.mark.parametrize("n_trials", [1, 2, 5])
def test_plotly_takes_every_kind(kind, n_trials, several_facts):
    assert len(drawn(kind, several_facts(n_trials)).data) > 0


@pytest.mark.parametrize("kind", SEVERAL_FIGURES)
def test_trials_without_epochs_can_be_drawn(kind, trial_facts, several_facts):
    (named,) = several_facts(1).trials
    empty = SeveralFacts([type(named)(0, 1, trial_facts())] * 2)
    figure = drawn(kind, empty)
    assert figure.data or figure.layout.annotations


def test_maps_share_one_scale_and_are_named_by_what_sets_them_apart(several_facts):
    figure = drawn("gradient_flow", several_facts(2, {"normalization": "none"}, {"normalization": "batch"}))
    assert [trace.coloraxis for trace in figure.data] == ["coloraxis"] * 2
    middle = (math.log10(0.1) + math.log10(0.2)) / 2
    assert figure.layout.coloraxis.cmid == pytest.approx(middle)
    assert figure.layout.coloraxis.cmax - middle == pytest.approx(2)
    assert [note.text for note in figure.layout.annotations] == [
        "trial 0<br>normalization none",
        "trial 1<br>normalization batch",
    ]
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]


def test_seeds_make_one_band_with_its_median(several_facts):
    figure = drawn("learning_curve", several_facts(3))
    low, high, line = (trace for trace in figure.data if trace.yaxis == "y")
    assert [each.y[-1] for each in (low, high, line)] == pytest.approx([0.1, 0.3, 0.2])
    assert (high.fill, line.name) == ("tonexty", "trial 0 · seed 100 (3 trials)")


def test_a_profile_is_of_the_epoch_that_was_asked_for(several_facts):
    (line,) = drawn("depth_profile", several_facts(1)).data
    assert (line.x, line.y) == ((1, 2, 3), (0.1, 0.1, 0.1))


def test_different_parameters_are_different_groups_unless_by_joins_them(several_facts):
    given = [rate | {"normalization": name} for rate, name in zip(RATES, ["none", "batch"] * 2, strict=False)]
    assert [len(group.members) for group in groups(several_facts(4, *given))] == [1, 1, 1, 1]
    joined = groups(several_facts(4, *given, by="normalization"))
    assert [group.name for group in joined] == ["normalization none (2 trials)", "normalization batch (2 trials)"]


def test_groups_by_depth(several_facts):
    given = [{"hidden_units": (16,) * depth} for depth in (3, 3, 2)]
    assert [group.name for group in groups(several_facts(3, *given, by="depth"))] == ["depth 3 (2 trials)", "depth 2"]


@pytest.mark.parametrize(
    ("kind", "n_trials", "words"),
    [("gradient_flow", MAX_PANELS + 1, "side by side"), ("learning_curve", MAX_GROUPS + 1, "make 7 groups")],
)
def test_more_than_one_tells_apart_is_refused(kind, n_trials, words, several_facts):
    with pytest.raises(InvalidRequest, match=words):
        SEVERAL_FIGURES[kind](several_facts(n_trials, *RATES))


@pytest.mark.parametrize(("loss", "scale"), [(1e6, "log"), (9.0, "linear")])
def test_an_exploded_loss_makes_the_scale_logarithmic(loss, scale, several_facts):
    facts = several_facts(1)
    object.__setattr__(facts.trials[0].facts.rows[1], "val_loss", loss)
    assert drawn("learning_curve", facts).layout.yaxis2.type == scale
