"""Sweeps over HTTP: submit in every form, look, steer, delete."""

import json

import pytest

YAML = """
name: from-yaml
method: random
run_cap: 4
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}
  epochs: 2
"""
SWEEP = {
    "name": "from-json",
    "method": "random",
    "run_cap": 4,
    "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}, "epochs": 2},
}


def test_submits_json(client):
    response = client.post("/v1/sweeps", json=SWEEP)
    view = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/sweeps/{view['id']}"
    assert (view["name"], view["state"], view["waiting_for"]) == ("from-json", "queued", "no_worker")
    assert view["resolved"]["parameters"]["optimizer"] == {"value": "adam"}
    assert "/parameters/optimizer" in view["defaulted"]
    assert client.get(response.headers["Location"]).json() == view
    assert client.get("/v1/sweeps/from-json").json() == view


@pytest.mark.parametrize("media_type", ["application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"])
def test_submits_yaml(lasting_client, media_type):
    response = lasting_client.post("/v1/sweeps", content=YAML, headers={"Content-Type": media_type})
    assert response.status_code == 201
    assert response.json()["resolved"]["parameters"]["learning_rate"]["min"] == 1e-4


def test_only_shows_the_plan(client):
    response = client.post("/v1/sweeps", params={"validate_only": True}, json=SWEEP)
    assert response.status_code == 200
    assert response.json()["plan"]["trials"] == 4
    assert response.json()["resolved"]["run_cap"] == 4
    assert client.get("/v1/sweeps").json()["sweeps"] == []


def test_the_same_key_and_body_get_the_first_answer_again(client):
    first, second = (client.post("/v1/sweeps", json=SWEEP, headers={"Idempotency-Key": "k-1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(client.get("/v1/sweeps").json()["sweeps"]) == 1


def test_the_same_key_with_another_body_is_refused(client):
    headers = {"Idempotency-Key": "k-1"}
    client.post("/v1/sweeps", json=SWEEP, headers=headers)
    answer = client.post("/v1/sweeps", json=SWEEP | {"run_cap": 5}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ä"])
def test_a_key_is_printable_and_short(lasting_client, key):
    answer = lasting_client.post("/v1/sweeps", json=SWEEP, headers={"Idempotency-Key": key.encode()})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "header/idempotency-key"


def test_a_name_that_is_taken_gets_a_number_and_a_warning(client, submit):
    submit(name="twice")
    view = client.get(f"/v1/sweeps/{submit(name='twice')}").json()
    assert view["name"] == "twice-2"
    assert "twice" in " ".join(view["warnings"])


def test_an_id_goes_before_a_name(client, submit):
    first = submit(name="first")
    submit(name=first)
    assert client.get(f"/v1/sweeps/{first}").json()["name"] == "first"


def test_a_name_may_hold_what_an_address_escapes(client, submit):
    sweep_id = submit(name="größer: 1.5 + x")
    assert client.get("/v1/sweeps/gr%C3%B6%C3%9Fer:%201.5%20+%20x").json()["id"] == sweep_id
    assert client.post("/v1/sweeps/gr%C3%B6%C3%9Fer:%201.5%20+%20x:pause").json()["state"] == "paused"


def test_shows_the_file_as_it_came(lasting_client):
    response = lasting_client.post("/v1/sweeps", content=YAML, headers={"Content-Type": "application/yaml"})
    path = f"{response.headers['Location']}/file"
    as_it_came = lasting_client.get(path)
    assert as_it_came.text == YAML
    assert as_it_came.headers["Content-Type"].startswith("application/yaml")
    resolved = lasting_client.get(path, params={"resolved": True})
    assert resolved.headers["Content-Type"] == "application/json"
    assert resolved.json() == response.json()["resolved"]


def test_a_resolved_file_can_be_submitted_again(client, submit):
    resolved = client.get(f"/v1/sweeps/{submit()}/file", params={"resolved": True}).text
    again = client.post("/v1/sweeps", content=resolved, headers={"Content-Type": "application/json"})
    assert again.status_code == 201
    changed = {"name", "seed"}
    first = {key: value for key, value in json.loads(resolved).items() if key not in changed}
    assert {key: value for key, value in again.json()["resolved"].items() if key not in changed} == first


def test_pauses_and_resumes(client, submit):
    sweep_id = submit()
    paused = client.post(f"/v1/sweeps/{sweep_id}:pause").json()
    assert (paused["state"], paused["state_reason"], paused["waiting_for"]) == ("paused", "by_user", "paused")
    assert "resume it" in paused["summary"]
    assert client.post(f"/v1/sweeps/{sweep_id}:resume").json()["state"] in {"queued", "running"}


@pytest.mark.parametrize(("verb", "state"), [("stop", "completed"), ("cancel", "cancelled")])
def test_ends_a_sweep_that_has_not_begun(client, submit, verb, state):
    view = client.post(f"/v1/sweeps/{submit()}:{verb}").json()
    assert (view["state"], view["state_reason"]) == (state, "by_user")
    assert view["ended_at"] is not None


def test_stopping_drains_and_cancelling_kills(client, submit, worker):
    sweep_id = submit()
    grants = worker.claim(2)
    view = client.post(f"/v1/sweeps/{sweep_id}:stop").json()
    assert (view["state"], view["counts"]["running"]) == ("stopping", 2)
    worker.train(grants[0])
    view = client.post(f"/v1/sweeps/{sweep_id}:cancel").json()
    assert client.get(f"/v1/trials/{grants[1]['trial_id']}").json()["stop_requested"]


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "cancel", "retry_failed"])
def test_what_is_over_cannot_be_steered(client, submit, verb):
    sweep_id = submit()
    client.post(f"/v1/sweeps/{sweep_id}:cancel")
    answer = client.post(f"/v1/sweeps/{sweep_id}:{verb}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_tries_all_that_failed_again_and_twice_is_once(client, submit, worker):
    sweep_id = submit()
    grants = worker.claim(3)
    final = {"kind": "failed", "failure_kind": "error", "error_type": "ValueError", "message": "bad", "traceback": "T"}
    worker.report(*({"trial_id": one["trial_id"], "attempt": 1, "final": final} for one in grants[:2]))
    for _ in range(2):
        counts = client.post(f"/v1/sweeps/{sweep_id}:retry_failed").json()["counts"]
        assert (counts["failed"], counts["waiting"], counts["running"]) == (0, 2, 1)


def test_deletes_what_does_not_run(client, submit, worker):
    sweep_id = submit()
    worker.claim(1)
    assert client.delete(f"/v1/sweeps/{sweep_id}").status_code == 409
    client.post(f"/v1/leases/{worker.lease_id}:release", json={})
    client.post(f"/v1/sweeps/{sweep_id}:cancel")
    assert client.delete(f"/v1/sweeps/{sweep_id}").status_code == 204
    assert client.get(f"/v1/sweeps/{sweep_id}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/file"),
        ("GET", "/trials"),
        ("GET", "/best"),
        ("GET", "/events"),
        ("POST", ":pause"),
        ("POST", ":resume"),
        ("POST", ":stop"),
        ("POST", ":cancel"),
        ("POST", ":retry_failed"),
        ("DELETE", ""),
    ],
)
def test_an_unknown_sweep_is_not_found(lasting_client, method, path):
    answer = lasting_client.request(method, f"/v1/sweeps/nowhere{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "nowhere" in answer.json()["detail"]


def test_a_whole_sweep(client, submit, worker):
    sweep_id = submit(run_cap=3)
    view = client.get(f"/v1/sweeps/{sweep_id}").json()
    assert view["waiting_for"] == "no_worker"
    for value, grant in zip((0.5, 0.9, 0.7), worker.claim(3), strict=True):
        worker.train(grant, value)
    view = client.get(f"/v1/sweeps/{sweep_id}").json()
    assert (view["state"], view["state_reason"], view["waiting_for"]) == ("completed", "run_cap", None)
    assert view["counts"]["completed"] == 3
    assert view["progress"]["epochs_done"] == view["progress"]["epochs_total"] == 6
    assert view["best"]["objective"] == 0.9
    best = client.get(f"/v1/sweeps/{sweep_id}/best").json()
    assert [trial["val_accuracy"] for trial in best["trials"]] == [0.9, 0.7, 0.5]
    assert best["best"]["test_accuracy"] == 0.9


@pytest.mark.parametrize("dataset", ["digits", "own-data"])
def test_says_what_it_waits_for(client, submit, worker, dataset):
    submit(name="other", dataset=dataset)
    worker.http.post("/v1/claims", json=worker.claim_body(1, max_trials=1))
    view = client.get("/v1/sweeps/other").json()
    assert view["waiting_for"] == {"digits": None, "own-data": "dataset"}[dataset]
    assert ("datasets/own-data.npz" in view["summary"]) == (dataset == "own-data")
