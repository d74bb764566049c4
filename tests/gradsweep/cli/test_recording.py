"""`record` and `artifacts` against a service, with a worker that speaks HTTP and trains nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gradsweep import Client
from gradsweep.cli import main, recording
from service.wire import recordings

SWEEP = {
    "name": "recorded",
    "dataset": "digits",
    "run_cap": 1,
    "parameters": {"hidden_units": {"value": [8]}, "epochs": 1},
}
WORKER = {
    "worker_id": "wrk_1",
    "host": "box",
    "pid": 1,
    "version": "0.1.0",
    "trainer": "reference",
    "device": "CPU",
    "n_slots": 1,
    "datasets": ["digits"],
}
START = {"stream_seed": 1, "start_epoch": 0, "dataset_sha256": "0" * 64}
HEADER = "step,layer,loss,global_norm,grad_norm,grad_rms,bias_grad_rms,update_ratio,weight_norm"
CSV = "\n".join([HEADER, *(f"1,{layer}{7 * ',0.5'}" for layer in (1, 2))]) + "\n"


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    """Speaks as the worker."""
    with httpx.Client(base_url=url, trust_env=False) as made:
        yield made


@pytest.fixture
def trial(client: Client, http: httpx.Client) -> str:
    """A trial that was trained; its id."""
    client.submit(SWEEP)
    claim = {"claim_key": "clm_1", "worker": WORKER, "max_trials": 1}
    answer = http.post("/v1/claims", json=claim).raise_for_status().json()
    fence = {"trial_id": answer["grants"][0]["trial_id"], "attempt": 1}
    entries = [
        fence | {"epoch": {"epoch": 0, "steps": 0}, "start": START},
        fence | {"epoch": {"epoch": 1, "steps": 1}, "final": {"kind": "completed", "best_epoch": 1}},
    ]
    http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": entries}).raise_for_status()
    return str(fence["trial_id"])


@pytest.fixture
def work(http: httpx.Client) -> Callable[..., None]:
    """Takes a recording and sends a result."""

    def take(result: dict[str, Any]) -> None:
        body = {"claim_key": "clm_2", "worker": WORKER}
        answer = http.post("/v1/claims/recordings", json=body).raise_for_status().json()
        grant = answer["recording"]
        report = {"trial_id": grant["trial_id"], "attempt": grant["attempt"], "result": result}
        http.post(f"/v1/leases/{answer['lease_id']}/recordings", json=report).raise_for_status()

    return take


def test_it_is_asked_for_and_the_file_is_listed_and_written(
    trial: str, url: str, work: Callable[..., None], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["record", "latest/0", "--steps", "1", "--url", url]) == 0
    assert "will be recorded" in capsys.readouterr().out
    work({"kind": "recorded", "csv": CSV, "same_program": True, "differs_from_epoch": 1})
    assert main.run(["artifacts", trial, "--url", url]) == 0
    assert "differ from epoch 1" in capsys.readouterr().out
    assert main.run(["show", trial, "--url", url]) == 0
    assert "1: recorded in steps-1.csv, differ from what is stored from epoch 1" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main.run(["artifacts", trial, "steps-1.csv", "--url", url]) == 0
    assert capsys.readouterr().out == CSV
    assert main.run(["artifacts", trial, "-o", str(tmp_path / "steps.csv"), "--url", url]) == 0
    assert (tmp_path / "steps.csv").read_text() == CSV
    assert main.run(["artifacts", trial, "--url", url, "--json"]) == 0
    assert [file["name"] for file in json.loads(capsys.readouterr().out)["artifacts"]] == ["steps-1.csv"]


def test_the_bounds_of_the_options_are_those_of_the_service() -> None:
    assert (recording.DEFAULT_STEPS, recording.MAX_STEPS) == (recordings.DEFAULT_STEPS, recordings.MAX_STEPS)


@pytest.mark.parametrize(
    ("result", "code", "words"),
    [
        ({"kind": "recorded", "csv": CSV, "same_program": True}, 0, "gradsweep figure steps"),
        ({"kind": "failed", "reason": "too large for this device"}, 1, "too large for this device"),
    ],
)
def test_watch_waits_for_its_end(
    trial: str,
    url: str,
    work: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    result: dict[str, Any],
    code: int,
    words: str,
) -> None:
    asleep = threading.Event()
    monkeypatch.setattr(recording.time, "sleep", lambda _: asleep.is_set() or (asleep.set(), work(result)))
    assert main.run(["record", trial, "--steps", "1", "--watch", "--url", url]) == code
    assert words in capsys.readouterr().out


def test_json_is_the_trial(trial: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["record", trial, "--every", "5", "--url", url, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["recording"]
    assert (said["state"], said["steps"], said["every"]) == ("queued", 500, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record", "latest/0", "--trainer", "fused"], "name its file with -o"),
        (["artifacts", "latest/0", "-o", "steps.csv"], "nothing is recorded of trial 0"),
        (["artifacts", "latest/0", "steps-9.csv"], "no file 'steps-9.csv'"),
        (["figure", "steps", "latest/0", "-o", "steps.json"], "No steps of trial 0 are recorded"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    trial: str, url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main.run([*arguments, "--url", url]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
