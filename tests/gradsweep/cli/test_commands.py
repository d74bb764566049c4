"""Every command that talks to a service, against the real one: what it prints, in JSON and for people."""

import json
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradsweep import Client
from gradsweep.cli import main
from gradsweep.cli.exits import CommandError
from gradsweep.cli.naming import active_sweeps
from gradsweep.cli.rescuing import wait_for_end
from service.wire.sweeps import SweepView
from service.wire.trials import TrialView

SWEEP_FILE = """
name: first
dataset: digits
method: random
run_cap: 3
seed: 5
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.001, max: 0.1}
  optimizer: {values: [sgd, adam]}
  hidden_units: {value: [8]}
  epochs: 1
"""
WORKER = {
    "worker_id": "wrk_fake",
    "host": socket.gethostname(),
    "pid": 1,
    "version": "0.1.0",
    "trainer": "reference",
    "device": "none",
    "n_slots": 8,
    "datasets": ["digits"],
}
START = {"stream_seed": 1, "start_epoch": 0, "dataset_sha256": "0" * 64, "environment": {}}
LAYER = {"layer": 1, "grad_rms_median": 0.01, "grad_norm_mean": 0.2, "update_ratio_median": 0.001, "weight_norm": 3.0}

Run = Callable[..., str]


@pytest.fixture
def gradsweep(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that must succeed and returns its stdout."""

    def run(*arguments: str, code: int = 0) -> str:
        assert main.run([*arguments, "--url", url]) == code, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sweep file."""
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP_FILE)
    return path


@pytest.fixture
def sweep(file: Path, client: Client) -> SweepView:
    """A submitted sweep."""
    return client.submit(file.read_text())


def train(url: str, n_trials: int) -> list[dict[str, Any]]:
    """What a worker would say that trains trials to their end; returns what it was granted."""
    claim = {"claim_key": f"clm_{time.monotonic_ns()}", "worker": WORKER, "max_trials": n_trials}
    with httpx.Client(base_url=url, trust_env=False) as http:
        answer = http.post("/v1/claims", json=claim).raise_for_status().json()
        for grant in answer["grants"]:
            fence = {"trial_id": grant["trial_id"], "attempt": grant["attempt"]}
            probe = {"epoch": 0, "steps": 0, "train_loss": 2.3, "layers": [{"layer": 1}]}
            row = {"epoch": 1, "steps": 9, "train_loss": 1.0, "val_accuracy": 0.5 + grant["number"] / 10}
            entries = [
                {**fence, "start": START, "epoch": probe},
                {**fence, "epoch": {**row, "layers": [LAYER]}, "final": {"kind": "completed", "best_epoch": 1}},
            ]
            for entry in entries:
                reported = http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": [entry]})
                reported.raise_for_status()
        return list(answer["grants"])


def test_submit_says_what_to_type_next(gradsweep: Run, file: Path, client: Client) -> None:
    assert "Submitted first (swp_" in gradsweep("submit", str(file))
    assert client.sweep("first").state == "queued"


def test_submit_answers_in_json(gradsweep: Run, file: Path) -> None:
    assert json.loads(gradsweep("submit", str(file), "--json"))["state"] == "queued"


def test_the_next_command_can_be_pasted_whatever_the_name(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP_FILE.replace("name: first", "name: two words"))
    assert main.run(["submit", str(path), "--url", url]) == 0
    assert capsys.readouterr().err == "Next: gradsweep watch 'two words'\n"


def test_validate_writes_nothing(gradsweep: Run, file: Path, client: Client) -> None:
    assert gradsweep("submit", str(file), "--validate").startswith(f"{file} can run. The plan:\n")
    assert json.loads(gradsweep("submit", str(file), "--validate", "--json"))["plan"]["trials"] == 3
    assert client.sweeps().sweeps == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("datset: digits", "dataset"),
        ("metric: {name: val_accuracy, goal: minimize}", "/metric/goal"),
        ("method: grid", "learning_rate"),
        ("run_cap: 0", "/run_cap"),
        ("parameters: {learning_rate: {min: 1, max: 0.1}}", "/parameters/learning_rate"),
        ("[not a sweep", "sweep.yaml"),
    ],
)
def test_a_sweep_that_cannot_run_is_one_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    kept = [each for each in SWEEP_FILE.splitlines()[1:6] if each.split(":")[0] != line.split(":", maxsplit=1)[0]]
    parameters = SWEEP_FILE.splitlines()[6:] * (not line.startswith("parameters"))
    path = tmp_path / "sweep.yaml"
    path.write_text("\n".join([*kept, line, *parameters]))
    assert main.run(["submit", str(path), "--url", url]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert words in captured.err
    assert captured.err.count("sweep.yaml: ") == 1


def test_a_sweep_is_found_by_name_id_prefix_and_latest(gradsweep: Run, sweep: SweepView) -> None:
    for reference in (sweep.name, sweep.id, sweep.id[:-2], "latest"):
        assert json.loads(gradsweep("show", reference, "--json"))["id"] == sweep.id


def test_a_prefix_of_several_sweeps_is_refused(
    gradsweep: Run, file: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        gradsweep("submit", str(file))
    assert main.run(["show", "swp_", "--url", url]) == 2
    assert "fits several sweeps" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show no-such-sweep", "show latest/999", "show latest/x", "retry trl_none"])
def test_what_is_not_there_is_one_line(
    url: str, sweep: SweepView, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main.run([*command.split(), "--url", url]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_list_shows_the_newest_first(gradsweep: Run, sweep: SweepView) -> None:
    listed = json.loads(gradsweep("list", "--limit", "1", "--json"))
    assert [each["id"] for each in listed] == [sweep.id]
    assert sweep.name in gradsweep("list")


def test_from_trials_to_the_best(gradsweep: Run, sweep: SweepView, url: str) -> None:
    assert "no completed trial yet" not in gradsweep("best", sweep.name)
    granted = train(url, 3)
    ours = [grant for grant in granted if grant["sweep_id"] == sweep.id]
    assert len(ours) == 3
    best = json.loads(gradsweep("best", sweep.name, "--json"))
    assert best["best"]["number"] == 2
    assert "learning_rate" in gradsweep("best", sweep.name)
    assert len(json.loads(gradsweep("trials", sweep.name, "--filter", "number >= 1", "--json"))) == 2
    assert "completed" in gradsweep("trials", sweep.name)
    shown = gradsweep("show", f"{sweep.name}/2")
    assert "gradients of epoch 1" in shown
    assert len(json.loads(gradsweep("show", f"{sweep.name}/2", "--json"))["epochs"]) == 2
    assert "run_cap" in gradsweep("show", sweep.name) or "completed" in gradsweep("show", sweep.name)


@pytest.mark.parametrize(
    ("name", "begins"), [("f.pdf", b"%PDF-"), ("f.svg", b"<?xml"), ("f.png", b"\x89PNG"), ("f.json", b'{"data"')]
)
def test_a_figure_is_saved_in_the_format_of_its_name(
    gradsweep: Run, sweep: SweepView, url: str, tmp_path: Path, name: str, begins: bytes
) -> None:
    train(url, 3)
    said = gradsweep("figure", "gradient_flow", f"{sweep.name}/1", "-o", str(tmp_path / name))
    assert said.startswith(f"Wrote {tmp_path / name}")
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_several_trials_are_saved_side_by_side(gradsweep: Run, sweep: SweepView, url: str, tmp_path: Path) -> None:
    train(url, 3)
    path = tmp_path / "f.json"
    trials = [f"{sweep.name}/{number}" for number in (2, 0)]
    said = gradsweep("figure", "gradient_flow", *trials, "-o", str(path))
    assert said == f"Wrote {path}: Gradient flow of 2 trials on one scale\n"
    maps = [trace for trace in json.loads(path.read_text())["data"] if trace["type"] == "heatmap"]
    assert [trace["coloraxis"] for trace in maps] == ["coloraxis"] * 2


def test_a_figure_as_a_page_asks_no_other_host(gradsweep: Run, sweep: SweepView, tmp_path: Path) -> None:
    path = tmp_path / "f.html"
    said = json.loads(gradsweep("figure", "history", "-o", str(path), "--json"))
    assert said == {"file": str(path), "title": "History", "inches": None}
    page = path.read_text()
    assert "Plotly.newPlot" in page
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["history", "-o", "f.gif"], ".pdf, .svg, .png, .html, .json"),
        (["flow", "-o", "f.json"], "there are history"),
        (["history", "latest", "latest/0", "-o", "f.json"], "not of both"),
        (["history", "latest", "latest", "-o", "f.json"], "of one sweep"),
        (["history", "-o", "no-such-folder/f.json"], "cannot be written"),
    ],
)
def test_a_figure_that_cannot_be_is_one_line(
    url: str, sweep: SweepView, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main.run(["figure", *arguments, "--url", url]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert words in captured.err


def test_without_matplotlib_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main.run(["figure", "history", "-o", "f.pdf"]) == 2
    assert "pip install 'gradsweep[figures]'" in capsys.readouterr().err


def test_export_writes_tables(gradsweep: Run, sweep: SweepView, url: str, tmp_path: Path) -> None:
    train(url, 2)
    head, *rows = gradsweep("export", "first").splitlines()
    assert (head.split(",")[0], len(rows)) == ("id", 2)
    path = tmp_path / "layers.jsonl"
    assert gradsweep("export", "--table", "layers", "--format", "jsonl", "-o", str(path)) == ""
    layers = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["trial_number"], each["epoch"]) for each in layers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    chosen = gradsweep("export", "--json", "--filter", "number = 1")
    assert [json.loads(line)["number"] for line in chosen.splitlines()] == [1]


def test_an_export_without_rows_is_an_empty_file_and_not_the_one_before(
    gradsweep: Run, sweep: SweepView, tmp_path: Path
) -> None:
    path = tmp_path / "failed.jsonl"
    path.write_text("of yesterday")
    gradsweep("export", "first", "--format", "jsonl", "--filter", "state = failed", "-o", str(path))
    assert path.read_text() == ""


def test_a_refused_export_leaves_no_file(
    gradsweep: Run, sweep: SweepView, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trials.csv"
    assert main.run(["export", "first", "--filter", "nothing = 1", "-o", str(path), "--url", url]) == 2
    assert (path.exists(), capsys.readouterr().err.count("\n")) == (False, 1)
    assert main.run(["export", "first", "-o", str(tmp_path / "no" / "folder"), "--url", url]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_script_is_python(gradsweep: Run, sweep: SweepView, url: str, tmp_path: Path) -> None:
    train(url, 1)
    path = tmp_path / "train.py"
    assert gradsweep("script", "latest/0", "-o", str(path)) == ""
    assert "HIDDEN_UNITS = [8]" in path.read_text()
    assert json.loads(gradsweep("script", "first/0", "--json"))["script"] == path.read_text()


def test_watch_ends_with_the_sweep(gradsweep: Run, sweep: SweepView, url: str) -> None:
    train(url, 3)
    lines = gradsweep("watch", sweep.name, "--json").splitlines()
    assert json.loads(lines[-1])["state"] == "completed"
    assert f"{sweep.name}: " in gradsweep("watch", sweep.name)


def test_watch_without_a_name_follows_all_that_are_not_over(gradsweep: Run, sweep: SweepView, client: Client) -> None:
    second = client.submit(SWEEP_FILE.replace("name: first", "name: second"))
    client.cancel(client.submit(SWEEP_FILE.replace("name: first", "name: third")).id)
    assert {each.id for each in active_sweeps(client)} == {sweep.id, second.id}
    for each in (sweep, second):
        client.stop(each.id)
    lines = [json.loads(line) for line in gradsweep("watch", sweep.id, second.id, "--json").splitlines()]
    assert {(line["name"], line["state"]) for line in lines} >= {("first", "completed"), ("second", "completed")}
    assert [each.name for each in active_sweeps(client)] == ["third"]


def test_of_too_many_the_newest_are_watched_and_it_is_said(
    gradsweep: Run, client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        client.stop(client.submit(SWEEP_FILE.replace("name: first", f"name: {name}")).id)
        client.submit(SWEEP_FILE.replace("name: first", f"name: {name}-on"))
    monkeypatch.setattr("gradsweep.cli.naming.MOST_WATCHED", 2)
    monkeypatch.setattr(
        "gradsweep.cli.watching.watch_all", lambda client, chosen, **_: print([each.name for each in chosen])
    )
    assert gradsweep("watch") == "['three-on', 'two-on']\n"


def test_the_exit_code_of_several_is_the_gravest(gradsweep: Run, sweep: SweepView, client: Client) -> None:
    client.cancel(client.submit(SWEEP_FILE.replace("name: first", "name: second")).id)
    client.stop(sweep.id)
    gradsweep("watch", "first", "second", code=4)


def test_watching_a_cancelled_sweep_is_exit_code_4(gradsweep: Run, sweep: SweepView) -> None:
    gradsweep("cancel", sweep.name)
    gradsweep("watch", sweep.name, code=4)


def test_steering(gradsweep: Run, sweep: SweepView) -> None:
    assert json.loads(gradsweep("pause", sweep.name, "--json"))["state"] == "paused"
    assert sweep.name in gradsweep("resume", sweep.name)
    assert json.loads(gradsweep("stop", sweep.name, "--json"))["state"] in ("stopping", "completed")
    gradsweep("resume", sweep.name, code=2)


def test_retry_takes_all_of_a_sweep_that_failed(gradsweep: Run, sweep: SweepView, url: str) -> None:
    assert gradsweep("retry", "first") == "first: no trial has failed, nothing to try again\n"
    claim = {"claim_key": "clm_1", "worker": WORKER, "max_trials": 3}
    with httpx.Client(base_url=url, trust_env=False) as http:
        answer = http.post("/v1/claims", json=claim).raise_for_status().json()
        final = {"kind": "failed", "failure_kind": "error", "error_type": "E", "message": "m", "traceback": "t"}
        ends = [{"trial_id": one["trial_id"], "attempt": 1, "final": final} for one in answer["grants"]]
        http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": ends}).raise_for_status()
    assert gradsweep("retry", "first/0") == "trial 0: waiting\n"
    assert gradsweep("retry", "latest").startswith("first: 2 failed trials will run again; running")
    assert json.loads(gradsweep("retry", sweep.id, "--json"))["counts"]["waiting"] == 3


def test_delete_needs_a_yes(gradsweep: Run, sweep: SweepView, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    gradsweep("cancel", sweep.name)
    assert main.run(["delete", sweep.name, "--url", url]) == 2
    assert "--yes" in capsys.readouterr().err
    assert json.loads(gradsweep("delete", sweep.name, "--yes", "--json")) == {"deleted": sweep.id, "name": sweep.name}
    gradsweep("show", sweep.id, code=2)


def test_workers_here(gradsweep: Run, sweep: SweepView, url: str) -> None:
    train(url, 1)
    assert [worker["id"] for worker in json.loads(gradsweep("workers", "--here", "--json"))] == ["wrk_fake"]
    assert "wrk_fake" in gradsweep("workers")


def test_doctor_finds_the_service(gradsweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradsweep.cli.checks.tensorflow_gpus", list)
    findings = {finding["check"]: finding for finding in json.loads(gradsweep("doctor", "--json"))}
    assert findings["service"]["status"] == "OK"
    assert set(findings) >= {"Python", "SQLite", "TensorFlow", "devices", "data folder", "disk", "data sets", "port"}


def test_watching_a_rescue_in_a_paused_sweep_says_how_to_go_on(
    sweep: SweepView, client: Client, make_trial: Callable[..., TrialView]
) -> None:
    client.pause(sweep.id)
    with pytest.raises(CommandError, match=f"gradsweep resume {sweep.name}"):
        wait_for_end(client, make_trial(sweep_id=sweep.id, state="waiting"))


def test_rescue_enqueues_the_remedied_trial_and_watch_tells_whether_it_worked(
    gradsweep: Run, sweep: SweepView, client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"protocol": 1, "claim_key": "k", "worker": WORKER, "max_trials": 1}
    nan = {"train_loss": None, "nonfinite": 1, "nonfinite_values": {"train_loss": "nan"}}
    with httpx.Client(base_url=url) as http:
        granted = http.post("/v1/claims", json=claim).raise_for_status().json()
        fence = {"trial_id": granted["grants"][0]["trial_id"], "attempt": 1}
        epochs = [{"epoch": 0, "steps": 0}, {"epoch": 1, "steps": 9, **nan}]
        entries = [{**fence, "epoch": epoch} for epoch in epochs]
        http.post(f"/v1/leases/{granted['lease_id']}/reports", json={"entries": entries}).raise_for_status()

    assert "normalization = batch (was none)" in gradsweep("rescue", "first/0", "--remedy", "2")
    monkeypatch.setattr(time, "sleep", lambda _seconds: client.cancel(sweep.id))
    ended = gradsweep("rescue", "first/0", "--watch", code=1)

    assert "Trial 2 is to rescue trial 0: it was cancelled before it could tell." in ended
    assert "Trial 1 is to rescue trial 0" in gradsweep("show", "first/0")
