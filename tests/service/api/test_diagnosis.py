"""Why a trial failed, over HTTP."""

import pytest


@pytest.fixture
def grant(submit, worker):
    submit(parameters={"hidden_units": {"value": [32] * 5}, "activation": "sigmoid", "epochs": 3}, run_cap=1)
    return worker.claim(1)[0]


@pytest.fixture
def report_vanishing(worker, grant, epoch_entry):
    """Reports epochs whose gradient loses nine tenths of a decade with each of five hidden layers."""

    def report(epochs):
        layers = [
            {"layer": layer, "bias_grad_rms_median": 10 ** (0.9 * layer - 8), "update_ratio_median": 1e-3}
            for layer in range(1, 7)
        ]
        for epoch in range(epochs + 1):
            worker.report(epoch_entry(grant, epoch, 0.11, train_loss=2.3, layers=layers))
        return f"/v1/trials/{grant['trial_id']}/diagnosis"

    return report


def test_vanishing_is_diagnosed_while_the_trial_runs(client, report_vanishing):
    found = client.get(report_vanishing(2)).json()

    assert (found["verdict"], found["stability"], found["stability_limited_by"]) == ("vanishing", 0.0, "depth")
    assert found["evidence"][0] == {
        "metric": "depth_range",
        "value": pytest.approx(3.6),
        "nonfinite": {},
        "threshold": 3.0,
        "layer": 1,
        "epoch": 1,
        "step": None,
    }
    assert found["measured_slope"] == found["slope_at_initialization"] == pytest.approx(0.9)
    assert found["expected_slope"] == pytest.approx(0.63, abs=0.01)
    assert found["stability_parts"]["steady"] is None
    assert "5 hidden layers of sigmoid" in found["cause"]
    assert [remedy["changes"] for remedy in found["remedies"]][:2] == [{"normalization": "batch"}, {"residual": True}]
    assert found["rescue"]["activation"] == "relu"


def test_before_the_first_epoch_there_is_a_warning_and_no_verdict(client, report_vanishing):
    found = client.get(report_vanishing(0)).json()
    assert (found["verdict"], found["evidence"], found["remedies"], found["rescue"]) == (None, [], [], {})
    assert found["early_warning"][0]["metric"] == "depth_range"


def test_a_trial_without_rows_has_a_diagnosis_that_says_so(client, submit, add_trials):
    [trial_id] = add_trials(submit(), {})
    found = client.get(f"/v1/trials/{trial_id}/diagnosis").json()
    assert (found["verdict"], found["stability"], found["cause"]) == (None, None, "No epoch has been trained yet.")


def test_values_that_are_not_finite_are_spelled(client, grant, worker, epoch_entry):
    layer = {"layer": 1, "update_ratio_median": None, "nonfinite_values": {"update_ratio_median": "inf"}}
    worker.report(epoch_entry(grant, 0), epoch_entry(grant, 1, layers=[layer, {"layer": 2}]))

    [evidence] = client.get(f"/v1/trials/{grant['trial_id']}/diagnosis").json()["evidence"]

    assert (evidence["metric"], evidence["value"], evidence["nonfinite"]) == ("update_ratio", None, {"value": "inf"})


def test_an_unknown_trial_is_not_found(client):
    assert client.get("/v1/trials/trl_none/diagnosis").status_code == 404
