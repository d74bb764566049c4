"""The client against the real application, and against services that are away, foreign or interrupted."""

import json
import subprocess
import sys

import httpx
import pytest
from fastapi.testclient import TestClient

import gradsweep
from gradsweep import ApiError, Client, Unreachable
from gradsweep.streaming import parse_events, read_events
from service.app import create_app
from service.settings import ServiceSettings

SWEEP = {
    "name": "by-client",
    "method": "random",
    "run_cap": 4,
    "dataset": "digits",
    "parameters": {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1}, "epochs": 2},
}
WORKER = {
    "worker_id": "wrk_1",
    "host": "localhost",
    "pid": 1,
    "version": "0",
    "trainer": "reference",
    "device": "CPU",
    "n_slots": 4,
    "datasets": ["digits"],
}


@pytest.fixture
def http(sqlite_database, tmp_path):
    app = create_app(ServiceSettings(data_dir=tmp_path, event_poll_seconds=0.05), sqlite_database)
    with TestClient(app, base_url="http://127.0.0.1:8321") as http:
        yield http


@pytest.fixture
def client(http):
    return Client(http=http)


def claim(http, n):
    body = {"claim_key": "k-1", "worker": WORKER, "max_trials": n}
    answer = http.post("/v1/claims", json=body).json()
    return answer["lease_id"], answer["grants"]


def test_submits_looks_and_steers(client):
    plan = client.validate(SWEEP)
    assert plan.plan["trials"] == 4
    sweep = client.submit(SWEEP, idempotency_key="k")
    assert client.submit(SWEEP, idempotency_key="k").id == sweep.id
    assert (sweep.name, sweep.counts.total) == ("by-client", 0)
    assert client.sweep("by-client") == client.sweep(sweep.id)
    assert [each.id for each in client.all_sweeps(filter="state = queued")] == [sweep.id]
    assert json.loads(client.sweep_file(sweep.id)) == SWEEP
    assert json.loads(client.sweep_file(sweep.id, resolved=True)) == sweep.resolved
    assert client.pause(sweep.id).state == "paused"
    assert client.resume(sweep.id).state == "queued"
    assert client.retry_failed(sweep.id).counts.total == 0
    assert client.cancel(sweep.id).state == "cancelled"
    client.delete(sweep.id)
    assert client.sweeps().sweeps == ()


def test_submits_text_as_yaml(client):
    sweep = client.submit("method: random\nrun_cap: 2\nparameters: {learning_rate: {min: 1e-3, max: 1e-1}}\n")
    assert sweep.resolved["parameters"]["learning_rate"]["min"] == 1e-3
    assert client.stop(sweep.id).state == "completed"


def test_looks_at_trials(client, http):
    sweep = client.submit(SWEEP)
    lease_id, grants = claim(http, 3)
    epoch = {"epoch": 0, "steps": 1, "val_accuracy": 0.5, "layers": [{"layer": 1, "grad_norm_mean": 0.25}]}
    entry = {"trial_id": grants[0]["trial_id"], "attempt": 1, "epoch": epoch}
    http.post(f"/v1/leases/{lease_id}/reports", json={"entries": [entry]}).raise_for_status()
    trials = list(client.all_trials(sweep.id, order_by="-number"))
    assert [trial.number for trial in trials] == [2, 1, 0]
    assert client.trial(trials[2].id).val_accuracy == 0.5
    assert client.epochs(trials[2].id).epochs[0].val_accuracy == 0.5
    assert client.gradients(trials[2].id, layer=1, from_epoch=0).layers[0].grad_norm_mean == 0.25
    assert client.best(sweep.id).best is None
    assert client.cancel_trial(trials[0].id).stop_requested
    assert [worker.id for worker in client.workers()] == ["wrk_1"]


def test_pages_through_lists(client):
    for name in "abc":
        client.submit(SWEEP | {"name": name})
    first = client.sweeps(order_by="name", page_size=2)
    second = client.sweeps(order_by="name", page_size=2, page_token=first.next_page_token)
    assert [sweep.name for sweep in (*first.sweeps, *second.sweeps)] == ["a", "b", "c"]


def test_follows_a_sweep_to_its_end(client):
    sweep = client.submit(SWEEP)
    client.cancel(sweep.id)
    events = list(client.events(sweep.id))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "sweep_cancelled"
    assert [event.number for event in client.events(sweep.id, after=1)] == [event.number for event in events[1:]]
    assert client.events_after(sweep.id, len(events) - 1).events == (events[-1],)
    assert client.events_after(sweep.id, len(events), wait_seconds=1).is_ended


def test_an_error_says_what_and_where(client):
    with pytest.raises(ApiError) as caught:
        client.submit(SWEEP | {"run_cap": "many"})
    assert (caught.value.status, caught.value.code) == (422, "invalid_sweep")
    assert caught.value.problems[0].pointer == "/run_cap"
    assert "/run_cap" in str(caught.value)


@pytest.mark.parametrize("ask", [lambda client: client.sweep("x/../y"), lambda client: list(client.events("nowhere"))])
def test_what_is_not_there_is_an_error(client, ask):
    with pytest.raises(ApiError) as caught:
        ask(client)
    assert caught.value.status == 404


def answering(*answers):
    """A client of a service that gives these answers, one after the other; exceptions are raised."""
    left = list(answers)

    def handle(request):
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request)

    return httpx.Client(transport=httpx.MockTransport(handle), base_url="http://service")


def test_an_answer_that_is_none_of_ours_is_told_apart():
    with pytest.raises(ApiError, match="not as gradsweep") as caught:
        Client(http=answering(lambda request: httpx.Response(502, text="<html>proxy</html>"))).workers()
    assert (caught.value.status, caught.value.code) == (502, "unknown")


def test_an_answer_of_another_version_is_told_apart():
    with pytest.raises(ApiError, match="another version of gradsweep"):
        Client(http=answering(lambda request: httpx.Response(200, json={"id": "swp_1"}))).sweep("swp_1")


def test_no_answer_names_the_address():
    with pytest.raises(Unreachable, match="http://service"):
        Client(http=answering(httpx.ConnectError("refused"))).version()


def test_the_token_is_sent():
    with Client("http://127.0.0.1:1", token="secret") as client, pytest.raises(Unreachable):
        client.workers()


def event(number):
    data = {"number": number, "kind": "k", "at": "2026-01-01T00:00:00Z", "trial_id": None, "body": {}}
    return f"id: {number}\nevent: k\ndata: {json.dumps(data)}\n\n"


class Cut(httpx.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, text):
        self.text = text

    def __iter__(self):
        yield self.text.encode()
        raise httpx.ReadError("connection reset")


def test_comes_back_after_each_kind_of_loss_and_misses_nothing():
    asked, waits = [], []

    def answer(make):
        def handle(request):
            asked.append(request.headers["Last-Event-ID"])
            return make()

        return handle

    http = answering(
        answer(lambda: httpx.Response(200, stream=Cut("retry: 1\n\n" + event(1) + event(2) + event(3)[:20]))),
        httpx.ConnectError("refused"),
        answer(lambda: httpx.Response(503, json={})),
        answer(lambda: httpx.Response(200, text=": nothing new\n\n" + event(3))),
        answer(lambda: httpx.Response(204)),
    )
    found = read_events(
        http, "/events", after=0, reconnect=True, translate=lambda _: Unreachable(""), sleep=waits.append
    )
    assert [event.number for event in found] == [1, 2, 3]
    assert asked == ["0", "2", "2", "3"]
    assert waits == [0.5, 1.0, 2.0]


def test_a_lost_connection_is_an_error_where_nobody_wants_to_wait():
    http = answering(lambda request: httpx.Response(200, stream=Cut(event(1))))
    found = read_events(http, "/events", after=0, reconnect=False, translate=lambda _: Unreachable("gone"))
    assert next(found).number == 1
    with pytest.raises(Unreachable, match="gone"):
        next(found)


def test_data_over_several_lines_is_one_event():
    first, second = json.dumps({"number": 1, "kind": "k", "at": "2026-01-01T00:00:00Z",
                                "trial_id": None, "body": {}}, indent=0).split("\n", 1)  # fmt: skip
    lines = [": comment", f"data: {first}", *(f"data:{line}" for line in second.split("\n")), "", "data: {cut"]
    assert [event.number for event in parse_events(lines)] == [1]


def test_the_package_loads_its_client_late():
    code = "import sys, gradsweep; assert 'httpx' not in sys.modules; gradsweep.Client; assert 'httpx' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        gradsweep.nothing  # noqa: B018


def test_a_foreign_service_package_is_named(tmp_path):
    foreign = tmp_path / "service"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from gradsweep import Client"
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert str(foreign) in result.stderr
    assert "Rename it" in result.stderr
