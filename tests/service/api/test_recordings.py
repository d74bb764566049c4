"""Recordings over HTTP: asked for, made by a worker that speaks HTTP, drawn and downloaded."""

import gzip
import json

import pytest
from plotly.io import from_json

HEADER = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"
CSV = "\n".join([HEADER, *(f"{step},{layer}{7 * ',0.5'}" for step in (1, 2, 3) for layer in (1, 2))]) + "\n"
START = {"stream_seed": 1, "start_epoch": 0, "dataset_sha256": "0" * 64}


@pytest.fixture
def trial(submit, worker, epoch_entry):
    """A trial of two layers that was trained."""
    submit(run_cap=1, parameters={"hidden_units": {"value": [8]}, "epochs": 1})
    [grant] = worker.claim()
    final = {"kind": "completed", "best_epoch": 1}
    worker.report(epoch_entry(grant, 0, steps=0) | {"start": START}, epoch_entry(grant, 1) | {"final": final})
    return grant["trial_id"]


@pytest.fixture
def make(client, worker):
    """Has the worker take a recording and send a table; the status of its report and what it is told."""

    def claim_and_send(text=CSV):
        body = {name: value for name, value in worker.claim_body().items() if name not in ("protocol", "max_trials")}
        answer = client.post("/v1/claims/recordings", json=body).json()
        grant = answer["recording"]
        result = {"kind": "recorded", "csv": text, "same_program": True}
        packed = gzip.compress(
            json.dumps({"trial_id": grant["trial_id"], "attempt": grant["attempt"], "result": result}).encode()
        )
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        path = f"/v1/leases/{answer['lease_id']}/recordings"
        report = client.post(path, content=packed, headers=headers)
        return report.status_code, report.json()

    return claim_and_send


def test_asked_for_made_and_shown(client, trial, make):
    asked = client.post(f"/v1/trials/{trial}:record", json={"steps": 3})
    assert asked.status_code == 202
    recording = asked.json()["recording"]
    assert (recording["state"], recording["steps"], recording["every"]) == ("queued", 3, 1)
    figure = client.get(f"/v1/trials/{trial}/figures/steps")
    assert (figure.status_code, figure.json()["code"]) == (409, "conflict")

    assert make() == (200, {"outcome": "stored"})

    shown = client.get(f"/v1/trials/{trial}").json()["recording"]
    assert (shown["state"], shown["matches"], shown["reason"]) == ("done", True, None)
    assert shown["made_at"] is not None
    [file] = client.get(f"/v1/trials/{trial}/artifacts").json()["artifacts"]
    assert (file["name"], file["kind"], file["n_bytes"]) == (shown["artifact"], "steps", len(CSV))
    download = client.get(f"/v1/trials/{trial}/artifacts/{file['name']}")
    assert (download.text, download.headers["Content-Type"].split(";")[0]) == (CSV, "text/csv")
    assert file["name"] in download.headers["Content-Disposition"]
    drawn = from_json(client.get(f"/v1/trials/{trial}/figures/steps").text)
    assert [len(trace.x) for trace in drawn.data if trace.name.startswith("layer")] == [3, 3, 3, 3]
    [listed] = client.get("/v1/sweeps/look/trials").json()["trials"]
    assert listed["recording"] == shown


def test_without_a_body_the_first_500_steps_are_meant(client, trial):
    recording = client.post(f"/v1/trials/{trial}:record").json()["recording"]
    assert (recording["steps"], recording["every"]) == (500, 1)


def test_nothing_is_recorded(client, trial):
    assert client.get(f"/v1/trials/{trial}").json()["recording"] is None
    assert client.get(f"/v1/trials/{trial}/artifacts").json()["artifacts"] == []
    figure = client.get(f"/v1/trials/{trial}/figures/steps")
    assert (figure.status_code, f"{trial}:record" in figure.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"steps": 0}, "/steps"),
        ({"steps": 10_001}, "/steps"),
        ({"every": 0}, "/every"),
        ({"steps": "500"}, "/steps"),
        ({"layers": 2}, "/layers"),
    ],
)
def test_bounds_are_told(client, trial, body, pointer):
    answer = client.post(f"/v1/trials/{trial}:record", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_trial_that_waits_cannot_be_recorded(client, submit, add_trials):
    [waiting] = add_trials(submit(), {})
    answer = client.post(f"/v1/trials/{waiting}:record")
    assert (answer.status_code, "record it when it has ended" in answer.json()["detail"]) == (409, True)
    assert client.post("/v1/trials/trl_none:record").status_code == 404


def test_a_table_that_is_none_is_refused(client, trial, make):
    client.post(f"/v1/trials/{trial}:record", json={"steps": 3})
    status, problem = make("=1+1")
    assert (status, problem["errors"][0]["pointer"]) == (422, "/result/csv")


def test_a_table_that_is_too_long_is_refused(client, trial, make):
    client.post(f"/v1/trials/{trial}:record", json={"steps": 3})
    status, problem = make("0" * 8_000_001)
    assert (status, problem["errors"][0]["pointer"]) == (422, "/result/csv")


def test_in_a_table_of_trials_the_recording_is_flat(client, trial, make):
    client.post(f"/v1/trials/{trial}:record", json={"steps": 3})
    make()
    header, row = client.get("/v1/sweeps/look/export?table=trials").text.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=False))
    assert [name for name in cells if name.startswith("recording.")][:2] == ["recording.state", "recording.steps"]
    assert "recording" not in cells
