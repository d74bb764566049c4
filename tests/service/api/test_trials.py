"""One trial over HTTP: its epochs and gradients, cancelling and trying again."""

import pytest


@pytest.fixture
def grant(submit, worker):
    submit()
    return worker.claim(1)[0]


def test_a_running_trial_names_its_worker(client, grant):
    view = client.get(f"/v1/trials/{grant['trial_id']}").json()
    assert (view["state"], view["worker_id"], view["attempt"]) == ("running", "wrk_1", 1)
    assert view["parameters"] == grant["parameters"]


def test_shows_epochs_and_gradients(client, grant, worker):
    worker.train(grant, 0.8)
    path = f"/v1/trials/{grant['trial_id']}"
    epochs = client.get(f"{path}/epochs").json()
    assert [epoch["epoch"] for epoch in epochs["epochs"]] == [0, 1, 2]
    assert epochs["epochs"][1]["val_accuracy"] == 0.8
    assert epochs["epochs"][1]["directive"] == "continue"
    layers = client.get(f"{path}/gradients").json()["layers"]
    assert [(layer["epoch"], layer["layer"]) for layer in layers] == [(e, k) for e in (0, 1, 2) for k in (1, 2)]
    some = client.get(f"{path}/gradients", params={"layer": 2, "from_epoch": 1}).json()["layers"]
    assert [(layer["epoch"], layer["layer"], layer["grad_norm_mean"]) for layer in some] == [(1, 2, 0.4), (2, 2, 0.4)]


def test_shows_every_attempt_and_how_it_began(client, grant, worker, epoch_entry):
    start = {"stream_seed": 5, "start_epoch": 2, "dataset_sha256": "0" * 64, "environment": {"keras": "3"}}
    worker.report(epoch_entry(grant, 0) | {"start": start})
    (attempt,) = client.get(f"/v1/trials/{grant['trial_id']}/attempts").json()["attempts"]
    assert {name: attempt[name] for name in start} == start
    assert (attempt["attempt"], attempt["worker_id"], attempt["outcome"]) == (1, "wrk_1", None)


def test_spells_out_what_is_not_finite(client, grant, worker, epoch_entry):
    entry = epoch_entry(grant, 0, train_loss=None, nonfinite=3, nonfinite_values={"train_loss": "inf"})
    layer = {"layer": 1, "grad_norm_mean": None, "nonfinite": 3, "nonfinite_values": {"grad_norm_mean": "nan"}}
    entry["epoch"]["layers"] = [layer]
    worker.report(entry)
    path = f"/v1/trials/{grant['trial_id']}"
    epoch = client.get(f"{path}/epochs").json()["epochs"][0]
    assert (epoch["train_loss"], epoch["nonfinite"], epoch["nonfinite_entries"]) == (None, {"train_loss": "inf"}, 3)
    layer = client.get(f"{path}/gradients").json()["layers"][0]
    assert (layer["grad_norm_mean"], layer["nonfinite"]) == (None, {"grad_norm_mean": "nan"})
    trial = client.get(path).json()
    assert (trial["train_loss"], trial["nonfinite"]) == (None, {"train_loss": "inf"})


def test_cancels_a_waiting_trial_at_once(client, submit, add_trials):
    trial_id = add_trials(submit(), {})[0]
    assert client.post(f"/v1/trials/{trial_id}:cancel").json()["state"] == "cancelled"


def test_cancels_a_running_trial_at_the_end_of_its_epoch(client, grant, worker, epoch_entry):
    view = client.post(f"/v1/trials/{grant['trial_id']}:cancel").json()
    assert (view["state"], view["stop_requested"]) == ("running", True)
    assert [answer["directive"] for answer in worker.report(epoch_entry(grant, 0))] == ["stop"]
    worker.report({"trial_id": grant["trial_id"], "attempt": 1, "final": {"kind": "stopped"}})
    assert client.get(f"/v1/trials/{grant['trial_id']}").json()["state"] == "cancelled"


def test_tries_a_failed_trial_again(client, grant, worker):
    final = {"kind": "failed", "failure_kind": "error", "error_type": "ValueError", "message": "bad", "traceback": "T"}
    worker.report({"trial_id": grant["trial_id"], "attempt": 1, "final": final})
    failed = client.get(f"/v1/trials/{grant['trial_id']}").json()
    assert failed["failure"] == {"kind": "error", "type": "ValueError", "message": "bad", "traceback": "T"}
    again = client.post(f"/v1/trials/{grant['trial_id']}:retry").json()
    assert (again["state"], again["lost"], again["failure"]) == ("waiting", 0, None)


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_a_completed_trial_stays(client, grant, worker, verb):
    worker.train(grant)
    answer = client.post(f"/v1/trials/{grant['trial_id']}:{verb}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/attempts"),
        ("GET", "/epochs"),
        ("GET", "/gradients"),
        ("POST", ":cancel"),
        ("POST", ":retry"),
    ],
)
def test_an_unknown_trial_is_not_found(lasting_client, method, path):
    answer = lasting_client.request(method, f"/v1/trials/trl_nowhere{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
