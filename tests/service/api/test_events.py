"""Events as they happen: streams that resume without a gap, and the long poll."""

import json
import socket
import threading

import httpx
import pytest
import uvicorn

from gradsweep.client import Client
from service.app import create_app
from service.settings import ServiceSettings


def parsed(text):
    """The (id, kind) of each event of a stream's text."""
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    return [(int(block["id"]), block["event"]) for block in blocks if "id" in block]


@pytest.fixture
def over(submit, worker):
    """A sweep that is over, with all its events."""
    sweep_id = submit(run_cap=2)
    for grant in worker.claim(2):
        worker.train(grant)
    return sweep_id


def test_a_stream_ends_with_its_sweep(client, over):
    response = client.get(f"/v1/sweeps/{over}/events")
    events = parsed(response.text)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert events[0][1] == "sweep_submitted"
    assert events[-1][1] == "sweep_completed"
    assert client.get(f"/v1/sweeps/{over}").json()["last_event"] == len(events)


def test_a_stream_goes_on_after_the_last_event_that_was_seen(client, over):
    whole = parsed(client.get(f"/v1/sweeps/{over}/events").text)
    resumed = {
        last: parsed(client.get(f"/v1/sweeps/{over}/events", headers={"Last-Event-ID": str(last)}).text)
        for last in range(len(whole))
    }
    assert resumed == {last: whole[last:] for last in range(len(whole))}


def test_who_has_seen_all_is_told_not_to_come_back(client, over):
    last = client.get(f"/v1/sweeps/{over}").json()["last_event"]
    response = client.get(f"/v1/sweeps/{over}/events", headers={"Last-Event-ID": str(last)})
    assert (response.status_code, response.content) == (204, b"")


def test_every_event_is_json_with_the_same_number(client, over):
    text = client.get(f"/v1/sweeps/{over}/events").text
    data = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert [(event["number"], event["kind"]) for event in data] == parsed(text)
    reported = next(event for event in data if event["kind"] == "epochs_reported")
    assert reported["body"]["trials"][0][:2] == [0, 0]


def test_the_long_poll_lists_the_same(client, over):
    streamed = parsed(client.get(f"/v1/sweeps/{over}/events").text)
    answer = client.get(f"/v1/sweeps/{over}/events", params={"after": 0}).json()
    assert [(event["number"], event["kind"]) for event in answer["events"]] == streamed
    assert (answer["last_event"], answer["is_ended"]) == (len(streamed), True)
    rest = client.get(f"/v1/sweeps/{over}/events", params={"after": len(streamed) - 1}).json()
    assert len(rest["events"]) == 1


def test_the_long_poll_ends_when_its_time_is_over(client, submit):
    answer = client.get(f"/v1/sweeps/{submit()}/events", params={"after": 1, "wait": 0.01}).json()
    assert answer == {"events": [], "last_event": 1, "is_ended": False}


@pytest.mark.parametrize("query", [{"after": -1}, {"after": 2**60}, {"wait": 61}, {"wait": -1}, {"wait": "nan"}])
def test_refuses_what_no_poll_can_mean(lasting_client, query):
    answer = lasting_client.get("/v1/sweeps/x/events", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("last", ["x", "-1", str(2**70)])
def test_refuses_an_id_that_is_none_of_its_own(lasting_client, last):
    answer = lasting_client.get("/v1/sweeps/x/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "header/last-event-id")


# with a real server, as only that one can send while somebody reads


@pytest.fixture
def running(database, tmp_path):
    """A server on a free port, in a thread; ended by its own flag."""
    settings = ServiceSettings(data_dir=tmp_path, event_poll_seconds=0.05, event_heartbeat_seconds=0.05)
    app = create_app(settings, database)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", app
        app.state.context.signal.close()
        server.should_exit = True
        thread.join(30)


SWEEP = {
    "method": "random",
    "run_cap": 1,
    "dataset": "digits",
    "parameters": {"dropout": {"min": 0.0, "max": 0.5}, "epochs": 2},
}


@pytest.fixture
def remote(running):
    with httpx.Client(base_url=running[0], timeout=30) as http:
        yield http


def test_events_arrive_while_they_happen(running, remote, http_worker):
    sweep_id = remote.post("/v1/sweeps", json=SWEEP).json()["id"]
    worker = http_worker(remote)
    with Client(running[0]) as client:
        events = client.events(sweep_id)
        kinds = [next(events).kind]
        worker.train(worker.claim(1)[0])
        kinds += [event.kind for event in events]
    assert kinds[0] == "sweep_submitted"
    assert kinds[-1] == "sweep_completed"
    assert {"trial_created", "trial_started", "epochs_reported", "trial_completed"} <= set(kinds)


def test_a_silent_stream_says_that_it_lives(remote):
    sweep_id = remote.post("/v1/sweeps", json=SWEEP).json()["id"]
    with remote.stream("GET", f"/v1/sweeps/{sweep_id}/events") as response:
        comments = (line for line in response.iter_lines() if line.startswith(":"))
        assert next(comments) == ": nothing new"


def test_streams_end_when_the_service_does(running, remote):
    sweep_id = remote.post("/v1/sweeps", json=SWEEP).json()["id"]
    with remote.stream("GET", f"/v1/sweeps/{sweep_id}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 2000"
        running[1].state.context.signal.close()
        assert [line for line in lines if line.startswith("event")] == ["event: sweep_submitted"]


def test_a_stream_ends_when_its_sweep_is_deleted(remote):
    sweep_id = remote.post("/v1/sweeps", json=SWEEP).json()["id"]
    with remote.stream("GET", f"/v1/sweeps/{sweep_id}/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 2000"
        assert remote.delete(f"/v1/sweeps/{sweep_id}").status_code == 204
        assert len(list(lines)) < 1_000
