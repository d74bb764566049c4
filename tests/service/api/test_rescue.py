"""Rescues over HTTP."""

import pytest

NAN = {"train_loss": None, "nonfinite": 1, "nonfinite_values": {"train_loss": "nan"}}


@pytest.fixture
def sick(submit, worker, epoch_entry):
    """A trial that diverged, alone in its sweep."""
    submit(run_cap=1)
    [grant] = worker.claim(1)
    worker.report(epoch_entry(grant, 0), epoch_entry(grant, 1, 0.1, **NAN))
    return grant["trial_id"]


def test_a_rescue_is_a_new_trial_and_both_name_each_other(client, sick):
    answer = client.post(f"/v1/trials/{sick}:rescue")

    child = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/trials/{child['id']}")
    assert (child["rescue_of"]["trial_id"], child["rescue_of"]["worked"]) == (sick, None)
    [told] = client.get(f"/v1/trials/{sick}").json()["rescues"]
    assert (told["trial_id"], told["number"], told["state"]) == (child["id"], 1, "waiting")
    assert told["summary"] == child["rescue_of"]["summary"]


def test_remedies_can_be_chosen_and_a_key_repeats_the_answer(client, sick):
    send = {"json": {"remedies": [2]}, "headers": {"Idempotency-Key": "again"}}
    first, second = (client.post(f"/v1/trials/{sick}:rescue", **send) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["parameters"]["normalization"] == "batch"
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"


def test_lists_can_be_filtered_by_it(client, sick):
    child = client.post(f"/v1/trials/{sick}:rescue").json()
    path = f"/v1/sweeps/{child['sweep_id']}/trials"
    for text in ("rescue_of = 0", "rescue_of IS NOT NULL"):
        assert [trial["id"] for trial in client.get(path, params={"filter": text}).json()["trials"]] == [child["id"]]
    assert [trial["id"] for trial in client.get(path, params={"filter": "rescue_of IS NULL"}).json()["trials"]] == [
        sick
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"remedies": [99]}, 422, "invalid_request"),
        ({"remedies": []}, 422, "invalid_request"),
        ({"remedies": [True]}, 422, "invalid_request"),
        ({"remedy": [1]}, 422, "invalid_request"),
        ({"remedies": [2**63]}, 422, "invalid_request"),
    ],
)
def test_bad_input_is_refused(client, sick, body, status, code):
    answer = client.post(f"/v1/trials/{sick}:rescue", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_of_another_kind_is_refused_and_none_is_welcome(client, sick):
    wrong = client.post(f"/v1/trials/{sick}:rescue", content="remedies: [1]", headers={"Content-Type": "text/yaml"})
    assert wrong.status_code == 415
    assert client.post("/v1/trials/trl_none:rescue").status_code == 404
    assert client.post(f"/v1/trials/{sick}:rescue", json={}).status_code == 201
    assert client.post(f"/v1/trials/{sick}:rescue").status_code == 409
