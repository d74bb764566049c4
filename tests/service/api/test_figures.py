"""Figures over HTTP, on both databases."""

import pytest
from plotly.io import from_json

from service.figures.kinds import SEVERAL_FIGURES, STEPS, SWEEP_FIGURES, TRIAL_FIGURES


@pytest.fixture
def trained(submit, worker):
    """A sweep with trials that were trained, and the first of them."""
    sweep = submit()
    for number in range(3):
        (grant,) = worker.claim()
        worker.train(grant, 0.5 + number / 10)
    return sweep, grant["trial_id"]


def test_every_kind_opens_in_a_notebook(client, trained):
    sweep, trial = trained
    paths = [f"/v1/sweeps/{sweep}/figures/{kind}" for kind in SWEEP_FIGURES]
    paths += [f"/v1/trials/{trial}/figures/{kind}" for kind in TRIAL_FIGURES if kind != STEPS]
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    assert all(from_json(answer.text).layout.title.text for answer in answers)


@pytest.mark.parametrize("kind", SEVERAL_FIGURES)
def test_several_trials_share_a_figure(client, trained, kind):
    sweep, _ = trained
    ids = [each["id"] for each in client.get(f"/v1/sweeps/{sweep}/trials").json()["trials"]]
    answer = client.get(f"/v1/figures/{kind}", params={"trial": [*ids, ids[0]], "by": "optimizer"})
    assert answer.status_code == 200
    assert from_json(answer.text).layout.title.text


def test_curves_are_those_of_the_metric(client, trained):
    sweep, trial = trained
    figure = from_json(client.get(f"/v1/sweeps/{sweep}/figures/learning_curves").text)
    (best,) = [trace for trace in figure.data if trace.name.startswith("best")]
    assert (best.y[0], best.customdata[0][0]) == (0.7, trial)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/sweeps/look/figures/nonsense", 404, "history, slice"),
        ("/v1/sweeps/nothing/figures/history", 404, "no sweep"),
        ("/v1/sweeps/look/figures/stability_map?x=nonsense", 422, "learning_rate"),
        ("/v1/trials/trl_nothing/figures/gradient_flow", 404, "no trial"),
        ("/v1/figures/gradient_flow", 422, "trial"),
        ("/v1/figures/gradient_flow?trial=trl_nothing", 404, "no trial"),
        ("/v1/figures/gradient_flow?trial=t&by=nonsense", 422, "learning_rate"),
        ("/v1/figures/gradient_flow?" + "&".join(f"trial={at}" for at in range(61)), 422, "at most 60"),
        ("/v1/figures/nonsense?trial=t", 404, "gradient_flow, update_ratio"),
        ("/v1/trials/trl_nothing/figures/nonsense", 404, "gradient_flow, update_ratio"),
    ],
)
def test_what_cannot_be_drawn_is_told(client, submit, path, status, words):
    submit()
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text


def test_summaries_count_verdicts(client, trained):
    sweep, _ = trained
    found = client.get(f"/v1/sweeps/{sweep}").json()
    assert sum(found["verdicts"].values()) == 3
