"""The lease routes over HTTP; what they decide is tested with the operations."""

import gzip
import json

import pytest

from service.wire.base import PROTOCOL_VERSION


def test_claims_reports_renews_and_releases(client, submit, worker, epoch_entry):
    submit()
    grants = worker.claim(2)
    assert [grant["number"] for grant in grants] == [0, 1]
    answers = worker.report(*(epoch_entry(grant, 0) for grant in grants))
    assert [answer["directive"] for answer in answers] == ["continue", "continue"]
    beat = {"steps_done": 5, "phase": "training", "slots_filled": 2}
    held = client.post(f"/v1/leases/{worker.lease_id}:heartbeat", json=beat).json()["held"]
    assert sorted(held) == sorted(grant["trial_id"] for grant in grants)
    released = client.post(f"/v1/leases/{worker.lease_id}:release", json={}).json()["released"]
    assert sorted(released) == sorted(held)


def test_the_same_claim_gets_the_same_answer(client, submit, worker):
    submit()
    body = worker.claim_body(2)
    assert client.post("/v1/claims", json=body).json() == client.post("/v1/claims", json=body).json()


def test_nothing_to_do_is_an_answer(client, worker):
    answer = client.post("/v1/claims", json=worker.claim_body()).json()
    assert answer["grants"] == []
    assert answer["retry_after_ms"] > 0


def test_reports_may_be_packed(client, submit, worker, epoch_entry):
    submit()
    entry = epoch_entry(worker.claim(1)[0], 0)
    body = gzip.compress(json.dumps({"entries": [entry]}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post(f"/v1/leases/{worker.lease_id}/reports", content=body, headers=headers)
    assert answer.json()["entries"][0]["directive"] == "continue"


@pytest.mark.parametrize("protocol", [PROTOCOL_VERSION + 1, PROTOCOL_VERSION - 1, -1, 2**70])
def test_another_protocol_is_refused_before_its_keys_are_judged(lasting_client, protocol):
    answer = lasting_client.post("/v1/claims", json={"protocol": protocol, "keys": "of another time"})
    assert (answer.status_code, answer.json()["code"]) == (426, "protocol_not_served")


def test_a_worker_is_listed(client, submit, worker, clock):
    submit()
    worker.claim(2)
    view = client.get("/v1/workers").json()["workers"][0]
    assert (view["id"], view["n_trials"], view["is_alive"], view["is_quarantined"]) == ("wrk_1", 2, True, False)
    assert view["idle_slot_seconds"] == {}
    beat = {"steps_done": 5, "phase": "training", "slots_filled": 2, "idle_slot_seconds": {"no_work": 1.5}}
    client.post(f"/v1/leases/{worker.lease_id}:heartbeat", json=beat).raise_for_status()
    assert client.get("/v1/workers").json()["workers"][0]["idle_slot_seconds"] == {"no_work": 1.5}
    clock.advance_seconds(61)
    assert not client.get("/v1/workers").json()["workers"][0]["is_alive"]


def test_a_worker_has_a_rate(client, submit, worker, clock):
    submit()
    for grant in worker.claim(2):
        worker.train(grant)
    rates = []
    for seconds in (0, 1800, 1799, 2):
        clock.advance_seconds(seconds)
        rates.append(client.get("/v1/workers").json()["workers"][0]["trials_per_hour"])
    assert rates == [120, 4, pytest.approx(2.0, rel=1e-3), 0]


def test_a_lost_lease_holds_nothing(lasting_client):
    entry = {"trial_id": "trl_1", "attempt": 1, "epoch": {"epoch": 0, "steps": 0}}
    answer = lasting_client.post("/v1/leases/lse_nowhere/reports", json={"entries": [entry]})
    assert [entry["directive"] for entry in answer.json()["entries"]] == ["gone"]
    beat = {"steps_done": 5, "phase": "training"}
    assert lasting_client.post("/v1/leases/lse_nowhere:heartbeat", json=beat).status_code in {404, 409}
    assert lasting_client.post("/v1/leases/lse_nowhere:release", json={}).status_code in {200, 404, 409}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"attempt": 0}, "/entries/0/attempt"),
        ({"attempt": True}, "/entries/0/attempt"),
        ({"attempt": 1.5}, "/entries/0/attempt"),
        ({"attempt": "1"}, "/entries/0/attempt"),
        ({"trial_id": "../x"}, "/entries/0/trial_id"),
        ({"surprise": 1}, "/entries/0/surprise"),
        ({"epoch": {"epoch": -1, "steps": 1}}, "/entries/0/epoch/epoch"),
        ({"epoch": {"epoch": 1, "steps": 2**63}}, "/entries/0/epoch/steps"),
        ({"epoch": {"epoch": 1, "steps": 1, "train_loss": "low"}}, "/entries/0/epoch/train_loss"),
        ({"epoch": {"epoch": 1, "steps": 1, "val_accuracy": 1.01}}, "/entries/0/epoch/val_accuracy"),
        ({"final": {"kind": "completed", "best_epoch": 0}}, "/entries/0/final/best_epoch"),
        ({"final": {"kind": "vanished"}}, "/entries/0/final"),
    ],
)
def test_points_at_what_is_wrong(lasting_client, change, pointer):
    entry = {"trial_id": "trl_1", "attempt": 1} | change
    answer = lasting_client.post("/v1/leases/lse_1/reports", json={"entries": [entry]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("lease", "content", "status"),
    [
        ("lse_1", b'{"steps_done": 1, "phase": "idle"}', 404),
        ("lse%201", b'{"steps_done": 1, "phase": "idle"}', 422),
        ("l" * 65, b'{"steps_done": 1, "phase": "idle"}', 422),
        ("lse_1", b'{"steps_done": 1, "phase": "idle", "idle_slot_seconds": {"\\u0000": 1}}', 400),
        ("lse_1", b'{"steps_done": 1, "phase": "idle", "other": NaN}', 400),
        ("lse_1", b'{"steps_done": 1}', 422),
    ],
)
def test_what_is_wrong_takes_the_long_way(lasting_client, lease, content, status):
    headers = {"Content-Type": "application/json"}
    answer = lasting_client.post(f"/v1/leases/{lease}:heartbeat", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
