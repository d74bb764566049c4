"""`best` under bounds, `pareto` and `importances` against the real service."""

import json
import time

import httpx
import pytest

from gradsweep.cli import main

FILE = {
    "name": "bound",
    "dataset": "digits",
    "method": "random",
    "run_cap": 24,
    "seed": 5,
    "parameters": {"learning_rate": {"min": 0.001, "max": 0.1}, "hidden_units": {"value": [8]}, "epochs": 1},
    "constraints": {"train_loss": "<= 1"},
}
WORKER = {
    "worker_id": "wrk_fake",
    "host": "here",
    "pid": 1,
    "version": "0.1.0",
    "trainer": "reference",
    "device": "none",
    "n_slots": 32,
    "datasets": ["digits"],
}


def train(url: str, n_trials: int) -> None:
    """Trials whose accuracy and loss both rise with their number: from 0.3 and 0 by 0.02 and 0.1 each."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        claim = {"claim_key": f"clm_{time.monotonic_ns()}", "worker": WORKER, "max_trials": n_trials}
        answer = http.post("/v1/claims", json=claim).raise_for_status().json()
        entries = [
            {
                "trial_id": grant["trial_id"],
                "attempt": grant["attempt"],
                "epoch": {
                    "epoch": 1,
                    "steps": 9,
                    "train_loss": grant["number"] / 10,
                    "val_accuracy": 0.3 + grant["number"] / 50,
                    "layers": [{"layer": 1}],
                },
                "final": {"kind": "completed", "test_loss": 0.6, "test_accuracy": 0.4, "best_epoch": 1},
            }
            for grant in answer["grants"]
        ]
        http.post(f"/v1/leases/{answer['lease_id']}/reports", json={"entries": entries}).raise_for_status()


@pytest.fixture
def run(url, client, capsys):
    """Runs a command on a sweep that was trained; its stdout and stderr."""

    def run_one(n_trials, *arguments):
        client.submit(FILE)
        train(url, n_trials)
        assert main.run([*arguments, "--url", url]) == 0
        return capsys.readouterr()

    return run_one


def test_best_keeps_the_bounds_and_tells_of_the_one_that_does_not(run):
    out, err = run(24, "best", "bound", "-k", "2")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["10", "9"]
    assert "Trial 23 with val_accuracy 0.76 does not count, though it would be the best" in err
    assert "its train_loss of 2.3 is above 1" in err


def test_pareto_lists_the_front(run):
    out, err = run(24, "pareto", "--metrics", "val_accuracy,train_loss")
    assert "11 of 11 trials" in out
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["10", "9"]
    assert "13 completed trials break train_loss <= 1" in err


def test_pareto_in_json(run):
    out, _ = run(24, "pareto", "bound", "--metrics", "val_accuracy,train_loss", "--json")
    assert len(json.loads(out)["front"]) == 11


def test_importances_are_drawn_as_bars(run):
    out, _ = run(24, "importances", "--target", "train_loss")
    assert "what decides train_loss: the best 5 of 24 trials (PED-ANOVA)" in out
    assert out.splitlines()[-1].split()[:2] == ["1.000", "learning_rate"]
    assert "█" in out


def test_importances_in_json(run):
    out, _ = run(24, "importances", "bound", "--json")
    assert json.loads(out)["target"] == "val_accuracy"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("importances",), "cannot tell what decides val_accuracy: 3 trials ended"),
        (("pareto", "bound", "--metrics", "val_accuracy,depth_slope"), "has no Pareto front"),
    ],
)
def test_what_cannot_be_told_is_said(run, arguments, words):
    out, err = run(3, *arguments)
    assert out == ""
    assert words in err
