"""What the figures of a trial say."""

import math

import pytest

from service.figures.trial_figures import depth_profile, gradient_flow, update_ratio


def test_the_input_is_at_the_bottom_and_the_middle_is_epoch_1(trial_facts):
    heat = gradient_flow(trial_facts([0.1] * 4, [0.001, 0.01, 0.01, 0.1]))["data"][0]
    assert heat["y"] == [1, 2, 3, 4]
    assert [line[1] for line in heat["z"]] == pytest.approx([-3, -2, -2, -1])
    assert heat["zmid"] == pytest.approx(-2)


def test_a_network_that_blew_up_did_not_begin_with_large_gradients(trial_facts):
    heat = gradient_flow(trial_facts([0.1] * 4, [1e-30] * 4))["data"][0]
    assert heat["zmid"] == pytest.approx(-3)


def test_colors_end_four_decades_from_the_middle_but_words_do_not(trial_facts):
    heat = gradient_flow(trial_facts([1.0] * 4, [1e-20, 1.0, 1.0, 1.0]))["data"][0]
    assert heat["z"][0][1] == heat["zmin"] == pytest.approx(-4)
    assert heat["text"][0][1] == "1.00e-20"


def test_a_gradient_of_exactly_zero_is_at_the_end_of_the_scale(trial_facts):
    heat = gradient_flow(trial_facts([0.0, 1.0, 1.0, 1.0]))["data"][0]
    assert heat["z"][0] == [heat["zmin"]]
    assert heat["text"][0] == ["exactly zero"]


def test_what_is_not_finite_is_crossed(trial_facts):
    heat, crosses = gradient_flow(trial_facts([0.1] * 4, [0.1, math.inf, 0.1, math.nan]))["data"]
    assert heat["z"][1] == [pytest.approx(-1), None]
    assert list(zip(crosses["x"], crosses["y"], strict=True)) == [(1, 2), (1, 4)]


def test_updates_are_judged_around_a_thousandth_and_have_no_epoch_0(trial_facts):
    heat = update_ratio(trial_facts([0.1] * 4, [1e-3] * 4))["data"][0]
    assert (heat["zmid"], heat["x"]) == (-3, [1])


def test_theory_lies_where_the_measurement_is_and_has_a_slope_of_its_own(trial_facts):
    figure = depth_profile(trial_facts([0.01, 0.01, 0.01, 0.5]))
    measured, theory = figure["data"]
    assert measured["y"] == [0.01] * 3
    assert sum(map(math.log10, theory["y"])) == pytest.approx(-6)
    assert theory["y"][2] / theory["y"][0] == pytest.approx(10 ** (2 * 0.1505), rel=0.02)  # ReLU with Glorot


def test_theory_says_nothing_of_layers_of_different_widths(trial_facts):
    assert len(depth_profile(trial_facts([0.1] * 4, units=(32, 16, 8)))["data"]) == 1


@pytest.mark.parametrize(("epoch", "shown"), [(1, "epoch 1"), (None, "epoch 2"), (99, "epoch 2")])
def test_the_profile_shows_the_epoch_that_is_asked_for_or_the_last(epoch, shown, trial_facts):
    figure = depth_profile(trial_facts([0.1] * 4, [0.2] * 4, [0.3] * 4, epoch=epoch))
    assert figure["data"][-1]["name"] == shown
