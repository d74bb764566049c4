"""`gradsweep replay` trains for real what a worker reported, and finds it equal; or changed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
import pytest

from gradsweep import Client
from gradsweep.cli import main
from service.wire.leases import Grant
from worker.entries import epoch_report, trial_spec
from worker.settings import WorkerSettings
from worker.trainer import LocalTrainer, make_trainer
from worker.training.contract import Bank

SWEEP: dict[str, Any] = {
    "name": "replayed",
    "dataset": "digits",
    "method": "random",
    "run_cap": 1,
    "seed": 5,
    "parameters": {
        "hidden_units": {"value": [8]},
        "batch_size": {"value": 256},
        "dropout": {"value": 0.2},
        "optimizer": {"value": "sgd"},
        "epochs": 2,
    },
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

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> LocalTrainer:
    """The reference trainer, as a worker has it."""
    return make_trainer(WorkerSettings(data_dir=tmp_path_factory.mktemp("data"), trainer="reference", device="CPU"))


@pytest.fixture
def train(url: str, client: Client, trainer: LocalTrainer) -> Callable[..., str]:
    """Trains the sweep's trial at its place in the stream and reports it, changed as asked; returns the trial's id."""

    def report(http: httpx.Client, grant: Grant, lease_id: str, bank: Bank, change: Change) -> None:
        fence = {"trial_id": grant.trial_id, "attempt": grant.attempt}
        start = {
            "stream_seed": bank.stream_seed,
            "start_epoch": bank.bank_epoch,
            "dataset_sha256": trainer.load("digits").sha256,
            "environment": trainer.environment(),
        }
        rows = [*bank.admit([trial_spec(grant, "a")]), *bank.train_epoch(), *bank.train_epoch()]
        for row, others in zip(
            rows, [{"start": start}, {}, {"final": {"kind": "completed", "best_epoch": 2}}], strict=True
        ):
            entry = {**fence, "epoch": change(epoch_report(row).model_dump(mode="json")), **others}
            http.post(f"/v1/leases/{lease_id}/reports", json={"entries": [entry]}).raise_for_status()

    def run(change: Change = dict) -> str:
        client.submit(SWEEP)
        claim = {"claim_key": "clm_1", "worker": WORKER, "max_trials": 1}
        with httpx.Client(base_url=url, trust_env=False) as http:
            answer = http.post("/v1/claims", json=claim).raise_for_status().json()
            grant = Grant.model_validate(answer["grants"][0])
            bank = trainer.replay_bank(
                "digits", trial_spec(grant, "a").hyperparameters, stream_seed=11, start_epoch=3, recorded={}
            )
            report(http, grant, answer["lease_id"], bank, change)
        return grant.trial_id

    return run


def test_a_trial_that_was_trained_is_found_equal(
    train: Callable[..., str], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    assert main.run(["replay", "latest/0", "--url", url, "--data-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:-1]] == [["epoch", str(n), "equal"] for n in range(3)]
    assert lines[-1] == "equal (the same program)"


def test_a_changed_record_is_found_at_its_epoch(
    train: Callable[..., str], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        worse = {"val_loss": 1.01 * row["val_loss"]} if row["epoch"] == 2 else {}
        return row | worse

    trial = train(change)
    assert main.run(["replay", trial, "--url", url, "--data-dir", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["differs_from_epoch"] == 2
    assert found["epochs"][2]["val_loss"] == pytest.approx(0.01, rel=0.05)
    assert found["epochs"][1]["val_loss"] <= 1e-5


def test_a_trial_that_waits_is_not_replayed(url: str, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with httpx.Client(base_url=url, trust_env=False) as http:
        client.submit(SWEEP)
        http.post("/v1/claims", json={"claim_key": "clm_1", "worker": WORKER, "max_trials": 1}).raise_for_status()
    assert main.run(["replay", "latest/0", "--url", url]) == 2
    assert "replay it when it has ended" in capsys.readouterr().err


def test_record_writes_single_steps_that_add_up_to_the_epoch(
    train: Callable[..., str],
    client: Client,
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trial = train()
    file = tmp_path / "steps.csv"
    options = ["--url", url, "--data-dir", str(tmp_path), "--trainer", "reference", "-o", str(file)]
    assert main.run(["record", trial, *options]) == 0
    with file.open() as lines:
        rows = list(csv.DictReader(lines))

    n_steps = client.epochs(trial).epochs[1].steps
    assert [(int(row["step"]), int(row["layer"])) for row in rows] == [
        (step, layer) for step in range(1, 2 * n_steps + 1) for layer in (1, 2)
    ]
    stored = {(row.epoch, row.layer): row for row in client.gradients(trial).layers}
    for epoch, layer in ((1, 1), (1, 2), (2, 1), (2, 2)):
        of_layer = [row for row in rows if int(row["layer"]) == layer][(epoch - 1) * n_steps : epoch * n_steps]
        wanted = stored[epoch, layer]
        for name, middle in (
            ("grad_rms", wanted.grad_rms_median),
            ("bias_grad_rms", wanted.bias_grad_rms_median),
            ("update_ratio", wanted.update_ratio_median),
        ):
            assert median(float(row[name]) for row in of_layer) == pytest.approx(middle, rel=1e-3)
        assert mean(float(row["grad_norm"]) for row in of_layer) == pytest.approx(wanted.grad_norm_mean, rel=1e-3)
        assert float(of_layer[-1]["weight_norm"]) == pytest.approx(wanted.weight_norm, rel=1e-3)
    assert mean(float(row["loss"]) for row in rows[: 2 * n_steps]) == pytest.approx(
        client.epochs(trial).epochs[1].train_loss, rel=1e-3
    )
    assert "differ" not in capsys.readouterr().out


def test_record_takes_the_first_step_and_each_nth_after_it(
    train: Callable[..., str], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = train()
    file = tmp_path / "steps.csv"
    options = ["--url", url, "--data-dir", str(tmp_path), "-o", str(file), "--steps", "5", "--every", "2", "--json"]
    assert main.run(["record", trial, *options]) == 0
    with file.open() as lines:
        assert [row["step"] for row in csv.DictReader(lines)] == ["1", "1", "3", "3", "5", "5"]
    said = json.loads(capsys.readouterr().out)
    assert (said["steps"], said["rows"], said["differs_from_epoch"]) == (5, 6, None)
