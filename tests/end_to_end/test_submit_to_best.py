"""`gradsweep up`, a sweep file, and the answer: real processes, real training, and the same again after a restart."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gradsweep import Client
from gradsweep.cli import main

SWEEP_FILE = """
name: first
dataset: digits
method: tpe
run_cap: 5
seed: 1
early_terminate: {type: hyperband, min_iter: 1, eta: 3}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.001, max: 0.1}
  optimizer: {values: [sgd, adam]}
  hidden_units: {value: [32, 16]}
  epochs: 8
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP_FILE)
    return path


@pytest.fixture
def start_up(household: Any, client: Client, eventually: Any) -> Any:
    """Starts `gradsweep up` on the household's record and waits until it says where it is."""

    def start() -> Any:
        up = household.processes.start(
            "up", "--port", str(household.port), "--data-dir", str(household.database.parent), "--json"
        )
        eventually(client.workers, lambda found: any(worker.is_alive for worker in found), what="a worker has come")
        return up

    return start


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command in JSON and read its answer."""
    assert main.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_a_file_to_the_best_configuration(
    start_up: Any, household: Any, sweep_file: Path, record: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    up = start_up()
    at = ("--url", household.url)
    assert main.run(["submit", str(sweep_file), "--watch", "--json", *at]) == 0
    pictures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (pictures[0]["state"], pictures[-1]["state"]) == ("queued", "completed")
    assert pictures[-1]["state_reason"] == "run_cap"

    best = ask(capsys, "best", "latest", "-k", "2", *at)
    assert best["best"]["objective"] > 0.8
    shown = ask(capsys, "show", f"first/{best['best']['number']}", *at)
    assert [epoch["epoch"] for epoch in shown["epochs"]] == list(range(9))
    assert {layer["layer"] for layer in shown["layers"]} == {1, 2, 3}
    assert all(layer["update_ratio_median"] > 0 for layer in shown["layers"] if layer["epoch"] > 0)

    number = f"latest/{best['best']['number']}"
    asked = ask(capsys, "record", number, "--steps", "50", "--watch", *at)["recording"]
    assert (asked["state"], asked["matches"], asked["reason"]) == ("done", True, None)

    best = ask(capsys, "best", "latest", "-k", "2", *at)
    up.signal(signal.SIGTERM)
    assert up.wait() == 0
    start_up()
    assert ask(capsys, "best", "latest", "-k", "2", *at) == best
    assert main.run(["artifacts", number, asked["artifact"], *at]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(int(row["step"]), int(row["layer"])) for row in rows] == [(n, m) for n in range(1, 51) for m in (1, 2, 3)]
    (first,) = (epoch for epoch in shown["epochs"] if epoch["epoch"] == 1)
    losses = [float(row["loss"]) for row in rows if row["layer"] == "1"][: first["steps"]]
    assert sum(losses) / len(losses) == pytest.approx(first["train_loss"], rel=1e-5)
    replay = household.processes.start("replay", number, *at, "--data-dir", str(household.database.parent))
    assert replay.wait() == 0, replay.said()
    assert "equal (the same program)" in replay.said()
    assert record.faults() == {}


def test_up_starts_a_dead_worker_again(start_up: Any, client: Client, eventually: Any) -> None:
    start_up()
    (first,) = client.workers()
    os.kill(first.pid, signal.SIGKILL)
    again = eventually(
        client.workers,
        lambda found: any(worker.is_alive and worker.pid != first.pid for worker in found),
        what="the worker is started again",
    )
    assert len(again) == 1


def test_ctrl_c_only_detaches(household: Any, client: Client, eventually: Any, processes: Any) -> None:
    household.start_service()
    sweep = client.submit({"name": "kept", "dataset": "digits", "run_cap": 1, "parameters": {"epochs": 1}})
    watching = processes.start("watch", "kept", "--url", household.url)
    eventually(watching.said, lambda text: "kept: " in text, what="the first line is there")
    watching.signal(signal.SIGINT)
    assert watching.wait() == 130
    assert "gradsweep watch kept" in watching.said()
    assert client.sweep(sweep.id).state == "queued"
